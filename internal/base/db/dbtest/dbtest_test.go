package dbtest

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

var files = fstest.MapFS{"0001_first.sql": {Data: []byte(`
	CREATE TABLE parents (id BIGINT PRIMARY KEY);
	CREATE TABLE children (id BIGINT PRIMARY KEY, parent BIGINT NOT NULL REFERENCES parents (id))`)}}

func write(t *testing.T, d *db.DB, statements ...string) {
	t.Helper()
	err := d.System().Write(t.Context(), func(tx *db.Tx) error {
		for _, sql := range statements {
			if _, err := tx.Exec(sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryTestFindsAnEmptyDatabase(t *testing.T) {
	for _, leaves := range [][]string{
		{`INSERT INTO parents (id) VALUES (1)`, `INSERT INTO children (id, parent) VALUES (1, 1)`},
		{`ALTER TABLE children ADD COLUMN text TEXT`},
		{`CREATE TABLE more (id BIGINT)`},
		{`DROP TABLE children`},
		{`UPDATE schema_migrations SET checksum = 'x'`},
		{},
	} {
		Each(t, files, func(t *testing.T, d *db.DB) {
			var n int
			if err := d.System().QueryRow(t.Context(), `SELECT count(*) FROM parents LEFT JOIN children ON parent = parents.id`).Scan(&n); err != nil || n != 0 {
				t.Errorf("%d rows, %v", n, err)
			}
			if err := d.Migrate(t.Context(), files); err != nil {
				t.Error(err)
			}
			if rows, err := d.System().Query(t.Context(), `SELECT text FROM children`); err == nil {
				if rows.Close() == nil {
					t.Error("a column of another test is there")
				}
			}
			write(t, d, leaves...)
		})
	}
}

func TestDatabaseIsReused(t *testing.T) {
	var first, second string
	t.Run("first", func(t *testing.T) { first = TemplatePostgreSQL(t, files) })
	t.Run("second", func(t *testing.T) { second = TemplatePostgreSQL(t, files) })
	if first != second {
		t.Errorf("%s was not used again: %s", first, second)
	}
}

func TestTwoNodesShareADatabase(t *testing.T) {
	Two(t, files, func(t *testing.T, a, b *db.DB) {
		write(t, a, `INSERT INTO parents (id) VALUES (7)`)
		var id int
		if err := b.System().QueryRow(t.Context(), `SELECT id FROM parents`).Scan(&id); err != nil || id != 7 {
			t.Errorf("the other node reads %d, %v", id, err)
		}
	})
}

func TestMissingPostgreSQLSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, _, err := findPostgreSQL(filepath.Join(t.TempDir(), "*"))
	if !errors.Is(err, errNoPostgreSQL) || !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Errorf("findPostgreSQL: %v", err)
	}
}

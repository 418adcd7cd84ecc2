package db_test

import (
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
)

// series returns a file system of migrations: name, text, name, text…
func series(namesAndTexts ...string) fs.FS {
	files := fstest.MapFS{}
	for i := 0; i < len(namesAndTexts); i += 2 {
		files[namesAndTexts[i]] = &fstest.MapFile{Data: []byte(namesAndTexts[i+1])}
	}
	return files
}

const (
	one = `CREATE TABLE one (id BIGINT PRIMARY KEY, text TEXT); -- a comment; with a semicolon
		INSERT INTO one (id, text) VALUES (1, 'a;
b''c');`
	two = `CREATE TABLE two (id BIGINT PRIMARY KEY);
/* another; */ INSERT INTO two (id) VALUES (2)`
)

// fresh is a series before its first file.
var fresh = series()

func TestMigrateAppliesEachFileOnce(t *testing.T) {
	dbtest.Each(t, fresh, func(t *testing.T, d *db.DB) {
		for _, files := range []fs.FS{
			series("0001_one.sql", one),
			series("0001_one.sql", one, "0002_two.sql", two),
			series("0001_one.sql", strings.ReplaceAll(one, "\n", "\r\n"), "0002_two.sql", two),
		} {
			if err := d.Migrate(t.Context(), files); err != nil {
				t.Fatal(err)
			}
		}
		var text, name string
		var version int
		var at int64
		if err := d.System().QueryRow(t.Context(), `SELECT text FROM one JOIN two ON two.id = one.id + 1`).Scan(&text); err != nil {
			t.Fatal(err)
		}
		if text != "a;\nb'c" {
			t.Errorf("text = %q", text)
		}
		err := d.System().QueryRow(t.Context(), `SELECT version, name, applied_at FROM schema_migrations ORDER BY version DESC`).Scan(&version, &name, &at)
		if err != nil || version != 2 || name != "two" || db.Time(at).Year() < 2026 && at != 0 {
			t.Errorf("recorded %d %s %d, %v", version, name, at, err)
		}
	})
}

func TestMigrateByManyNodesAtOnce(t *testing.T) {
	dbtest.Two(t, fresh, func(t *testing.T, a, b *db.DB) {
		files := series("0001_one.sql", one, "0002_two.sql", two)
		var wg sync.WaitGroup
		for i := range 8 {
			d := a
			if i%2 == 1 {
				d = b
			}
			wg.Go(func() {
				if err := d.Migrate(t.Context(), files); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestThreat_DB10_MigrationIsWholeOrNotAtAll(t *testing.T) {
	dbtest.Each(t, fresh, func(t *testing.T, d *db.DB) {
		broken := two + `; INSERT INTO two (id) VALUES (2);`
		if err := d.Migrate(t.Context(), series("0001_one.sql", one, "0002_two.sql", broken)); err == nil {
			t.Fatal("a file that fails was applied")
		}
		if err := d.System().QueryRow(t.Context(), `SELECT id FROM one`).Scan(new(int)); err != nil {
			t.Errorf("the file before it: %v", err)
		}
		if err := d.System().QueryRow(t.Context(), `SELECT count(*) FROM two`).Scan(new(int)); err == nil {
			t.Error("half of the file was left")
		}
		if err := d.Migrate(t.Context(), series("0001_one.sql", one, "0002_two.sql", two)); err != nil {
			t.Errorf("the file put right: %v", err)
		}
	})
}

func TestThreat_DB10_MigrateRefuses(t *testing.T) {
	dbtest.Each(t, fresh, func(t *testing.T, d *db.DB) {
		if err := d.Migrate(t.Context(), series("0001_one.sql", one, "0002_two.sql", two)); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			name  string
			files fs.FS
			says  string
		}{
			{"an edited file", series("0001_one.sql", one+" ", "0002_two.sql", two), "migration 0001_one is not the 0001_one of this program"},
			{"a newer schema", series("0001_one.sql", one), "newer than this program"},
			{"a missing first file", series("0002_two.sql", two), "0001"},
			{"a gap", series("0001_one.sql", one, "0003_three.sql", ""), "0002"},
			{"a double", series("0001_one.sql", one, "0001_two.sql", two), "0002"},
			{"another name", series("1_one.sql", one), "NNNN_name.sql"},
			{"an open quote", series("0001_one.sql", "CREATE TABLE 'x"), "not closed"},
			{"a deferred constraint", series("0001_one.sql", "CREATE TABLE x (id BIGINT REFERENCES y (id) DEFERRABLE INITIALLY DEFERRED)"), "immediate"},
		} {
			err := d.Migrate(t.Context(), test.files)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: %v", test.name, err)
			}
		}
	})
}

// Package dbtest hands migrated databases to tests, on both engines.
//
//	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) { … })
//
// A test gets a database of its own in milliseconds: the series is applied once to a template, which is then
// copied. PostgreSQL is the server named by the environment variable GATEHOUSE_TEST_POSTGRES (a superuser's DSN) or a throwaway
// cluster started for this process; the command withpostgres starts one for a whole run of go test. With -short
// only SQLite runs.
package dbtest

import (
	"context"
	"io/fs"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

// Each runs the subtest fn on SQLite and on PostgreSQL, each with an empty database migrated with files.
func Each(t *testing.T, files fs.FS, fn func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { fn(t, SQLite(t, files)) })
	t.Run("PostgreSQL", func(t *testing.T) { fn(t, PostgreSQL(t, files)) })
}

// Two runs the subtest fn on both engines as if on two nodes: on PostgreSQL a and b are two pools on one database; on SQLite,
// which serves one process, they are the same handle.
func Two(t *testing.T, files fs.FS, fn func(t *testing.T, a, b *db.DB)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		d := SQLite(t, files)
		fn(t, d, d)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		dsn := TemplatePostgreSQL(t, files)
		fn(t, open(t, dsn), open(t, dsn))
	})
}

// SQLite returns a migrated SQLite database that ends with the test.
func SQLite(t testing.TB, files fs.FS) *db.DB {
	t.Helper()
	return open(t, "sqlite:"+TemplateSQLite(t, files))
}

// PostgreSQL returns a migrated PostgreSQL database that ends with the test. It skips the test when -short is given, and
// fails it when there is no server and none can be started.
func PostgreSQL(t testing.TB, files fs.FS) *db.DB {
	t.Helper()
	return open(t, TemplatePostgreSQL(t, files))
}

func open(t testing.TB, url string) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), url, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

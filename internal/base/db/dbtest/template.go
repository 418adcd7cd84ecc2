package dbtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

// templates remembers for the life of the process what is slow to make: a *onceValue per series and engine, and the
// cluster. Tests have no other place to share it.
var templates sync.Map

// once returns what build returned the first time it was called with key.
func once[T any](key string, build func() (T, error)) (T, error) {
	f, _ := templates.LoadOrStore(key, sync.OnceValues(build))
	return f.(func() (T, error))()
}

// TemplateSQLite returns the path of a fresh database file, migrated with files and closed. It is removed with the test.
func TemplateSQLite(t testing.TB, files fs.FS) (path string) {
	t.Helper()
	sum, err := checksum(files)
	if err != nil {
		t.Fatal(err)
	}
	image, err := once("sqlite "+sum, func() ([]byte, error) { return migratedFile(files) })
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "gatehouse.db")
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func migratedFile(files fs.FS) ([]byte, error) {
	dir, err := os.MkdirTemp("", "gatehouse-template-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	if err := migrate("sqlite:"+path, files); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// TemplatePostgreSQL returns the DSN of a fresh database, migrated with files. It is dropped with the test.
func TemplatePostgreSQL(t testing.TB, files fs.FS) (dsn string) {
	t.Helper()
	if testing.Short() {
		t.Skip("PostgreSQL is left out of -short")
	}
	ctx := context.Background()
	server, err := Server()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := checksum(files)
	if err != nil {
		t.Fatal(err)
	}
	template := "gatehouse_template_" + sum[:16]
	if _, err := once("postgres "+sum, func() (string, error) {
		return template, migratedDatabase(ctx, server, template, files)
	}); err != nil {
		t.Fatal(err)
	}

	name := "gatehouse_test_" + hex.EncodeToString(randomBytes(8))
	if err := execute(ctx, server, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := execute(ctx, server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	dsn, err = withDatabase(server, name)
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// migratedDatabase makes the template unless another process sharing the server has made it. It appears under its name
// only when it is complete.
func migratedDatabase(ctx context.Context, server, name string, files fs.FS) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext($1))", name); err != nil {
		return err
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil || exists {
		return err
	}
	draft := name + "_draft"
	for _, sql := range []string{
		"DROP DATABASE IF EXISTS " + draft + " WITH (FORCE)",
		"CREATE DATABASE " + draft + " TEMPLATE template0 ENCODING 'UTF8'",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	dsn, err := withDatabase(server, draft)
	if err != nil {
		return err
	}
	if err := migrate(dsn, files); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+draft+" RENAME TO "+name)
	return err
}

func migrate(url string, files fs.FS) (err error) {
	ctx := context.Background()
	d, err := db.Open(ctx, url, db.Options{})
	if err != nil {
		return err
	}
	if err := d.Migrate(ctx, files); err != nil {
		d.Close()
		return err
	}
	return d.Close()
}

// checksum names a series by its content.
func checksum(files fs.FS) (string, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func execute(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// withDatabase returns the DSN of another database on the same server.
func withDatabase(dsn, name string) (string, error) {
	if !strings.Contains(dsn, "://") {
		return "", fmt.Errorf("%s must be a URL such as postgres://postgres@localhost/postgres", EnvServer)
	}
	u, err := parseURL(dsn)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

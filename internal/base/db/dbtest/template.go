package dbtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

// made remembers for the life of the process what is slow to make: a template per series and engine, and the
// cluster. The tests of a process have no other place to share it.
var made sync.Map

// once returns what build returned the first time it was called with key.
func once[T any](key string, build func() (T, error)) (T, error) {
	f, _ := made.LoadOrStore(key, sync.OnceValues(build))
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

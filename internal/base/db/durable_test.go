package db_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

// The test binary starts itself again with one of these set, to be killed or refused.
const (
	envWriter = "GATEHOUSE_TEST_DB_WRITER" // the URL to write to
	envOpener = "GATEHOUSE_TEST_DB_OPENER" // the URL to open
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(envWriter) != "":
		fail(writeUntilKilled(os.Getenv(envWriter)))
	case os.Getenv(envOpener) != "":
		d, err := db.Open(context.Background(), os.Getenv(envOpener), db.Options{})
		if err != nil {
			fail(err)
		}
		fmt.Println("opened")
		io.Copy(io.Discard, os.Stdin) // hold it until the parent lets go
		fail(d.Close())
	}
	os.Exit(m.Run())
}

func fail(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

const writers = 16

// writeUntilKilled has several callers write pairs of rows, and prints the id of each pair after Write has returned.
func writeUntilKilled(url string) error {
	ctx := context.Background()
	d, err := db.Open(ctx, url, db.Options{})
	if err != nil {
		return err
	}
	var last int
	if err := d.System().QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM marks`).Scan(&last); err != nil {
		return err
	}
	errs := make(chan error)
	for w := range writers {
		go func() {
			for id := last + 1 + w; ; id += writers {
				err := d.System().Write(ctx, func(tx *db.Tx) error {
					if _, err := tx.Exec(insertMark, id, strings.Repeat("x", id%300)); err != nil {
						return err
					}
					_, err := tx.Exec(`INSERT INTO leaves (id, mark) VALUES ($1, $1)`, id)
					return err
				})
				if err == nil {
					_, err = fmt.Fprintf(os.Stdout, "%d\n", id)
				}
				if err != nil {
					errs <- err
				}
			}
		}()
	}
	return <-errs
}

// TestThreat_DB01_KilledUnderWriteLoad kills a writing process at random moments and looks for everything it had acknowledged.
func TestThreat_DB01_KilledUnderWriteLoad(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		testDurable(t, func() string { return "sqlite:" + dbtest.TemplateSQLite(t, testSchema) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		testDurable(t, func() string { return dbtest.TemplatePostgreSQL(t, testSchema) })
	})
}

// testDurable kills so often over one database, and begins with another: after each kill everything is looked for.
func testDurable(t *testing.T, fresh func() string) {
	random := proof.Rand(t)
	databases, kills, acknowledged := proof.Times(1, 20), proof.Times(10, 50), 0
	for range databases {
		url := fresh()
		var journal []int
		for range kills {
			journal = append(journal, killWriter(t, url, 1+random.IntN(400))...)
			inspect(t, url, journal)
		}
		acknowledged += len(journal)
	}
	t.Logf("%d writes were acknowledged over %d kills", acknowledged, databases*kills)
}

// inspect opens what a killed process has left, and looks for all it had acknowledged.
func inspect(t *testing.T, url string, journal []int) {
	t.Helper()
	d, err := db.Open(t.Context(), url, db.Options{})
	if err != nil {
		t.Fatalf("open after the kill: %v", err)
	}
	there := marks(t, d)
	for _, id := range journal {
		if !there[id] {
			t.Errorf("row %d was acknowledged and is gone", id)
		}
	}
	var halves int
	if err := d.System().QueryRow(t.Context(), `SELECT count(*) FROM marks m WHERE NOT EXISTS (SELECT 1 FROM leaves l WHERE l.id = m.id)`).Scan(&halves); err != nil {
		t.Error(err)
	}
	if halves != 0 {
		t.Errorf("%d verbs were done by half", halves)
	}
	if d.Dialect() == db.SQLite {
		var verdict string
		if err := d.System().QueryRow(t.Context(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("integrity check: %s, %v", verdict, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// killWriter starts a writer, kills it once it has acknowledged n writes, and returns all it acknowledged.
func killWriter(t *testing.T, url string, n int) (acknowledged []int) {
	t.Helper()
	child, out := startChild(t, envWriter+"="+url)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		id, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatalf("the writer said %q", lines.Text())
		}
		if acknowledged = append(acknowledged, id); len(acknowledged) == n {
			child.Process.Kill() // and read on: what is in the pipe was acknowledged too
		}
	}
	child.Wait()
	return acknowledged
}

func startChild(t *testing.T, env string) (*exec.Cmd, io.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), env)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sync.OnceFunc(func() {
		in.Close()
		child.Process.Kill()
		child.Wait()
	}))
	return child, out
}

func TestThreat_DB04_SecondProcessIsRefused(t *testing.T) {
	path := dbtest.TemplateSQLite(t, testSchema)
	child, out := startChild(t, envOpener+"=sqlite:"+path)
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "opened" {
		t.Fatalf("the first process: %s", lines.Text())
	}
	alias := filepath.Join(t.TempDir(), "alias.db")
	if err := os.Symlink(path, alias); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, alias} {
		d, err := db.Open(t.Context(), "sqlite:"+name, db.Options{})
		if err == nil {
			d.Close()
			t.Errorf("%s was opened twice", name)
		} else if !strings.Contains(err.Error(), "another process") {
			t.Error(err)
		}
	}
	// The lock goes with its holder, even one that was killed.
	child.Process.Kill()
	child.Wait()
	d, err := db.Open(t.Context(), "sqlite:"+path, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for url, says := range map[string]string{
		"":                                "must begin with",
		"mysql://root:secret@host/db":     "must begin with",
		"sqlite:":                         "path of a file",
		"sqlite::memory:":                 "path of a file",
		"sqlite:/nonexistent/folder/x.db": "no such file",
		"postgres://u:secret@[::1":        "",
		"postgres://u:secret@127.0.0.1:1/x?connect_timeout=1": "",
	} {
		_, err := db.Open(t.Context(), url, db.Options{})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q): %v", url, err)
		}
	}
}

func TestFileIsForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space & 100% ?#.db")
	d, err := db.Open(t.Context(), "sqlite:"+path, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Migrate(t.Context(), testSchema); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", suffix, info.Mode())
		}
	}
}

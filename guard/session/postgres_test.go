//go:build unix

package session_test

import (
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if stop := stopServer; stop != nil {
		stop()
	}
	os.Exit(code)
}

// server starts a throwaway PostgreSQL once for all tests; stopServer ends it.
var (
	server     = sync.OnceValues(startPostgreSQL)
	stopServer func()
)

// openPostgreSQL returns an empty schema of its own on the server that
// GATEHOUSE_TEST_POSTGRES names or, without it, on a throwaway one.
func openPostgreSQL(t testing.TB) *sql.DB {
	t.Helper()
	if testing.Short() {
		t.Skip("PostgreSQL is left out with -short")
	}
	dsn := os.Getenv("GATEHOUSE_TEST_POSTGRES")
	if dsn == "" {
		var err error
		if dsn, err = server(); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1) // so that the search path below holds
	for _, statement := range []string{`DROP SCHEMA IF EXISTS guard_session_test CASCADE`, `CREATE SCHEMA guard_session_test`, `SET search_path TO guard_session_test`} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	t.Cleanup(func() { _, _ = db.Exec(`DROP SCHEMA guard_session_test CASCADE`) })
	return db
}

// keeper runs the server until its standard input ends: when the tests are done,
// and also when their process is killed.
const keeper = `"$1" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off >/dev/null 2>&1 & cat >/dev/null; kill -INT $!; wait; rm -rf "$2"`

// startPostgreSQL runs a server on a socket in a directory of its own, as nobody
// when the tests run as root, which initdb refuses.
func startPostgreSQL() (dsn string, err error) {
	initdb, err := binary("initdb")
	if err != nil {
		return "", err
	}
	postgres, err := binary("postgres")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "guard-pg")
	if err != nil {
		return "", err
	}
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		const nobody = 65534
		attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			return "", err
		}
	}
	setUp := exec.Command(initdb, "-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust", "--no-sync")
	setUp.SysProcAttr, setUp.Dir = attr, dir
	if out, err := setUp.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	run := exec.Command("sh", "-c", keeper, "keeper", postgres, dir)
	run.SysProcAttr, run.Dir = attr, dir
	stdin, err := run.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := run.Start(); err != nil {
		return "", err
	}
	stopServer = func() {
		_ = stdin.(io.Closer).Close()
		_ = run.Wait()
		_ = os.RemoveAll(dir)
	}
	dsn = fmt.Sprintf("host=%s user=postgres dbname=postgres", dir)
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for range 1000 {
		db, err := sql.Open("pgx", dsn)
		if err != nil {
			return "", err
		}
		err = db.Ping()
		_ = db.Close()
		if err == nil {
			return dsn, nil
		}
		<-retry.C
	}
	return "", fmt.Errorf("the PostgreSQL server does not answer")
}

func binary(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		return "", fmt.Errorf("%s is neither on PATH nor below /usr/lib/postgresql: install the PostgreSQL server, name one in GATEHOUSE_TEST_POSTGRES, or test with -short", name)
	}
	return found[len(found)-1], nil
}

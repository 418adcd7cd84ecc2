package db

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// sqliteEngine is one file with one writer and a pool of readers.
type sqliteEngine struct {
	writer  *writer
	readers *readers
	lock    *fileLock
}

// oldestSQLite is the first release without the WAL-reset bug, which could corrupt a database.
const oldestSQLite = "3.51.3"

func openSQLite(ctx context.Context, path string, o Options) (_ *sqliteEngine, err error) {
	path, err = sqliteFile(path)
	if err != nil {
		return nil, err
	}
	var lock *fileLock
	if !o.Guest {
		if lock, err = lockFile(path + ".lock"); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			lock.release()
		}
	}()

	conn, err := openSQLiteConn(ctx, sqliteDSN(path, false))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := conn.check(ctx); err != nil {
		conn.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if o.MaxConns <= 0 {
		o.MaxConns = max(4, runtime.GOMAXPROCS(0))
	}
	return &sqliteEngine{
		writer:  startWriter(conn, sqliteDSN(path, false), o.Logger),
		readers: newReaders(sqliteDSN(path, true), o.MaxConns),
		lock:    lock,
	}, nil
}

// sqliteFile makes sure the file exists, readable by its owner only (SQLite gives its log the same mode), and returns the one
// path all its names lead to, so that a symlink cannot get round the lock.
func sqliteFile(path string) (string, error) {
	path = strings.TrimPrefix(path, "//")
	if path == "" || strings.HasPrefix(path, ":") {
		return "", errors.New("sqlite: needs the path of a file, as in sqlite:/var/lib/gatehouse/gatehouse.db")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	return path, syncDir(filepath.Dir(path))
}

// syncDir makes a directory's entries durable, so that power loss cannot take a new database file.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // has no such call, and needs none
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// sqliteDSN spells the connection's settings. The journal is a write-ahead log synced at every commit, because a commit
// answers for credentials and one-time use; a reader cannot write, whatever it is told; a name in double quotes is never taken for
// a text, as in PostgreSQL.
func sqliteDSN(path string, reader bool) string {
	pragmas := []string{
		"busy_timeout(5000)",
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(1)",
		"temp_store(memory)",
		"trusted_schema(0)",
		"journal_size_limit(67108864)",
	}
	if reader {
		pragmas = append(pragmas, "query_only(1)", "cache_size(-1000)") // KiB; what is read often is in the caches of the subjects
	}
	q := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}, "_dqs": {"0"}}
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + q.Encode()
}

func (e *sqliteEngine) query(ctx context.Context, sql string, args []any, brief bool) (*Rows, error) {
	return e.readers.query(ctx, sql, args, brief)
}

func (e *sqliteEngine) write(ctx context.Context, w write) error { return e.writer.write(ctx, w) }

func (e *sqliteEngine) close() error {
	// The writer goes last: the last connection to close folds the log into the file.
	e.readers.close()
	return errors.Join(e.writer.close(), e.lock.release())
}

// check refuses a SQLite or a file system that cannot keep our promises.
func (c *sqliteConn) check(ctx context.Context) error {
	var version, journal string
	var synchronous, foreignKeys int
	for _, q := range []struct {
		sql  string
		dest any
	}{
		{"SELECT sqlite_version()", &version},
		{"PRAGMA journal_mode", &journal},
		{"PRAGMA synchronous", &synchronous},
		{"PRAGMA foreign_keys", &foreignKeys},
	} {
		rows, err := c.query(ctx, q.sql, nil)
		if err != nil {
			return err
		}
		if err := (&Row{rows: rows}).Scan(q.dest); err != nil {
			return err
		}
	}
	if olderVersion(version, oldestSQLite) {
		return fmt.Errorf("the linked SQLite %s can corrupt a database; %s is the oldest allowed", version, oldestSQLite)
	}
	if journal != "wal" || synchronous != 2 || foreignKeys != 1 {
		return fmt.Errorf("SQLite cannot keep a synced write-ahead log here (journal_mode %s, synchronous %d, foreign_keys %d)",
			journal, synchronous, foreignKeys)
	}
	return nil
}

// olderVersion compares dotted versions number by number.
func olderVersion(version, than string) bool {
	a, b := strings.Split(version, "."), strings.Split(than, ".")
	for i := range min(len(a), len(b)) {
		x, errX := strconv.Atoi(a[i])
		y, errY := strconv.Atoi(b[i])
		if errX != nil || errY != nil || x != y {
			return errX != nil || x < y
		}
	}
	return len(a) < len(b)
}

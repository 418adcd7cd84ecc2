package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"io/fs"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// schema is what the application itself remembers. The guard adds its own tables, for sessions and
// for API keys.
const schema = `
CREATE TABLE IF NOT EXISTS people (
	id         TEXT    NOT NULL PRIMARY KEY,
	name       TEXT    NOT NULL UNIQUE,
	password   BLOB    NOT NULL, -- bcrypt
	role       TEXT    NOT NULL,
	locked     INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS notes (
	id         TEXT    NOT NULL PRIMARY KEY,
	owner      TEXT    NOT NULL REFERENCES people (id) ON DELETE CASCADE,
	text       TEXT    NOT NULL,
	created_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS notes_owner ON notes (owner, created_at);`

// openDatabase opens or creates a SQLite file that nobody else on the machine can read.
func openDatabase(path string) (*sql.DB, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(ON)")
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(context.Background(), schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// secretFrom reads the secret that seals sessions and forms, and draws one the first time. In
// production it comes from wherever the other secrets come from; all nodes have the same.
func secretFrom(path string) (string, error) {
	secret, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		random := make([]byte, 32)
		_, _ = rand.Read(random) // never fails
		secret = []byte(base64.StdEncoding.EncodeToString(random))
		err = os.WriteFile(path, secret, 0o600)
	}
	return string(secret), err
}

package main

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// schema is what the application itself remembers. The guard adds its table of sessions.
const schema = `
CREATE TABLE IF NOT EXISTS members (
	subject TEXT NOT NULL PRIMARY KEY, -- the house's sub
	name    TEXT NOT NULL,
	email   TEXT NOT NULL,
	role    TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS watchlist (
	subject TEXT    NOT NULL REFERENCES members (subject) ON DELETE CASCADE,
	title   TEXT    NOT NULL,
	genre   TEXT    NOT NULL,
	year    INTEGER NOT NULL,
	PRIMARY KEY (subject, title)
);`

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

package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
)

// The errors a caller can act upon. All arrive wrapped; test with [errors.Is].
var (
	// ErrNoRows is what Row.Scan returns when the query found nothing.
	ErrNoRows = sql.ErrNoRows
	// ErrBusy says that the database cannot take the work now, and that nothing was written: the queue is full, the disk is
	// full, the server is unreachable, a conflict outlived its retries. The answer to a client is 503.
	ErrBusy error = &fault.Error{
		Code: fault.Busy, Message: "There is too much to do just now. Try again in a moment.", RetryAfter: 2 * time.Second,
		Err: errors.New("the database is busy or unavailable"),
	}
	// ErrUnknownOutcome says that COMMIT was sent and its answer never came or means doubt: the verb may have
	// happened or not. It must never be reported as success, nor blindly repeated.
	ErrUnknownOutcome error = &fault.Error{
		Code: fault.Busy, Message: "It is not certain whether this was done. Look before you try again.", RetryAfter: 2 * time.Second,
		Err: errors.New("the outcome of the commit is unknown"),
	}
	// ErrText says that a statement was given text that is not UTF-8, or that holds a NUL: neither engine keeps such text, so
	// nothing was written, and no row has it. Whoever sent it was wrong (400), not the house.
	ErrText error = &fault.Error{Code: fault.Invalid, Message: "This holds characters that are not text.", Err: errors.New("text must be UTF-8 without NUL")}
	// ErrLocked says that another process has the SQLite database open for writing. [Open] returns it.
	ErrLocked = errors.New("another process has this database open for writing")
	// ErrClosed is returned by every method after [DB.Close].
	ErrClosed = errors.New("the database is closed")
)

// IsUnique reports whether err says that a unique index or primary key already holds the value.
func IsUnique(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "23505"
	}
	switch sqliteCode(err) {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return true
	}
	return false
}

// sqliteCode returns SQLite's extended result code, or 0 when err is not SQLite's.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// isConflict reports a PostgreSQL serialization failure or deadlock: the transaction is undone and may be tried again.
func isConflict(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "40001" || pg.Code == "40P01")
}

// mark adds ErrText to PostgreSQL's refusal of text, and ErrBusy to an error that speaks of the database's state rather than of
// the statement, and leaves no doubt.
func mark(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "22021" { // character_not_in_repertoire
		return fmt.Errorf("%w: %w", ErrText, err)
	}
	if err == nil || errors.Is(err, ErrBusy) || errors.Is(err, ErrUnknownOutcome) || !unavailable(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrBusy, err)
}

func unavailable(err error) bool {
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM:
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code[:2] {
		case "08", "53", "57", "58": // connection, resources, operator intervention, system error
			return true
		}
		return pg.Code == "25006" || isConflict(err) // 25006: the server turned into a standby
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err)
}

// gaveUp is the answer to a caller whose context ended before its verb had its turn. One that ran out of time
// found the database busy.
func gaveUp(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("db: %w: gave up before its turn: %w", ErrBusy, context.Cause(ctx))
	}
	return fmt.Errorf("db: gave up before its turn: %w", context.Cause(ctx))
}

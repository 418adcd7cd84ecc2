// Package db is the house's storage: one SQL text for SQLite and PostgreSQL, reads through a pool,
// writes as atomic verbs, and a tenant bound to every statement.
//
// Three promises are kept here so that no caller has to keep them:
//
//   - A verb handed to Write is all or nothing, has one winner among any number of callers, and is on
//     disk when Write returns nil. On SQLite waiting verbs share one commit (writer.go); on
//     PostgreSQL each is a transaction (postgres.go).
//   - A statement reaches the data of a tenant only through [DB.Tenant], which binds the tenant's id as $1.
//     Package sqlcheck proves that every SQL constant uses it.
//   - Both engines behave alike where Go code can see it: a statement that fails dooms its verb, one result is
//     read at a time inside a verb, text is UTF-8 without NUL, and a statement takes exactly the
//     arguments it names.
//
// SQL is written for both engines at once: placeholders $1…$n, columns TEXT, BIGINT, BOOLEAN and BYTEA,
// times as integer microseconds ([Micros]), JSON as opaque TEXT. Constraints are immediate.
//
// Neighbours: internal/core/schema holds the migrations, the subjects in internal/core hold the SQL, dbtest
// hands migrated databases to their tests.
package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
)

// Dialect names the engine behind a [DB].
type Dialect int

// The engines the house runs on.
const (
	SQLite Dialect = iota + 1
	PostgreSQL
)

// String returns "sqlite" or "postgres", the schemes of [Open].
func (d Dialect) String() string {
	switch d {
	case SQLite:
		return "sqlite"
	case PostgreSQL:
		return "postgres"
	}
	return fmt.Sprintf("Dialect(%d)", int(d))
}

// Options tune [Open]. The zero value is what production runs with.
type Options struct {
	// Clock dates applied migrations. Nil is the system clock.
	Clock clock.Clock
	// MaxConns bounds the connections to PostgreSQL, or the reading connections to SQLite, which has
	// one more for writing. Zero chooses by engine and machine.
	MaxConns int
	// Guest opens a SQLite file beside the process that serves it, for a command that writes a little: it
	// takes no lock on the file, and its verbs queue behind those of the server. It must not stay.
	Guest bool
	// Logger hears what no caller can be told, such as where a verb panicked. Nil discards.
	Logger *slog.Logger
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	engine  engine
	dialect Dialect
	clock   clock.Clock
	closing sync.Once
	closed  error // what closing came to
}

// engine is what SQLite and PostgreSQL each bring. The args of query are complete, the tenant among them.
type engine interface {
	// query reads rows. brief promises that little is read before the first: then the engine may check the context
	// before and after, and not watch it meanwhile.
	query(ctx context.Context, sql string, args []any, brief bool) (*Rows, error)
	write(ctx context.Context, w write) error
	close() error
}

// write is one verb on its way to an engine.
type write struct {
	scope        scope
	verb         func(tx *Tx) error
	serializable bool
	// patient lifts the time limit of a PostgreSQL verb: it runs for as long as the caller's context lives.
	patient bool
	// single is the only statement of the verb, which does nothing but run it; nil for any other verb.
	single *single
}

// single is a verb of one Exec.
type single struct {
	sql  string
	args func() []any // the caller's own
	held bool
	rows int64 // how many it touched, once it ran
}

// run is the verb.
func (s *single) run(tx *Tx) (err error) {
	exec := tx.Exec
	if s.held {
		exec = tx.ExecHeld
	}
	s.rows, err = exec(s.sql, s.args()...)
	return err
}

// Open opens the database at url: "sqlite:PATH" for a file, created when missing, or
// "postgres://…" as libpq spells it.
//
// A SQLite file has one serving process: opening it a second time fails until the first holder has closed it or died. A
// PostgreSQL server must be the primary, speak UTF-8 and be version 14 or newer. No error repeats the password in url.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &DB{clock: o.Clock}
	var err error
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "sqlite":
		d.dialect = SQLite
		d.engine, err = openSQLite(ctx, rest, o)
	case "postgres", "postgresql":
		d.dialect = PostgreSQL
		d.engine, err = openPostgreSQL(ctx, url, o)
	default:
		err = errors.New(`the database URL must begin with "sqlite:" or "postgres://"`)
	}
	if err != nil {
		return nil, fmt.Errorf("db: open: %w", err)
	}
	return d, nil
}

// Close lets the verbs already accepted finish, refuses new ones and frees the database for another process.
// On PostgreSQL it waits for results that are still being read. Closing again returns the same.
func (d *DB) Close() error {
	d.closing.Do(func() {
		if err := d.engine.close(); err != nil {
			d.closed = fmt.Errorf("db: close: %w", err)
		}
	})
	return d.closed
}

// Dialect tells which engine d runs on. Only tests and operations should ask.
func (d *DB) Dialect() Dialect { return d.dialect }

// Micros returns t as it is stored: microseconds since 1970 UTC, 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is the inverse of [Micros]: UTC, and the zero time for 0.
func Time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

package db

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Tenant is the only way to a tenant's rows: every statement sent through it has the tenant's id bound as $1, and the
// caller's own arguments begin at $2. It is a small value, made per request. The zero value refuses everything.
type Tenant struct{ handle }

// System reaches the tables that belong to no tenant, and is the janitors' way across tenants. It binds nothing: arguments begin
// at $1.
type System struct{ handle }

// Tenant returns the handle of the tenant with this id. With an empty id every statement fails.
func (d *DB) Tenant(id string) Tenant {
	return Tenant{handle{db: d, scope: scope{tenant: id, kind: scopeTenant}}}
}

// System returns the handle that binds no tenant.
func (d *DB) System() System { return System{handle{db: d, scope: scope{kind: scopeSystem}}} }

// ID returns the tenant's id.
func (t Tenant) ID() string { return t.scope.tenant }

type handle struct {
	db    *DB
	scope scope
}

// Query reads rows. The caller must close them, and soon: they hold a connection, and on SQLite hold back the log's
// checkpoint. Sees every verb whose Write has returned.
func (h handle) Query(ctx context.Context, sql string, args ...any) (*Rows, error) {
	return h.query(ctx, sql, args, false)
}

func (h handle) query(ctx context.Context, sql string, args []any, brief bool) (*Rows, error) {
	args, err := h.scope.bind(sql, args)
	if err != nil {
		return nil, err
	}
	rows, err := h.db.engine.query(ctx, sql, args, brief)
	if err != nil {
		return nil, fmt.Errorf("db: query: %w", mark(err))
	}
	return rows, nil
}

// QueryRow reads the first row. Errors wait until Scan, which must be called. It is for rows that an index finds: on SQLite a
// caller that gives up is noticed only when the row has been read.
func (h handle) QueryRow(ctx context.Context, sql string, args ...any) *Row {
	rows, err := h.query(ctx, sql, args, true)
	return &Row{rows: rows, err: err}
}

// Write runs one atomic verb and returns nil only after the COMMIT that makes it durable.
//
// The verb sees the newest state, and its error or panic undoes all it did; the panic goes on in the caller. So does a
// failed statement, even when the verb swallows its error. When ctx ends before the verb has its turn the verb never runs; once it
// runs, its outcome stands and Write waits for it. The verb runs at most once, must do nothing but SQL and arithmetic (others wait
// behind it), and must not call Write.
//
// On PostgreSQL the isolation is READ COMMITTED: begin with the conditional UPDATE or INSERT that decides the winner.
// Use WriteSerializable to read, think and then write.
//
// ErrBusy: nothing was written. ErrUnknownOutcome: nobody knows.
func (h handle) Write(ctx context.Context, verb func(tx *Tx) error) error {
	return h.write(ctx, write{scope: h.scope, verb: verb})
}

// WriteSerializable is Write for verbs that read first and decide by it. On PostgreSQL the transaction is
// SERIALIZABLE and is tried up to three times when it conflicts with another, so the verb may run more than once and must
// start afresh each time; when it still conflicts the error is ErrBusy. On SQLite it is the same as Write.
func (h handle) WriteSerializable(ctx context.Context, verb func(tx *Tx) error) error {
	return h.write(ctx, write{scope: h.scope, verb: verb, serializable: true})
}

// Exec is Write of a verb that is one statement, and returns how many rows it inserted, changed or deleted. args is asked
// when the verb has its turn, and may be asked again. On PostgreSQL all of it takes one round trip, COMMIT included, which
// it shares with others of its kind.
func (h handle) Exec(ctx context.Context, sql string, args func() []any) (n int64, err error) {
	return h.single(ctx, &single{sql: sql, args: args})
}

// ExecHeld is Exec of [Tx.ExecHeld].
func (h handle) ExecHeld(ctx context.Context, sql string, args func() []any) (n int64, err error) {
	return h.single(ctx, &single{sql: sql, args: args, held: true})
}

func (h handle) single(ctx context.Context, s *single) (int64, error) {
	if err := h.write(ctx, write{scope: h.scope, single: s, verb: s.run}); err != nil {
		return 0, err
	}
	return s.rows, nil
}

func (h handle) write(ctx context.Context, w write) error {
	if h.scope.kind == scopeNone || h.db == nil {
		return errNoScope
	}
	if ctx.Value(insideVerb{}) != nil {
		return errors.New("db: a verb must not call Write: it would wait for itself")
	}
	if ctx.Err() != nil {
		return gaveUp(ctx)
	}
	return h.db.engine.write(ctx, w)
}

// insideVerb marks the context of a running verb.
type insideVerb struct{}

var errNoScope = errors.New("db: the zero handle reaches nothing")

type scopeKind int

const (
	scopeNone scopeKind = iota
	scopeTenant
	scopeSystem
)

// scope decides what a handle binds in front of the caller's arguments.
type scope struct {
	tenant string
	kind   scopeKind
}

// bind returns the complete arguments of sql.
func (s scope) bind(sql string, args []any) ([]any, error) {
	switch s.kind {
	case scopeSystem:
		return args, nil
	case scopeTenant:
	default:
		return nil, errNoScope
	}
	if s.tenant == "" {
		return nil, errors.New("db: the tenant's id is empty")
	}
	if !namesTenant(sql) {
		return nil, errors.New("db: a tenant's statement must use $1, the tenant's id")
	}
	bound := make([]any, 0, len(args)+1)
	return append(append(bound, s.tenant), args...), nil
}

// namesTenant reports whether sql mentions $1 (and not only $10 and up).
func namesTenant(sql string) bool {
	for {
		i := strings.Index(sql, "$1")
		if i < 0 {
			return false
		}
		sql = sql[i+2:]
		if sql == "" || sql[0] < '0' || sql[0] > '9' {
			return true
		}
	}
}

package db

import (
	"context"
	"errors"
	"fmt"
)

// Tx is the transaction of one running verb, bound to the scope of the handle that opened it. It must not
// outlive the verb or be shared between goroutines.
//
// A statement that fails dooms the verb, on both engines: later statements refuse, and Write undoes the
// verb and returns the error. One result is open at a time.
type Tx struct {
	ctx      context.Context
	scope    scope
	session  session
	open     *Rows
	failed   error
	ended    bool
	onCommit []func()
	// announced: others are to be woken after COMMIT.
	announced bool
}

// session runs the statements of one transaction. Its args are complete.
type session interface {
	exec(ctx context.Context, sql string, args []any) (int64, error)
	query(ctx context.Context, sql string, args []any) (*Rows, error)
	// holding returns sql as a statement whose rows nobody changes before the verb has ended.
	holding(sql string) string
}

// Exec runs a statement and returns how many rows it inserted, changed or deleted.
func (tx *Tx) Exec(sql string, args ...any) (int64, error) {
	args, err := tx.prepare(sql, args)
	if err != nil {
		return 0, err
	}
	n, err := tx.session.exec(tx.ctx, sql, args)
	if err != nil {
		return 0, tx.fail(fmt.Errorf("db: exec: %w", mark(err)))
	}
	return n, nil
}

// Query runs a statement and returns its rows, which must be closed before the next statement.
func (tx *Tx) Query(sql string, args ...any) (*Rows, error) {
	args, err := tx.prepare(sql, args)
	if err != nil {
		return nil, err
	}
	rows, err := tx.session.query(tx.ctx, sql, args)
	if err != nil {
		return nil, tx.fail(fmt.Errorf("db: query: %w", mark(err)))
	}
	rows.tx = tx
	tx.open = rows
	return rows, nil
}

// QueryRow runs a statement and returns its first row. Errors wait until Scan, which must be called
// before the next statement.
func (tx *Tx) QueryRow(sql string, args ...any) *Row {
	rows, err := tx.Query(sql, args...)
	return &Row{rows: rows, err: err}
}

// QueryRowHeld is QueryRow whose row stays as it is until the verb has ended: who wants to change or delete it waits. Others
// may hold it, too. sql is a SELECT from one table.
func (tx *Tx) QueryRowHeld(sql string, args ...any) *Row {
	return tx.QueryRow(tx.session.holding(sql), args...)
}

// ExecHeld is Exec of an INSERT of rows that a SELECT finds, from one table, which stay as they are until the verb has ended:
// who wants to change or delete them waits. Others may hold them, too.
func (tx *Tx) ExecHeld(sql string, args ...any) (int64, error) {
	return tx.Exec(tx.session.holding(sql), args...)
}

// OnCommit has f run after COMMIT returned and before Write does, on the goroutine that called Write. It never runs for a
// verb that was undone or whose outcome is unknown.
func (tx *Tx) OnCommit(f func()) { tx.onCommit = append(tx.onCommit, f) }

// Context returns the context the verb runs with. It is not the caller's: a caller that gives up cannot
// undo a verb that has had its turn.
func (tx *Tx) Context() context.Context { return tx.ctx }

// TenantID returns the id bound as $1, or "" for a verb of [System].
func (tx *Tx) TenantID() string { return tx.scope.tenant }

func (tx *Tx) prepare(sql string, args []any) ([]any, error) {
	switch {
	case tx.ended:
		return nil, errors.New("db: the verb of this transaction has ended")
	case tx.failed != nil:
		return nil, tx.failed
	case tx.open != nil:
		return nil, tx.fail(errors.New("db: the rows of the previous statement are still open"))
	}
	args, err := tx.scope.bind(sql, args)
	if err != nil {
		return nil, tx.fail(err)
	}
	return args, nil
}

// fail dooms the verb with its first error.
func (tx *Tx) fail(err error) error {
	if tx.failed == nil {
		tx.failed = err
	}
	return err
}

// end closes what the verb left open and returns the verb's outcome: its own error, or that of a
// statement it passed over.
func (tx *Tx) end(err error) error {
	if tx.open != nil {
		tx.open.Close()
	}
	tx.ended = true
	if err == nil {
		return tx.failed
	}
	return err
}

// committed runs what the verb left for after COMMIT.
func (tx *Tx) committed() {
	for _, f := range tx.onCommit {
		f()
	}
}

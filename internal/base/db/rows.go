package db

import "fmt"

// Rows is the result of a query, read in order:
//
//	for rows.Next() {
//		err := rows.Scan(&a, &b)
//	}
//	err := rows.Err()
//
// It must be closed; reading to the end or a failure closes it too.
type Rows struct {
	source cursor
	tx     *Tx // whose open result this is, or nil
	err    error
	closed bool
}

// cursor is an engine's side of Rows. After next has returned false, err tells why; close is called once.
type cursor interface {
	next() bool
	scan(dest []any) error
	err() error
	close()
}

// Next moves to the next row and reports whether there is one.
func (r *Rows) Next() bool {
	if r.closed {
		return false
	}
	if r.source.next() {
		return true
	}
	r.Close()
	return false
}

// Scan copies the columns of the current row. A destination is a pointer to a string, []byte, integer, bool, float, a type
// built on one of these, a pointer to one of these (nil for NULL), or an [database/sql.Scanner]. NULL needs one of the last two.
func (r *Rows) Scan(dest ...any) error {
	if r.closed {
		return fmt.Errorf("db: scan: the rows are closed")
	}
	if err := r.source.scan(dest); err != nil {
		return fmt.Errorf("db: scan: %w", err)
	}
	return nil
}

// Err returns the error that ended the reading early, if one did.
func (r *Rows) Err() error { return r.err }

// Close ends the reading and frees the connection. It may be called more than once and returns [Rows.Err].
func (r *Rows) Close() error {
	if r.closed {
		return r.err
	}
	r.closed = true
	r.source.close()
	if err := r.source.err(); err != nil {
		r.err = fmt.Errorf("db: read: %w", mark(err))
	}
	if r.tx != nil {
		r.tx.open = nil
		if r.err != nil {
			r.tx.fail(r.err)
		}
	}
	return r.err
}

// Row is the first row of a result.
type Row struct {
	rows *Rows
	err  error
}

// Scan copies the columns of the row as [Rows.Scan] does, and closes the result. Without a row it
// returns [ErrNoRows].
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	return r.rows.Close()
}

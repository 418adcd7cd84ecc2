package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"modernc.org/sqlite"

	"github.com/gatehouse-dev/gatehouse/internal/base/db/sqltext"
)

// sqliteConn is a connection with its prepared statements. It speaks to the driver directly: database/sql would lock, copy
// and prepare anew on the way of every refresh. It is used by one goroutine at a time, with at most one result open, so that a
// cached statement is never stepped by two.
type sqliteConn struct {
	conn       driver.Conn
	statements map[string]statement
	args       []driver.NamedValue // scratch of the statement being bound
}

// statement is prepared once and reset after each use.
type statement struct {
	driver.Stmt
	params int
}

// maxStatements bounds the cache. The house has fewer constants than this; only SQL built at run time can reach it.
const maxStatements = 512

func openSQLiteConn(ctx context.Context, dsn string) (*sqliteConn, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &sqliteConn{conn: conn, statements: make(map[string]statement)}, nil
}

func (c *sqliteConn) close() error {
	for _, s := range c.statements {
		s.Close()
	}
	return c.conn.Close()
}

// valid reports whether the connection may be used again. An interrupted one may not.
func (c *sqliteConn) valid() bool { return c.conn.(driver.Validator).IsValid() }

func (c *sqliteConn) exec(ctx context.Context, sql string, args []any) (int64, error) {
	s, err := c.prepare(sql, args)
	if err != nil {
		return 0, err
	}
	result, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, c.args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c *sqliteConn) query(ctx context.Context, sql string, args []any) (*Rows, error) {
	s, err := c.prepare(sql, args)
	if err != nil {
		return nil, err
	}
	rows, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, c.args)
	if err != nil {
		return nil, err
	}
	r := &sqliteRows{ctx: ctx, rows: rows, values: make([]driver.Value, len(rows.Columns()))}
	r.Rows.source = r
	return &r.Rows, nil
}

// prepare finds or makes the statement and leaves its arguments in c.args.
func (c *sqliteConn) prepare(sql string, args []any) (statement, error) {
	s, ok := c.statements[sql]
	if !ok {
		params, err := sqltext.Params(sql)
		if err != nil {
			return s, err
		}
		// SQLite would run a second statement hidden behind a semicolon; PostgreSQL does not.
		if parts, _ := sqltext.Split(sql); len(parts) != 1 {
			return s, errors.New("exactly one statement may be sent at a time")
		}
		stmt, err := c.conn.Prepare(sql)
		if err != nil {
			return s, err
		}
		s = statement{stmt, params}
		if len(c.statements) >= maxStatements {
			for text, old := range c.statements {
				old.Close()
				delete(c.statements, text)
				break
			}
		}
		// The key must not keep alive a larger text it was cut from.
		c.statements[strings.Clone(sql)] = s
	}
	if len(args) != s.params {
		return s, fmt.Errorf("the statement takes %d arguments and was given %d", s.params, len(args))
	}
	c.args = c.args[:0]
	for i, arg := range args {
		v, err := sqliteValue(arg)
		if err != nil {
			return s, fmt.Errorf("argument $%d: %w", i+1, err)
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return s, nil
}

// sqliteValue turns an argument into what SQLite stores, and refuses text that PostgreSQL would refuse.
func sqliteValue(arg any) (driver.Value, error) {
	v, err := driver.DefaultParameterConverter.ConvertValue(arg)
	if err != nil {
		return nil, err
	}
	if s, ok := v.(string); ok && (!utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0) {
		return nil, ErrText
	}
	return v, nil
}

// sqliteRows is the open result of a connection.
type sqliteRows struct {
	Rows
	ctx    context.Context
	rows   driver.Rows
	values []driver.Value
	failed error
	home   *readers // where conn goes back to, nil for the writer's
	conn   *sqliteConn
}

func (r *sqliteRows) next() bool {
	// The driver watches the context only until the first row.
	if err := r.ctx.Err(); err != nil {
		r.failed = err
		return false
	}
	switch err := r.rows.Next(r.values); err {
	case nil:
		return true
	case io.EOF:
		return false
	default:
		r.failed = err
		return false
	}
}

func (r *sqliteRows) scan(dest []any) error {
	if len(dest) != len(r.values) {
		return fmt.Errorf("%d columns into %d destinations", len(r.values), len(dest))
	}
	for i, v := range r.values {
		if err := assign(dest[i], v); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

func (r *sqliteRows) err() error { return r.failed }

func (r *sqliteRows) close() {
	// Resetting the statement repeats the error of its last step, which failed already holds.
	r.rows.Close()
	if r.home != nil {
		r.home.put(r.conn)
	}
}

package db

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// verbTime is how long a verb may take once it has a connection, whatever its caller's context says.
	verbTime = 5 * time.Second
	// rollbackTime is how long undoing may take before the connection is thrown away instead.
	rollbackTime = time.Second
	// maxTries is how often WriteSerializable runs a verb that conflicts.
	maxTries = 3
)

// postgres runs each verb in a transaction of its own, or, when it is one statement, in one it shares. It uses pgx without database/sql, which would double the cost of
// a small query and hide the pipelining of BEGIN.
type postgres struct {
	pool    *pgxpool.Pool
	waiting atomic.Int64 // callers that want a connection
	closed  atomic.Bool
	courier courier
}

func openPostgreSQL(ctx context.Context, url string, o Options) (*postgres, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(o.MaxConns)
	if o.MaxConns <= 0 {
		config.MaxConns = int32(max(16, 4*runtime.GOMAXPROCS(0)))
	}
	conn := config.ConnConfig
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = 5 * time.Second
	}
	if conn.RuntimeParams["application_name"] == "" {
		conn.RuntimeParams["application_name"] = "gatehouse"
	}
	// A standby lags: it would serve codes already spent and tokens already revoked.
	conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	config.AfterConnect = prepareSession

	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	p := &postgres{pool: pool}
	p.courier.engine = p
	if err := p.check(ctx); err != nil {
		pool.Close()
		return nil, mark(err)
	}
	return p, nil
}

// prepareSession makes statements outside a verb read-only, as SQLite's readers are, and commits synchronous where the server's
// default is not to wait for its own disk. A stricter setting stays.
func prepareSession(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('default_transaction_read_only', 'on', false),
		CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END`)
	return err
}

func (p *postgres) check(ctx context.Context) error {
	var version int
	var encoding string
	err := p.pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_encoding')`).
		Scan(&version, &encoding)
	switch {
	case err != nil:
		return err
	case version < 140000:
		return errors.New("PostgreSQL 14 or newer is needed")
	case encoding != "UTF8":
		return fmt.Errorf("the database's encoding must be UTF8, it is %s", encoding)
	}
	return nil
}

func (p *postgres) close() error {
	p.closed.Store(true)
	p.courier.close()
	p.pool.Close()
	return nil
}

// acquire takes a connection from the pool. Those who wait for one are bounded, as they are on SQLite.
func (p *postgres) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	if p.waiting.Add(1) > maxQueue {
		p.waiting.Add(-1)
		return nil, fmt.Errorf("db: %w: %d callers are waiting", ErrBusy, maxQueue)
	}
	conn, err := p.pool.Acquire(ctx)
	p.waiting.Add(-1)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, gaveUp(ctx)
	case p.closed.Load():
		return nil, ErrClosed
	}
	return nil, fmt.Errorf("db: connect: %w: %w", ErrBusy, err)
}

func (p *postgres) query(ctx context.Context, sql string, args []any, _ bool) (*Rows, error) {
	conn, err := p.acquire(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		conn.Release()
		return nil, err
	}
	return newPostgresRows(rows, conn.Release), nil
}

func (p *postgres) write(ctx context.Context, w write) error {
	if w.single != nil {
		return p.courier.write(ctx, w)
	}
	return p.alone(ctx, w)
}

// alone runs a verb in a transaction of its own.
func (p *postgres) alone(ctx context.Context, w write) error {
	level := pgx.ReadCommitted
	tries := 1
	if w.serializable {
		level, tries = pgx.Serializable, maxTries
	}
	for try := 1; ; try++ {
		tx, err := p.try(ctx, w, level)
		if err == nil {
			tx.committed()
			return nil
		}
		if !isConflict(err) || try >= tries {
			return err
		}
		// Conflicting verbs that wait the same time would meet again.
		wait := time.NewTimer(time.Duration(rand.Int64N(int64(try) * 10e6)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// try runs the verb once, and returns its transaction when it is committed.
func (p *postgres) try(ctx context.Context, w write, level pgx.TxIsoLevel) (*Tx, error) {
	conn, err := p.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	if ctx.Err() != nil {
		return nil, gaveUp(ctx)
	}
	if !w.patient {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), verbTime)
		defer cancel()
	}
	ctx = context.WithValue(ctx, insideVerb{}, true)

	s := &postgresTx{conn: conn, level: level, single: w.single != nil}
	tx := &Tx{ctx: ctx, scope: w.scope, session: s}
	defer func() { // also when the verb panics
		tx.end(nil)
		s.rollback()
	}()
	err = tx.end(w.verb(tx))
	switch {
	case isConflict(tx.failed): // whatever the verb made of it
		return nil, tx.failed
	case err != nil:
		return nil, err
	}
	s.announce = tx.announced
	if err := s.commit(ctx); err != nil {
		return nil, fmt.Errorf("db: commit: %w", mark(err))
	}
	return tx, nil
}

// postgresTx is a transaction that begins with its first statement, in the same round trip.
type postgresTx struct {
	conn  *pgxpool.Conn
	level pgx.TxIsoLevel
	began bool
	// announce sends NOTIFY with COMMIT, which delivers it.
	announce bool
	// single sends COMMIT along with the first statement, which is the only one.
	single, committed bool
}

// begin sends BEGIN together with the first statement and leaves its result next in the batch.
func (s *postgresTx) begin(ctx context.Context, sql string, args []any) (pgx.BatchResults, error) {
	s.began = true
	var batch pgx.Batch
	batch.BeginTx(pgx.TxOptions{IsoLevel: s.level, AccessMode: pgx.ReadWrite})
	batch.Queue(sql, args...)
	results := s.conn.SendBatch(ctx, &batch)
	if _, err := results.Exec(); err != nil {
		results.Close()
		return nil, err
	}
	return results, nil
}

func (s *postgresTx) exec(ctx context.Context, sql string, args []any) (int64, error) {
	if s.began {
		tag, err := s.conn.Exec(ctx, sql, args...)
		return tag.RowsAffected(), err
	}
	if s.single {
		return s.only(ctx, sql, args)
	}
	results, err := s.begin(ctx, sql, args)
	if err != nil {
		return 0, err
	}
	tag, err := results.Exec()
	if closed := results.Close(); err == nil {
		err = closed
	}
	return tag.RowsAffected(), err
}

// only runs a whole transaction of one statement in one round trip. A statement that the server refuses keeps COMMIT from
// being run; after any other failure COMMIT may have been.
func (s *postgresTx) only(ctx context.Context, sql string, args []any) (int64, error) {
	s.began = true
	var batch pgx.Batch
	batch.BeginTx(pgx.TxOptions{IsoLevel: s.level, AccessMode: pgx.ReadWrite})
	batch.Queue(sql, args...)
	batch.Queue("COMMIT")
	tags, err := results(s.conn.SendBatch(ctx, &batch), batch.Len())
	if err != nil {
		return 0, doubt(err)
	}
	s.committed = true
	return tags[1].RowsAffected(), undone(tags[2])
}

func (s *postgresTx) query(ctx context.Context, sql string, args []any) (*Rows, error) {
	if s.began {
		rows, err := s.conn.Query(ctx, sql, args...)
		if err != nil {
			return nil, err
		}
		return newPostgresRows(rows, nil), nil
	}
	results, err := s.begin(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		results.Close()
		return nil, err
	}
	return newPostgresRows(rows, func() { results.Close() }), nil
}

func (s *postgresTx) holding(sql string) string { return sql + " FOR SHARE" }

// commit ends the transaction and tells a failure from a doubt.
func (s *postgresTx) commit(ctx context.Context) error {
	switch {
	case !s.began || s.committed:
		return nil
	case s.conn.Conn().IsClosed():
		return fmt.Errorf("%w: the connection was lost", ErrBusy)
	case ctx.Err() != nil:
		return fmt.Errorf("%w: the verb took too long", ErrBusy)
	}
	statement := "COMMIT"
	if s.announce {
		statement = "NOTIFY " + announcement + "; COMMIT" // in one round trip; without arguments the protocol takes several
	}
	tag, err := s.conn.Exec(ctx, statement)
	if err != nil {
		return doubt(err)
	}
	return undone(tag)
}

// doubt is what a failure means once COMMIT may have left this machine: only the server's own refusal is trusted. The
// driver's word is not: it calls a connection that broke while it waited for the answer closed, and safe to retry.
func doubt(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.SeverityUnlocalized == "ERROR" {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
}

// undone tells a COMMIT that the server answered by ROLLBACK.
func undone(outcome pgconn.CommandTag) error {
	if outcome.String() != "COMMIT" {
		return errors.New("the server undid the transaction")
	}
	return nil
}

// rollback undoes a transaction that is still open. Where that fails the pool closes the connection, and the server undoes it.
func (s *postgresTx) rollback() {
	if !s.began || s.conn.Conn().IsClosed() || s.conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTime)
	defer cancel()
	s.conn.Exec(ctx, "ROLLBACK")
}

// postgresRows is an open result and what to do when it closes.
type postgresRows struct {
	Rows
	rows    pgx.Rows
	onClose func()
}

func newPostgresRows(rows pgx.Rows, onClose func()) *Rows {
	r := &postgresRows{rows: rows, onClose: onClose}
	r.Rows.source = r
	return &r.Rows
}

func (r *postgresRows) next() bool            { return r.rows.Next() }
func (r *postgresRows) scan(dest []any) error { return r.rows.Scan(dest...) }
func (r *postgresRows) err() error            { return r.rows.Err() }

func (r *postgresRows) close() {
	r.rows.Close()
	if r.onClose != nil {
		r.onClose()
	}
}

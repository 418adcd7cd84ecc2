package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// A group ends at whichever comes first.
	maxGroup     = 256
	maxGroupTime = 2 * time.Millisecond
	// company is how long a group is open for others at least, once verbs come side by side: a COMMIT costs
	// many times what a verb does. Who comes alone waits for nobody.
	company = time.Millisecond
	// maxQueue is how many verbs may wait; the next is told ErrBusy.
	maxQueue = 4096
)

// writer owns the only connection that writes. Verbs queue, and its goroutine runs them in groups that share one COMMIT and so
// one sync of the disk, each verb under a savepoint of its own. Nobody is answered before COMMIT has returned.
type writer struct {
	dsn   string
	log   *slog.Logger
	ctx   context.Context // of every verb; it never ends, since an interrupted statement would undo the whole group
	queue chan *turn
	done  chan struct{} // closed when the goroutine has drained the queue
	now   func() time.Time
	after func(time.Duration) <-chan time.Time

	submit sync.RWMutex // held to send on queue, and exclusively to close it
	closed bool

	// The rest belongs to the goroutine.
	conn   *sqliteConn // nil after a failure, until the next group
	group  []*turn     // verbs that ran in the open transaction
	broken error       // why the open transaction cannot be committed
	joined bool        // the last group was of more than one
}

// turn is one verb in the queue.
type turn struct {
	place
	tx     Tx
	verb   func(*Tx) error
	single bool // one statement, which needs no savepoint

	// More of the outcome.
	panicked any
	exited   bool // the verb called runtime.Goexit, as testing.T.FailNow does
}

func startWriter(conn *sqliteConn, dsn string, log *slog.Logger) *writer {
	w := &writer{
		dsn:   dsn,
		log:   log,
		ctx:   context.WithValue(context.Background(), insideVerb{}, true),
		queue: make(chan *turn, maxQueue),
		done:  make(chan struct{}),
		now:   time.Now,
		after: time.After,
		conn:  conn,
	}
	go w.run()
	return w
}

// write queues the verb and waits for its outcome. While the verb waits its caller may give up; after its turn
// has begun only COMMIT answers.
func (w *writer) write(ctx context.Context, job write) error {
	t := &turn{place: newPlace(ctx), verb: job.verb, single: job.single != nil}
	t.tx = Tx{ctx: w.ctx, scope: job.scope, session: w}
	if err := w.enqueue(t); err != nil {
		return err
	}
	if err := t.wait(); err != nil {
		return err
	}
	switch {
	case t.panicked != nil:
		panic(t.panicked)
	case t.exited:
		runtime.Goexit()
	case t.err != nil:
		return t.err
	}
	t.tx.committed()
	return nil
}

func (w *writer) enqueue(t *turn) error {
	w.submit.RLock()
	defer w.submit.RUnlock()
	if w.closed {
		return ErrClosed
	}
	select {
	case w.queue <- t:
		return nil
	default:
		return fmt.Errorf("db: %w: %d verbs are waiting", ErrBusy, maxQueue)
	}
}

// close refuses new verbs, runs those that wait, and closes the connection.
func (w *writer) close() error {
	w.submit.Lock()
	w.closed = true
	close(w.queue)
	w.submit.Unlock()
	<-w.done
	if w.conn == nil {
		return nil
	}
	return w.conn.close()
}

func (w *writer) run() {
	drained := false
	defer func() {
		if drained {
			close(w.done)
			return
		}
		go w.run() // a verb ended this goroutine with runtime.Goexit; its group is still to be committed
	}()
	if len(w.group) > 0 {
		w.commit()
	}
	for t := range w.queue {
		w.serve(t)
	}
	drained = true
}

// serve runs a group that begins with t.
func (w *writer) serve(t *turn) {
	if !t.begins() {
		return
	}
	if err := w.begin(); err != nil {
		t.err = fmt.Errorf("db: begin: %w", mark(err))
		close(t.done)
		return
	}
	started := w.now()
	for t != nil {
		w.group = append(w.group, t)
		w.apply(t)
		if w.broken != nil || len(w.group) == maxGroup || w.now().Sub(started) >= maxGroupTime {
			break
		}
		t = w.next(started)
	}
	w.joined = len(w.group) > 1
	w.commit()
}

// next returns the verb that is next in a group that began at started, or nil.
func (w *writer) next(started time.Time) *turn {
	var closing <-chan time.Time
	for {
		select {
		case t, open := <-w.queue:
			if !open {
				return nil
			}
			if t.begins() {
				return t
			}
			continue
		default:
		}
		if closing == nil {
			left := company - w.now().Sub(started)
			if !w.joined || left <= 0 {
				return nil
			}
			closing = w.after(left)
		}
		select {
		case t, open := <-w.queue:
			if !open {
				return nil
			}
			if t.begins() {
				return t
			}
		case <-closing:
			return nil
		}
	}
}

func (w *writer) begin() (err error) {
	if w.conn == nil {
		if w.conn, err = openSQLiteConn(w.ctx, w.dsn); err != nil {
			w.conn = nil
			return err
		}
	}
	if err = w.sql("BEGIN IMMEDIATE"); err != nil {
		w.discard()
	}
	return err
}

// apply runs one verb and undoes it, and it alone, when it fails: by its savepoint, or, when it is one
// statement, as SQLite undoes any statement that fails.
func (w *writer) apply(t *turn) {
	if !t.single {
		if w.broken = w.sql("SAVEPOINT verb"); w.broken != nil {
			return
		}
	}
	kept := false
	defer func() { // also when the verb ends this goroutine
		if !kept {
			t.tx.end(nil)
			w.broken = w.undo(t)
		}
	}()
	t.exited = true
	err := w.guarded(t)
	t.exited = false
	if err = t.tx.end(err); err != nil {
		t.err = err
		return
	}
	if !t.single {
		w.broken = w.sql("RELEASE verb")
	}
	kept = true
}

// undo takes back a verb that failed. SQLite undoes the whole transaction on some errors, such as a full disk: then there is no
// savepoint to return to, a transaction can be begun anew, and the group must not go on.
func (w *writer) undo(t *turn) error {
	if !t.single {
		if err := w.sql("ROLLBACK TO verb"); err != nil {
			return err
		}
		return w.sql("RELEASE verb")
	}
	if w.sql("BEGIN") == nil {
		return errors.New("a statement undid it")
	}
	return nil
}

// guarded calls the verb and catches its panic, to be raised again where Write was called.
func (w *writer) guarded(t *turn) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.panicked = p
			err = errPanicked
			// The stack is lost when the panic goes on in the caller. The value is not logged: it may hold a secret.
			w.log.Error("db: a verb panicked", "stack", string(debug.Stack()))
		}
	}()
	return t.verb(&t.tx)
}

var errPanicked = errors.New("db: the verb panicked")

// commit ends the transaction and answers everyone in the group.
func (w *writer) commit() {
	err := w.broken
	if err != nil {
		// Most of the group had no part in it, so its cause is told in words only.
		err = fmt.Errorf("db: %w: the group of verbs was undone: %v", ErrBusy, err)
	} else if err = w.sql("COMMIT"); err != nil {
		err = fmt.Errorf("db: commit: %w", mark(commitError(err)))
	}
	if err != nil {
		// Closing the connection undoes whatever is left; the next group opens a new one.
		w.discard()
	}
	for i, t := range w.group {
		if err != nil {
			t.err = err
		}
		close(t.done)
		w.group[i] = nil
	}
	w.group, w.broken = w.group[:0], nil
}

// commitError adds doubt where there is doubt: when syncing the log fails its last frames may yet be found by
// the recovery after a crash.
func commitError(err error) error {
	if sqliteCode(err)&0xff == sqlite3.SQLITE_IOERR {
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	return err
}

func (w *writer) discard() {
	w.conn.close()
	w.conn = nil
}

func (w *writer) sql(text string) error {
	_, err := w.conn.exec(w.ctx, text, nil)
	return err
}

// exec, query and holding are the session of the running verb.

func (w *writer) exec(ctx context.Context, sql string, args []any) (int64, error) {
	return w.conn.exec(ctx, sql, args)
}

func (w *writer) query(ctx context.Context, sql string, args []any) (*Rows, error) {
	return w.conn.query(ctx, sql, args)
}

// The writer is alone, and nothing changes beside it.
func (w *writer) holding(sql string) string { return sql }

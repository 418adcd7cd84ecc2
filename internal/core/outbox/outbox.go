// Package outbox delivers what verbs left to be sent. A verb writes a row in its own transaction; after
// the commit a worker claims it, hands it over, and writes down what came of it, on any number of nodes.
//
// A claim is a lease: the due time it writes. Of any number of workers one gets it, whoever wrote another
// one since owns the row instead, and the row of a node that died is due again when its lease is over. So
// what is sent arrives at least once, and never from two workers at the same time. Which table the rows are
// in, what is sent, and what is kept of it, is the business of the subject that has an outbox.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

// poll is how often Run looks without being woken: for what another node left.
const poll = time.Minute

// Row is what every outgoing thing has.
type Row struct {
	TenantID, ID string
	// Lane is whom it goes to, where [Options.PerLane] bounds how much goes there at a time.
	Lane string
	// Attempts counts the claims, this one included.
	Attempts int64
	// Due is the claim: what it wrote.
	Due int64
}

// Claimed is a row this node may send.
type Claimed[T any] struct {
	Row
	Content T
}

// Options say how a queue works. All fields but PerLane are required.
type Options[T any] struct {
	Name  string // for the log: "mail"
	DB    *db.DB
	Clock clock.Clock
	Log   *slog.Logger
	// Workers is how many things are under way at a time, and PerLane how many of one lane, on this node; zero
	// stands for no bound. Whoever is slow then holds up nobody else.
	Workers, PerLane int
	// Lease is how long a claim holds. Send and what is written after it must end well before.
	Lease time.Duration
	// Select is a query for what is due at $1, at most $2 rows, which Scan reads. With lanes it must return the
	// first of each lane before the second of any, and so on.
	Select string
	Scan   func(rows *db.Rows) (Claimed[T], error)
	// Claim is a statement that gives the row $1, $2 (tenant and id) the due time $4 and counts its attempts up
	// if it is still to be sent and its due time is $3.
	Claim string
	// Send sends one thing and settles what came of it: see [Queue.Settle].
	Send func(ctx context.Context, c Claimed[T]) error
}

// Queue is one kind of outgoing things. It is safe for concurrent use.
type Queue[T any] struct {
	Options[T]
	wake chan struct{} // holds at most one "there is something new"
}

// New returns a queue. Nothing is sent before [Queue.Run] or [Queue.Deliver] is called.
func New[T any](o Options[T]) *Queue[T] {
	return &Queue[T]{Options: o, wake: make(chan struct{}, 1)}
}

// Wake tells a running queue that there is something to send. It never blocks.
func (q *Queue[T]) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// WakeIn wakes the queue after a pause, if that is sooner than it would look by itself.
func (q *Queue[T]) WakeIn(pause time.Duration) {
	if pause < poll {
		time.AfterFunc(pause, q.Wake)
	}
}

// Run sends until ctx ends, and returns when what was under way has ended. It works when something is
// written on this node, and looks once a minute for what is due again or was left by another node.
func (q *Queue[T]) Run(ctx context.Context) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	w := q.newWork()
	for {
		if _, err := w.start(ctx); err != nil && ctx.Err() == nil {
			q.Log.ErrorContext(ctx, q.Name+" is not delivered", "error", err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(w.wait(), ctx.Err())
		case <-q.wake:
			w.next = nil
		case <-tick.C:
			w.next = nil
		case e := <-w.ended:
			if err := w.end(e); err != nil && ctx.Err() == nil {
				q.Log.ErrorContext(ctx, q.Name+": an outcome is not written", "error", err)
			}
		}
	}
}

// Deliver sends all that is due now and reports how much that was.
func (q *Queue[T]) Deliver(ctx context.Context) (n int, err error) {
	w := q.newWork()
	for {
		started, err := w.start(ctx)
		n += started
		if err != nil {
			return n, errors.Join(err, w.wait())
		}
		if w.busy == 0 {
			return n, nil
		}
		if err := w.end(<-w.ended); err != nil {
			return n, errors.Join(err, w.wait())
		}
	}
}

// work is what one loop has under way.
type work[T any] struct {
	*Queue[T]
	busy  int
	lanes map[string]int
	next  []Claimed[T] // what was due when it was last read, and is not yet chosen
	ended chan ending
}

type ending struct {
	lane string
	err  error
}

func (q *Queue[T]) newWork() *work[T] {
	return &work[T]{Queue: q, lanes: map[string]int{}, ended: make(chan ending, q.Workers)}
}

// start claims as much of what is due as there is room for, and begins to send it. What is due is read when
// something was written, or when all that was read is chosen: not for every single thing that is sent.
func (w *work[T]) start(ctx context.Context) (n int, err error) {
	select {
	case <-w.wake:
		w.next = nil
	default:
	}
	for ctx.Err() == nil && w.busy < w.Workers {
		if len(w.next) == 0 {
			if w.next, err = w.due(ctx); err != nil {
				return n, fmt.Errorf("%s: read what is due: %w", w.Name, err)
			}
		}
		chosen := w.choose()
		if len(chosen) == 0 {
			return n, nil
		}
		mine, err := w.claim(ctx, chosen)
		if err != nil {
			return n, fmt.Errorf("%s: claim: %w", w.Name, err)
		}
		for _, c := range mine {
			w.busy++
			w.lanes[c.Lane]++
			go func() { w.ended <- ending{c.Lane, w.Send(ctx, c)} }()
		}
		n += len(mine)
	}
	return n, ctx.Err()
}

func (w *work[T]) end(e ending) error {
	w.busy--
	if w.lanes[e.lane]--; w.lanes[e.lane] == 0 {
		delete(w.lanes, e.lane)
	}
	return e.err
}

// wait waits for all that is under way.
func (w *work[T]) wait() (err error) {
	for w.busy > 0 {
		err = errors.Join(err, w.end(<-w.ended))
	}
	return err
}

// choose takes from what is next what there is room for, in all and in each lane. Lanes with less under way
// come first: the next worker that is free is not for one of those that keep all the others.
func (w *work[T]) choose() (out []Claimed[T]) {
	var rest []Claimed[T]
	room, chosen := w.Workers-w.busy, map[string]int{}
	slices.SortStableFunc(w.next, func(a, b Claimed[T]) int { return w.lanes[a.Lane] - w.lanes[b.Lane] })
	for _, c := range w.next {
		if len(out) == room || w.PerLane > 0 && w.lanes[c.Lane]+chosen[c.Lane] >= w.PerLane {
			rest = append(rest, c)
			continue
		}
		chosen[c.Lane]++
		out = append(out, c)
	}
	w.next = rest
	return out
}

// claim returns what of the chosen nobody else was faster to claim.
func (q *Queue[T]) claim(ctx context.Context, chosen []Claimed[T]) (mine []Claimed[T], err error) {
	until := db.Micros(q.Clock.Now().Add(q.Lease))
	err = q.DB.System().Write(ctx, func(tx *db.Tx) error {
		mine = mine[:0]
		for _, c := range chosen {
			won, err := tx.Exec(q.Claim, c.TenantID, c.ID, c.Due, until)
			if err != nil {
				return err
			}
			if won == 1 {
				c.Due, c.Attempts = until, c.Attempts+1
				mine = append(mine, c)
			}
		}
		return nil
	})
	return mine, err
}

// due reads far more than there can be room for: to find it takes a look at all that is due.
func (q *Queue[T]) due(ctx context.Context) (out []Claimed[T], err error) {
	rows, err := q.DB.System().Query(ctx, q.Select, db.Micros(q.Clock.Now()), 16*q.Workers)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		c, err := q.Scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Settle writes an outcome by a verb of the row's tenant, which must change the row only while its due time
// is c.Due: then the claim still holds. It outlives a shutdown that cancelled ctx: what was sent must not
// be sent again.
func (q *Queue[T]) Settle(ctx context.Context, c Row, verb func(tx *db.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := q.DB.Tenant(c.TenantID).Write(ctx, verb); err != nil {
		return fmt.Errorf("%s: write the outcome of %s: %w", q.Name, c.ID, err)
	}
	return nil
}

// RetryAfter returns the pause after the attempt that was counted last. What failed once more than there
// are pauses is given up.
func RetryAfter(attempts int64, pauses ...time.Duration) (pause time.Duration, again bool) {
	if attempts < 1 || attempts > int64(len(pauses)) {
		return 0, false
	}
	return pauses[attempts-1], true
}

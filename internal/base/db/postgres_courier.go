package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// maxJourneys is how many groups are on their way at a time: one runs while the server syncs its disk for another.
	maxJourneys = 2
	// groupPatience bounds how long a group waits for a lock. One that somebody holds for longer would hold up verbs that
	// have nothing to do with it; and two groups may want each other's, which the server would notice a second later.
	groupPatience = "SET LOCAL lock_timeout = '100ms'"
)

// courier takes verbs of one statement to the server. Who finds it at home goes at once; those who come while it is on its way
// share the next transaction, and so one round trip and one sync of the server's disk. A statement that fails undoes all of its
// group, whom nobody has told anything yet: then each of them goes alone.
type courier struct {
	engine *postgres

	mu       sync.Mutex
	queue    []*parcel
	journeys int
	closed   bool
	ended    sync.WaitGroup // all journeys
}

// parcel is a verb in the queue.
type parcel struct {
	place
	write
	alone bool // the outcome is that nothing was written, and that the caller is to go by itself
}

// write runs the verb and waits for its outcome. While the verb waits its caller may give up.
func (c *courier) write(ctx context.Context, w write) error {
	p := &parcel{place: newPlace(ctx), write: w}
	switch atHome, err := c.enqueue(p); {
	case err != nil:
		return err
	case atHome:
		c.deliver([]*parcel{p})
	}
	if err := p.wait(); err != nil {
		return err
	}
	if p.alone {
		return c.engine.alone(ctx, w)
	}
	return p.err
}

// enqueue begins a journey with p, or adds p to the queue.
func (c *courier) enqueue(p *parcel) (atHome bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return false, ErrClosed
	case c.journeys < maxJourneys:
		c.journeys++
		c.ended.Add(1)
		return true, nil
	case len(c.queue) >= maxQueue:
		return false, fmt.Errorf("db: %w: %d verbs are waiting", ErrBusy, maxQueue)
	}
	c.queue = append(c.queue, p)
	return false, nil
}

// goOn ends a journey, or makes it another of those who wait, without keeping the caller.
func (c *courier) goOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.journeys--
		c.ended.Done()
		return
	}
	n := min(len(c.queue), maxGroup)
	group := slices.Clone(c.queue[:n])
	c.queue = slices.Delete(c.queue, 0, n)
	go c.deliver(group)
}

// close refuses new verbs and returns when those that wait are done.
func (c *courier) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.ended.Wait()
}

// deliver runs a group and answers everyone in it.
func (c *courier) deliver(group []*parcel) {
	defer c.goOn()
	group = slices.DeleteFunc(group, func(p *parcel) bool { return !p.begins() })
	alone, err := true, error(nil)
	defer func() { // also when the arguments of a verb end this goroutine
		for _, p := range group {
			p.alone, p.err = alone, err
			close(p.done)
		}
	}()
	args, ok := arguments(group)
	if !ok || len(group) == 0 {
		return
	}
	if err = c.together(group, args); err == nil || errors.Is(err, ErrUnknownOutcome) {
		alone = false
	}
}

// arguments asks each verb for its arguments, and returns false when one of them cannot tell: it will do so again where its
// caller sees it.
func arguments(group []*parcel) (all [][]any, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	for _, p := range group {
		args, err := p.scope.bind(p.single.sql, p.single.args())
		if err != nil {
			return nil, false
		}
		all = append(all, args)
	}
	return all, true
}

// together runs a group in one transaction and one round trip. Whatever the error, it speaks of all of them.
func (c *courier) together(group []*parcel, args [][]any) error {
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), insideVerb{}, true), verbTime)
	defer cancel()
	conn, err := c.engine.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	s := &postgresTx{conn: conn, level: pgx.ReadCommitted, began: true}
	defer s.rollback()

	var batch pgx.Batch
	batch.BeginTx(pgx.TxOptions{IsoLevel: s.level, AccessMode: pgx.ReadWrite})
	batch.Queue(groupPatience)
	for i, p := range group {
		sql := p.single.sql
		if p.single.held {
			sql = s.holding(sql)
		}
		batch.Queue(sql, args[i]...)
	}
	batch.Queue("COMMIT")
	tags, err := results(conn.SendBatch(ctx, &batch), batch.Len())
	if err != nil {
		return doubt(err)
	}
	s.committed = true
	for i, p := range group {
		p.single.rows = tags[2+i].RowsAffected()
	}
	return undone(tags[len(tags)-1])
}

// results reads what became of each of n statements.
func results(r pgx.BatchResults, n int) (tags []pgconn.CommandTag, err error) {
	for range n {
		tag, err := r.Exec()
		if err != nil {
			r.Close()
			return nil, err
		}
		tags = append(tags, tag)
	}
	return tags, r.Close()
}

// Package feed tells nodes that something has changed: numbers in the database that count up in
// the order of commits, and a watcher that reads them.
//
// The row is the truth. A node that wrote a change itself acts on it at once; other nodes, and
// other programs at the same database, are noticed within one interval. To count up also wakes the
// nodes that listen ([db.DB.Listen]), which then need not wait for it.
package feed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

// The numbers there are.
const (
	Configuration = "configuration" // clients, APIs and their grants, tenants, keys: caches forget
	Revocation    = "revocation"    // the rules of taking back
	APIKeys       = "api_keys"      // what API keys are good for: caches forget
)

const (
	bumpCounter           = `INSERT INTO counters (tenant_id, name, value) VALUES ($1, $2, $3) ON CONFLICT (tenant_id, name) DO UPDATE SET value = counters.value + excluded.value RETURNING value`
	systemSelectCounters  = `SELECT tenant_id, name, value FROM counters`
	lostSightOfTheCounter = -1
)

// Bump counts a number up and returns it. The row stays locked until the transaction ends, so
// numbers are given in the order of commits, and transactions that bump the same number come one
// after the other from there on.
func Bump(tx *db.Tx, name string) (int64, error) { return BumpBy(tx, name, 1) }

// BumpBy counts a number up by more than one and returns the last.
func BumpBy(tx *db.Tx, name string, by int64) (int64, error) {
	var n int64
	if err := tx.QueryRow(bumpCounter, name, by).Scan(&n); err != nil {
		return 0, fmt.Errorf("feed: count up %s: %w", name, err)
	}
	tx.Announce()
	return n, nil
}

// Watcher notices numbers that other nodes have counted up.
type Watcher struct {
	db *db.DB

	mu     sync.Mutex
	seen   map[[2]string]int64
	onSeen map[string][]Action
	misses int
}

// NewWatcher returns a watcher that has seen nothing yet.
func NewWatcher(d *db.DB) *Watcher {
	return &Watcher{db: d, seen: map[[2]string]int64{}, onSeen: map[string][]Action{}}
}

// Action is what a subscriber does when a number of a tenant has changed. After an error it is
// called again at the next poll.
type Action func(ctx context.Context, tenantID string) error

// Subscribe calls act for each change of the named number, from the goroutine that polls. It is
// meant for wiring, before the first Poll.
func (w *Watcher) Subscribe(name string, act Action) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onSeen[name] = append(w.onSeen[name], act)
}

// patience is how long a poll waits for the database before it counts as a miss.
const patience = time.Second

// Poll reads the numbers once and tells subscribers of those that changed. After two failures in
// a row it no longer trusts what it has seen: every subscriber is told of every tenant it knew, and
// again when the database is back.
func (w *Watcher) Poll(ctx context.Context) error {
	now, err := w.read(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if w.misses++; w.misses == 2 {
			for at := range w.seen {
				w.seen[at] = lostSightOfTheCounter
				w.tell(ctx, at) // its failures say no more than err does
			}
		}
		return err
	}
	w.misses = 0
	var failed []error
	for at, n := range now {
		if w.seen[at] == n {
			continue
		}
		if err := w.tell(ctx, at); err != nil {
			w.seen[at] = lostSightOfTheCounter
			failed = append(failed, err)
			continue
		}
		w.seen[at] = n
	}
	return errors.Join(failed...)
}

func (w *Watcher) tell(ctx context.Context, at [2]string) error {
	var failed []error
	for _, act := range w.onSeen[at[1]] {
		failed = append(failed, act(ctx, at[0]))
	}
	return errors.Join(failed...)
}

func (w *Watcher) read(ctx context.Context) (map[[2]string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := w.db.System().Query(ctx, systemSelectCounters)
	if err != nil {
		return nil, fmt.Errorf("feed: read numbers: %w", err)
	}
	defer rows.Close()
	out := map[[2]string]int64{}
	for rows.Next() {
		var tenant, name string
		var n int64
		if err := rows.Scan(&tenant, &name, &n); err != nil {
			return nil, fmt.Errorf("feed: read numbers: %w", err)
		}
		out[[2]string{tenant, name}] = n
	}
	return out, rows.Err()
}

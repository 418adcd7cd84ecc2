// Package feed tells nodes that something has changed: numbers in the database that count up in
// the order of commits, and a watcher that reads them.
//
// The row is the truth. A node that wrote a change itself acts on it at once; other nodes, and
// other programs at the same database, are noticed within one interval.
package feed

import (
	"context"
	"fmt"
	"sync"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

// The numbers there are.
const (
	Configuration = "configuration" // clients, APIs and their grants, tenants, keys: caches forget
	Revocation    = "revocation"    // the rules of taking back
)

const (
	bumpCounter           = `INSERT INTO counters (tenant_id, name, value) VALUES ($1, $2, 1) ON CONFLICT (tenant_id, name) DO UPDATE SET value = counters.value + 1 RETURNING value`
	systemSelectCounters  = `SELECT tenant_id, name, value FROM counters`
	lostSightOfTheCounter = -1
)

// Bump counts a number up and returns it. The row stays locked until the transaction ends, so
// numbers are given in the order of commits; call it last.
func Bump(tx *db.Tx, name string) (int64, error) {
	var n int64
	if err := tx.QueryRow(bumpCounter, name).Scan(&n); err != nil {
		return 0, fmt.Errorf("feed: count up %s: %w", name, err)
	}
	return n, nil
}

// Watcher notices numbers that other nodes have counted up.
type Watcher struct {
	db *db.DB

	mu     sync.Mutex
	seen   map[[2]string]int64
	onSeen map[string][]func(tenantID string, n int64)
	misses int
}

// NewWatcher returns a watcher that has seen nothing yet.
func NewWatcher(d *db.DB) *Watcher {
	return &Watcher{db: d, seen: map[[2]string]int64{}, onSeen: map[string][]func(string, int64){}}
}

// Subscribe calls act for each change of the named number, from the goroutine that polls. It is
// meant for wiring, before the first Poll.
func (w *Watcher) Subscribe(name string, act func(tenantID string, n int64)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onSeen[name] = append(w.onSeen[name], act)
}

// Poll reads the numbers once and tells subscribers of those that changed. After two failures in
// a row it no longer trusts what it has seen: every subscriber is told of every tenant it knew.
func (w *Watcher) Poll(ctx context.Context) error {
	now, err := w.read(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if w.misses++; w.misses == 2 {
			for at := range w.seen {
				w.seen[at] = lostSightOfTheCounter
				w.tell(at, lostSightOfTheCounter)
			}
		}
		return err
	}
	w.misses = 0
	for at, n := range now {
		if w.seen[at] != n {
			w.seen[at] = n
			w.tell(at, n)
		}
	}
	return nil
}

func (w *Watcher) tell(at [2]string, n int64) {
	for _, act := range w.onSeen[at[1]] {
		act(at[0], n)
	}
}

func (w *Watcher) read(ctx context.Context) (map[[2]string]int64, error) {
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

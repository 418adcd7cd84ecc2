package checkup

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// Entry is something that happened to a client.
type Entry struct {
	Kind    Kind
	Sent    string // cleaned; empty where nothing was kept, and for those there was no room for
	FirstAt time.Time
	LastAt  time.Time
	Count   int64
}

const (
	// maxSents bounds the rows of one kind of one client; what else is sent is counted together.
	maxSents = 10
	// maxPending bounds what waits to be written; what else is sent is forgotten.
	maxPending = 2_000
	// touchEvery is how often it is written, at most, that something goes well.
	touchEvery = time.Minute
	keptFor    = 30 * 24 * time.Hour
	sweepBatch = 1_000

	touchEntry = `UPDATE client_checkups SET last_at = CASE WHEN last_at < $5 THEN $5 ELSE last_at END, count = count + $6
		WHERE tenant_id = $1 AND client_id = $2 AND kind = $3 AND sent = $4`
	countEntries = `SELECT COUNT(*) FROM client_checkups WHERE tenant_id = $1 AND client_id = $2 AND kind = $3 AND sent <> ''`
	forgetRarest = `DELETE FROM client_checkups WHERE tenant_id = $1 AND client_id = $2 AND kind = $3 AND sent = (
		SELECT sent FROM client_checkups WHERE tenant_id = $1 AND client_id = $2 AND kind = $3 AND sent <> '' ORDER BY count, last_at, sent LIMIT 1)`
	insertEntry = `INSERT INTO client_checkups (tenant_id, client_id, kind, sent, first_at, last_at, count) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (tenant_id, client_id, kind, sent) DO UPDATE SET
			last_at = CASE WHEN client_checkups.last_at < excluded.last_at THEN excluded.last_at ELSE client_checkups.last_at END,
			count = client_checkups.count + excluded.count`
	listEntries = `SELECT kind, sent, first_at, last_at, count FROM client_checkups
		WHERE tenant_id = $1 AND client_id = $2 ORDER BY last_at DESC, kind, sent LIMIT $3`
	systemDeleteEntries = `DELETE FROM client_checkups WHERE (tenant_id, client_id, kind, sent) IN (
		SELECT tenant_id, client_id, kind, sent FROM client_checkups WHERE last_at < $1 LIMIT $2)`
)

// Record is what happened lately, kept in memory until [Record.Flush] writes it. It is safe for
// concurrent use.
type Record struct {
	clock clock.Clock
	wells sync.Map // client → *touched

	mu      sync.Mutex
	pending map[happened]*Entry
	sents   map[group]int // how many of them each group has
}

type client struct{ tenantID, clientID string }

type group struct {
	client
	kind Kind
}

type happened struct {
	group
	sent string
}

// touched is when each kind last went well, and when that was last written, in microseconds.
type touched struct {
	at      [numberOfWells]atomic.Int64
	written [numberOfWells]atomic.Int64
}

// New returns an empty record.
func New(c clock.Clock) *Record {
	return &Record{clock: c, pending: map[happened]*Entry{}, sents: map[group]int{}}
}

// Well notes that something went well for a registered client. It costs a look-up in memory.
func (r *Record) Well(tn *tenant.Tenant, clientID string, kind Kind) {
	at := client{tn.ID, clientID}
	t, ok := r.wells.Load(at)
	if !ok {
		t, _ = r.wells.LoadOrStore(at, &touched{})
	}
	t.(*touched).at[place(kind)].Store(db.Micros(r.clock.Now()))
}

// Wrong notes that something went wrong for a registered client; an empty clientID stands for all
// that are not registered.
func (r *Record) Wrong(tn *tenant.Tenant, clientID string, kind Kind, sent string) {
	now := r.clock.Now()
	r.merge(happened{group{client{tn.ID, clientID}, kind}, clean(kind, sent)}, Entry{FirstAt: now, LastAt: now, Count: 1})
}

// merge counts an entry. Where there is no room, it is counted among those of its kind that are not
// told apart, or not at all: nothing is decided by it.
func (r *Record) merge(at happened, e Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.pending[at]
	if known == nil && at.sent != "" && r.sents[at.group] >= maxSents {
		at.sent = ""
		known = r.pending[at]
	}
	if known != nil {
		known.Count += e.Count
		if e.LastAt.After(known.LastAt) {
			known.LastAt = e.LastAt
		}
		if e.FirstAt.Before(known.FirstAt) {
			known.FirstAt = e.FirstAt
		}
		return
	}
	if len(r.pending) >= maxPending {
		return
	}
	r.pending[at] = &e
	if at.sent != "" {
		r.sents[at.group]++
	}
}

// take empties the record, of one tenant or for "" of all, and returns what is to be written, by
// tenant. all takes what went well a moment ago, too.
func (r *Record) take(tenantID string, all bool) map[string]map[happened]*Entry {
	pending := r.takePending(tenantID)
	out := map[string]map[happened]*Entry{}
	put := func(at happened, e *Entry) {
		if out[at.tenantID] == nil {
			out[at.tenantID] = map[happened]*Entry{}
		}
		out[at.tenantID][at] = e
	}
	for at, e := range pending {
		put(at, e)
	}
	r.wells.Range(func(key, value any) bool {
		if tenantID != "" && key.(client).tenantID != tenantID {
			return true
		}
		t := value.(*touched)
		for place, w := range wells() {
			at, written := t.at[place].Load(), t.written[place].Load()
			if at > written && (all || time.Duration(at-written)*time.Microsecond >= touchEvery) && t.written[place].CompareAndSwap(written, at) {
				put(happened{group{key.(client), w.kind}, ""}, &Entry{FirstAt: db.Time(at), LastAt: db.Time(at), Count: 1})
			}
		}
		return true
	})
	return out
}

func (r *Record) takePending(tenantID string) map[happened]*Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	if tenantID == "" {
		pending := r.pending
		r.pending, r.sents = map[happened]*Entry{}, map[group]int{}
		return pending
	}
	pending := map[happened]*Entry{}
	for at, e := range r.pending {
		if at.tenantID == tenantID {
			pending[at] = e
			delete(r.pending, at)
			delete(r.sents, at.group)
		}
	}
	return pending
}

// Flush writes what has happened since the last time. That something goes well is written once a
// minute at most. What can not be written waits for the next time.
func (r *Record) Flush(ctx context.Context, d *db.DB) error {
	return r.flush(ctx, d.Tenant, r.take("", false))
}

// FlushAll is Flush without the wait, for the end.
func (r *Record) FlushAll(ctx context.Context, d *db.DB) error {
	return r.flush(ctx, d.Tenant, r.take("", true))
}

// FlushOf is FlushAll for one tenant, before somebody looks.
func (r *Record) FlushOf(ctx context.Context, tn *tenant.Tenant) error {
	return r.flush(ctx, func(string) db.Tenant { return tn.DB }, r.take(tn.ID, true))
}

func (r *Record) flush(ctx context.Context, of func(tenantID string) db.Tenant, all map[string]map[happened]*Entry) error {
	const batch = 100
	var failed []error
	for tenantID, pending := range all {
		handle := of(tenantID)
		for len(pending) > 0 {
			some := map[happened]*Entry{}
			for at, e := range pending {
				if len(some) == batch {
					break
				}
				some[at] = e
				delete(pending, at)
			}
			err := handle.Write(ctx, func(tx *db.Tx) error { return write(tx, some) })
			if err == nil {
				continue
			}
			failed = append(failed, fmt.Errorf("checkup: write: %w", err))
			if errors.Is(err, db.ErrUnknownOutcome) {
				continue // counted twice would be worse than not at all
			}
			for at, e := range some {
				r.merge(at, *e)
			}
		}
	}
	return errors.Join(failed...)
}

func write(tx *db.Tx, entries map[happened]*Entry) error {
	for at, e := range entries {
		n, err := tx.Exec(touchEntry, at.clientID, string(at.kind), at.sent, db.Micros(e.LastAt), e.Count)
		if err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if err := makeRoom(tx, at); err != nil {
			return err
		}
		if _, err := tx.Exec(insertEntry, at.clientID, string(at.kind), at.sent, db.Micros(e.FirstAt), db.Micros(e.LastAt), e.Count); err != nil {
			return err
		}
	}
	return nil
}

// makeRoom lets the rarest of a kind go for a new one: a stranger who sends something else each time
// does not drive out what an application sends all the time.
func makeRoom(tx *db.Tx, at happened) error {
	if at.sent == "" {
		return nil
	}
	var rows int64
	if err := tx.QueryRow(countEntries, at.clientID, string(at.kind)).Scan(&rows); err != nil {
		return err
	}
	if rows < maxSents {
		return nil
	}
	_, err := tx.Exec(forgetRarest, at.clientID, string(at.kind))
	return err
}

// Of returns what is written of a client, the latest first; of an empty clientID what belongs to
// none.
func (r *Record) Of(ctx context.Context, tn *tenant.Tenant, clientID string) ([]Entry, error) {
	rows, err := tn.DB.Query(ctx, listEntries, clientID, 500)
	if err != nil {
		return nil, fmt.Errorf("checkup: read: %w", err)
	}
	defer rows.Close()
	var out []Entry
	for rows.Next() {
		var e Entry
		var first, last int64
		if err := rows.Scan(&e.Kind, &e.Sent, &first, &last, &e.Count); err != nil {
			return nil, fmt.Errorf("checkup: read: %w", err)
		}
		e.FirstAt, e.LastAt = db.Time(first), db.Time(last)
		out = append(out, e)
	}
	return out, rows.Err()
}

// Sweep deletes a batch of what is older than a month.
func (r *Record) Sweep(ctx context.Context, d *db.DB) error {
	before := db.Micros(r.clock.Now().Add(-keptFor))
	err := d.System().Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(systemDeleteEntries, before, sweepBatch)
		return err
	})
	if err != nil {
		return fmt.Errorf("checkup: sweep: %w", err)
	}
	return nil
}

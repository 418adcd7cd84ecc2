package session

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// aheadOf is how much longer than its time a use is remembered: the clock of the
	// node that saw it may be ahead of another's.
	aheadOf = 2 * time.Minute
	// sweepEvery is after how many uses one removes what expired, twice as many rows
	// at most.
	sweepEvery = 64
)

// SQLReplays remembers in the table guard_replays what is good once, for all nodes:
// the proofs of DPoP (as bearer.DPoP.Replays) and the logout tokens of the back
// channel (as oidclogin.Options.Replays). Each use writes a row: where
// there are many, Redis is the better place. It is safe for concurrent use.
type SQLReplays struct{ memory sqlMemory }

// Replays returns the memory beside this store's sessions.
func (s *SQLStore) Replays() *SQLReplays { return &SQLReplays{sqlMemory{store: s}} }

// Use records id, for two minutes longer than until, and reports whether it is new:
// of any number of callers on any number of nodes one is told true. An error means
// that this is not known, and that id must not count; it may have been recorded.
func (r *SQLReplays) Use(ctx context.Context, id string, until time.Time) (fresh bool, err error) {
	return r.memory.raise(ctx, rowID("replay", id), 1, until)
}

// Forget takes a use back, when what id was to bring about did not happen.
func (r *SQLReplays) Forget(ctx context.Context, id string) error {
	if _, err := r.memory.store.db.ExecContext(ctx, `DELETE FROM guard_replays WHERE id = $1`, rowID("replay", id)); err != nil {
		return fmt.Errorf("session: replays: %w", err)
	}
	return nil
}

// SQLCounts remembers in the table guard_replays how far each nonce of Digest was
// used, for all nodes. It is a digest.Counts, safe for concurrent use.
type SQLCounts struct{ memory sqlMemory }

// Counts returns the memory beside this store's sessions.
func (s *SQLStore) Counts() *SQLCounts { return &SQLCounts{sqlMemory{store: s}} }

// Use implements digest.Counts. It remembers nonces for two minutes longer than
// until.
func (c *SQLCounts) Use(ctx context.Context, nonce string, count uint32, until time.Time) (bool, error) {
	if count == 0 {
		return false, nil // they begin with 1
	}
	return c.memory.raise(ctx, rowID("count", nonce), int64(count), until)
}

// sqlMemory is what both are.
type sqlMemory struct {
	store *SQLStore
	uses  atomic.Uint64
}

// raise sets the row's number unless it is as high already, and reports whether it
// did: one conditional statement, one winner.
func (m *sqlMemory) raise(ctx context.Context, id string, used int64, until time.Time) (bool, error) {
	res, err := m.store.db.ExecContext(ctx,
		`INSERT INTO guard_replays (id, used, expires_at) VALUES ($1, $2, $3)
		 ON CONFLICT (id) DO UPDATE SET used = excluded.used, expires_at = excluded.expires_at WHERE guard_replays.used < excluded.used`,
		id, used, until.Add(aheadOf).UnixMicro())
	if err != nil {
		return false, fmt.Errorf("session: replays: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("session: replays: %w", err)
	}
	if m.uses.Add(1)%sweepEvery == 0 {
		// The use stands already; a failure here is the next caller's to see.
		_ = m.store.deleteReplays(ctx, 2*sweepEvery)
	}
	return n == 1, nil
}

func (s *SQLStore) deleteReplays(ctx context.Context, limit int) error {
	if _, err := s.db.ExecContext(ctx,
		`DELETE FROM guard_replays WHERE id IN (SELECT id FROM guard_replays WHERE expires_at <= $1 LIMIT $2)`,
		s.now().UnixMicro(), limit); err != nil {
		return fmt.Errorf("session: delete expired: %w", err)
	}
	return nil
}

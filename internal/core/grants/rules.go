package grants

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

// Marks are what an access token carries that a rule can match. Any may be empty.
type Marks struct {
	SessionID, GrantID, TokenID, ClientID string
	KeyID                                 string // of the key that signed it
	IssuedAt                              time.Time
}

// rules is what this node knows of all tenants' rules.
type rules struct {
	reading chan struct{} // taken by whoever reads rules from the database

	mu      sync.RWMutex
	tenants map[string]*ruleSet
}

// ruleSet is the rules of one tenant, once to be asked and once to be read on.
type ruleSet struct {
	dead  map[rule]ending
	timed int // how many of dead have a time

	log      []revocation.Rule // as they were read from the database: in order, without gaps
	read     int64             // the highest number read from the database
	complete bool              // the database was read at least once
	wanted   uint64            // counts the reasons to read: a rule was written here, or a reading failed
	served   uint64            // what wanted was when the last reading began that succeeded
	sureAt   time.Time         // nothing that was committed by then, by any node, is missing

	changed chan struct{} // closed when there may be something to read
	pruneAt time.Time     // when rules past their time are next dropped

	encoding  sync.Mutex // held while the snapshot is made, under mu
	snapshot  []byte     // encoded, or nil
	snapshotN int64      // at which number
}

type rule struct {
	kind revocation.Kind
	id   string
}

// ending is what a rule says of what it matches.
type ending struct {
	until    time.Time
	issuedBy int64 // seconds since 1970: only what was issued then or before; for timed kinds
}

const (
	// pruneEvery is how often rules past their time are looked for. They match nothing that is alive,
	// so nothing depends on it.
	pruneEvery = time.Minute
	// sureFor is how long readers of the feed are answered from memory by a node that has not made sure
	// meanwhile that it knows every rule: a node that lost its database must not say that there is
	// nothing new. A node beats every second, and waits for the database as long.
	sureFor = 3 * time.Second
	// readPatience is how long a reading takes at most, but for the first: others wait for it.
	readPatience = 3 * time.Second
)

func newRules() *rules {
	return &rules{reading: make(chan struct{}, 1), tenants: map[string]*ruleSet{}}
}

// turn waits until nobody else reads. done gives the turn back.
func (r *rules) turn(ctx context.Context) (done func(), err error) {
	select {
	case r.reading <- struct{}{}:
		return func() { <-r.reading }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("grants: read rules: %w", context.Cause(ctx))
	}
}

// set returns the rules of a tenant. The caller holds mu for writing.
func (r *rules) set(tenantID string) *ruleSet {
	if r.tenants[tenantID] == nil {
		r.tenants[tenantID] = &ruleSet{dead: map[rule]ending{}, changed: make(chan struct{})}
	}
	return r.tenants[tenantID]
}

// add makes rules that were committed here count at once. Their readers get them from the database,
// in order.
func (r *rules) add(tenantID string, kind revocation.Kind, until time.Time, stored ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := r.set(tenantID)
	for _, s := range stored {
		set.apply(kind, s, until)
	}
	set.wanted++
	set.wake()
}

// apply notes one rule as it is stored, and returns what it says. The caller holds mu for writing.
func (s *ruleSet) apply(kind revocation.Kind, stored string, until time.Time) (rule, ending, error) {
	is, e := rule{kind, stored}, ending{until: until}
	if kind.Timed() {
		var err error
		if is.id, e.issuedBy, err = splitTimed(stored); err != nil {
			return is, e, err
		}
	}
	had, known := s.dead[is]
	if kind.Timed() && !known {
		s.timed++
	}
	if known && had.until.After(until) {
		until = had.until
	}
	s.dead[is] = ending{until, max(had.issuedBy, e.issuedBy)}
	return is, e, nil
}

// wake tells those who wait that there may be something to read.
func (s *ruleSet) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// prune drops what is over.
func (s *ruleSet) prune(now time.Time) {
	if now.Before(s.pruneAt) {
		return
	}
	s.pruneAt = now.Add(pruneEvery)
	maps.DeleteFunc(s.dead, func(is rule, e ending) bool {
		over := e.until.Before(now)
		if over && is.kind.Timed() {
			s.timed--
		}
		return over
	})
	s.log = slices.DeleteFunc(s.log, func(r revocation.Rule) bool { return int64(r.Until) < now.Unix() })
	s.snapshot = nil
}

// matches reports whether a rule matches, and whether this node knows enough to say so.
func (r *rules) matches(tenantID string, m Marks) (dead, known bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	set := r.tenants[tenantID]
	if set == nil {
		return false, false
	}
	return set.matches(m), set.complete
}

func (s *ruleSet) matches(m Marks) bool {
	if len(s.dead) == 0 {
		return false
	}
	for _, r := range [...]rule{
		{revocation.Session, m.SessionID}, {revocation.Grant, m.GrantID}, {revocation.Token, m.TokenID}, {revocation.Key, m.KeyID},
	} {
		if _, dead := s.dead[r]; dead && r.id != "" {
			return true
		}
	}
	if s.timed == 0 {
		return false
	}
	client, is := s.dead[rule{revocation.Client, m.ClientID}]
	if is && m.ClientID != "" && m.IssuedAt.Unix() <= client.issuedBy {
		return true
	}
	all, is := s.dead[rule{revocation.Tenant, ""}]
	return is && m.IssuedAt.Unix() <= all.issuedBy
}

// Revoked reports whether a rule matches an access token. The first question for a tenant reads
// its rules; after that it is answered from memory, and other nodes' rules arrive with
// [Grants.CatchUp].
func (g *Grants) Revoked(ctx context.Context, tn *tenant.Tenant, m Marks) (bool, error) {
	dead, known := g.rules.matches(tn.ID, m)
	if dead || known {
		return dead, nil
	}
	if err := g.CatchUp(ctx, tn.DB); err != nil {
		return false, err
	}
	dead, _ = g.rules.matches(tn.ID, m)
	return dead, nil
}

// CatchUp reads the rules that have been written since the last time, by any node, and drops
// those whose time is over. Questions are answered meanwhile.
func (g *Grants) CatchUp(ctx context.Context, handle db.Tenant) error {
	done, err := g.rules.turn(ctx)
	if err != nil {
		g.rules.fallBehind(handle.ID())
		return err
	}
	defer done()
	return g.catchUp(ctx, handle)
}

// catchUp is CatchUp for whoever has the turn.
func (g *Grants) catchUp(ctx context.Context, handle db.Tenant) error {
	began := g.clock.Now()
	after, wanted, first := g.rules.startReading(handle.ID())
	if !first {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, readPatience)
		defer cancel()
	}
	found, err := readRules(ctx, handle, after)
	if err != nil {
		g.rules.fallBehind(handle.ID())
		return fmt.Errorf("grants: read rules: %w", err)
	}
	g.rules.mu.Lock()
	defer g.rules.mu.Unlock()
	set := g.rules.set(handle.ID())
	for _, f := range found {
		is, e, err := set.apply(f.kind, f.stored, f.until)
		if err != nil {
			return err
		}
		set.log = append(set.log, revocation.Rule{
			N: f.n, Kind: f.kind, Digest: revocation.DigestOf(f.kind, is.id),
			Until: revocation.Seconds(f.until.Unix() + 1), IssuedBy: revocation.Seconds(e.issuedBy),
		})
		set.read = f.n
	}
	set.complete, set.served, set.sureAt = true, wanted, began
	if len(found) > 0 {
		set.snapshot = nil
		set.wake()
	}
	set.prune(g.clock.Now())
	return nil
}

// startReading returns after which number to read, and what is served by that: what is wanted from now
// on is not part of it.
func (r *rules) startReading(tenantID string) (after int64, wanted uint64, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := r.set(tenantID)
	return set.read, set.wanted, !set.complete
}

// fallBehind has the rules read before they are next handed out.
func (r *rules) fallBehind(tenantID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set(tenantID).wanted++
}

// storedRule is a row.
type storedRule struct {
	n      int64
	kind   revocation.Kind
	stored string // its id, with the time of those that are timed
	until  time.Time
}

func readRules(ctx context.Context, handle db.Tenant, after int64) (found []storedRule, err error) {
	rows, err := handle.Query(ctx, selectRule, after)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r storedRule
		var kind string
		var until int64
		if err := rows.Scan(&r.n, &kind, &r.stored, &until); err != nil {
			return nil, err
		}
		if r.kind, err = revocation.ParseKind(kind); err != nil {
			return nil, err
		}
		r.until = db.Time(until)
		found = append(found, r)
	}
	return found, rows.Err()
}

package grants

import (
	"context"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

// Whoever checks tokens elsewhere reads the rules of a tenant as a feed. Readers wait on a node and
// read from its memory, each at its own pace: there is no buffer for any of them that could run over.

// ReadRevocations is the scope that opens the feed.
const ReadRevocations = "read:revocations"

// RevocationsAudience is the identifier of the API that the feed is: where it answers.
func RevocationsAudience(tn *tenant.Tenant) string { return tn.Issuer + "revocations" }

// Page is a part of the feed.
type Page struct {
	// N is the number the reader has reached with it.
	N int64
	// Rules are those after the number that was asked for, in order.
	Rules []revocation.Rule
	// Snapshot, encoded, stands in place of Rules for a reader who is too far behind, or ahead: one
	// of another database, or of this one before it was restored from a backup.
	Snapshot []byte
	// More says that there are more rules to be had now.
	More bool
	// Changed is closed when there may be more later, and whenever the node has made sure that it
	// has not missed any ([Grants.Beat]).
	Changed <-chan struct{}
}

// RulesAfter returns the rules after a number, at most limit, as this node knows them if it has made
// sure within the last seconds that it knows them all, and as the database has them otherwise. It
// fails when they can not be read.
func (g *Grants) RulesAfter(ctx context.Context, tn *tenant.Tenant, n int64, limit int) (Page, error) {
	if err := g.upToDate(ctx, tn); err != nil {
		return Page{}, err
	}
	g.rules.mu.RLock()
	defer g.rules.mu.RUnlock()
	set := g.rules.tenants[tn.ID]
	p := Page{N: set.read, Changed: set.changed}
	if n > set.read {
		return g.withSnapshot(p, set), nil
	}
	first, found := slices.BinarySearchFunc(set.log, n, func(r revocation.Rule, n int64) int { return int(min(max(r.N-n, -1), 1)) })
	if found {
		first++
	}
	rest := set.log[first:]
	if len(rest) > revocation.MaxAnswerRules {
		return g.withSnapshot(p, set), nil
	}
	if len(rest) > limit {
		p.More, rest = true, rest[:limit]
		p.N = rest[limit-1].N
	}
	p.Rules = slices.Clone(rest) // pruning moves what is in the log
	return p, nil
}

// Snapshot returns all rules at the newest number, as the database has them: whoever begins to
// follow knows everything that any node had committed by then. Of many who come at once few read.
func (g *Grants) Snapshot(ctx context.Context, tn *tenant.Tenant) (Page, error) {
	g.rules.fallBehind(tn.ID)
	if err := g.upToDate(ctx, tn); err != nil {
		return Page{}, err
	}
	g.rules.mu.RLock()
	defer g.rules.mu.RUnlock()
	set := g.rules.tenants[tn.ID]
	return g.withSnapshot(Page{N: set.read, Changed: set.changed}, set), nil
}

// withSnapshot encodes the rules, unless that was done at the same number: after a restart of the
// house all readers come at once. The caller holds mu for reading.
func (g *Grants) withSnapshot(p Page, set *ruleSet) Page {
	set.encoding.Lock()
	defer set.encoding.Unlock()
	if set.snapshot == nil || set.snapshotN != set.read {
		set.snapshot, set.snapshotN = revocation.Snapshot{N: set.read, Rules: set.log}.Encode(), set.read
	}
	p.Snapshot = set.snapshot
	return p
}

// upToDate reads what was written here, and all there is at first. Any number of readers come here
// at once; one of them reads.
func (g *Grants) upToDate(ctx context.Context, tn *tenant.Tenant) error {
	if !g.rules.toRead(tn.ID, g.clock.Now()) {
		return nil
	}
	done, err := g.rules.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	if !g.rules.toRead(tn.ID, g.clock.Now()) {
		return nil
	}
	return g.catchUp(ctx, tn.DB)
}

// toRead reports whether what is in memory may not be handed out. It may not while somebody reads what
// is wanted: who comes meanwhile waits for the outcome.
func (r *rules) toRead(tenantID string, now time.Time) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	set := r.tenants[tenantID]
	return set == nil || !set.complete || set.wanted != set.served || now.Sub(set.sureAt).Abs() > sureFor
}

// Beat tells all readers that this node has just made sure that it knows every rule. A reader that
// hears nothing for longer must not rely on what it has.
func (g *Grants) Beat() {
	now := g.clock.Now()
	g.rules.mu.Lock()
	defer g.rules.mu.Unlock()
	for _, set := range g.rules.tenants {
		set.sureAt = now
		set.wake()
	}
}

// marksOf returns what rules can match of a token.
func marksOf(c *oauth.AccessTokenClaims, kid string) Marks {
	return Marks{SessionID: c.SessionID, GrantID: c.GrantID, TokenID: c.ID, ClientID: c.Client(), KeyID: kid, IssuedAt: c.IssuedAt.Time()}
}

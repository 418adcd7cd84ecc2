package grants

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// A rule says "everything from this session, grant or token is dead". Rules are written in the
// transaction that ends the thing, numbered in the order of commits, and kept until nothing they
// match can still be alive. Ids are never used twice, so no clock is compared.

// Kinds of rules: what their id names.
const (
	RuleSession = "sid"
	RuleGrant   = "gid"
	RuleToken   = "jti"
)

const (
	insertRule = `INSERT INTO revocations (tenant_id, n, kind, id, until) VALUES ($1, $2, $3, $4, $5)`
	selectRule = `SELECT n, kind, id, until FROM revocations WHERE tenant_id = $1 AND n > $2 ORDER BY n`

	revokeFamiliesOfGrant = `UPDATE families SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND gid = $2 AND revoked_at = 0`

	burnCodesOfSession      = `UPDATE codes SET spent_at = $3 WHERE tenant_id = $1 AND sid = $2 AND spent_at = 0`
	revokeFamiliesOfSession = `UPDATE families SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND sid = $2 AND session_bound AND revoked_at = 0`

	burnCodesOfUser      = `UPDATE codes SET spent_at = $3 WHERE tenant_id = $1 AND user_id = $2 AND spent_at = 0`
	revokeFamiliesOfUser = `UPDATE families SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND user_id = $2 AND revoked_at = 0`
	insertRulesOfUser    = `INSERT INTO revocations (tenant_id, n, kind, id, until)
		SELECT $1, $4 + ROW_NUMBER() OVER (ORDER BY gid), 'gid', gid, $5 FROM (
			SELECT gid FROM codes WHERE tenant_id = $1 AND user_id = $2 AND keep_until > $3
			UNION SELECT gid FROM families WHERE tenant_id = $1 AND user_id = $2 AND revoked_at = $3) AS ended
		RETURNING id`

	burnCodesOfClient      = `UPDATE codes SET spent_at = $3 WHERE tenant_id = $1 AND client_id = $2 AND spent_at = 0`
	revokeFamiliesOfClient = `UPDATE families SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND client_id = $2 AND revoked_at = 0`
	insertRulesOfClient    = `INSERT INTO revocations (tenant_id, n, kind, id, until)
		SELECT $1, $4 + ROW_NUMBER() OVER (ORDER BY gid), 'gid', gid, $5 FROM (
			SELECT gid FROM codes WHERE tenant_id = $1 AND client_id = $2 AND keep_until > $3
			UNION SELECT gid FROM families WHERE tenant_id = $1 AND client_id = $2 AND revoked_at = $3) AS ended
		RETURNING id`

	burnCodesOfConsent      = `UPDATE codes SET spent_at = $4 WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND spent_at = 0`
	revokeFamiliesOfConsent = `UPDATE families SET revoked_at = $4, revoked_because = $5 WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND revoked_at = 0`
	insertRulesOfConsent    = `INSERT INTO revocations (tenant_id, n, kind, id, until)
		SELECT $1, $5 + ROW_NUMBER() OVER (ORDER BY gid), 'gid', gid, $6 FROM (
			SELECT gid FROM codes WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND keep_until > $4
			UNION SELECT gid FROM families WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND revoked_at = $4) AS ended
		RETURNING id`

	systemDeleteOldRule = `DELETE FROM revocations WHERE (tenant_id, n) IN (SELECT tenant_id, n FROM revocations WHERE until < $1 LIMIT $2)`
)

// Every verb that takes something back begins by drawing the number of its rule, which locks the
// counter until the commit: such verbs come one after the other, so their numbers are in the order
// of commits and no two wait for each other's rows. Then come codes, then families, because a code
// that is being redeemed is waited for, and the family that was born of it is seen by the statement
// after.

// RevokeGrant ends one grant inside tx: its family and its access tokens. Its code has been spent,
// or nobody could name the grant.
func (g *Grants) RevokeGrant(tx *db.Tx, gid, because string) error {
	n, _, err := g.revokeFamilies(tx, gid, because)
	if err != nil {
		return err
	}
	return g.addRule(tx, n, RuleGrant, gid)
}

// revokeFamilies ends the families of a grant and returns how many lived, and the number for the
// rule.
func (g *Grants) revokeFamilies(tx *db.Tx, gid, because string) (n, families int64, err error) {
	if n, err = feed.Bump(tx, feed.Revocation); err != nil {
		return 0, 0, err
	}
	if families, err = tx.Exec(revokeFamiliesOfGrant, gid, db.Micros(g.clock.Now()), because); err != nil {
		return 0, 0, fmt.Errorf("grants: revoke families: %w", err)
	}
	return n, families, nil
}

// EndSession ends, inside tx, what was granted in a session and is bound to it: families of
// applications in a browser, unspent codes of any, and access tokens that carry the sid. Families
// of devices live on.
func (g *Grants) EndSession(tx *db.Tx, sid, because string) error {
	now := db.Micros(g.clock.Now())
	n, err := feed.Bump(tx, feed.Revocation)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(burnCodesOfSession, sid, now); err != nil {
		return fmt.Errorf("grants: burn codes: %w", err)
	}
	if _, err := tx.Exec(revokeFamiliesOfSession, sid, now, because); err != nil {
		return fmt.Errorf("grants: revoke families: %w", err)
	}
	return g.addRule(tx, n, RuleSession, sid)
}

// EndUser ends, inside tx, everything that was granted by a user, on devices too.
func (g *Grants) EndUser(tx *db.Tx, userID, because string) error {
	return g.endAll(tx, because, burnCodesOfUser, revokeFamiliesOfUser, insertRulesOfUser, userID)
}

// EndClient ends, inside tx, everything that was granted to a client by users.
func (g *Grants) EndClient(tx *db.Tx, clientID, because string) error {
	return g.endAll(tx, because, burnCodesOfClient, revokeFamiliesOfClient, insertRulesOfClient, clientID)
}

// endAll ends many grants in as many statements as one, so that nobody can collect more grants than
// a verb has time to end.
func (g *Grants) endAll(tx *db.Tx, because, burnCodes, revokeFamilies, insertRules string, whose ...any) error {
	now := g.clock.Now()
	until := now.Add(longestAccessToken)
	with := func(more ...any) []any { return append(slices.Clone(whose), more...) }
	n, err := feed.Bump(tx, feed.Revocation)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(burnCodes, with(db.Micros(now))...); err != nil {
		return fmt.Errorf("grants: burn codes: %w", err)
	}
	if _, err := tx.Exec(revokeFamilies, with(db.Micros(now), because)...); err != nil {
		return fmt.Errorf("grants: revoke families: %w", err)
	}
	ended, err := collect(tx, insertRules, with(db.Micros(now), n-1, db.Micros(until))...)
	if err != nil {
		return fmt.Errorf("grants: write rules: %w", err)
	}
	tenantID := tx.TenantID()
	tx.OnCommit(func() { g.rules.add(tenantID, RuleGrant, until, ended...) })
	if len(ended) <= 1 {
		return nil
	}
	_, err = feed.BumpBy(tx, feed.Revocation, int64(len(ended)-1))
	return err
}

// RevokeToken ends, inside tx, one access token that nothing else is to end with.
func (g *Grants) RevokeToken(tx *db.Tx, jti string) error {
	n, err := feed.Bump(tx, feed.Revocation)
	if err != nil {
		return err
	}
	return g.addRule(tx, n, RuleToken, jti)
}

func (g *Grants) addRule(tx *db.Tx, n int64, kind, ruleID string) error {
	until := g.clock.Now().Add(longestAccessToken)
	if _, err := tx.Exec(insertRule, n, kind, ruleID, db.Micros(until)); err != nil {
		return fmt.Errorf("grants: write rule: %w", err)
	}
	tenantID := tx.TenantID()
	tx.OnCommit(func() { g.rules.add(tenantID, kind, until, ruleID) })
	return nil
}

func collect(tx *db.Tx, sql string, args ...any) ([]string, error) {
	rows, err := tx.Query(sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// rules is what this node knows of all tenants' rules.
type rules struct {
	reading sync.Mutex // held by whoever reads rules from the database; nobody else waits for that

	mu      sync.RWMutex
	tenants map[string]*ruleSet
}

type ruleSet struct {
	dead     map[rule]time.Time // until when
	read     int64              // the highest number read from the database, without gaps
	complete bool               // the database was read at least once
}

type rule struct{ kind, id string }

func newRules() *rules { return &rules{tenants: map[string]*ruleSet{}} }

// set returns the rules of a tenant. The caller holds mu for writing.
func (r *rules) set(tenantID string) *ruleSet {
	if r.tenants[tenantID] == nil {
		r.tenants[tenantID] = &ruleSet{dead: map[rule]time.Time{}}
	}
	return r.tenants[tenantID]
}

func (r *rules) add(tenantID, kind string, until time.Time, ids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := r.set(tenantID)
	for _, ruleID := range ids {
		set.dead[rule{kind, ruleID}] = until
	}
}

// matches reports whether a rule matches, and whether this node knows enough to say so.
func (r *rules) matches(tenantID, sid, gid, jti string) (dead, known bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	set := r.tenants[tenantID]
	if set == nil {
		return false, false
	}
	return set.matches(sid, gid, jti), set.complete
}

func (s *ruleSet) matches(sid, gid, jti string) bool {
	if len(s.dead) == 0 {
		return false
	}
	for _, r := range [...]rule{{RuleSession, sid}, {RuleGrant, gid}, {RuleToken, jti}} {
		if _, dead := s.dead[r]; dead && r.id != "" {
			return true
		}
	}
	return false
}

// Revoked reports whether a rule matches an access token's session, grant or own id (any may be
// empty). The first question for a tenant reads its rules; after that it is answered from memory,
// and other nodes' rules arrive with [Grants.CatchUp].
func (g *Grants) Revoked(ctx context.Context, tn *tenant.Tenant, sid, gid, jti string) (bool, error) {
	dead, known := g.rules.matches(tn.ID, sid, gid, jti)
	if dead || known {
		return dead, nil
	}
	if err := g.CatchUp(ctx, tn.DB); err != nil {
		return false, err
	}
	dead, _ = g.rules.matches(tn.ID, sid, gid, jti)
	return dead, nil
}

// CatchUp reads the rules that have been written since the last time, by any node, and drops
// those whose time is over. Questions are answered meanwhile.
func (g *Grants) CatchUp(ctx context.Context, handle db.Tenant) error {
	g.rules.reading.Lock()
	defer g.rules.reading.Unlock()
	found, read, err := readRules(ctx, handle, g.rules.lastRead(handle.ID()))
	if err != nil {
		return fmt.Errorf("grants: read rules: %w", err)
	}
	now := g.clock.Now()
	g.rules.mu.Lock()
	defer g.rules.mu.Unlock()
	set := g.rules.set(handle.ID())
	set.read, set.complete = read, true
	maps.Copy(set.dead, found)
	maps.DeleteFunc(set.dead, func(_ rule, until time.Time) bool { return until.Before(now) })
	return nil
}

func (r *rules) lastRead(tenantID string) int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if set := r.tenants[tenantID]; set != nil {
		return set.read
	}
	return 0
}

func readRules(ctx context.Context, handle db.Tenant, after int64) (found map[rule]time.Time, read int64, err error) {
	rows, err := handle.Query(ctx, selectRule, after)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	found, read = map[rule]time.Time{}, after
	for rows.Next() {
		var r rule
		var until int64
		if err := rows.Scan(&read, &r.kind, &r.id, &until); err != nil {
			return nil, 0, err
		}
		found[r] = db.Time(until)
	}
	return found, read, rows.Err()
}

package grants

import (
	"context"
	"fmt"
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

	revokeFamiliesOfGrant   = `UPDATE families SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND gid = $2 AND revoked_at = 0`
	revokeFamiliesOfSession = `UPDATE families SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND sid = $2 AND session_bound AND revoked_at = 0`
	revokeFamiliesOfUser    = `UPDATE families SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND user_id = $2 AND revoked_at = 0 RETURNING gid`
	revokeFamiliesOfClient  = `UPDATE families SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND client_id = $2 AND revoked_at = 0 RETURNING gid`
	burnCodesOfGrant        = `UPDATE codes SET spent_at = $3 WHERE tenant_id = $1 AND gid = $2 AND spent_at = 0`
	burnCodesOfSession      = `UPDATE codes SET spent_at = $3 WHERE tenant_id = $1 AND sid = $2 AND spent_at = 0`
	burnCodesOfUser         = `UPDATE codes SET spent_at = CASE WHEN spent_at = 0 THEN $3 ELSE spent_at END
		WHERE tenant_id = $1 AND user_id = $2 AND keep_until > $3 RETURNING gid`
	burnCodesOfClient = `UPDATE codes SET spent_at = CASE WHEN spent_at = 0 THEN $3 ELSE spent_at END
		WHERE tenant_id = $1 AND client_id = $2 AND keep_until > $3 RETURNING gid`
	systemDeleteOldRule = `DELETE FROM revocations WHERE (tenant_id, n) IN (SELECT tenant_id, n FROM revocations WHERE until < $1 LIMIT $2)`
)

// RevokeGrant ends one grant inside tx: its family, its code, its access tokens.
func (g *Grants) RevokeGrant(tx *db.Tx, gid, because string) error {
	now := db.Micros(g.clock.Now())
	if _, err := tx.Exec(revokeFamiliesOfGrant, gid, now, because); err != nil {
		return fmt.Errorf("grants: revoke families: %w", err)
	}
	if _, err := tx.Exec(burnCodesOfGrant, gid, now); err != nil {
		return fmt.Errorf("grants: burn codes: %w", err)
	}
	return g.addRules(tx, RuleGrant, gid)
}

// EndSession ends, inside tx, what was granted in a session and is bound to it: families of
// applications in a browser, unspent codes of any, and access tokens that carry the sid. Families
// of devices live on.
func (g *Grants) EndSession(tx *db.Tx, sid, because string) error {
	now := db.Micros(g.clock.Now())
	if _, err := tx.Exec(revokeFamiliesOfSession, sid, now, because); err != nil {
		return fmt.Errorf("grants: revoke families: %w", err)
	}
	if _, err := tx.Exec(burnCodesOfSession, sid, now); err != nil {
		return fmt.Errorf("grants: burn codes: %w", err)
	}
	return g.addRules(tx, RuleSession, sid)
}

// EndUser ends, inside tx, everything that was granted by a user, on devices too.
func (g *Grants) EndUser(tx *db.Tx, userID, because string) error {
	return g.endAll(tx, userID, because, revokeFamiliesOfUser, burnCodesOfUser)
}

// EndClient ends, inside tx, everything that was granted to a client by users.
func (g *Grants) EndClient(tx *db.Tx, clientID, because string) error {
	return g.endAll(tx, clientID, because, revokeFamiliesOfClient, burnCodesOfClient)
}

func (g *Grants) endAll(tx *db.Tx, whose, because, revokeFamilies, burnCodes string) error {
	now := db.Micros(g.clock.Now())
	families, err := collect(tx, revokeFamilies, whose, now, because)
	if err != nil {
		return fmt.Errorf("grants: revoke families: %w", err)
	}
	codes, err := collect(tx, burnCodes, whose, now)
	if err != nil {
		return fmt.Errorf("grants: burn codes: %w", err)
	}
	return g.addRules(tx, RuleGrant, append(families, codes...)...)
}

// RevokeToken ends one access token that nothing else is to end with.
func (g *Grants) RevokeToken(tx *db.Tx, jti string) error { return g.addRules(tx, RuleToken, jti) }

func (g *Grants) addRules(tx *db.Tx, kind string, ids ...string) error {
	until := g.clock.Now().Add(longestAccessToken)
	seen := map[string]bool{}
	for _, ruleID := range ids {
		if seen[ruleID] {
			continue
		}
		seen[ruleID] = true
		n, err := feed.Bump(tx, feed.Revocation)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(insertRule, n, kind, ruleID, db.Micros(until)); err != nil {
			return fmt.Errorf("grants: write rule: %w", err)
		}
		tenantID := tx.TenantID()
		tx.OnCommit(func() { g.rules.add(tenantID, kind, ruleID, until) })
	}
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
	mu      sync.RWMutex
	tenants map[string]*ruleSet
}

type ruleSet struct {
	dead map[rule]time.Time // until when
	read int64              // the highest number read from the database, without gaps
}

type rule struct{ kind, id string }

func newRules() *rules { return &rules{tenants: map[string]*ruleSet{}} }

func (r *rules) add(tenantID, kind, id string, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if set := r.tenants[tenantID]; set != nil { // otherwise it will be read with the others
		set.dead[rule{kind, id}] = until
	}
}

// Revoked reports whether a rule matches an access token's session, grant or own id (any may be
// empty). The first question for a tenant reads its rules; after that it is answered from memory,
// and other nodes' rules arrive with [Grants.CatchUp].
func (g *Grants) Revoked(ctx context.Context, tn *tenant.Tenant, sid, gid, jti string) (bool, error) {
	g.rules.mu.RLock()
	set := g.rules.tenants[tn.ID]
	if set != nil {
		defer g.rules.mu.RUnlock()
		return set.matches(sid, gid, jti), nil
	}
	g.rules.mu.RUnlock()
	if err := g.CatchUp(ctx, tn.DB); err != nil {
		return false, err
	}
	g.rules.mu.RLock()
	defer g.rules.mu.RUnlock()
	return g.rules.tenants[tn.ID].matches(sid, gid, jti), nil
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

// CatchUp reads the rules that have been written since the last time, by any node, and drops
// those whose time is over.
func (g *Grants) CatchUp(ctx context.Context, handle db.Tenant) error {
	g.rules.mu.Lock()
	defer g.rules.mu.Unlock()
	set := g.rules.tenants[handle.ID()]
	if set == nil {
		set = &ruleSet{dead: map[rule]time.Time{}}
	}
	rows, err := handle.Query(ctx, selectRule, set.read)
	if err != nil {
		return fmt.Errorf("grants: read rules: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r rule
		var n, until int64
		if err := rows.Scan(&n, &r.kind, &r.id, &until); err != nil {
			return fmt.Errorf("grants: read rules: %w", err)
		}
		set.dead[r], set.read = db.Time(until), n
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("grants: read rules: %w", err)
	}
	now := g.clock.Now()
	for r, until := range set.dead {
		if until.Before(now) {
			delete(set.dead, r)
		}
	}
	g.rules.tenants[handle.ID()] = set
	return nil
}

package grants

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

// A rule says "everything from this session, grant or token is dead". Rules are written in the
// transaction that ends the thing, numbered in the order of commits, and kept until nothing they
// match can still be alive. Ids are never used twice, so no clock is compared; only rules about a
// client or the whole tenant carry a time, in their id: "client@1795000000".

const (
	insertRule = `INSERT INTO revocations (tenant_id, n, kind, id, until) VALUES ($1, $2, $3, $4, $5)`
	selectRule = `SELECT n, kind, id, until FROM revocations WHERE tenant_id = $1 AND n > $2 ORDER BY n`

	revokeGrant = `UPDATE grants SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND gid = $2 AND revoked_at = 0`

	burnCodesOfSession    = `DELETE FROM grants WHERE tenant_id = $1 AND sid = $2 AND (spent_at = 0 OR session_bound AND spent_at <= $3 AND reached_at <= $3)`
	revokeGrantsOfSession = `UPDATE grants SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND sid = $2 AND session_bound AND revoked_at = 0`

	burnCodesOfUser    = `DELETE FROM grants WHERE tenant_id = $1 AND user_id = $2 AND (spent_at = 0 OR spent_at <= $3 AND reached_at <= $3)`
	endDevicesOfUser   = `UPDATE device_requests SET state = 'denied' WHERE tenant_id = $1 AND user_id = $2 AND state = 'approved'`
	revokeGrantsOfUser = `UPDATE grants SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND user_id = $2 AND revoked_at = 0`
	insertRulesOfUser  = `INSERT INTO revocations (tenant_id, n, kind, id, until)
		SELECT $1, $4 + ROW_NUMBER() OVER (ORDER BY gid), 'gid', gid, $5 FROM (
			SELECT gid FROM grants WHERE tenant_id = $1 AND user_id = $2 AND revoked_at = $3
			UNION SELECT gid FROM device_requests WHERE tenant_id = $1 AND user_id = $2 AND state = 'spent' AND keep_until > $3) AS ended
		RETURNING id`

	burnCodesOfClient    = `DELETE FROM grants WHERE tenant_id = $1 AND client_id = $2 AND (spent_at = 0 OR spent_at <= $3 AND reached_at <= $3)`
	endDevicesOfClient   = `UPDATE device_requests SET state = 'denied' WHERE tenant_id = $1 AND client_id = $2 AND state IN ('pending', 'approved')`
	revokeGrantsOfClient = `UPDATE grants SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND client_id = $2 AND revoked_at = 0`
	insertRulesOfClient  = `INSERT INTO revocations (tenant_id, n, kind, id, until)
		SELECT $1, $4 + ROW_NUMBER() OVER (ORDER BY gid), 'gid', gid, $5 FROM (
			SELECT gid FROM grants WHERE tenant_id = $1 AND client_id = $2 AND revoked_at = $3
			UNION SELECT gid FROM device_requests WHERE tenant_id = $1 AND client_id = $2 AND state = 'spent' AND keep_until > $3) AS ended
		RETURNING id`

	burnCodesOfConsent    = `DELETE FROM grants WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND (spent_at = 0 OR spent_at <= $4 AND reached_at <= $4)`
	endDevicesOfConsent   = `UPDATE device_requests SET state = 'denied' WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND state = 'approved'`
	revokeGrantsOfConsent = `UPDATE grants SET revoked_at = $4, revoked_because = $5 WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND revoked_at = 0`
	insertRulesOfConsent  = `INSERT INTO revocations (tenant_id, n, kind, id, until)
		SELECT $1, $5 + ROW_NUMBER() OVER (ORDER BY gid), 'gid', gid, $6 FROM (
			SELECT gid FROM grants WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND revoked_at = $4
			UNION SELECT gid FROM device_requests WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND state = 'spent' AND keep_until > $4) AS ended
		RETURNING id`

	systemDeleteOldRule = `DELETE FROM revocations WHERE (tenant_id, n) IN (SELECT tenant_id, n FROM revocations WHERE until < $1 LIMIT $2)`
)

// Every verb that takes something back begins by drawing the number of its rule, which locks the
// counter until the commit: such verbs come one after the other, so their numbers are in the order
// of commits and no two wait for each other's rows. Then come codes and approvals of devices, then
// what came of others, because a code that is being redeemed is waited for, and that it is spent is seen
// by the statement after. A code that nobody has redeemed is burnt by deleting it: nothing came of it, so
// no rule need say that it is dead, however many somebody has had made.

// RevokeGrant ends one grant inside tx: its family and its access tokens. Its code has been spent,
// or nobody could name the grant.
func (g *Grants) RevokeGrant(tx *db.Tx, gid, because string) error {
	n, _, err := g.revoke(tx, gid, because)
	if err != nil {
		return err
	}
	return g.addRule(tx, n, revocation.Grant, gid)
}

// revokeStolen is RevokeGrant of a grant that somebody else has a credential of, and notes e. It
// does nothing for a grant that has been revoked before: whoever goes on trying writes nothing. That ctx
// ends does not stop it: a thief must not get away by hanging up.
func (g *Grants) revokeStolen(ctx context.Context, tn *tenant.Tenant, gid, because string, e audit.Event) error {
	err := tn.DB.Write(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		n, lived, err := g.revoke(tx, gid, because)
		if err != nil || !lived {
			return err
		}
		if err := g.addRule(tx, n, revocation.Grant, gid); err != nil {
			return err
		}
		return audit.Record(tx, e)
	})
	if err != nil {
		return fmt.Errorf("grants: %s: %w", because, err)
	}
	return nil
}

// revoke marks a grant, and returns the number for the rule and whether the grant lived.
func (g *Grants) revoke(tx *db.Tx, gid, because string) (n int64, lived bool, err error) {
	if n, err = feed.Bump(tx, feed.Revocation); err != nil {
		return 0, false, err
	}
	marked, err := tx.Exec(revokeGrant, gid, db.Micros(g.clock.Now()), because)
	if err != nil {
		return 0, false, fmt.Errorf("grants: revoke grant: %w", err)
	}
	return n, marked > 0, nil
}

// EndSession ends, inside tx, what was granted in a session and is bound to it: families of
// applications in a browser, unspent codes of any, and access tokens that carry the sid. Families
// of devices live on.
func (g *Grants) EndSession(tx *db.Tx, sid, because string) error {
	at := g.clock.Now()
	now := db.Micros(at)
	n, err := feed.Bump(tx, feed.Revocation)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(burnCodesOfSession, sid, db.Micros(at.Add(-asleep))); err != nil {
		return fmt.Errorf("grants: burn codes: %w", err)
	}
	if _, err := tx.Exec(revokeGrantsOfSession, sid, now, because); err != nil {
		return fmt.Errorf("grants: revoke grants: %w", err)
	}
	return g.addRule(tx, n, revocation.Session, sid)
}

// EndUser ends, inside tx, everything that was granted by a user, on devices too.
func (g *Grants) EndUser(tx *db.Tx, userID, because string) error {
	return g.endAll(tx, because, burnCodesOfUser, endDevicesOfUser, revokeGrantsOfUser, insertRulesOfUser, userID)
}

// EndClient ends, inside tx, everything that was granted to a client by users, and the tokens it
// was given in its own name, which no grant stands behind.
func (g *Grants) EndClient(tx *db.Tx, clientID, because string) error {
	if err := g.endAll(tx, because, burnCodesOfClient, endDevicesOfClient, revokeGrantsOfClient, insertRulesOfClient, clientID); err != nil {
		return err
	}
	return g.RevokeTokensOfClient(tx, clientID, g.clock.Now())
}

// asleep is how long after a grant was redeemed or refreshed no access token of it can live: the last may have been
// made at the end of the overlap, and a little later. One that sleeps is ended by deleting it, as a code that nobody
// has redeemed is: no rule need say that it is dead, and however many somebody has let lie for weeks, a verb has the
// time to end them.
const asleep = longestAccessToken + apps.MaxRefreshOverlap + time.Minute

// endAll ends many grants in as many statements as one, so that nobody can collect more grants than
// a verb has time to end.
func (g *Grants) endAll(tx *db.Tx, because, burnCodes, endDevices, revokeGrants, insertRules string, whose ...any) error {
	now := g.clock.Now()
	until := now.Add(longestAccessToken)
	with := func(more ...any) []any { return append(slices.Clone(whose), more...) }
	n, err := feed.Bump(tx, feed.Revocation)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(burnCodes, with(db.Micros(now.Add(-asleep)))...); err != nil {
		return fmt.Errorf("grants: burn codes: %w", err)
	}
	if _, err := tx.Exec(endDevices, whose...); err != nil {
		return fmt.Errorf("grants: end approvals of devices: %w", err)
	}
	if _, err := tx.Exec(revokeGrants, with(db.Micros(now), because)...); err != nil {
		return fmt.Errorf("grants: revoke grants: %w", err)
	}
	ended, err := collect(tx, insertRules, with(db.Micros(now), n-1, db.Micros(until))...)
	if err != nil {
		return fmt.Errorf("grants: write rules: %w", err)
	}
	tenantID := tx.TenantID()
	tx.OnCommit(func() { g.rules.add(tenantID, revocation.Grant, until, ended...) })
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
	return g.addRule(tx, n, revocation.Token, jti)
}

// RevokeTokensOfClient ends, inside tx, every access token of a client that was issued at a time or
// before, to the second. What was granted stands: the client can have new ones.
func (g *Grants) RevokeTokensOfClient(tx *db.Tx, clientID string, issuedBy time.Time) error {
	return g.addTimedRule(tx, revocation.Client, clientID, issuedBy)
}

// RevokeAllTokens ends, inside tx, every access token of the tenant that was issued at a time or
// before, to the second. What was granted stands.
func (g *Grants) RevokeAllTokens(tx *db.Tx, issuedBy time.Time) error {
	return g.addTimedRule(tx, revocation.Tenant, "", issuedBy)
}

// revokedKey is how long a rule about a key is kept. Who stole it can sign with it for as long as anybody
// takes it for ours, and guards that can not fetch our keys go on with those they have for a day.
const revokedKey = 25 * time.Hour

// RevokeKey ends, inside tx, everything that was signed with a key, and everything that is yet to be.
func (g *Grants) RevokeKey(tx *db.Tx, kid string) error {
	n, err := feed.Bump(tx, feed.Revocation)
	if err != nil {
		return err
	}
	return g.addRuleUntil(tx, n, revocation.Key, kid, g.clock.Now().Add(revokedKey))
}

func (g *Grants) addTimedRule(tx *db.Tx, kind revocation.Kind, ruleID string, issuedBy time.Time) error {
	n, err := feed.Bump(tx, feed.Revocation)
	if err != nil {
		return err
	}
	return g.addRule(tx, n, kind, ruleID+"@"+strconv.FormatInt(issuedBy.Unix(), 10))
}

func (g *Grants) addRule(tx *db.Tx, n int64, kind revocation.Kind, ruleID string) error {
	return g.addRuleUntil(tx, n, kind, ruleID, g.clock.Now().Add(longestAccessToken))
}

func (g *Grants) addRuleUntil(tx *db.Tx, n int64, kind revocation.Kind, ruleID string, until time.Time) error {
	if _, err := tx.Exec(insertRule, n, kind.String(), ruleID, db.Micros(until)); err != nil {
		return fmt.Errorf("grants: write rule: %w", err)
	}
	tenantID := tx.TenantID()
	tx.OnCommit(func() { g.rules.add(tenantID, kind, until, ruleID) })
	return nil
}

// splitTimed returns what the stored id of a timed rule stands for.
func splitTimed(stored string) (ruleID string, issuedBy int64, err error) {
	at := strings.LastIndexByte(stored, '@')
	if at < 0 {
		return "", 0, fmt.Errorf("grants: the rule %q has no time", stored)
	}
	issuedBy, err = strconv.ParseInt(stored[at+1:], 10, 64)
	return stored[:at], issuedBy, err
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

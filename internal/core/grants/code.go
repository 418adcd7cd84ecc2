package grants

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// An authorization code names its grant and proves itself by a secret, whose hash is stored: so it
// is found by the primary key, and who reads the database can redeem nothing.

// CodeLifetime is how long an authorization code can be redeemed (RFC 9700 asks for a short one).
const CodeLifetime = 60 * time.Second

// Code is an authorization code and what it was issued for.
type Code struct {
	Terms
	RedirectURI   string // as in the authorization request; empty when the request had none
	CodeChallenge string // S256; empty when the request had none
	Nonce         string
	ExpiresAt     time.Time
}

const (
	insertGrant = `INSERT INTO grants (tenant_id, gid, client_id, user_id, sid, scope, audience, auth_time, amr, acr,
			code_hash, redirect_uri, code_challenge, nonce, code_expires_at, spent_at,
			session_bound, generation, reached_at, key_id, idle_expires_at, expires_at, revoked_at, revoked_because, created_at, keep_until)
		`
	// The session must not end before the code is there to be burnt with it.
	insertCode = insertGrant + `SELECT $1, $2, $3, user_id, sid, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, FALSE, 0, 0, '', 0, 0, 0, '', $16, $15
		FROM sessions WHERE tenant_id = $1 AND sid = $4 AND user_id = $5`
	selectCode = `SELECT gid, client_id, user_id, sid, scope, audience, auth_time, amr, acr,
			code_hash, redirect_uri, code_challenge, nonce, code_expires_at, spent_at, revoked_at
		FROM grants WHERE tenant_id = $1 AND gid = $2`
	spendCode = `UPDATE grants SET spent_at = $3, session_bound = $4, generation = $5, reached_at = $6, key_id = $7, idle_expires_at = $8, expires_at = $9, keep_until = $10
		WHERE tenant_id = $1 AND gid = $2 AND spent_at = 0`
	selectSession        = `SELECT 1 FROM sessions WHERE tenant_id = $1 AND sid = $2 AND user_id = $3`
	systemDeleteOldGrant = `DELETE FROM grants WHERE (tenant_id, gid) IN (SELECT tenant_id, gid FROM grants WHERE keep_until < $1 LIMIT $2)`
)

// ErrSessionEnded is returned when a code is asked for in a session that has ended meanwhile.
var ErrSessionEnded = errors.New("grants: the session has ended")

// HoldSession makes sure, inside tx, that a session of a user does not end before the verb, or fails with
// ErrSessionEnded.
func (g *Grants) HoldSession(tx *db.Tx, sid, userID string) error {
	err := tx.QueryRowHeld(selectSession, sid, userID).Scan(new(int64))
	if errors.Is(err, db.ErrNoRows) {
		return ErrSessionEnded
	}
	if err != nil {
		return fmt.Errorf("grants: hold session: %w", err)
	}
	return nil
}

// IssueCode stores a new code and returns it, or fails with ErrSessionEnded. c.GID is given here. before,
// unless nil, is a step of the same verb.
func (g *Grants) IssueCode(ctx context.Context, tn *tenant.Tenant, c Code, before func(*db.Tx) error) (string, error) {
	c.GID = id.UUID()
	code := c.GID + "." + id.Secret()
	issued := issuedCode{Code: c, hash: id.Hash(code)}
	args := func() []any {
		now := db.Time(db.Micros(g.clock.Now())) // as it is read again
		issued.ExpiresAt = now.Add(CodeLifetime)
		return []any{
			c.GID, c.ClientID, c.Auth.SID, c.UserID, c.Scope.String(), c.Audience, db.Micros(c.Auth.Time), joinAMR(c.Auth.AMR), c.Auth.ACR,
			issued.hash, c.RedirectURI, c.CodeChallenge, c.Nonce, db.Micros(issued.ExpiresAt), db.Micros(now),
		}
	}
	var written int64
	var err error
	if before == nil {
		written, err = tn.DB.ExecHeld(ctx, insertCode, args)
	} else {
		err = tn.DB.Write(ctx, func(tx *db.Tx) (err error) {
			if err = before(tx); err != nil {
				return err
			}
			if written, err = tx.ExecHeld(insertCode, args()...); err == nil && written == 0 {
				return ErrSessionEnded // which undoes the step
			}
			return err
		})
	}
	if err == nil && written == 0 {
		err = ErrSessionEnded
	}
	if err != nil {
		return "", fmt.Errorf("grants: write code: %w", err)
	}
	g.unspent.Put(tn.ID, c.GID, &issued)
	return code, nil
}

// ErrInvalidCode is returned for a code that is unknown, expired, spent, or presented by the wrong
// client or without what binds it. It never says which.
var ErrInvalidCode = errors.New("grants: invalid code")

// Redemption is what a client shows with a code.
type Redemption struct {
	Code     string
	ClientID string
	// Check is the pure judgement of the protocol on the code that was found (redirect URI,
	// PKCE …). An error burns the code.
	Check func(Code) error
	// Family, unless nil, says how a family is to begin for this code, or nil for none.
	Family func(Code) *NewFamily
	// Join returns a step of the verb for a code that is good, before the session it is from can end, or
	// nil. It may be nil itself.
	Join func(Code) func(*db.Tx) error
}

// Redeemed is a code that was just spent, and the refresh token that was born with it.
type Redeemed struct {
	Code
	RefreshToken string // empty unless a family was asked for
}

// Redeem spends a code and starts its family at once, before anything is minted. Of any number of
// callers one succeeds; every other, and everyone later, gets ErrInvalidCode, and since a code that
// comes twice has been stolen, all that came of it is revoked before they get it (RFC 6749 section
// 4.1.2). A code that fails its check is burnt.
func (g *Grants) Redeem(ctx context.Context, tn *tenant.Tenant, r Redemption) (*Redeemed, error) {
	c, err := g.issued(ctx, tn, r.Code)
	if err != nil {
		return nil, err
	}
	if c.spent {
		return nil, g.replayed(ctx, tn, c)
	}
	now := g.clock.Now()
	refused := ErrInvalidCode
	if c.ClientID == r.ClientID && now.Before(c.ExpiresAt) {
		refused = r.Check(c.Code)
	}
	var family *Family
	var join func(*db.Tx) error
	if refused == nil {
		if r.Family != nil {
			family = r.Family(c.Code).begin(c.Terms, g.seal.CurrentID(), now)
		}
		if r.Join != nil {
			join = r.Join(c.Code)
		}
	}
	g.unspent.Drop(tn.ID, c.GID)
	spent, err := g.spend(ctx, tn, c.GID, family, join, now)
	switch {
	case err != nil:
		return nil, fmt.Errorf("grants: spend code: %w", err)
	case !spent:
		return nil, g.replayed(ctx, tn, c)
	case refused != nil:
		return nil, refused
	}
	out := &Redeemed{Code: c.Code}
	if family != nil {
		out.RefreshToken, err = g.refreshToken(tn.ID, family.GID, family.Generation, family.KeyID)
	}
	return out, err
}

// issuedCode is the row of a code. Until the code is spent nothing in it changes.
type issuedCode struct {
	Code
	hash           []byte
	spent, revoked bool
}

// issued finds a code, spent or not, or fails with ErrInvalidCode. One that this node has issued it
// need not read: whether it is still there, and unspent, is decided when it is spent.
func (g *Grants) issued(ctx context.Context, tn *tenant.Tenant, code string) (*issuedCode, error) {
	gid, _, _ := strings.Cut(code, ".")
	if !id.IsUUID(gid) {
		return nil, ErrInvalidCode
	}
	c, known := g.unspent.Peek(tn.ID, gid)
	if !known {
		var err error
		if c, err = readCode(ctx, tn, gid); err != nil {
			return nil, err
		}
	}
	if subtle.ConstantTimeCompare(c.hash, id.Hash(code)) == 0 {
		return nil, ErrInvalidCode
	}
	return c, nil
}

func readCode(ctx context.Context, tn *tenant.Tenant, gid string) (*issuedCode, error) {
	var c issuedCode
	var scope, amr string
	var authTime, expires, spent, revoked int64
	err := tn.DB.QueryRow(ctx, selectCode, gid).Scan(
		&c.GID, &c.ClientID, &c.UserID, &c.Auth.SID, &scope, &c.Audience, &authTime, &amr, &c.Auth.ACR,
		&c.hash, &c.RedirectURI, &c.CodeChallenge, &c.Nonce, &expires, &spent, &revoked)
	if errors.Is(err, db.ErrNoRows) {
		return nil, ErrInvalidCode
	}
	if err != nil {
		return nil, fmt.Errorf("grants: read code: %w", err)
	}
	c.Scope, c.Auth.Time, c.Auth.AMR = oauth.Scope(strings.Fields(scope)), db.Time(authTime), splitAMR(amr)
	c.ExpiresAt, c.spent, c.revoked = db.Time(expires), spent != 0, revoked != 0
	return &c, nil
}

// spend marks a code as spent, and its grant as family, unless that is nil, and reports whether it was
// this caller who did. join, unless nil, is a step of the same verb.
func (g *Grants) spend(ctx context.Context, tn *tenant.Tenant, gid string, family *Family, join func(*db.Tx) error, now time.Time) (bool, error) {
	keep := now // for as long as a token of it can live, a replay of the code must find what to revoke
	if family == nil {
		family = &Family{}
	} else {
		keep = family.ExpiresAt
	}
	args := []any{
		gid, db.Micros(now), family.SessionBound, family.Generation, db.Micros(family.ReachedAt), family.KeyID,
		db.Micros(family.IdleExpiresAt), db.Micros(family.ExpiresAt), db.Micros(keep.Add(longestAccessToken)),
	}
	if join == nil {
		n, err := tn.DB.Exec(ctx, spendCode, func() []any { return args })
		return n == 1, err
	}
	spent := false
	err := tn.DB.Write(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(spendCode, args...)
		if spent = n == 1; !spent {
			return err
		}
		return join(tx)
	})
	return spent, err
}

// replayed takes back what came of a code that was spent before, and returns ErrInvalidCode. It is a verb
// of its own: the one that found the code spent may hold its row, which no revocation may begin with.
func (g *Grants) replayed(ctx context.Context, tn *tenant.Tenant, c *issuedCode) error {
	if c.revoked {
		return ErrInvalidCode // whoever goes on replaying a code writes nothing
	}
	err := g.revokeStolen(ctx, tn, c.GID, "code replayed", audit.Event{
		Type: audit.CodeReplayed, At: g.clock.Now(), Actor: c.ClientID, UserID: c.UserID, ClientID: c.ClientID,
		Detail: map[string]any{"gid": c.GID},
	})
	if err != nil {
		return err
	}
	return ErrInvalidCode
}

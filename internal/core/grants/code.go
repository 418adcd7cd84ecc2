package grants

import (
	"context"
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
	insertCode = `INSERT INTO codes (tenant_id, code_hash, gid, client_id, user_id, sid, redirect_uri, code_challenge, nonce,
			scope, audience, auth_time, amr, acr, created_at, expires_at, spent_at, keep_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0, $17)`
	// The row stays for as long as it was to be kept unspent: that is beyond any token made of it.
	spendCode = `UPDATE codes SET spent_at = $3 WHERE tenant_id = $1 AND code_hash = $2 AND spent_at = 0
		RETURNING gid, client_id, user_id, sid, redirect_uri, code_challenge, nonce, scope, audience, auth_time, amr, acr, expires_at, keep_until`
	selectSpentCode     = `SELECT gid, client_id, user_id FROM codes WHERE tenant_id = $1 AND code_hash = $2`
	selectSession       = `SELECT 1 FROM sessions WHERE tenant_id = $1 AND sid = $2 AND user_id = $3`
	keepCode            = `UPDATE codes SET keep_until = $3 WHERE tenant_id = $1 AND code_hash = $2`
	systemDeleteOldCode = `DELETE FROM codes WHERE (tenant_id, code_hash) IN (SELECT tenant_id, code_hash FROM codes WHERE keep_until < $1 LIMIT $2)`
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

// IssueCode stores a new code inside tx and returns it, or fails with ErrSessionEnded. c.GID is
// given here. family is what will be started for it, or nil for none: a replay of the code must find
// it for as long as it can live, and where that is known from the start redeeming writes no more.
func (g *Grants) IssueCode(tx *db.Tx, c Code, family *NewFamily) (string, error) {
	code, now := id.Secret(), g.clock.Now()
	expires := now.Add(CodeLifetime)
	// The session must not end before the code is there to be burnt with it.
	if err := g.HoldSession(tx, c.Auth.SID, c.UserID); err != nil {
		return "", err
	}
	keep := expires.Add(longestAccessToken)
	if family != nil {
		keep = keep.Add(family.Policy.Lifetime)
	}
	_, err := tx.Exec(insertCode, id.Hash(code), id.UUID(), c.ClientID, c.UserID, c.Auth.SID, c.RedirectURI, c.CodeChallenge, c.Nonce,
		c.Scope.String(), c.Audience, db.Micros(c.Auth.Time), joinAMR(c.Auth.AMR), c.Auth.ACR,
		db.Micros(now), db.Micros(expires), db.Micros(keep))
	if err != nil {
		return "", fmt.Errorf("grants: write code: %w", err)
	}
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
	// Family, unless nil, says which refresh policy a family is to be started with for this
	// code, or nil for none.
	Family func(Code) *NewFamily
	// Join, unless nil, is a step of the verb for a code that is good, before the session it is from can end.
	Join func(*db.Tx, Code) error
}

// Redeemed is a code that was just spent, and the refresh token that was born with it.
type Redeemed struct {
	Code
	RefreshToken string // empty unless a family was asked for
}

// Redeem spends a code and starts its family in one transaction, before anything is minted. Of any
// number of callers one succeeds; every other, and everyone later, gets ErrInvalidCode, and since
// a code that comes twice has been stolen, all that came of it is revoked before they get it (RFC
// 6749 section 4.1.2). A code that fails its check is burnt.
func (g *Grants) Redeem(ctx context.Context, tn *tenant.Tenant, r Redemption) (*Redeemed, error) {
	out, err := g.redeem(ctx, tn, r)
	if !errors.Is(err, errSpent) {
		return out, err
	}
	// A thief must not get away by hanging up.
	if err := g.replayed(context.WithoutCancel(ctx), tn, id.Hash(r.Code)); err != nil {
		return nil, err
	}
	return nil, ErrInvalidCode
}

// errSpent is the answer for a code that was spent before, or never was.
var errSpent = errors.New("grants: no such unspent code")

func (g *Grants) redeem(ctx context.Context, tn *tenant.Tenant, r Redemption) (*Redeemed, error) {
	var out *Redeemed
	var refused error
	err := tn.DB.Write(ctx, func(tx *db.Tx) (err error) {
		out, refused = nil, nil
		now := g.clock.Now()
		c, keptUntil, err := g.spend(tx, id.Hash(r.Code), now)
		if errors.Is(err, db.ErrNoRows) {
			return errSpent
		}
		if err != nil {
			return fmt.Errorf("grants: spend code: %w", err)
		}
		if c.ClientID != r.ClientID || !now.Before(c.ExpiresAt) {
			refused = ErrInvalidCode
			return nil
		}
		if refused = r.Check(c); refused != nil {
			return nil
		}
		out = &Redeemed{Code: c}
		if r.Join != nil {
			if err := r.Join(tx, c); err != nil {
				return err
			}
		}
		if r.Family == nil {
			return nil
		}
		f := r.Family(c)
		if f == nil {
			return nil
		}
		if out.RefreshToken, err = g.startFamily(tx, c.Terms, *f, now); err != nil {
			return err
		}
		// For as long as the family can live, a replay of the code must find it.
		if keep := now.Add(f.Policy.Lifetime + longestAccessToken); keep.After(keptUntil) {
			_, err = tx.Exec(keepCode, id.Hash(r.Code), db.Micros(keep))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, refused
}

func (g *Grants) spend(tx *db.Tx, hash []byte, now time.Time) (c Code, keptUntil time.Time, err error) {
	var scope, amr string
	var authTime, expires, keep int64
	err = tx.QueryRow(spendCode, hash, db.Micros(now)).Scan(
		&c.GID, &c.ClientID, &c.UserID, &c.Auth.SID, &c.RedirectURI, &c.CodeChallenge, &c.Nonce, &scope, &c.Audience,
		&authTime, &amr, &c.Auth.ACR, &expires, &keep)
	c.Scope, c.Auth.Time, c.Auth.AMR = oauth.Scope(strings.Fields(scope)), db.Time(authTime), splitAMR(amr)
	c.ExpiresAt = db.Time(expires)
	return c, db.Time(keep), err
}

// replayed takes back what came of a code that was spent before. It is a verb of its own: the one
// that found the code spent may hold its row, which no revocation may begin with. Once is enough:
// whoever goes on replaying a code writes nothing.
func (g *Grants) replayed(ctx context.Context, tn *tenant.Tenant, hash []byte) error {
	var gid, clientID, userID string
	err := tn.DB.QueryRow(ctx, selectSpentCode, hash).Scan(&gid, &clientID, &userID)
	if errors.Is(err, db.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("grants: read spent code: %w", err)
	}
	if dead, _ := g.rules.matches(tn.ID, Marks{GrantID: gid}); dead {
		return nil
	}
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		if err := g.RevokeGrant(tx, gid, "code replayed"); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{
			Type: audit.CodeReplayed, At: g.clock.Now(), Actor: clientID, UserID: userID, ClientID: clientID,
			Detail: map[string]any{"gid": gid},
		})
	})
}

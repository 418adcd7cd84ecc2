package grants

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Refresh tokens are computed, not stored. A token names its family and its generation and proves
// both by a MAC under a key derived from a master key; the grant's one row says which generation
// is current and since when. So nobody who reads the database can make a token, no row grows with
// use, and a forged token costs no query.

// NewFamily is how a family begins.
type NewFamily struct {
	Policy apps.RefreshPolicy
	// SessionBound families end when their session is signed out.
	SessionBound bool
}

// Family is the state of a refresh token family.
type Family struct {
	Terms
	SessionBound  bool
	Generation    int64
	ReachedAt     time.Time // when the current generation was reached
	KeyID         string    // the master key of the current generation
	IdleExpiresAt time.Time
	ExpiresAt     time.Time
	RevokedAt     time.Time // zero while it lives
}

// Presented is a refresh token whose MAC was right: it was made by this house for this tenant.
type Presented struct {
	GID        string
	Generation int64
}

// ErrInvalidRefreshToken is returned for a token that is forged, unknown, expired, revoked, used
// before, or another client's. It never says which.
var ErrInvalidRefreshToken = errors.New("grants: invalid refresh token")

// ErrRefreshTokenReused is the ErrInvalidRefreshToken of a token that was used before, whose family is
// revoked for it. The application's developer may know; who presents the token does not.
var ErrRefreshTokenReused = fmt.Errorf("%w: used before", ErrInvalidRefreshToken)

const (
	// A family that begins without a code.
	insertFamily = insertGrant + `VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '', '', '', 0, $14, $12, $13, $14, $15, $16, $17, 0, '', $14, $18)`
	selectFamily = `SELECT gid, client_id, user_id, sid, session_bound, scope, audience, auth_time, amr, acr,
			generation, reached_at, key_id, idle_expires_at, expires_at, revoked_at
		FROM grants WHERE tenant_id = $1 AND gid = $2 AND generation > 0`
	rotateFamily = `UPDATE grants SET generation = generation + 1, reached_at = $4, key_id = $5, idle_expires_at = $6
		WHERE tenant_id = $1 AND gid = $2 AND generation = $3 AND revoked_at = 0 AND idle_expires_at > $4 AND expires_at > $4`
)

// begin returns a family at generation 1, or nil for nil.
func (n *NewFamily) begin(t Terms, keyID string, now time.Time) *Family {
	if n == nil {
		return nil
	}
	expires := now.Add(n.Policy.Lifetime)
	return &Family{
		Terms: t, SessionBound: n.SessionBound,
		Generation: 1, ReachedAt: now, KeyID: keyID,
		IdleExpiresAt: earliest(now.Add(n.Policy.Idle), expires), ExpiresAt: expires,
	}
}

// insertFamily writes, inside tx, a family that begins without a code.
func (g *Grants) insertFamily(tx *db.Tx, f *Family) error {
	_, err := tx.Exec(insertFamily, f.GID, f.ClientID, f.UserID, f.Auth.SID, f.Scope.String(), f.Audience,
		db.Micros(f.Auth.Time), joinAMR(f.Auth.AMR), f.Auth.ACR, []byte{}, f.SessionBound,
		f.Generation, db.Micros(f.ReachedAt), f.KeyID, db.Micros(f.IdleExpiresAt), db.Micros(f.ExpiresAt), db.Micros(f.ExpiresAt.Add(longestAccessToken)))
	if err != nil {
		return fmt.Errorf("grants: write family: %w", err)
	}
	return nil
}

// refreshToken computes the token of a generation.
func (g *Grants) refreshToken(tenantID, gid string, generation int64, keyID string) (string, error) {
	mac, err := g.seal.MAC("refresh token", keyID, refreshMessage(tenantID, gid, generation))
	if err != nil {
		return "", fmt.Errorf("grants: compute refresh token: %w", err)
	}
	return gid + "." + strconv.FormatInt(generation, 36) + "." + base64.RawURLEncoding.EncodeToString(mac), nil
}

func refreshMessage(tenantID, gid string, generation int64) []byte {
	return []byte(tenantID + "\x00" + gid + "\x00" + strconv.FormatInt(generation, 36))
}

// ParseRefreshToken checks a token's MAC and returns what it names, or ErrInvalidRefreshToken. It
// asks no database.
func (g *Grants) ParseRefreshToken(tn *tenant.Tenant, token string) (Presented, error) {
	gid, rest, _ := strings.Cut(token, ".")
	number, _, _ := strings.Cut(rest, ".")
	if len(gid) != 36 || len(number) > 13 { // a JWT, most likely; 13 digits hold any generation
		return Presented{}, ErrInvalidRefreshToken
	}
	generation, err := strconv.ParseInt(number, 36, 64)
	if err != nil || generation < 1 {
		return Presented{}, ErrInvalidRefreshToken
	}
	for _, keyID := range g.seal.IDs() {
		// The whole text is compared, so a token has one spelling.
		made, err := g.refreshToken(tn.ID, gid, generation, keyID)
		if err == nil && hmac.Equal([]byte(token), []byte(made)) {
			return Presented{GID: gid, Generation: generation}, nil
		}
	}
	return Presented{}, ErrInvalidRefreshToken
}

// Family reads the state of a family, or fails with ErrInvalidRefreshToken.
func (g *Grants) Family(ctx context.Context, tn *tenant.Tenant, gid string) (*Family, error) {
	f, err := scanFamily(tn.DB.QueryRow(ctx, selectFamily, gid))
	if errors.Is(err, db.ErrNoRows) {
		return nil, ErrInvalidRefreshToken
	}
	if err != nil {
		return nil, fmt.Errorf("grants: read family: %w", err)
	}
	return f, nil
}

// verdict is what is to be done with a presented refresh token.
type verdict int

const (
	refuse verdict = iota // invalid, and nothing follows
	rotate                // it is the current one: count up
	repeat                // its successor is fresh: hand out the same one again
	reuse                 // it was used before: the family must die
)

// judge is the rule of rotation. Inside the overlap, counted from the commit of the rotation, the
// predecessor of the current generation stands for it: tabs that refresh together and clients
// whose reply was lost get the same successor. Everything older has been stolen from someone, so
// it ends the family whether or not the token or the family would have expired by itself.
func judge(f *Family, p Presented, clientID string, overlap time.Duration, now time.Time) verdict {
	switch {
	case f.ClientID != clientID:
		return refuse // another client's token proves nothing against this family
	case !f.RevokedAt.IsZero():
		return refuse
	case p.Generation > f.Generation:
		return reuse // the row is older than the token: a restored backup; fail safe
	case p.Generation < f.Generation-1:
		return reuse
	case p.Generation == f.Generation-1 && now.After(f.ReachedAt.Add(overlap)):
		return reuse
	case !now.Before(f.ExpiresAt) || !now.Before(f.IdleExpiresAt):
		return refuse
	case p.Generation == f.Generation-1:
		return repeat
	default:
		return rotate
	}
}

// Refreshed is the outcome of a refresh: the family after it and its current token.
type Refreshed struct {
	Family       *Family
	RefreshToken string
}

// Refresh spends a presented refresh token of a client and returns the family with its current
// token, or ErrInvalidRefreshToken. allow is asked before anything is spent: an error from it (the
// user is blocked, the scope is wider than the family's) leaves the token as it is.
//
// One caller counts the family up, in one statement; callers that come inside the overlap get the
// same successor, computed anew, on any node and after any restart, and write nothing.
func (g *Grants) Refresh(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p Presented, allow func(*Family) error) (*Refreshed, error) {
	policy := client.Refresh(tn)
	for range 3 { // a lost race is judged anew, and then is a repeat
		f, err := g.Family(ctx, tn, p.GID)
		if err != nil {
			return nil, err
		}
		now := g.clock.Now()
		switch judge(f, p, client.ClientID, policy.Overlap, now) {
		case refuse:
			return nil, ErrInvalidRefreshToken
		case reuse:
			err := g.revokeStolen(ctx, tn, f.GID, "refresh token reused", audit.Event{
				Type: audit.RefreshTokenReused, At: now, Actor: f.ClientID, UserID: f.UserID, ClientID: f.ClientID,
				Detail: map[string]any{"gid": f.GID, "presented": p.Generation, "current": f.Generation},
			})
			if err != nil {
				return nil, err
			}
			return nil, ErrRefreshTokenReused
		case repeat:
			if err := allow(f); err != nil {
				return nil, err
			}
			token, err := g.refreshToken(tn.ID, f.GID, f.Generation, f.KeyID)
			return &Refreshed{f, token}, err
		case rotate:
			if err := allow(f); err != nil {
				return nil, err
			}
			rotated, err := g.rotate(ctx, tn, f, policy)
			if err != nil {
				return nil, err
			}
			if rotated {
				token, err := g.refreshToken(tn.ID, f.GID, f.Generation, f.KeyID)
				return &Refreshed{f, token}, err
			}
		}
	}
	return nil, ErrInvalidRefreshToken
}

// rotate counts the family up if nobody else has, and reports whether it did. f then is the new
// state.
func (g *Grants) rotate(ctx context.Context, tn *tenant.Tenant, f *Family, policy apps.RefreshPolicy) (bool, error) {
	var now time.Time
	keyID := g.seal.CurrentID()
	n, err := tn.DB.Exec(ctx, rotateFamily, func() []any {
		now = g.clock.Now() // the overlap begins here, not when the request arrived
		idle := earliest(now.Add(policy.Idle), f.ExpiresAt)
		return []any{f.GID, f.Generation, db.Micros(now), keyID, db.Micros(idle)}
	})
	if err != nil {
		return false, fmt.Errorf("grants: rotate: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	f.Generation, f.ReachedAt, f.KeyID = f.Generation+1, now, keyID
	return true, nil
}

func scanFamily(row *db.Row) (*Family, error) {
	var f Family
	var scope, amr string
	var authTime, reachedAt, idle, expires, revoked int64
	err := row.Scan(&f.GID, &f.ClientID, &f.UserID, &f.Auth.SID, &f.SessionBound, &scope, &f.Audience, &authTime, &amr, &f.Auth.ACR,
		&f.Generation, &reachedAt, &f.KeyID, &idle, &expires, &revoked)
	if err != nil {
		return nil, err
	}
	f.Scope, f.Auth.Time, f.Auth.AMR = oauth.Scope(strings.Fields(scope)), db.Time(authTime), splitAMR(amr)
	f.ReachedAt, f.IdleExpiresAt, f.ExpiresAt, f.RevokedAt = db.Time(reachedAt), db.Time(idle), db.Time(expires), db.Time(revoked)
	return &f, nil
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Usable reports whether a refresh with the presented token by this client would succeed now.
func (f *Family) Usable(p Presented, clientID string, overlap time.Duration, now time.Time) bool {
	v := judge(f, p, clientID, overlap, now)
	return v == rotate || v == repeat
}

package guard

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// Kind tells a person from a program.
type Kind string

const (
	// User is a person, whichever application speaks for them.
	User Kind = "user"
	// Client is an application that speaks for itself: a client-credentials
	// token, a machine's API key.
	Client Kind = "client"
)

// Principal is who sent a request, as far as a scheme could establish it. A
// field a credential says nothing about is empty.
//
// What a scheme names may be shared by several requests: treat it as read-only. A
// handler gets a copy of its own; what it changes there is seen by who asks From
// after it in the same request, and by no guard.
type Principal struct {
	// Kind says whether Subject names a person or an application. Ask it before
	// looking Subject up among users: an application must never pass for a
	// person whose identifier it resembles.
	Kind Kind
	// Subject identifies the principal at Issuer, and nowhere else: the pair of
	// both is the key to store.
	Subject string
	// Issuer is who vouches for Subject: an OpenID provider's issuer, or empty
	// for an application that keeps its own users.
	Issuer string
	// ClientID is the application the credential was issued to.
	ClientID string

	// Method is the scheme's name: "bearer", "oidc", …
	Method string
	// AMR lists how the person proved who they are (RFC 8176).
	AMR []string
	// ACR is the authentication context class reached.
	ACR string
	// AuthTime is when the person last proved it; zero if not known.
	AuthTime time.Time

	// Scopes is what the credential was granted (RFC 6749 §3.3).
	Scopes []string
	// Permissions is what the principal may do at this API, where the issuer
	// says so beside the scopes.
	Permissions []string
	// Roles are the names of the principal's roles, where the issuer or the
	// application's own records say so.
	Roles []string
	// Organization is the organisation the principal acts in.
	Organization string

	// SessionID, GrantID and TokenID are the issuer's sid, gid and jti.
	SessionID, GrantID, TokenID string
	// KeyID is the kid of the key that signed the credential, if one did.
	KeyID string
	// Confirmation is the key whose possession the sender has proved along with
	// the credential (RFC 7800); zero if the credential is good in any hand.
	Confirmation Confirmation
	// IssuedAt is when the credential was issued; zero if not known.
	IssuedAt time.Time
	// Expiry is when the credential ends; zero if it does not.
	Expiry time.Time

	// Also holds the principals that the other schemes of an AllOf named.
	Also []*Principal

	// Claims is the JSON object of claims behind the credential, nil if there is
	// none. [Principal.DecodeClaims] reads it.
	Claims json.RawMessage

	// Credential is the scheme's own view of what was presented: the session of
	// package oidclogin, for example. Its package says what it is.
	Credential any
}

// Confirmation names the key a credential is bound to. A scheme sets it only
// after it has seen the proof.
type Confirmation struct {
	// JKT is the SHA-256 thumbprint of a DPoP key (RFC 9449 §6.1), base64url.
	JKT string
	// X5T is the SHA-256 thumbprint of a client certificate (RFC 8705 §3.1),
	// base64url.
	X5T string
}

// IsUser reports whether the principal is a person.
func (p *Principal) IsUser() bool { return p.Kind == User }

// IsClient reports whether the principal is an application speaking for itself.
func (p *Principal) IsClient() bool { return p.Kind == Client }

// HasScope reports whether the credential was granted scope.
func (p *Principal) HasScope(scope string) bool { return slices.Contains(p.Scopes, scope) }

// HasPermission reports whether the principal holds permission.
func (p *Principal) HasPermission(permission string) bool {
	return slices.Contains(p.Permissions, permission)
}

// HasRole reports whether the principal has role.
func (p *Principal) HasRole(role string) bool { return slices.Contains(p.Roles, role) }

// DecodeClaims reads the claims into v, a pointer to a struct or map. Claims
// are strict JSON: a duplicate member is an error, and names match by case.
func (p *Principal) DecodeClaims(v any) error {
	if p.Claims == nil {
		return fmt.Errorf("guard: a principal by %q carries no claims", p.Method)
	}
	if err := jose.Decode(p.Claims, v); err != nil {
		return fmt.Errorf("guard: claims: %w", err)
	}
	return nil
}

// LogValue names the principal in a log without what it showed: neither the
// credential nor the claims, which may hold personal data.
func (p *Principal) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("kind", string(p.Kind)),
		slog.String("subject", p.Subject),
		slog.String("issuer", p.Issuer),
		slog.String("client_id", p.ClientID),
		slog.String("method", p.Method),
	)
}

// principalKey is unexported and so is its only writer: nothing outside this
// package can put a Principal into a context where From finds it.
type principalKey struct{}

// From returns the principal that Require or Optional established for the
// request whose context this is. Behind Require it is always there; behind
// Optional false means an anonymous caller.
func From(ctx context.Context) (*Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(*Principal)
	return p, ok
}

// withPrincipal puts a copy of p into a context, to whose lists something can be
// added: the scheme may have named the same Principal to others.
func withPrincipal(ctx context.Context, p *Principal) context.Context {
	c := &named{ctx, *p}
	for _, list := range [...]*[]string{&c.who.AMR, &c.who.Scopes, &c.who.Permissions, &c.who.Roles} {
		*list = slices.Clip(*list)
	}
	c.who.Also = slices.Clip(c.who.Also)
	return c
}

// named is a context and the principal in it, in one piece.
type named struct {
	context.Context
	who Principal
}

// Value implements context.Context.
func (c *named) Value(key any) any {
	if _, is := key.(principalKey); is {
		return &c.who
	}
	return c.Context.Value(key)
}

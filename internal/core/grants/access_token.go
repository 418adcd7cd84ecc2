package grants

import (
	"context"
	"errors"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// AccessTokens judges access tokens of our own as they come back to the house. Every face that
// honours them asks here. All fields are required.
type AccessTokens struct {
	Clock  clock.Clock
	Keys   *keys.Keys
	Apps   *apps.Apps
	Grants *Grants
}

// Check returns the claims of a token whose signature and claims are right, that is for one of the
// audiences, that no rule has taken back, and whose client still exists and is not disabled. Every
// refusal is an [oauth.Error] with code invalid_token; any other error is ours. Whether the user it
// speaks of is still there, the caller asks where it reads the user.
func (a AccessTokens) Check(ctx context.Context, tn *tenant.Tenant, token string, audience ...string) (*oauth.AccessTokenClaims, error) {
	return a.check(ctx, tn, token, oauth.AccessTokenRules{Audience: audience})
}

// CheckForAny is Check for a token that may be for any audience, where that is judged afterwards or
// does not matter.
func (a AccessTokens) CheckForAny(ctx context.Context, tn *tenant.Tenant, token string) (*oauth.AccessTokenClaims, error) {
	return a.check(ctx, tn, token, oauth.AccessTokenRules{AnyAudience: true})
}

// check completes rules that say which audience is wanted.
func (a AccessTokens) check(ctx context.Context, tn *tenant.Tenant, token string, rules oauth.AccessTokenRules) (*oauth.AccessTokenClaims, error) {
	ring, err := a.Keys.Ring(ctx, tn)
	if err != nil {
		return nil, err
	}
	rules.Issuer, rules.Dialect, rules.Now, rules.Memory = tn.Issuer, oauth.DialectAny, a.Clock.Now(), a.Grants.checked
	rules.Algs = []jose.Alg{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
	signedWith := ""
	lookup := func(kid string, alg jose.Alg) (jose.Key, bool) {
		signedWith = kid
		return ring.Lookup(kid, alg)
	}
	verified, err := oauth.VerifyAccessToken(token, rules, lookup)
	if errors.Is(err, oauth.ErrNotYetValid) { // made by a node whose clock is ahead; no token lives longer for it
		rules.Now = rules.Now.Add(leeway)
		verified, err = oauth.VerifyAccessToken(token, rules, lookup)
	}
	if err != nil {
		return nil, err
	}
	claims := verified.Claims()
	revoked, err := a.Grants.Revoked(ctx, tn, marksOf(claims, signedWith))
	if err != nil {
		return nil, err
	}
	if revoked {
		return nil, oauth.NewError(oauth.InvalidToken, "The access token was revoked.")
	}
	client, err := a.Apps.Client(ctx, tn, claims.Client())
	if fault.Is(err, fault.NotFound) || err == nil && client.Disabled {
		return nil, oauth.NewError(oauth.InvalidToken, "The client of the access token was disabled.")
	}
	if err != nil {
		return nil, err
	}
	return claims, nil
}

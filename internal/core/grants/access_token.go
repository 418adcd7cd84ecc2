package grants

import (
	"context"

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
	ring, err := a.Keys.Ring(ctx, tn)
	if err != nil {
		return nil, err
	}
	header, err := jose.Peek(token)
	if err != nil {
		return nil, oauth.NewError(oauth.InvalidToken, "The access token is invalid.").WithCause(err)
	}
	rules := oauth.AccessTokenRules{
		Issuer: tn.Issuer, Audience: audience, Dialect: oauth.DialectRFC9068,
		Algs: []jose.Alg{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}, Now: a.Clock.Now(), Leeway: 0,
		Memory: a.Grants.checked,
	}
	if header.Type == oauth.TypeJWT {
		rules.Dialect = oauth.DialectAuth0
	}
	verified, err := oauth.VerifyAccessToken(token, rules, ring.Lookup)
	if err != nil {
		return nil, err
	}
	claims := verified.Claims()
	revoked, err := a.Grants.Revoked(ctx, tn, claims.SessionID, claims.GrantID, claims.ID)
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

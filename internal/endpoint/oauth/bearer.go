package oauth

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// accessToken checks an access token of our own: signature, claims, one of the audiences, that no
// rule has taken it back, and that its client still exists and is not disabled. Every refusal is
// invalid_token.
func (s *Server) accessToken(ctx context.Context, tn *tenant.Tenant, token string, audience ...string) (*oauth.AccessTokenClaims, error) {
	ring, err := s.Keys.Ring(ctx, tn)
	if err != nil {
		return nil, err
	}
	header, err := jose.Peek(token)
	if err != nil {
		return nil, oauth.NewError(oauth.InvalidToken, "The access token is invalid.").WithCause(err)
	}
	rules := oauth.AccessTokenRules{
		Issuer: tn.Issuer, Audience: audience, Dialect: oauth.DialectRFC9068,
		Algs: []jose.Alg{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}, Now: s.now(), Leeway: 0,
	}
	if header.Type == oauth.TypeJWT {
		rules.Dialect = oauth.DialectAuth0
	}
	verified, err := oauth.VerifyAccessToken(token, rules, ring.Lookup)
	if err != nil {
		return nil, err
	}
	claims := verified.Claims()
	revoked, err := s.Grants.Revoked(ctx, tn, claims.SessionID, claims.GrantID, claims.ID)
	if err != nil {
		return nil, err
	}
	if revoked {
		return nil, oauth.NewError(oauth.InvalidToken, "The access token was revoked.")
	}
	client, err := s.Apps.Client(ctx, tn, claims.Client())
	if fault.Is(err, fault.NotFound) || err == nil && client.Disabled {
		return nil, oauth.NewError(oauth.InvalidToken, "The client of the access token was disabled.")
	}
	if err != nil {
		return nil, err
	}
	return claims, nil
}

// claimedAudience reads, without trusting it, the audience a token claims, so that a token for any
// of our APIs can be checked where it does not matter which. Nil when there is none to read.
func claimedAudience(token string) []string {
	_, rest, _ := strings.Cut(token, ".")
	encoded, _, _ := strings.Cut(rest, ".")
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return nil
	}
	object, err := jose.ParseObject(string(payload))
	if err != nil {
		return nil
	}
	audience, err := object.Get("aud").Audience()
	if err != nil {
		return nil
	}
	return audience
}

// verifyHint checks an ID token that comes back to us. Its time may be over.
func (s *Server) verifyHint(ctx context.Context, tn *tenant.Tenant, token, clientID string) (*oidc.IDTokenClaims, error) {
	ring, err := s.Keys.Ring(ctx, tn)
	if err != nil {
		return nil, err
	}
	hint, err := oidc.VerifyIDTokenHint(token, oidc.HintRules{
		Issuer: tn.Issuer, ClientID: clientID, Algs: []jose.Alg{jose.RS256},
	}, ring.Lookup)
	if err != nil {
		return nil, fmt.Errorf("id_token_hint: %w", err)
	}
	return hint.Claims(), nil
}

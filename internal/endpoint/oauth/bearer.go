package oauth

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// accessToken checks an access token of our own that is for one of the audiences.
func (s *Server) accessToken(ctx context.Context, tn *tenant.Tenant, token string, audience ...string) (*oauth.AccessTokenClaims, error) {
	return grants.AccessTokens{Clock: s.Clock, Keys: s.Keys, Apps: s.Apps, Grants: s.Grants}.Check(ctx, tn, token, audience...)
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

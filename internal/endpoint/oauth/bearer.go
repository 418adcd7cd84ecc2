package oauth

import (
	"context"
	"fmt"

	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// accessToken checks an access token of our own that is for one of the audiences.
func (s *Server) accessToken(ctx context.Context, tn *tenant.Tenant, token string, audience ...string) (*oauth.AccessTokenClaims, error) {
	return s.accessTokens().Check(ctx, tn, token, audience...)
}

// anyAccessToken is accessToken where it does not matter for which audience, or is judged after.
func (s *Server) anyAccessToken(ctx context.Context, tn *tenant.Tenant, token string) (*oauth.AccessTokenClaims, error) {
	return s.accessTokens().CheckForAny(ctx, tn, token)
}

func (s *Server) accessTokens() grants.AccessTokens {
	return grants.AccessTokens{Clock: s.Clock, Keys: s.Keys, Apps: s.Apps, Grants: s.Grants}
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

package oauth

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// introspection is the answer of the introspection endpoint (RFC 7662 section 2.2). An inactive
// token is answered by active=false and nothing else.
type introspection struct {
	Active      bool             `json:"active"`
	Scope       string           `json:"scope,omitempty"`
	ClientID    string           `json:"client_id,omitempty"`
	TokenType   string           `json:"token_type,omitempty"`
	Expiry      jose.NumericDate `json:"exp,omitempty"`
	IssuedAt    jose.NumericDate `json:"iat,omitempty"`
	Subject     string           `json:"sub,omitempty"`
	Audience    jose.Audience    `json:"aud,omitempty"`
	Issuer      string           `json:"iss,omitempty"`
	ID          string           `json:"jti,omitempty"`
	Permissions []string         `json:"permissions,omitempty"`
	SessionID   string           `json:"sid,omitempty"`
	GrantID     string           `json:"gid,omitempty"`
	AuthTime    jose.NumericDate `json:"auth_time,omitempty"`
	ACR         string           `json:"acr,omitempty"`
	AMR         []string         `json:"amr,omitempty"`
	keyIntrospection
}

// Introspect is the introspection endpoint. Only a client that keeps a secret may ask, and only
// about its own tokens and those for an API that it speaks for.
func (s *Server) Introspect(w http.ResponseWriter, r *http.Request) {
	s.answerClient(w, r, func(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params) (any, error) {
		switch {
		case !client.Confidential():
			return nil, oauth.NewError(oauth.InvalidClient, "Only a client that keeps a secret may introspect.")
		case !p.Has("token"):
			return nil, errNoToken()
		case apikey.Looks(p.Get("token")):
			return s.introspectAPIKey(ctx, tn, client, p)
		}
		return s.introspect(ctx, tn, client, p.Get("token"))
	})
}

func (s *Server) introspect(ctx context.Context, tn *tenant.Tenant, caller *apps.Client, token string) (introspection, error) {
	if presented, err := s.Grants.ParseRefreshToken(tn, token); err == nil {
		return s.introspectRefreshToken(ctx, tn, caller, presented)
	}
	claims, err := s.anyAccessToken(ctx, tn, token)
	if oauth.CodeOf(err) == oauth.InvalidToken {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	may, err := s.mayIntrospect(ctx, tn, caller, claims)
	if err != nil || !may {
		return introspection{}, err
	}
	if dead, err := s.userIsGone(ctx, tn, claims); err != nil || dead {
		return introspection{}, err
	}
	return introspection{
		Active: true, Scope: claims.Scope, ClientID: claims.Client(), TokenType: "Bearer", Expiry: claims.Expiry, IssuedAt: claims.IssuedAt,
		Subject: claims.Subject, Audience: claims.Audience, Issuer: claims.Issuer, ID: claims.ID, Permissions: claims.Permissions,
		SessionID: claims.SessionID, GrantID: claims.GrantID, AuthTime: claims.AuthTime, ACR: claims.ACR, AMR: claims.AMR,
	}, nil
}

// mayIntrospect: the client the token was issued to, or one that an API it is for authenticates as.
func (s *Server) mayIntrospect(ctx context.Context, tn *tenant.Tenant, caller *apps.Client, claims *oauth.AccessTokenClaims) (bool, error) {
	if claims.Client() == caller.ClientID {
		return true, nil
	}
	for _, audience := range claims.Audience {
		api, err := s.Apps.API(ctx, tn, audience)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		if slices.Contains(api.IntrospectionClients, caller.ClientID) {
			return true, nil
		}
	}
	return false, nil
}

// userIsGone: the user of a token was deleted or blocked.
func (s *Server) userIsGone(ctx context.Context, tn *tenant.Tenant, claims *oauth.AccessTokenClaims) (bool, error) {
	if claims.IsClient() {
		return false, nil
	}
	_, err := s.livingUser(ctx, tn, claims.Subject)
	if oauth.CodeOf(err) == oauth.InvalidGrant {
		return true, nil
	}
	return false, err
}

func (s *Server) introspectRefreshToken(ctx context.Context, tn *tenant.Tenant, caller *apps.Client, presented grants.Presented) (introspection, error) {
	f, err := s.Grants.Family(ctx, tn, presented.GID)
	if errors.Is(err, grants.ErrInvalidRefreshToken) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	if !f.Usable(presented, caller.ClientID, caller.Refresh(tn).Overlap, s.now()) {
		return introspection{}, nil
	}
	return introspection{
		Active: true, Scope: f.Scope.String(), ClientID: f.ClientID, Subject: f.UserID, Issuer: tn.Issuer,
		Expiry: jose.Date(f.IdleExpiresAt), GrantID: f.GID,
	}, nil
}

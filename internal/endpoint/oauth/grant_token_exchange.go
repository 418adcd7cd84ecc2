package oauth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// errExchange is what every key gets that is not good, for whatever reason.
func errExchange(cause error) *oauth.Error {
	return oauth.NewError(oauth.InvalidRequest, "The subject_token is not a good API key.").WithCause(cause)
}

// exchangeFor is [Server.grantTokenExchange] for who sent r: a key may be bound to networks.
func (s *Server) exchangeFor(r *http.Request) grant {
	return func(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params) (*tokenResponse, error) {
		return s.grantTokenExchange(ctx, tn, client, p, access.Shown{Addr: httpx.ClientAddr(r), UserAgent: r.UserAgent(), To: client.ClientID})
	}
}

// grantTokenExchange gives a short-lived access token for an API key (RFC 8693). It writes nothing:
// the token carries the gid of the key, and a rule on that ends every token of the key at once.
func (s *Server) grantTokenExchange(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params, from access.Shown) (*tokenResponse, error) {
	x, err := oauth.ParseTokenExchange(p, oauth.TokenTypeAPIKey)
	if err != nil {
		return nil, err
	}
	key, err := s.APIKeys.Check(ctx, tn, x.SubjectToken, from)
	if errors.Is(err, access.ErrAPIKey) {
		return nil, errExchange(err)
	}
	if err != nil {
		return nil, err
	}
	if err := mayExchange(client, key); err != nil {
		return nil, err
	}
	if x.Audience != "" && x.Audience != key.Audience {
		return nil, oauth.NewError(oauth.InvalidTarget, "The API key is for another audience.")
	}
	scope := key.Scope
	if x.Scope != nil {
		if !scope.Covers(x.Scope) {
			return nil, oauth.NewError(oauth.InvalidScope, "The scope is wider than the API key's.")
		}
		scope = x.Scope
	}
	return s.mintKeyToken(ctx, tn, client, key, scope)
}

// mayExchange: what a token can not say of the key it came from must not be lost by the exchange.
func mayExchange(client *apps.Client, key *access.LiveKey) error {
	switch {
	case key.ClientID != "" && key.ClientID != client.ClientID:
		return errExchange(errors.New("the key belongs to another client"))
	case key.UserID != "" && client.ThirdParty:
		return errExchange(errors.New("nobody consents on the way of an exchange"))
	case key.Kind == apikey.Publishable:
		return oauth.NewError(oauth.InvalidRequest, "A publishable key can not be exchanged: everybody has it.")
	case key.Environment != apikey.Live:
		return oauth.NewError(oauth.InvalidRequest, "A test key can not be exchanged: its token would pass for one that counts.")
	case key.Rate > 0 || key.Quota > 0:
		return oauth.NewError(oauth.InvalidRequest, "A key with a rate or a quota can not be exchanged: nobody would count the uses of its token.")
	}
	return nil
}

// mintKeyToken makes a token that speaks for the owner of a key, and lives no longer than the key.
func (s *Server) mintKeyToken(ctx context.Context, tn *tenant.Tenant, client *apps.Client, key *access.LiveKey, scope oauth.Scope) (*tokenResponse, error) {
	now := s.now()
	expiry := now.Add(key.API.AccessTokenTTL(tn))
	if !key.ExpiresAt.IsZero() && key.ExpiresAt.Before(expiry) {
		expiry = key.ExpiresAt
	}
	claims := &oauth.AccessTokenClaims{
		Issuer: tn.Issuer, Subject: subjectOf(key), Audience: jose.Audience{key.Audience}, ClientID: client.ClientID, AuthorizedParty: client.ClientID,
		ID: id.UUID(), GrantID: key.GID, Scope: scope.String(), OrganizationID: key.Organization, IssuedAt: jose.Date(now), Expiry: jose.Date(expiry),
	}
	if key.Permissions != nil {
		claims.Permissions = scope
	}
	token, err := s.signAccessToken(ctx, tn, key.API.TokenDialect, key.API.SigningAlg, claims)
	if err != nil {
		return nil, err
	}
	return &tokenResponse{
		AccessToken: token, IssuedTokenType: oauth.TokenTypeAccessToken, TokenType: "Bearer",
		ExpiresIn: int64(expiry.Sub(now) / time.Second), Scope: scope.String(),
	}, nil
}

// subjectOf names the owner of a key as access tokens do: a client can be taken for no user.
func subjectOf(key *access.LiveKey) string {
	if key.ClientID != "" {
		return key.ClientID + oauth.ClientSubjectSuffix
	}
	return key.UserID
}

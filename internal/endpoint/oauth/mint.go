package oauth

import (
	"context"
	"fmt"

	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// maxTokenBytes is the budget of a token. Applications keep them in cookies of 4 KiB and headers
// of 8; a token that no longer fits fails here, by the name of the claim that broke it, and not
// somewhere on the way.
const maxTokenBytes = 4 << 10

// idTokenExtras are the claims that belong to one response.
type idTokenExtras struct {
	Nonce string // only if the request had one
	Code  string // for c_hash, when the token travels beside a code
}

// mintTokens makes the access token of a grant and, for openid, the ID token.
func (s *Server) mintTokens(ctx context.Context, tn *tenant.Tenant, client *apps.Client, user *people.User, t grants.Terms, scope oauth.Scope, extras idTokenExtras) (*tokenResponse, error) {
	api, err := s.api(ctx, tn, t.Audience)
	if err != nil {
		return nil, err
	}
	now := s.now()
	claims := &oauth.AccessTokenClaims{
		Issuer: tn.Issuer, Subject: t.UserID, ClientID: client.ClientID, AuthorizedParty: client.ClientID, ID: id.UUID(), GrantID: t.GID,
		IssuedAt: jose.Date(now), AuthTime: jose.Date(t.Auth.Time), AMR: t.Auth.AMR, ACR: t.Auth.ACR,
	}
	if client.SessionBound() {
		claims.SessionID = t.Auth.SID
	}
	signAs, alg, lifetime := oauth.DialectRFC9068, jose.ES256, tn.Settings.AccessToken
	identity := scope.Intersect([]string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeOfflineAccess})
	if api == nil {
		scope = identity
		claims.Audience = jose.Audience{tn.UserInfoAudience()}
	} else {
		permissions, err := s.Access.KnownPermissions(ctx, tn, t.UserID, api.Identifier)
		if err != nil {
			return nil, err
		}
		scope = identity.Union(access.UserScope(api, scope, permissions))
		if client.NeedsConsent(api) { // given for the scopes that were shown: an API may decide by permissions as well
			permissions = scope.Intersect(permissions)
		}
		claims.Permissions = access.ClaimedPermissions(api, permissions)
		claims.Audience = jose.Audience{api.Identifier}
		if scope.Contains(oauth.ScopeOpenID) {
			claims.Audience = append(claims.Audience, tn.UserInfoAudience())
		}
		signAs, alg, lifetime = api.TokenDialect, api.SigningAlg, api.AccessTokenTTL(tn)
	}
	claims.Scope, claims.Expiry = scope.String(), jose.Date(now.Add(lifetime))
	token, err := s.signAccessToken(ctx, tn, signAs, alg, claims)
	if err != nil {
		return nil, err
	}
	answer := &tokenResponse{AccessToken: token, TokenType: "Bearer", ExpiresIn: int64(lifetime.Seconds()), Scope: scope.String()}
	if scope.Contains(oauth.ScopeOpenID) {
		t.Scope = scope
		answer.IDToken, err = s.mintIDTokenFor(ctx, tn, client, user, t, extras)
	}
	return answer, err
}

// mintClientToken makes a token that speaks for a client itself. Its subject can be taken for no
// user's.
func (s *Server) mintClientToken(ctx context.Context, tn *tenant.Tenant, client *apps.Client, api *apps.API, scope oauth.Scope) (*tokenResponse, error) {
	now, lifetime := s.now(), api.AccessTokenTTL(tn)
	token, err := s.signAccessToken(ctx, tn, api.TokenDialect, api.SigningAlg, &oauth.AccessTokenClaims{
		Issuer: tn.Issuer, Subject: client.ClientID + oauth.ClientSubjectSuffix, Audience: jose.Audience{api.Identifier},
		ClientID: client.ClientID, AuthorizedParty: client.ClientID, ID: id.UUID(), Scope: scope.String(), Permissions: permissionsOf(api, scope),
		IssuedAt: jose.Date(now), Expiry: jose.Date(now.Add(lifetime)),
	})
	if err != nil {
		return nil, err
	}
	return &tokenResponse{AccessToken: token, TokenType: "Bearer", ExpiresIn: int64(lifetime.Seconds()), Scope: scope.String()}, nil
}

func permissionsOf(api *apps.API, scope oauth.Scope) []string {
	if !api.EnforcePermissions {
		return nil
	}
	return scope
}

// mintIDToken makes the ID token of a user who is still to be read.
func (s *Server) mintIDToken(ctx context.Context, tn *tenant.Tenant, client *apps.Client, t grants.Terms, extras idTokenExtras) (string, error) {
	user, err := s.livingUser(ctx, tn, t.UserID)
	if err != nil {
		return "", err
	}
	return s.mintIDTokenFor(ctx, tn, client, user, t, extras)
}

func (s *Server) mintIDTokenFor(ctx context.Context, tn *tenant.Tenant, client *apps.Client, user *people.User, t grants.Terms, extras idTokenExtras) (string, error) {
	now := s.now()
	claims := &oidc.IDTokenClaims{
		Issuer: tn.Issuer, Subject: user.ID, Audience: jose.Audience{client.ClientID},
		IssuedAt: jose.Date(now), Expiry: jose.Date(now.Add(client.IDTokenTTL())), AuthTime: jose.Date(t.Auth.Time),
		Nonce: extras.Nonce, AMR: t.Auth.AMR, ACR: t.Auth.ACR, SessionID: t.Auth.SID,
		Profile: profile(user).ForScope(t.Scope),
	}
	if extras.Code != "" {
		claims.CodeHash = oidc.HalfHash(jose.RS256, extras.Code)
	}
	payload, err := claims.Payload()
	if err != nil {
		return "", err
	}
	return s.sign(ctx, tn, jose.RS256, oidc.TypeIDToken, payload)
}

func (s *Server) signAccessToken(ctx context.Context, tn *tenant.Tenant, d oauth.Dialect, alg jose.Alg, claims *oauth.AccessTokenClaims) (string, error) {
	payload, err := claims.Payload()
	if err != nil {
		return "", err
	}
	return s.sign(ctx, tn, alg, d.Type(), payload)
}

func (s *Server) sign(ctx context.Context, tn *tenant.Tenant, alg jose.Alg, typ string, payload []byte) (string, error) {
	if len(payload) > maxTokenBytes {
		return "", fmt.Errorf("oauth: a %s of %d bytes is beyond the budget of %d: its largest claim is %s", typ, len(payload), maxTokenBytes, largestClaim(payload))
	}
	return s.Keys.Sign(ctx, tn, alg, typ, payload)
}

func largestClaim(payload []byte) string {
	object, err := jose.ParseObject(string(payload))
	if err != nil {
		return "unknown"
	}
	name, size := "", 0
	for _, m := range object {
		if len(m.Value) > size {
			name, size = m.Name, len(m.Value)
		}
	}
	return name
}

// profile is what the claims of OpenID Connect say of a user.
func profile(u *people.User) oidc.Profile {
	p := oidc.Profile{
		Name: u.Name, GivenName: u.GivenName, FamilyName: u.FamilyName, Nickname: u.Nickname, Picture: u.Picture,
		UpdatedAt: jose.Date(u.UpdatedAt), Email: u.Email,
	}
	if u.Email != "" {
		verified := u.EmailVerified
		p.EmailVerified = &verified
	}
	return p
}

package oauth

import (
	"context"
	"errors"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// grantAuthorizationCode redeems a code (RFC 6749 section 4.1.3). The code is spent before
// anything is minted: a crash between the two costs a sign-in, the other order a second set of
// tokens.
func (s *Server) grantAuthorizationCode(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params) (*tokenResponse, error) {
	if !p.Has("code") {
		return nil, oauth.NewError(oauth.InvalidRequest, "code is missing.")
	}
	redeemed, err := s.Grants.Redeem(ctx, tn, grants.Redemption{
		Code:     p.Get("code"),
		ClientID: client.ClientID,
		Check:    func(c grants.Code) error { return checkRedemption(c, client, p) },
		Join: func(c grants.Code) func(*db.Tx) error {
			if client.BackchannelLogoutURI == "" || !c.Scope.Contains(oauth.ScopeOpenID) {
				return nil // without an ID token there is no sign-in to end
			}
			return func(tx *db.Tx) error { return s.Logouts.Join(tx, tn, client, c.Auth.SID, c.UserID) }
		},
		Family: func(c grants.Code) *grants.NewFamily { return newFamily(tn, client, c.Scope, client.SessionBound()) },
	})
	if errors.Is(err, grants.ErrInvalidCode) {
		return nil, checkup.Because(oauth.NewError(oauth.InvalidGrant, "The code is invalid, expired or used.").WithCause(err), checkup.Code, "")
	}
	if err != nil {
		return nil, err
	}
	user, err := s.livingUser(ctx, tn, redeemed.UserID)
	if err != nil {
		return nil, err
	}
	answer, err := s.mintTokens(ctx, tn, client, user, redeemed.Terms, redeemed.Scope, idTokenExtras{Nonce: redeemed.Nonce})
	if err != nil {
		return nil, err
	}
	answer.RefreshToken = redeemed.RefreshToken
	return answer, nil
}

// newFamily is how a client may refresh what it was granted, or nil if it may not.
func newFamily(tn *tenant.Tenant, client *apps.Client, scope oauth.Scope, sessionBound bool) *grants.NewFamily {
	if !scope.Contains(oauth.ScopeOfflineAccess) || !client.MayUse(oauth.GrantRefreshToken) {
		return nil
	}
	return &grants.NewFamily{Policy: client.Refresh(tn), SessionBound: sessionBound}
}

// checkRedemption compares what a client shows with what the code was issued for. The redirect URI
// must be the one of the authorization request, or absent where that one had none (there the
// client's default may be repeated).
func checkRedemption(c grants.Code, client *apps.Client, p oauth.Params) error {
	shown := p.Get("redirect_uri")
	if shown != c.RedirectURI && !(c.RedirectURI == "" && shown == client.DefaultRedirectURI) {
		return checkup.Because(oauth.NewError(oauth.InvalidGrant, "The code is invalid, expired or used.").
			WithHint("redirect_uri is not the one of the authorization request."), checkup.CodeRedirectURI, "")
	}
	if !oauth.VerifyPKCE(c.CodeChallenge, p.Get("code_verifier")) {
		return checkup.Because(oauth.NewError(oauth.InvalidGrant, "The code is invalid, expired or used.").
			WithHint("code_verifier does not fit the code_challenge of the authorization request, or only one of them was sent."), checkup.CodeVerifier, "")
	}
	return nil
}

// livingUser returns the user of a grant, or invalid_grant when there is none any more or they are
// blocked. It is asked at every use of a grant.
func (s *Server) livingUser(ctx context.Context, tn *tenant.Tenant, userID string) (*people.User, error) {
	user, err := s.People.Known(ctx, tn, userID)
	if fault.Is(err, fault.NotFound) {
		return nil, oauth.NewError(oauth.InvalidGrant, "The user does not exist any more.")
	}
	if err != nil {
		return nil, err
	}
	if user.Blocked {
		return nil, oauth.NewError(oauth.InvalidGrant, "user is blocked")
	}
	return user, nil
}

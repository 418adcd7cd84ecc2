package oauth

import (
	"context"
	"errors"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// errRefreshToken is what every bad refresh token gets. SDKs look for the words.
func errRefreshToken(cause error) error {
	kind := checkup.RefreshToken
	if errors.Is(cause, grants.ErrRefreshTokenReused) {
		kind = checkup.RefreshReused
	}
	return checkup.Because(oauth.NewError(oauth.InvalidGrant, "Unknown or invalid refresh token.").WithCause(cause), kind, "")
}

// grantRefreshToken rotates a refresh token (RFC 6749 section 6). Whether the user may still have
// tokens is judged anew each time.
func (s *Server) grantRefreshToken(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params) (*tokenResponse, error) {
	if !p.Has("refresh_token") {
		return nil, oauth.NewError(oauth.InvalidRequest, "refresh_token is missing.")
	}
	presented, err := s.Grants.ParseRefreshToken(tn, p.Get("refresh_token"))
	if err != nil {
		return nil, errRefreshToken(err)
	}
	var user *people.User
	var scope oauth.Scope
	refreshed, err := s.Grants.Refresh(ctx, tn, client, presented, func(f *grants.Family) (err error) {
		if err := checkTarget(f, p); err != nil {
			return err
		}
		if scope, err = narrowed(f.Scope, p.Get("scope")); err != nil {
			return err
		}
		if user, err = s.livingUser(ctx, tn, f.UserID); err != nil {
			return err
		}
		return s.stillConsented(ctx, tn, client, f)
	})
	if errors.Is(err, grants.ErrInvalidRefreshToken) {
		return nil, errRefreshToken(err)
	}
	if err != nil {
		return nil, err
	}
	answer, err := s.mintTokens(ctx, tn, client, user, refreshed.Family.Terms, scope, idTokenExtras{})
	if err != nil {
		return nil, err
	}
	answer.RefreshToken = refreshed.RefreshToken
	return answer, nil
}

// checkTarget: a refresh is for the API of the grant and never for another.
func checkTarget(f *grants.Family, p oauth.Params) error {
	audience, err := p.Audience()
	if err != nil {
		return err
	}
	if audience != "" && audience != f.Audience {
		return oauth.NewError(oauth.InvalidTarget, "The refresh token is for another audience.")
	}
	return nil
}

// narrowed returns the scope of a refresh: the family's, or a part of it that was asked for.
// Scopes that an earlier authorization dropped silently may be repeated; more than was granted
// may not be had.
func narrowed(granted oauth.Scope, asked string) (oauth.Scope, error) {
	if asked == "" {
		return granted, nil
	}
	scope, err := oauth.ParseScope(asked)
	if err != nil {
		return nil, err
	}
	if !granted.Covers(scope) {
		return nil, oauth.NewError(oauth.InvalidScope, "The scope is wider than what was granted.").
			WithHint("Leave scope out, or ask for a part of: " + strings.Join(granted, " "))
	}
	return scope, nil
}

// stillConsented: whose consent was withdrawn gets no more tokens.
func (s *Server) stillConsented(ctx context.Context, tn *tenant.Tenant, client *apps.Client, f *grants.Family) error {
	api, err := s.api(ctx, tn, f.Audience)
	if err != nil || !client.NeedsConsent(api) {
		return err
	}
	consented, err := s.Grants.Consented(ctx, tn, f.UserID, client.ClientID, f.Audience)
	if err != nil {
		return err
	}
	if !consented.Covers(f.Scope) {
		return oauth.NewError(oauth.InvalidGrant, "The consent was withdrawn.")
	}
	return nil
}

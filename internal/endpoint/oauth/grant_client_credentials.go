package oauth

import (
	"context"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// grantClientCredentials gives a client a token in its own name (RFC 6749 section 4.4). It touches
// no storage: everything it needs is in the cache.
func (s *Server) grantClientCredentials(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params) (*tokenResponse, error) {
	if !client.Confidential() {
		return nil, oauth.NewError(oauth.UnauthorizedClient, "A public client can not act in its own name.")
	}
	audience, err := credentialsAudience(client, p)
	if err != nil {
		return nil, err
	}
	granted, ok := client.Grants[audience]
	if !ok {
		return nil, checkup.Because(oauth.NewError(oauth.InvalidTarget, "The client may not call this API.").
			WithHint("Give the client a grant for the API that audience names."), checkup.APIGrant, audience)
	}
	api, err := s.Apps.API(ctx, tn, audience)
	if fault.Is(err, fault.NotFound) {
		return nil, oauth.NewError(oauth.InvalidTarget, "The audience is not known here.")
	}
	if err != nil {
		return nil, err
	}
	scope := granted.Intersect(api.Scopes())
	if p.Has("scope") {
		asked, err := oauth.ParseScope(p.Get("scope"))
		if err != nil {
			return nil, err
		}
		if scope = asked.Intersect(scope); len(scope) == 0 {
			return nil, checkup.Because(oauth.NewError(oauth.InvalidScope, "None of the requested scopes can be had."), checkup.ScopeDropped, asked.String())
		}
		s.dropped(tn, client, asked, scope)
	}
	return s.mintClientToken(ctx, tn, client, api, scope)
}

// credentialsAudience is what the request names, or the client's default, or the only API the
// client has a grant for.
func credentialsAudience(client *apps.Client, p oauth.Params) (string, error) {
	audience, err := p.Audience()
	if err != nil || audience != "" {
		return audience, err
	}
	if client.Audience != "" {
		return client.Audience, nil
	}
	if len(client.Grants) == 1 {
		for only := range client.Grants {
			return only, nil
		}
	}
	return "", oauth.NewError(oauth.InvalidTarget, "audience is missing.").WithHint("Name the API the token is for.")
}

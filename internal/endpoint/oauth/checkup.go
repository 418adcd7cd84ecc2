package oauth

import (
	"context"
	"errors"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// wrong remembers for a client's developer why a request was refused. What is no mistake of the
// application is not remembered: a person said no, or the house was busy.
func (s *Server) wrong(tn *tenant.Tenant, client *apps.Client, err error) {
	if p := (*checkup.Problem)(nil); errors.As(err, &p) {
		s.Checkup.Wrong(tn, client.ClientID, p.Kind, p.Sent)
		return
	}
	switch e := oauth.AsError(err); e.Code {
	case oauth.ServerError, oauth.TemporarilyUnavailable, oauth.TooManyRequests, oauth.AccessDenied, oauth.ConsentRequired, oauth.InteractionRequired,
		oauth.AccountSelectionRequired, oauth.UnmetAuthenticationRequirements, oauth.AuthorizationPending:
	case oauth.LoginRequired:
		s.Checkup.Wrong(tn, client.ClientID, checkup.LoginRequired, "")
	case oauth.UnsupportedResponseType:
		s.Checkup.Wrong(tn, client.ClientID, checkup.ResponseType, "")
	case oauth.SlowDown:
		s.Checkup.Wrong(tn, client.ClientID, checkup.PolledTooFast, "")
	default:
		s.Checkup.Wrong(tn, client.ClientID, checkup.Refused, e.Code+": "+e.Description) // both are our own words
	}
}

// wrongOf is wrong for a request that names a client and has proved nothing. Who is not registered is
// nobody: what strangers make up is counted in one place, and kept nowhere.
func (s *Server) wrongOf(ctx context.Context, tn *tenant.Tenant, clientID string, err error) {
	if clientID == "" {
		return
	}
	client, found := s.Apps.Client(ctx, tn, clientID)
	switch {
	case fault.Is(found, fault.NotFound):
		s.Checkup.Wrong(tn, "", checkup.UnknownClient, "")
	case found == nil && client.Disabled:
		s.Checkup.Wrong(tn, client.ClientID, checkup.Disabled, "")
	case found == nil:
		s.wrong(tn, client, err)
	}
}

// weakPKCE says in our own words what is wrong with a code_challenge; empty where there is none.
func weakPKCE(req *oauth.AuthorizationRequest) string {
	switch {
	case req.CodeChallenge == "":
		return ""
	case req.CodeChallengeMethod != oauth.ChallengeMethodS256:
		return "plain"
	}
	return "malformed"
}

// dropped remembers which scopes a request asked for in vain.
func (s *Server) dropped(tn *tenant.Tenant, client *apps.Client, asked, allowed oauth.Scope) {
	if without := asked.Without(allowed...); len(without) > 0 {
		s.Checkup.Wrong(tn, client.ClientID, checkup.ScopeDropped, without.String())
	}
}

// redeemed is what it is called when a grant type has brought tokens.
func redeemed(grantType string) checkup.Kind {
	switch grantType {
	case oauth.GrantRefreshToken:
		return checkup.Refreshed
	case oauth.GrantClientCredentials:
		return checkup.Credentials
	case oauth.GrantDeviceCode:
		return checkup.DeviceApproved
	case oauth.GrantTokenExchange:
		return checkup.Exchanged
	}
	return checkup.CodeRedeemed
}

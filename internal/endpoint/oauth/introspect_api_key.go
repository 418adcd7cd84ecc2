package oauth

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// keyIntrospection is what is added to the answer about an API key.
type keyIntrospection struct {
	OrganizationID string             `json:"org_id,omitempty"`
	Kind           apikey.Kind        `json:"key_kind,omitempty"`
	Environment    apikey.Environment `json:"key_environment,omitempty"`
	Networks       []netip.Prefix     `json:"key_networks,omitempty"`
	Rate           int64              `json:"key_rate,omitempty"`
	Quota          int64              `json:"key_quota,omitempty"`
}

// introspectAPIKey answers an API that was shown a key. The API says in remote_addr and user_agent who
// showed it: a key that is bound to networks is inactive without.
func (s *Server) introspectAPIKey(ctx context.Context, tn *tenant.Tenant, caller *apps.Client, p oauth.Params) (introspection, error) {
	addr, err := netip.ParseAddr(p.Get("remote_addr"))
	if err != nil {
		addr = netip.Addr{} // nobody knows
	}
	key, err := s.APIKeys.Check(ctx, tn, p.Get("token"), access.Shown{Addr: addr, UserAgent: p.Get("user_agent"), To: caller.ClientID})
	if errors.Is(err, access.ErrAPIKey) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	if key.ClientID != caller.ClientID && !slices.Contains(key.API.IntrospectionClients, caller.ClientID) {
		return introspection{}, nil
	}
	return introspection{
		Active: true, Scope: key.Scope.String(), ClientID: key.ClientID, TokenType: "api_key", Expiry: jose.Date(key.ExpiresAt),
		IssuedAt: jose.Date(key.CreatedAt), Subject: subjectOf(key), Audience: jose.Audience{key.Audience}, Issuer: tn.Issuer, ID: key.ID,
		Permissions: key.Permissions, GrantID: key.GID,
		keyIntrospection: keyIntrospection{
			OrganizationID: key.Organization, Kind: key.Kind, Environment: key.Environment, Networks: key.Networks, Rate: key.Rate, Quota: key.Quota,
		},
	}, nil
}

package apps

import (
	"cmp"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Dialect is the form of access tokens an API is given.
type Dialect = oauth.Dialect

// The dialects.
const (
	DialectRFC9068 = oauth.DialectRFC9068 // typ at+jwt, ES256 unless set
	DialectAuth0   = oauth.DialectAuth0   // typ JWT, RS256 unless set: for verifiers that know no better
)

// API is a resource server: what an access token can be for. It is never changed once read from
// the cache.
type API struct {
	ID         string
	Identifier string // the audience
	Name       string
	System     bool // the house's own; it can not be deleted
	APISettings
	CreatedAt time.Time
	UpdatedAt time.Time
}

// APISettings are the parts of an API that nothing searches for.
type APISettings struct {
	Permissions  []Permission `json:"permissions,omitempty"`
	TokenDialect Dialect      `json:"token_dialect"`
	SigningAlg   jose.Alg     `json:"signing_alg"`
	// TokenLifetime is at most [MaxAccessTokenLifetime]; zero stands for the default.
	TokenLifetime time.Duration `json:"token_lifetime,omitempty"`
	// AllowOfflineAccess lets clients have refresh tokens for this API.
	AllowOfflineAccess bool `json:"allow_offline_access,omitempty"`
	// EnforcePermissions gives a user's token only those scopes the user has permission for,
	// and lists them in the claim "permissions".
	EnforcePermissions bool `json:"enforce_permissions,omitempty"`
	// IntrospectionClients may ask about tokens for this API that were issued to others: the
	// clients the API itself authenticates as.
	IntrospectionClients []string `json:"introspection_clients,omitempty"`
	// DefaultPermissions are given to everyone who signs up.
	DefaultPermissions []string `json:"default_permissions,omitempty"`
}

// Permission is something that can be done at an API, as a scope and in words.
type Permission struct {
	Value       string `json:"value"`
	Description string `json:"description,omitempty"`
}

// NewAPI returns an API with safe defaults: tokens of RFC 9068, signed by ES256.
func NewAPI(identifier, name string) *API {
	return &API{ID: id.UUID(), Identifier: identifier, Name: name, APISettings: APISettings{
		TokenDialect: DialectRFC9068, SigningAlg: jose.ES256, AllowOfflineAccess: true, EnforcePermissions: true,
	}}
}

// DefaultAlg is what tokens of a dialect are signed with unless their API chose another algorithm.
func DefaultAlg(d Dialect) jose.Alg {
	if d == DialectAuth0 {
		return jose.RS256
	}
	return jose.ES256
}

// AccessTokenTTL returns how long an access token for this API is valid: its own figure, or the
// tenant's.
func (a *API) AccessTokenTTL(tn *tenant.Tenant) time.Duration {
	return cmp.Or(a.TokenLifetime, tn.Settings.AccessToken)
}

// Scopes returns everything that can be asked for at this API.
func (a *API) Scopes() oauth.Scope {
	out := make([]string, len(a.Permissions))
	for i, p := range a.Permissions {
		out[i] = p.Value
	}
	return out
}

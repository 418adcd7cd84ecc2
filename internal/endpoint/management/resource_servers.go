package management

import (
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// ResourceServer is an API as it is shown.
type ResourceServer struct {
	ID                   string            `json:"id"`
	Name                 string            `json:"name"`
	Identifier           string            `json:"identifier"`
	IsSystem             bool              `json:"is_system"`
	Scopes               []apps.Permission `json:"scopes"`
	SigningAlg           jose.Alg          `json:"signing_alg"`
	TokenDialect         apps.Dialect      `json:"token_dialect"`
	TokenLifetime        int64             `json:"token_lifetime"`
	AllowOfflineAccess   bool              `json:"allow_offline_access"`
	EnforcePolicies      bool              `json:"enforce_policies"`
	DefaultPermissions   []string          `json:"default_permissions"`
	IntrospectionClients []string          `json:"introspection_clients"`
	CreatedAt            string            `json:"created_at"`
	UpdatedAt            string            `json:"updated_at"`
}

// ShowAPI returns what is shown of an API.
func ShowAPI(tn *tenant.Tenant, api *apps.API) ResourceServer {
	b := ResourceServer{
		ID: api.ID, Name: api.Name, Identifier: api.Identifier, IsSystem: api.System, Scopes: api.Permissions, SigningAlg: api.SigningAlg,
		TokenDialect: api.TokenDialect, TokenLifetime: seconds(api.AccessTokenTTL(tn)), AllowOfflineAccess: api.AllowOfflineAccess,
		EnforcePolicies: api.EnforcePermissions, DefaultPermissions: orEmpty(api.DefaultPermissions),
		IntrospectionClients: orEmpty(api.IntrospectionClients), CreatedAt: stamp(api.CreatedAt), UpdatedAt: stamp(api.UpdatedAt),
	}
	if b.Scopes == nil {
		b.Scopes = []apps.Permission{}
	}
	return b
}

// apiChange is everything that may be changed of an API.
type apiChange struct {
	Name                 *string            `json:"name"`
	Scopes               *[]apps.Permission `json:"scopes"`
	SigningAlg           *jose.Alg          `json:"signing_alg"`
	TokenDialect         *apps.Dialect      `json:"token_dialect"`
	TokenLifetime        *int64             `json:"token_lifetime"`
	AllowOfflineAccess   *bool              `json:"allow_offline_access"`
	EnforcePolicies      *bool              `json:"enforce_policies"`
	DefaultPermissions   *[]string          `json:"default_permissions"`
	IntrospectionClients *[]string          `json:"introspection_clients"`
}

// apiInput is a new API: its identifier never changes, since tokens carry it.
type apiInput struct {
	Identifier string `json:"identifier"`
	apiChange
}

func (in *apiChange) apply(api *apps.API) error {
	set(&api.Name, in.Name)
	set(&api.Permissions, in.Scopes)
	set(&api.AllowOfflineAccess, in.AllowOfflineAccess)
	set(&api.EnforcePermissions, in.EnforcePolicies)
	set(&api.DefaultPermissions, in.DefaultPermissions)
	set(&api.IntrospectionClients, in.IntrospectionClients)
	if in.TokenDialect != nil {
		api.TokenDialect = *in.TokenDialect
		if in.SigningAlg == nil {
			api.SigningAlg = apps.DefaultAlg(api.TokenDialect)
		}
	}
	set(&api.SigningAlg, in.SigningAlg)
	return setSeconds("token_lifetime", &api.TokenLifetime, in.TokenLifetime)
}

func listAPIs(c *call) (answer, error) {
	p, err := c.query.paging()
	if err != nil {
		return answer{}, err
	}
	apis, total, err := c.Apps.ListAPIs(c.ctx, c.tn, c.query.get("identifier"), apps.Page{Offset: p.offset, Limit: p.limit})
	if err != nil {
		return answer{}, err
	}
	var items []ResourceServer
	for _, api := range apis {
		items = append(items, ShowAPI(c.tn, api))
	}
	return list(p, "resource_servers", items, total)
}

func getAPI(c *call) (answer, error) {
	api, err := c.Apps.API(c.ctx, c.tn, c.id)
	if err != nil {
		return answer{}, named(err, "resource_server")
	}
	return ok(ShowAPI(c.tn, api))
}

func createAPI(c *call) (answer, error) {
	var in apiInput
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	api := apps.NewAPI(in.Identifier, in.Identifier)
	if err := in.apply(api); err != nil {
		return answer{}, err
	}
	if err := c.Admin.CreateAPI(c.ctx, c.tn, api, c.by()); err != nil {
		return answer{}, err
	}
	return created(ShowAPI(c.tn, api))
}

func updateAPI(c *call) (answer, error) {
	var in apiChange
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	api, err := c.Admin.UpdateAPI(c.ctx, c.tn, c.id, in.apply, c.by())
	if err != nil {
		return answer{}, named(err, "resource_server")
	}
	return ok(ShowAPI(c.tn, api))
}

func deleteAPI(c *call) (answer, error) {
	if err := c.Admin.DeleteAPI(c.ctx, c.tn, c.id, c.by()); err != nil {
		return answer{}, named(err, "resource_server")
	}
	return gone()
}

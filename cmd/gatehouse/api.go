package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// apiCommand is the verbs on APIs.
type apiCommand struct {
	Create apiCreate `cmd:"" help:"Register an API."`
	List   apiList   `cmd:"" help:"List APIs."`
	Show   apiShow   `cmd:"" help:"Show an API."`
	Update apiUpdate `cmd:"" help:"Change an API. What is not named stays."`
	Delete apiDelete `cmd:"" help:"Remove an API, with what clients and users may do there."`
}

// apiFlags are the settings of an API.
type apiFlags struct {
	Name                *string        `help:"What it is called; its identifier unless set." placeholder:"NAME"`
	Permission          []string       `help:"Something that can be done there, as 'VALUE' or 'VALUE=in words'; repeat for more." placeholder:"PERMISSION" sep:"none"`
	DefaultPermission   []string       `help:"A permission everybody gets who signs up." placeholder:"VALUE" sep:"none"`
	TokenDialect        *string        `help:"rfc9068, or auth0 for verifiers that know no better." placeholder:"DIALECT"`
	SigningAlg          *string        `help:"ES256, RS256, PS256, EdDSA." placeholder:"ALG"`
	TokenLifetime       *time.Duration `help:"Life of an access token, at most 1h." placeholder:"DURATION"`
	OfflineAccess       *bool          `help:"Let applications have refresh tokens for it." negatable:""`
	EnforcePermissions  *bool          `help:"Give users only the scopes they have permission for." negatable:""`
	IntrospectionClient []string       `help:"A client that the API itself is, which may ask about its tokens." placeholder:"CLIENT_ID" sep:"none"`
}

func (f *apiFlags) apply(api *apps.API) error {
	set(&api.Name, f.Name)
	if list, ok := given(f.Permission); ok {
		api.Permissions = nil
		for _, p := range list {
			value, description, _ := strings.Cut(p, "=")
			api.Permissions = append(api.Permissions, apps.Permission{Value: value, Description: description})
		}
	}
	if list, ok := given(f.DefaultPermission); ok {
		api.DefaultPermissions = list
	}
	if list, ok := given(f.IntrospectionClient); ok {
		api.IntrospectionClients = list
	}
	if f.TokenDialect != nil {
		api.TokenDialect = apps.Dialect(*f.TokenDialect)
		api.SigningAlg = apps.DefaultAlg(api.TokenDialect)
	}
	if f.SigningAlg != nil {
		api.SigningAlg = jose.Alg(*f.SigningAlg)
	}
	set(&api.TokenLifetime, f.TokenLifetime)
	set(&api.AllowOfflineAccess, f.OfflineAccess)
	set(&api.EnforcePermissions, f.EnforcePermissions)
	return nil
}

type apiCreate struct {
	verb
	Identifier string `arg:"" help:"The audience of its tokens: a URI, which nothing is ever fetched from. It never changes."`
	apiFlags
}

// Help shows an example.
func (apiCreate) Help() string {
	return `Its access tokens are of the rfc9068 dialect and signed by ES256 unless you say otherwise.

  gatehouse api create https://api.example.com/ --name Orders \
      --permission 'read:orders=See orders' --permission 'write:orders=Place orders' --config gatehouse.yaml`
}

// Run registers the API and prints it.
func (c *apiCreate) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		api := apps.NewAPI(c.Identifier, c.Identifier)
		if err := c.apply(api); err != nil {
			return err
		}
		if err := h.Admin().CreateAPI(ctx, h.Tenant, api, operator()); err != nil {
			return err
		}
		return printAPI(to, h, api, c.JSON)
	})
}

type apiList struct{ verb }

// Run prints all APIs.
func (c *apiList) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		var shown []management.ResourceServer
		rows := [][]string{}
		for page := (apps.Page{Limit: 100}); ; page.Offset += page.Limit {
			apis, _, err := h.Apps.ListAPIs(ctx, h.Tenant, "", page)
			if err != nil {
				return err
			}
			for _, api := range apis {
				shown = append(shown, management.ShowAPI(h.Tenant, api))
				rows = append(rows, []string{api.Identifier, api.Name, string(api.TokenDialect), string(api.SigningAlg), api.AccessTokenTTL(h.Tenant).String(), fmt.Sprint(len(api.Permissions))})
			}
			if len(apis) < page.Limit {
				break
			}
		}
		if c.JSON {
			return printJSON(to.Out, orNone(shown))
		}
		return table(to.Out, []string{"IDENTIFIER", "NAME", "DIALECT", "ALG", "LIFETIME", "PERMISSIONS"}, rows)
	})
}

type apiShow struct {
	verb
	Identifier string `arg:"" help:"Its identifier, or its id."`
}

// Run prints one API.
func (c *apiShow) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		api, err := h.Apps.API(ctx, h.Tenant, c.Identifier)
		if err != nil {
			return fixable(err, "gatehouse api list shows those there are")
		}
		return printAPI(to, h, api, c.JSON)
	})
}

type apiUpdate struct {
	verb
	Identifier string `arg:"" help:"Its identifier, or its id."`
	apiFlags
}

// Run changes the API and prints it.
func (c *apiUpdate) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		api, err := h.Admin().UpdateAPI(ctx, h.Tenant, c.Identifier, c.apply, operator())
		if err != nil {
			return fixable(err, "gatehouse api list shows those there are")
		}
		return printAPI(to, h, api, c.JSON)
	})
}

type apiDelete struct {
	houseFlags
	Identifier string `arg:"" help:"Its identifier, or its id."`
}

// Run removes the API.
func (c *apiDelete) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		if err := h.Admin().DeleteAPI(ctx, h.Tenant, c.Identifier, operator()); err != nil {
			return fixable(err, "gatehouse api list shows those there are")
		}
		fmt.Fprintf(to.Err, "Deleted API %s, with what clients and users might do there.\n", c.Identifier)
		return nil
	})
}

func printAPI(to streams, h *server.House, api *apps.API, asJSON bool) error {
	if asJSON {
		return printJSON(to.Out, management.ShowAPI(h.Tenant, api))
	}
	var permissions []string
	for _, p := range api.Permissions {
		permissions = append(permissions, strings.TrimSuffix(p.Value+"="+p.Description, "="))
	}
	return details(to.Out,
		field{"identifier", api.Identifier}, field{"id", api.ID}, field{"name", api.Name}, field{"permissions", lines(permissions)},
		field{"default permissions", strings.Join(api.DefaultPermissions, " ")}, field{"token dialect", string(api.TokenDialect)}, field{"signing alg", string(api.SigningAlg)},
		field{"token lifetime", api.AccessTokenTTL(h.Tenant).String()}, field{"offline access", yes(api.AllowOfflineAccess)},
		field{"enforce permissions", yes(api.EnforcePermissions)}, field{"introspection clients", strings.Join(api.IntrospectionClients, " ")},
		field{"the house's own", yes(api.System)},
	)
}

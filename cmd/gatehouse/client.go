package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// clientCommand is the verbs on applications.
type clientCommand struct {
	Create       clientCreate       `cmd:"" help:"Register an application."`
	List         clientList         `cmd:"" help:"List applications."`
	Show         clientShow         `cmd:"" help:"Show an application."`
	Update       clientUpdate       `cmd:"" help:"Change an application. What is not named stays."`
	Delete       clientDelete       `cmd:"" help:"Remove an application and end everything granted to it."`
	RotateSecret clientRotateSecret `cmd:"" help:"Give an application a new secret. The old one ends at once."`
	Logouts      clientLogouts      `cmd:"" help:"Show what came of telling an application of sign-outs."`
}

// clientFlags are the settings of an application.
type clientFlags struct {
	Type            *string        `help:"spa (in the browser), native (on a device), regular_web (on a server), or machine (acts in its own name)." placeholder:"TYPE"`
	Callback        []string       `help:"Where the browser may return with a code; repeat for more, an empty one for none." placeholder:"URL" sep:"none"`
	DefaultCallback *string        `name:"default-redirect-uri" help:"The callback of requests that name none." placeholder:"URL"`
	LogoutURL       []string       `help:"Where the browser may go after a logout." placeholder:"URL" sep:"none"`
	LogoutURI       *string        `name:"backchannel-logout-uri" help:"Where the application is told that somebody has signed out; an empty one for nowhere." placeholder:"URL"`
	LogoutSession   *bool          `name:"backchannel-logout-session-required" help:"It counts on a sid in every logout token." negatable:""`
	WebOrigin       []string       `help:"Origin of a page that calls the house by script." placeholder:"ORIGIN" sep:"none"`
	Profile         *string        `help:"oauth2.1, or oidc-basic for stock SDKs that do without PKCE." placeholder:"PROFILE"`
	ThirdParty      *bool          `help:"Somebody else's application: people are asked for consent." negatable:""`
	Audience        *string        `help:"The API that tokens are for when a request names none." placeholder:"IDENTIFIER"`
	Grant           []string       `help:"What the application may do at an API in its own name, as 'IDENTIFIER=SCOPE SCOPE'." placeholder:"GRANT" sep:"none"`
	GrantType       []string       `help:"authorization_code, refresh_token, client_credentials, urn:ietf:params:oauth:grant-type:device_code, …" placeholder:"NAME"`
	AuthMethod      []string       `help:"client_secret_basic, client_secret_post, none." placeholder:"NAME"`
	Description     *string        `help:"What it is." placeholder:"TEXT"`
	RefreshOverlap  *time.Duration `help:"How long a used refresh token gets its successor again; at most 60s." placeholder:"DURATION"`
	Disabled        *bool          `help:"Refuse everything it asks." negatable:""`
	InsecureQuery   *bool          `name:"insecure-userinfo-query-token" help:"Let its access tokens come to /userinfo in the URL, where logs keep them." negatable:""`
}

// apply changes what was named.
func (f *clientFlags) apply(c *apps.Client) error {
	if f.Type != nil {
		if c.Type = apps.Type(*f.Type); !c.Confidential() {
			c.SecretHash = nil
		}
	}
	for flags, dst := range map[*[]string]*[]string{&f.Callback: &c.RedirectURIs, &f.LogoutURL: &c.LogoutURLs, &f.WebOrigin: &c.WebOrigins, &f.GrantType: &c.GrantTypes} {
		if list, ok := given(*flags); ok {
			*dst = list
		}
	}
	if methods, ok := given(f.AuthMethod); ok {
		c.AuthMethods = nil
		for _, m := range methods {
			c.AuthMethods = append(c.AuthMethods, oauth.AuthMethod(m))
		}
	}
	if f.Profile != nil {
		c.Profile = apps.Profile(*f.Profile)
	}
	set(&c.DefaultRedirectURI, f.DefaultCallback)
	set(&c.BackchannelLogoutURI, f.LogoutURI)
	set(&c.BackchannelLogoutSessionRequired, f.LogoutSession)
	set(&c.ThirdParty, f.ThirdParty)
	set(&c.Audience, f.Audience)
	set(&c.Description, f.Description)
	set(&c.RefreshOverlap, f.RefreshOverlap)
	set(&c.Disabled, f.Disabled)
	set(&c.InsecureUserinfoQueryToken, f.InsecureQuery)
	return f.applyGrants(c)
}

func (f *clientFlags) applyGrants(c *apps.Client) error {
	list, ok := given(f.Grant)
	if !ok {
		return nil
	}
	c.Grants = map[string]oauth.Scope{}
	for _, g := range list {
		audience, scope, ok := cutLast(g, "=")
		parsed, err := oauth.ParseScope(scope)
		if !ok || audience == "" || err != nil {
			return fault.Field("scope", "%q must be IDENTIFIER=SCOPE SCOPE, such as 'https://api.example.com/=read:shows write:shows'", g)
		}
		c.Grants[audience] = parsed
	}
	return nil
}

// checkGrants demands that what was granted is there to be granted.
func (f *clientFlags) checkGrants(ctx context.Context, h *server.House, c *apps.Client) error {
	for audience, scope := range c.Grants {
		api, err := h.Apps.API(ctx, h.Tenant, audience)
		if fault.Is(err, fault.NotFound) {
			return fault.Field("scope", "there is no API %s; create it first: gatehouse api create %s", audience, audience)
		}
		if err != nil {
			return err
		}
		for _, s := range scope {
			if !api.Scopes().Contains(s) {
				return fault.Field("scope", "the API %s has no permission %q; it has: %s", audience, s, api.Scopes())
			}
		}
	}
	return nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

type clientCreate struct {
	verb
	Name string `arg:"" help:"What people read on the consent page."`
	clientFlags
}

// Help shows examples.
func (clientCreate) Help() string {
	return `Without --type it is regular_web. Its secret is printed once.

  gatehouse client create "My shop" --type spa --callback https://shop.example.com/callback \
      --logout-url https://shop.example.com --web-origin https://shop.example.com --config gatehouse.yaml
  gatehouse client create "Nightly job" --type machine --grant 'https://api.example.com/=read:orders' --config gatehouse.yaml`
}

// Run registers the application and prints it.
func (c *clientCreate) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		typ := apps.RegularWeb
		if c.Type != nil {
			typ = apps.Type(*c.Type)
		}
		client, secret := apps.NewClient(c.Name, typ)
		if err := c.apply(client); err != nil {
			return err
		}
		if err := c.checkGrants(ctx, h, client); err != nil {
			return err
		}
		if err := h.Admin().CreateClient(ctx, h.Tenant, client, operator()); err != nil {
			return err
		}
		return printClient(to, h, client, secret, c.JSON)
	})
}

type clientList struct{ verb }

// Run prints all applications.
func (c *clientList) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		var shown []management.Client
		rows := [][]string{}
		for page := (apps.Page{Limit: 100}); ; page.Offset += page.Limit {
			clients, _, err := h.Apps.ListClients(ctx, h.Tenant, page)
			if err != nil {
				return err
			}
			for _, client := range clients {
				shown = append(shown, management.ShowClient(h.Tenant, client, ""))
				rows = append(rows, []string{client.ClientID, client.Name, string(client.Type), string(client.Profile), yes(client.ThirdParty), yes(client.Disabled)})
			}
			if len(clients) < page.Limit {
				break
			}
		}
		if c.JSON {
			return printJSON(to.Out, orNone(shown))
		}
		return table(to.Out, []string{"CLIENT ID", "NAME", "TYPE", "PROFILE", "THIRD PARTY", "DISABLED"}, rows)
	})
}

func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

type clientShow struct {
	verb
	ClientID string `arg:"" help:"Its id."`
}

// Run prints one application.
func (c *clientShow) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		client, err := h.Apps.Client(ctx, h.Tenant, c.ClientID)
		if err != nil {
			return fixable(err, "gatehouse client list shows those there are")
		}
		return printClient(to, h, client, "", c.JSON)
	})
}

type clientUpdate struct {
	verb
	ClientID string  `arg:"" help:"Its id."`
	Name     *string `help:"What people read on the consent page." placeholder:"NAME"`
	clientFlags
	AddCallback  []string `help:"One more callback." placeholder:"URL" sep:"none"`
	AddLogoutURL []string `name:"add-logout-url" help:"One more logout URL." placeholder:"URL" sep:"none"`
	AddWebOrigin []string `help:"One more origin." placeholder:"ORIGIN" sep:"none"`
	AddGrantType []string `help:"One more grant type." placeholder:"NAME" sep:"none"`
	AddGrant     []string `help:"One more API it may call in its own name." placeholder:"GRANT" sep:"none"`
}

// add puts to the lists what they lack.
func (c *clientUpdate) add(client *apps.Client) error {
	for dst, more := range map[*[]string][]string{&client.RedirectURIs: c.AddCallback, &client.LogoutURLs: c.AddLogoutURL, &client.WebOrigins: c.AddWebOrigin, &client.GrantTypes: c.AddGrantType} {
		for _, v := range more {
			if !slices.Contains(*dst, v) {
				*dst = append(slices.Clone(*dst), v)
			}
		}
	}
	more := &apps.Client{}
	if err := (&clientFlags{Grant: c.AddGrant}).applyGrants(more); err != nil {
		return err
	}
	maps.Copy(client.Grants, more.Grants)
	return nil
}

// Help shows an example.
func (clientUpdate) Help() string {
	return `A list that is named replaces the old one; --add-… puts one more in it.

  gatehouse client update CLIENT_ID --callback https://a.example.com/cb --callback https://b.example.com/cb --config gatehouse.yaml`
}

// Run changes the application and prints it.
func (c *clientUpdate) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		wanted := &apps.Client{}
		if err := (&clientFlags{Grant: append(slices.Clone(c.Grant), c.AddGrant...)}).applyGrants(wanted); err != nil {
			return err
		}
		if err := c.checkGrants(ctx, h, wanted); err != nil {
			return err
		}
		client, err := h.Admin().UpdateClient(ctx, h.Tenant, c.ClientID, func(client *apps.Client) error {
			set(&client.Name, c.Name)
			if err := c.apply(client); err != nil {
				return err
			}
			return c.add(client)
		}, operator())
		if err != nil {
			return fixable(err, "gatehouse client list shows those there are")
		}
		return printClient(to, h, client, "", c.JSON)
	})
}

type clientDelete struct {
	houseFlags
	ClientID string `arg:"" help:"Its id."`
}

// Run removes the application.
func (c *clientDelete) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		if err := h.Admin().DeleteClient(ctx, h.Tenant, c.ClientID, operator()); err != nil {
			return fixable(err, "gatehouse client list shows those there are")
		}
		fmt.Fprintf(to.Err, "Deleted client %s and everything granted to it.\n", c.ClientID)
		return nil
	})
}

type clientRotateSecret struct {
	verb
	ClientID string `arg:"" help:"Its id."`
}

// Run gives the application a new secret and prints it.
func (c *clientRotateSecret) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		client, secret, err := h.Admin().RotateSecret(ctx, h.Tenant, c.ClientID, operator())
		if err != nil {
			return fixable(err, "gatehouse client list shows those there are")
		}
		return printClient(to, h, client, secret, c.JSON)
	})
}

// fixable adds what to do to an error about a thing that is not there.
func fixable(err error, fix string) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "%s Try: %s.", fault.MessageOf(err), fix)
	}
	return err
}

func printClient(to streams, h *server.House, c *apps.Client, secret string, asJSON bool) error {
	if asJSON {
		return printJSON(to.Out, management.ShowClient(h.Tenant, c, secret))
	}
	var methods []string
	for _, m := range c.AuthMethods {
		methods = append(methods, string(m))
	}
	var grants []string
	for audience, scope := range c.Grants {
		grants = append(grants, audience+"="+scope.String())
	}
	if err := details(to.Out,
		field{"client_id", c.ClientID}, field{"client_secret", secret}, field{"name", c.Name}, field{"description", c.Description}, field{"type", string(c.Type)},
		field{"profile", string(c.Profile)}, field{"third party", yes(c.ThirdParty)}, field{"disabled", yes(c.Disabled)},
		field{"callbacks", lines(c.RedirectURIs)}, field{"default callback", c.DefaultRedirectURI}, field{"logout urls", lines(c.LogoutURLs)},
		field{"back-channel logout", c.BackchannelLogoutURI}, field{"web origins", lines(c.WebOrigins)}, field{"grant types", strings.Join(c.GrantTypes, " ")}, field{"auth methods", strings.Join(methods, " ")},
		field{"audience", c.Audience}, field{"own grants", lines(grants)},
	); err != nil {
		return err
	}
	if secret != "" {
		fmt.Fprintln(to.Err, "\nKeep the secret: it is not shown again.")
	}
	return nil
}

package oauth_test

import (
	"context"
	"net/netip"
	"net/url"
	"regexp"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// proxied makes the tests' own address a proxy, so that a test can come from anywhere.
func proxied(c *config.Config) {
	c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func TestClientCredentials(t *testing.T) {
	i := house(t)
	other := apps.NewAPI("https://api/other", "Other")
	other.Permissions = []apps.Permission{{Value: "x"}}
	must(t, i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error { return i.House.Apps.CreateAPI(tx, other) }))
	for name, c := range map[string]struct {
		pairs []string
		want  string // error, or the granted scope
		ok    bool
	}{
		"nothing":                   {nil, "read:shows write:shows", true},
		"the audience":              {[]string{"audience", demo.Audience}, "read:shows write:shows", true},
		"the resource":              {[]string{"resource", demo.Audience}, "read:shows write:shows", true},
		"both":                      {[]string{"audience", demo.Audience, "resource", demo.Audience}, "read:shows write:shows", true},
		"a part of the scope":       {[]string{"scope", "read:shows"}, "read:shows", true},
		"unknown scopes beside":     {[]string{"scope", "openid read:shows offline_access everything"}, "read:shows", true},
		"unknown scopes alone":      {[]string{"scope", "openid everything"}, "invalid_scope", false},
		"a malformed scope":         {[]string{"scope", "read:shows \"x\""}, "invalid_scope", false},
		"an API without a grant":    {[]string{"audience", "https://api/other"}, "invalid_target", false},
		"an unknown audience":       {[]string{"audience", "https://api/unknown"}, "invalid_target", false},
		"the management API":        {[]string{"audience", i.URL + "/api/v2/"}, "invalid_target", false},
		"userinfo":                  {[]string{"audience", i.URL + "/userinfo"}, "invalid_target", false},
		"the API's id":              {[]string{"audience", other.ID}, "invalid_target", false},
		"audience against resource": {[]string{"audience", demo.Audience, "resource", "https://api/other"}, "invalid_target", false},
		"a slash more":              {[]string{"audience", demo.Audience + "/"}, "invalid_target", false},
		"a relative resource":       {[]string{"resource", "tv-shows"}, "invalid_target", false},
	} {
		got := i.PostForm(t, "/oauth/token", demo.Machine, append([]string{"grant_type", "client_credentials"}, c.pairs...)...)
		if !c.ok {
			expectTokenError(t, name, got, c.want)
			continue
		}
		if got.Status != 200 || got.Scope != c.want || got.RefreshToken != "" || got.IDToken != "" {
			t.Errorf("%s: %d %s", name, got.Status, got.Raw)
			continue
		}
		m := i.Content.Client(demo.Machine)
		if a := claims(t, got.AccessToken); a["sub"] != m.ClientID+"@clients" || a["client_id"] != m.ClientID || a["scope"] != c.want || a["gid"] != nil || a["sid"] != nil || a["aud"] != demo.Audience {
			t.Errorf("%s: claims %v", name, a)
		}
	}
	// A scope the API no longer has is granted to nobody.
	api, err := i.House.Apps.API(context.Background(), i.House.Tenant, demo.Audience)
	must(t, err)
	less := *api
	less.Permissions = less.Permissions[:1]
	must(t, i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error { return i.House.Apps.UpdateAPI(tx, &less) }))
	if got := i.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials"); got.Scope != "read:shows" {
		t.Errorf("after the API lost a permission: %s", got.Raw)
	}
}

func TestThreat_TK14_GrantsThatAreNotTheClients(t *testing.T) {
	i := house(t)
	for name, c := range map[string]struct{ client, grant, want string }{
		"client credentials for a public client": {demo.SPA, "client_credentials", "unauthorized_client"},
		"client credentials for a native client": {demo.Native, "client_credentials", "unauthorized_client"},
		"client credentials for a web client":    {demo.RegularWeb, "client_credentials", "unauthorized_client"},
		"code for a machine":                     {demo.Machine, "authorization_code", "unauthorized_client"},
		"refresh for a machine":                  {demo.Machine, "refresh_token", "unauthorized_client"},
		"password":                               {demo.RegularWeb, "password", "unsupported_grant_type"},
		"password-realm":                         {demo.RegularWeb, "http://auth0.com/oauth/grant-type/password-realm", "unsupported_grant_type"},
		"implicit":                               {demo.SPA, "implicit", "unsupported_grant_type"},
		"device code for a page":                 {demo.SPA, "urn:ietf:params:oauth:grant-type:device_code", "unauthorized_client"},
		"device code for a machine":              {demo.Machine, "urn:ietf:params:oauth:grant-type:device_code", "unauthorized_client"},
		"JWT bearer":                             {demo.Machine, "urn:ietf:params:oauth:grant-type:jwt-bearer", "unsupported_grant_type"},
		"upper case":                             {demo.SPA, "AUTHORIZATION_CODE", "unsupported_grant_type"},
		"with a space":                           {demo.SPA, "authorization_code ", "unsupported_grant_type"},
	} {
		got := i.PostForm(t, "/oauth/token", c.client, "grant_type", c.grant, "username", demo.Reader, "password", i.Password(t, demo.Reader), "code", "x", "refresh_token", "x")
		expectTokenError(t, name, got, c.want)
	}
	change(t, i, demo.Machine, func(c *apps.Client) { c.Disabled = true })
	expectTokenError(t, "a machine that is disabled", i.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials"), "invalid_client")
	change(t, i, demo.Machine, func(c *apps.Client) { c.Disabled, c.GrantTypes = false, nil })
	expectTokenError(t, "a machine without a grant", i.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials"), "unauthorized_client")
}

// Even a public client whose registration says client_credentials (nothing lets it be stored) gets
// no token in its own name.
func TestThreat_TK14_PublicClientsHaveNoNameOfTheirOwn(t *testing.T) {
	i := house(t)
	spa := i.Content.Client(demo.SPA)
	must(t, i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE clients SET settings = REPLACE(settings, '"refresh_token"', '"client_credentials"') WHERE tenant_id = $1 AND client_id = $2`, spa.ClientID)
		return err
	}))
	i.House.Apps.Forget(i.House.Tenant.ID)
	expectTokenError(t, "a public client", post(t, i, "/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {spa.ClientID}, "audience": {demo.Audience}}.Encode()), "unauthorized_client")
	c, err := i.House.Apps.Client(context.Background(), i.House.Tenant, spa.ClientID)
	must(t, err)
	if !c.MayUse(oauth.GrantClientCredentials) {
		t.Fatal("the test did not get its registration in")
	}
	if err := c.Validate(); err == nil {
		t.Error("it would be stored")
	}
}

var (
	uuid     = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	clientID = regexp.MustCompile(`^[A-Za-z0-9]{32}$`)
)

// No client can be taken for a user, nor a user for a client.
func TestThreat_TK20_SubjectsOfClientsAndUsersAreApart(t *testing.T) {
	i := house(t)
	user, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", "openid read:shows")
	if sub := claims(t, user.AccessToken)["sub"].(string); !uuid.MatchString(sub) || clientID.MatchString(sub) {
		t.Errorf("a user's sub is %q", sub)
	}
	machine := i.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials")
	if sub := claims(t, machine.AccessToken)["sub"].(string); uuid.MatchString(sub) || !clientID.MatchString(sub[:32]) || sub[32:] != "@clients" {
		t.Errorf("a client's sub is %q", sub)
	}
	for _, c := range i.Content.Clients {
		if !clientID.MatchString(c.ClientID) {
			t.Errorf("%s has the client id %q", c.Name, c.ClientID)
		}
	}
	// A client's token opens nothing that is a person's, whatever its id were.
	if resp := get(t, i, "/userinfo", "Authorization", "Bearer "+machine.AccessToken); resp.StatusCode != 401 {
		t.Errorf("userinfo for a client: %s", resp.Status)
	}
}

package checkup_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/shell"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/backchannel"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func spa() *apps.Client {
	c, _ := apps.NewClient("Shop", apps.SPA)
	c.ClientID = "shop"
	c.RedirectURIs, c.LogoutURLs, c.WebOrigins = []string{"https://shop.example/cb"}, []string{"https://shop.example"}, []string{"https://shop.example"}
	return c
}

func web() *apps.Client {
	c, _ := apps.NewClient("Web", apps.RegularWeb)
	c.ClientID, c.RedirectURIs = "web", []string{"https://web.example/cb"}
	return c
}

func machine() *apps.Client {
	c, _ := apps.NewClient("Job", apps.Machine)
	c.ClientID, c.Grants = "job", map[string]oauth.Scope{"https://api/": {"read"}}
	return c
}

func entry(kind checkup.Kind, sent string) checkup.Entry {
	return checkup.Entry{Kind: kind, Sent: sent, FirstAt: noon, LastAt: noon, Count: 1}
}

func later(e checkup.Entry) checkup.Entry {
	e.LastAt = noon.Add(time.Minute)
	return e
}

// Each row is one mistake that people make, and what they are told.
func TestExamine(t *testing.T) {
	with := func(c *apps.Client, change func(*apps.Client)) *apps.Client { change(c); return c }
	for name, c := range map[string]struct {
		client  *apps.Client
		entries []checkup.Entry
		strays  []checkup.Entry
		level   checkup.Level // of the first finding; empty for none
		says    string        // in its title, difference and fix
		command string
	}{
		"all is well":            {client: spa(), entries: []checkup.Entry{entry(checkup.Authorized, ""), entry(checkup.CodeRedeemed, "")}},
		"a slash at the end":     {spa(), []checkup.Entry{entry(checkup.RedirectURI, "https://shop.example/cb/")}, nil, checkup.Wrong, "a slash at the end", "client update shop --add-callback https://shop.example/cb/"},
		"http in place of https": {spa(), []checkup.Entry{entry(checkup.RedirectURI, "http://shop.example/cb")}, nil, checkup.Wrong, "http in place of https", ""},
		"another port": {with(spa(), func(c *apps.Client) {
			c.RedirectURIs = []string{"http://localhost:3000"}
			c.WebOrigins = c.RedirectURIs
		}), []checkup.Entry{entry(checkup.RedirectURI, "http://localhost:5173")}, nil, checkup.Wrong, "another port", "client update shop --add-callback http://localhost:5173"},
		"127.0.0.1 for localhost": {with(spa(), func(c *apps.Client) {
			c.RedirectURIs = []string{"http://localhost:3000"}
			c.WebOrigins = c.RedirectURIs
		}), []checkup.Entry{entry(checkup.RedirectURI, "http://127.0.0.1:3000")}, nil, checkup.Wrong, "127.0.0.1 in place of localhost", "client update shop --add-callback http://127.0.0.1:3000"},
		"upper and lower case":                {spa(), []checkup.Entry{entry(checkup.RedirectURI, "https://shop.example/CB")}, nil, checkup.Wrong, "upper and lower case", "client update shop --add-callback https://shop.example/CB"},
		"registered since":                    {spa(), []checkup.Entry{entry(checkup.RedirectURI, "https://shop.example/cb")}, nil, checkup.Settled, "not registered", ""},
		"several, each something else":        {spa(), []checkup.Entry{entry(checkup.RedirectURI, "")}, nil, checkup.Wrong, "each something else", ""},
		"somebody else's address":             {spa(), []checkup.Entry{entry(checkup.RedirectURI, "https://evil.example/cb")}, nil, checkup.Look, "Anybody can send", ""},
		"an address that was cut":             {spa(), []checkup.Entry{entry(checkup.RedirectURI, "https://shop.example/cb?…")}, nil, checkup.Wrong, "a query", ""},
		"no redirect_uri":                     {spa(), []checkup.Entry{entry(checkup.RedirectMissing, "")}, nil, checkup.Wrong, "no default", "client update shop --default-redirect-uri https://shop.example/cb"},
		"no callback":                         {with(web(), func(c *apps.Client) { c.RedirectURIs = nil }), nil, nil, checkup.Wrong, "No callback", "client update web --add-callback URL"},
		"disabled":                            {with(web(), func(c *apps.Client) { c.Disabled = true }), nil, nil, checkup.Wrong, "disabled", "client update web --no-disabled"},
		"origin never registered":             {with(spa(), func(c *apps.Client) { c.WebOrigins = nil }), nil, nil, checkup.Wrong, "can not call the house", "client update shop --add-web-origin https://shop.example"},
		"origin of a message":                 {spa(), []checkup.Entry{entry(checkup.MessageOrigin, "https://shop.example:8443")}, nil, checkup.Wrong, "another port", "client update shop --add-web-origin https://shop.example:8443"},
		"a page kept out by its preflight":    {spa(), nil, []checkup.Entry{entry(checkup.PageOrigin, "http://localhost:4000")}, checkup.Look, "was kept from", "client update shop --add-web-origin http://localhost:4000"},
		"a page of somebody else":             {client: spa(), strays: []checkup.Entry{entry(checkup.PageOrigin, "https://other.example")}},
		"logout address":                      {spa(), []checkup.Entry{entry(checkup.LogoutURL, "https://shop.example/bye")}, nil, checkup.Wrong, "another path", "client update shop --add-logout-url https://shop.example/bye"},
		"id_token without the profile":        {web(), []checkup.Entry{entry(checkup.ResponseType, "id_token")}, nil, checkup.Wrong, "express-openid-connect", "client update web --profile oidc-basic"},
		"the implicit grant":                  {with(web(), func(c *apps.Client) { c.Profile = apps.OIDCBasic }), []checkup.Entry{entry(checkup.ResponseType, "")}, nil, checkup.Wrong, "implicit grant is deprecated and not offered: use response_type=code with PKCE", ""},
		"PKCE by plain":                       {web(), []checkup.Entry{entry(checkup.PKCE, "plain")}, nil, checkup.Wrong, "code_challenge_method=S256", ""},
		"a server that takes itself for http": {web(), []checkup.Entry{entry(checkup.RedirectURI, "http://web.example/cb")}, nil, checkup.Wrong, "behind a proxy that ends TLS, tell it its own address", ""},
		"a mistyped client id":                {web(), nil, []checkup.Entry{entry(checkup.UnknownClient, "")}, checkup.Look, "client id that nobody has", ""},
		"an API like one there is":            {machine(), []checkup.Entry{entry(checkup.APIGrant, "https://api")}, nil, checkup.Wrong, "a slash at the end", ""},
		"scopes a machine does not get":       {machine(), []checkup.Entry{entry(checkup.ScopeDropped, "write")}, nil, checkup.Look, "gatehouse client show", ""},
		"no PKCE on a server":                 {web(), []checkup.Entry{entry(checkup.PKCE, "")}, nil, checkup.Wrong, "passport-auth0", "client update web --profile oidc-basic"},
		"no PKCE in a browser":                {spa(), []checkup.Entry{entry(checkup.PKCE, "")}, nil, checkup.Wrong, "Turn PKCE", ""},
		"an audience like one there is":       {spa(), []checkup.Entry{entry(checkup.Audience, "https://api")}, nil, checkup.Wrong, "a slash at the end", ""},
		"an audience like none":               {spa(), []checkup.Entry{entry(checkup.Audience, "urn:orders")}, nil, checkup.Wrong, "register the API", "api create urn:orders"},
		"scopes it does not get":              {spa(), []checkup.Entry{entry(checkup.ScopeDropped, "fly:planes")}, nil, checkup.Look, "left out, silently", ""},
		"wrong secret":                        {web(), []checkup.Entry{entry(checkup.ClientSecret, "")}, nil, checkup.Wrong, "secret is wrong", "client rotate-secret web"},
		"wrong secret, and right since":       {web(), []checkup.Entry{entry(checkup.ClientSecret, ""), later(entry(checkup.CodeRedeemed, ""))}, nil, checkup.Settled, "secret is wrong", ""},
		"a public client with a secret":       {spa(), []checkup.Entry{entry(checkup.AuthMethod, "client_secret_post")}, nil, checkup.Wrong, "is a public client", ""},
		"a server without its secret":         {web(), []checkup.Entry{entry(checkup.AuthMethod, "none")}, nil, checkup.Wrong, "no client secret", ""},
		"basic where post is registered":      {web(), []checkup.Entry{entry(checkup.AuthMethod, "client_secret_basic")}, nil, checkup.Wrong, "not registered for", "client update web --auth-method client_secret_basic --auth-method client_secret_post"},
		"a grant type it has not":             {machine(), []checkup.Entry{entry(checkup.GrantType, oauth.GrantTokenExchange)}, nil, checkup.Wrong, "grant type", "client update job --add-grant-type urn:ietf:params:oauth:grant-type:token-exchange"},
		"the password grant":                  {web(), []checkup.Entry{entry(checkup.GrantType, "password")}, nil, checkup.Wrong, "deprecated", ""},
		"an API it has no grant for":          {machine(), []checkup.Entry{entry(checkup.APIGrant, "https://other/")}, nil, checkup.Wrong, "no grant", "client update job --add-grant https://other/=SCOPE"},
		"a code twice":                        {web(), []checkup.Entry{entry(checkup.Code, "")}, nil, checkup.Wrong, "callback runs twice", ""},
		"a verifier of another tab":           {web(), []checkup.Entry{entry(checkup.CodeVerifier, "")}, nil, checkup.Wrong, "code_verifier", ""},
		"another redirect_uri at the end":     {web(), []checkup.Entry{entry(checkup.CodeRedirectURI, "")}, nil, checkup.Wrong, "in both", ""},
		"refresh tokens shared":               {web(), []checkup.Entry{entry(checkup.RefreshReused, "")}, nil, checkup.Wrong, "stolen", ""},
		"refresh tokens that ended":           {web(), []checkup.Entry{entry(checkup.RefreshToken, "")}, nil, checkup.Look, "Normal after a sign-out", ""},
		"silent sign-in that never worked":    {spa(), []checkup.Entry{entry(checkup.LoginRequired, "")}, nil, checkup.Look, "another site", ""},
		"silent sign-in that sometimes did":   {spa(), []checkup.Entry{later(entry(checkup.LoginRequired, "")), entry(checkup.AuthorizedSilently, "")}, nil, checkup.Look, "Normal for people who are signed out.", ""},
		"a device in a hurry":                 {web(), []checkup.Entry{entry(checkup.PolledTooFast, "")}, nil, checkup.Look, "interval", ""},
		"codes that nobody redeems":           {spa(), []checkup.Entry{entry(checkup.Authorized, "")}, nil, checkup.Wrong, "no code is ever redeemed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := checkup.Examine(checkup.Facts{Issuer: "https://id.example/", Client: c.client, Entries: c.entries, Strays: c.strays, APIs: []string{"https://api/", "https://other/"}})
			if c.level == "" {
				if len(r.Findings) != 0 {
					t.Fatalf("found %+v", r.Findings)
				}
				return
			}
			if len(r.Findings) != 1 {
				t.Fatalf("found %d: %+v", len(r.Findings), r.Findings)
			}
			f := r.Findings[0]
			if text := f.Title + " " + f.Difference + " " + f.Fix; f.Level != c.level || !strings.Contains(text, c.says) {
				t.Errorf("%s: %s; want %s: …%s…", f.Level, text, c.level, c.says)
			}
			if got := strings.Join(f.Command, " "); got != c.command {
				t.Errorf("command %q, want %q", got, c.command)
			}
		})
	}
}

// What a browser asks before a request and the request itself are one thing.
func TestOnePageIsToldOfOnce(t *testing.T) {
	const page = "http://localhost:4000"
	c := spa()
	c.RedirectURIs, c.WebOrigins = append(c.RedirectURIs, "http://localhost:3000"), append(c.WebOrigins, "http://localhost:3000")
	r := checkup.Examine(checkup.Facts{Issuer: "https://id.example/", Client: c, Entries: []checkup.Entry{entry(checkup.WebOrigin, page)}, Strays: []checkup.Entry{entry(checkup.PageOrigin, page)}})
	if len(r.Findings) != 1 || r.Findings[0].Level != checkup.Wrong {
		t.Errorf("%+v", r.Findings)
	}
}

// Where no registered address is near, all of them are shown.
func TestAnotherHostIsShownWhatIsRegistered(t *testing.T) {
	r := checkup.Examine(checkup.Facts{Issuer: "https://id.example/", Client: web(), Entries: []checkup.Entry{entry(checkup.RedirectURI, "https://www.web.example/cb")}})
	if len(r.Findings) != 1 || r.Findings[0].Registered != "https://web.example/cb" || r.Findings[0].Command != nil {
		t.Errorf("%+v", r.Findings)
	}
}

// Who could not be told of a sign-out finds out why, while an address is registered.
func TestUntold(t *testing.T) {
	for failure, says := range map[backchannel.Failure]string{
		backchannel.Rejected: "It answered 500", backchannel.Redirected: "It answered 500, which leads elsewhere", backchannel.TimedOut: "in time",
		backchannel.AddressRefused: "none that the house calls", backchannel.Unreachable: "certificate that is trusted",
	} {
		c := web()
		facts := checkup.Facts{Issuer: "https://id.example/", Client: c, Untold: &checkup.Untold{Failure: failure, Status: 500, Count: 2, LastAt: noon}}
		if r := checkup.Examine(facts); len(r.Findings) != 0 {
			t.Errorf("%s, and it does not want to be told: %+v", failure, r.Findings)
		}
		c.BackchannelLogoutURI = "https://web.example/logout"
		r := checkup.Examine(facts)
		if len(r.Findings) != 1 || r.Findings[0].Level != checkup.Wrong || !strings.Contains(r.Findings[0].Fix, says) || strings.Join(r.Findings[0].Command, " ") != "client logouts web" {
			t.Errorf("%s: %+v", failure, r.Findings)
		}
	}
}

func TestNothingSeenIsSaid(t *testing.T) {
	if r := checkup.Examine(checkup.Facts{Issuer: "https://id.example/", Client: web()}); r.Seen || len(r.Findings) != 0 {
		t.Errorf("%+v", r)
	}
	r := checkup.Examine(checkup.Facts{Issuer: "https://id.example/", Client: machine(), Entries: []checkup.Entry{entry(checkup.Credentials, "")}})
	if !r.Seen || len(r.Lasts) != 1 || !r.Lasts[0].At.Equal(noon) || r.Lasts[0].Title == "" {
		t.Errorf("%+v", r)
	}
}

// A stranger chooses what a request says. Nobody is offered to register a stranger's address, and a
// command that is copied into a shell does one thing.
func TestThreat_AD05_CommandsHoldNothingOfAStranger(t *testing.T) {
	for _, sent := range []string{
		"https://evil.example/cb", "https://shop.example.evil.example/cb", "https://shop.example@evil.example/cb", "https://evil.example/https://shop.example/cb",
		"https://shop.example/$(touch x)", "https://shop.example/`id`", "https://shop.example/a b", "javascript:alert(1)", "https://shop.example/\\", "--no-disabled", "https://*.shop.example/cb",
		"http://shop.example/cb",
	} {
		r := checkup.Examine(checkup.Facts{Issuer: "https://id.example/", Client: spa(), Entries: []checkup.Entry{entry(checkup.RedirectURI, sent), entry(checkup.LogoutURL, sent)}})
		for _, f := range r.Findings {
			if f.Command != nil {
				t.Errorf("%q is offered: %q", sent, f.Command)
			}
		}
	}
	// Nor does a stranger have a client that works made less strict.
	public, _ := apps.NewClient("Program", apps.Native)
	public.ClientID, public.RedirectURIs = "program", []string{"http://127.0.0.1/callback"}
	for _, sent := range []checkup.Entry{entry(checkup.ResponseType, "id_token"), entry(checkup.PKCE, ""), entry(checkup.GrantType, oauth.GrantDeviceCode)} {
		c := web()
		if sent.Kind == checkup.GrantType {
			c = public
		}
		for _, works := range []checkup.Entry{entry(checkup.CodeRedeemed, ""), later(entry(checkup.CodeRedeemed, ""))} {
			r := checkup.Examine(checkup.Facts{Issuer: "https://id.example/", Client: c, Entries: []checkup.Entry{later(sent), works}})
			if len(r.Findings) != 1 || r.Findings[0].Level == checkup.Wrong || r.Findings[0].Command != nil {
				t.Errorf("%s: %+v", sent.Kind, r.Findings)
			}
		}
	}
	// What lies at the application's own host may still hold what a shell reads.
	for _, path := range []string{"/a;b", "/a&b", "/(id)", "/it's", "/$HOME", "/!x"} {
		r := checkup.Examine(checkup.Facts{Issuer: "https://id.example/", Client: spa(), Entries: []checkup.Entry{entry(checkup.RedirectURI, "https://shop.example"+path)}})
		i := slices.IndexFunc(r.Findings, func(f checkup.Finding) bool { return f.Command != nil })
		if i < 0 {
			continue
		}
		words := r.Findings[i].Command
		out, err := exec.Command("sh", "-c", "printf '%s\\n' "+shell.Join(words...)).Output()
		if err != nil || string(out) != strings.Join(words, "\n")+"\n" {
			t.Errorf("%q became %q (%v)", words, out, err)
		}
	}
}

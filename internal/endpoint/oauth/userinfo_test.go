package oauth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

func TestUserInfo(t *testing.T) {
	i := house(t)
	b := i.NewBrowser(t)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	for scope, want := range map[string][]string{
		"openid":                          {"sub"},
		"openid email":                    {"email", "email_verified", "sub"},
		"openid profile":                  {"family_name", "given_name", "name", "nickname", "sub", "updated_at"},
		"openid profile email read:shows": {"email", "email_verified", "family_name", "given_name", "name", "nickname", "sub", "updated_at"},
	} {
		tokens := i.TokensIn(t, b, demo.SPA, "scope", scope)
		for how, got := range map[string]servertest.Tokens{
			"GET":             servertest.ReadTokens(t, get(t, i, "/userinfo", "Authorization", "Bearer "+tokens.AccessToken)),
			"POST":            post(t, i, "/userinfo", "", "Authorization", "Bearer "+tokens.AccessToken),
			"in a form":       post(t, i, "/userinfo", "access_token="+tokens.AccessToken),
			"in a JSON body":  post(t, i, "/userinfo", `{"access_token":"`+tokens.AccessToken+`"}`, "Content-Type", "application/json"),
			"lower-case name": post(t, i, "/userinfo", "", "Authorization", "bearer "+tokens.AccessToken),
		} {
			if got.Status != 200 || !slices.Equal(members(t, got.Raw), want) || !strings.Contains(got.Raw, `"sub":"`+i.UserID(t, demo.Reader)+`"`) {
				t.Errorf("%s, %s: %d %s, want %v", scope, how, got.Status, got.Raw, want)
			}
			if got.Header.Get("Access-Control-Allow-Origin") != "*" || got.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: not for every origin: %v", how, got.Header)
			}
		}
		if scope != "openid" {
			continue
		}
		if id := claims(t, tokens.IDToken); id["sub"] != i.UserID(t, demo.Reader) {
			t.Error("the ID token is about somebody else")
		}
	}
}

func TestThreat_TK18_WhereABearerTokenMayStand(t *testing.T) {
	i := house(t)
	spa, b := i.TokensFor(t, demo.Reader, demo.SPA, "scope", "openid")
	web := i.TokensIn(t, b, demo.RegularWeb, "scope", "openid profile")
	strict := i.TokensIn(t, b, demo.Native, "scope", "openid")
	bearer := "Bearer " + spa.AccessToken
	const bare, invalid = `Bearer realm="gatehouse"`, `error="invalid_token"`
	for name, c := range map[string]struct {
		path, body string
		headers    []string
		status     int
		challenge  string
	}{
		"nothing":                        {"/userinfo", "", nil, 401, bare},
		"another scheme":                 {"/userinfo", "", []string{"Authorization", "Basic eDp5"}, 401, bare},
		"a scheme that begins the same":  {"/userinfo", "", []string{"Authorization", "BearerToken " + spa.AccessToken}, 401, bare},
		"scheme alone":                   {"/userinfo", "", []string{"Authorization", "Bearer"}, 401, invalid},
		"scheme and a space":             {"/userinfo", "", []string{"Authorization", "Bearer "}, 401, invalid},
		"tab":                            {"/userinfo", "", []string{"Authorization", "Bearer\t" + spa.AccessToken}, 401, invalid},
		"two spaces":                     {"/userinfo", "", []string{"Authorization", "Bearer  " + spa.AccessToken}, 401, invalid},
		"comma":                          {"/userinfo", "", []string{"Authorization", "bearer, " + spa.AccessToken}, 401, invalid},
		"two tokens in one":              {"/userinfo", "", []string{"Authorization", bearer + " " + spa.AccessToken}, 401, invalid},
		"two headers":                    {"/userinfo", "", []string{"Authorization", bearer, "Authorization", bearer}, 400, ""},
		"header and form":                {"/userinfo", "access_token=" + spa.AccessToken, []string{"Authorization", bearer}, 400, ""},
		"header and query":               {"/userinfo?access_token=" + spa.AccessToken, "", []string{"Authorization", bearer}, 400, ""},
		"form twice":                     {"/userinfo", "access_token=a&access_token=b", nil, 400, ""},
		"query twice":                    {"/userinfo?access_token=a&access_token=b", "", nil, 400, ""},
		"query":                          {"/userinfo?access_token=" + spa.AccessToken, "", nil, 400, ""},
		"query of a native client":       {"/userinfo?access_token=" + strict.AccessToken, "", nil, 400, ""},
		"query, header form":             {"/userinfo?access_token=" + web.AccessToken, "access_token=" + web.AccessToken, nil, 400, ""},
		"query of a client that may":     {"/userinfo?access_token=" + web.AccessToken, "", nil, 200, ""},
		"query, empty":                   {"/userinfo?access_token=", "", nil, 401, invalid},
		"nonsense":                       {"/userinfo", "", []string{"Authorization", "Bearer x"}, 401, invalid},
		"text":                           {"/userinfo", "access_token=" + spa.AccessToken, []string{"Content-Type", "text/plain"}, 415, ""},
		"a cookie":                       {"/userinfo", "", []string{"Cookie", "access_token=" + spa.AccessToken}, 401, bare},
		"X-Forwarded-Access-Token":       {"/userinfo", "", []string{"X-Forwarded-Access-Token", spa.AccessToken}, 401, bare},
		"in the query under another way": {"/userinfo?token=" + spa.AccessToken, "", nil, 401, bare},
	} {
		got := post(t, i, c.path, c.body, c.headers...)
		challenge := got.Header.Get("WWW-Authenticate")
		ok := got.Status == c.status
		switch c.challenge {
		case "", bare:
			ok = ok && challenge == c.challenge
		default:
			ok = ok && strings.HasPrefix(challenge, bare+", "+c.challenge)
		}
		if !ok {
			t.Errorf("%s: %d, WWW-Authenticate %q; want %d, %q: %s", name, got.Status, challenge, c.status, c.challenge, got.Raw)
		}
		if got.Status == 400 && got.Error != "invalid_request" {
			t.Errorf("%s: %s", name, got.Raw)
		}
	}
	// By GET a form is no form, and the switch can be taken away.
	if resp := get(t, i, "/userinfo?access_token="+web.AccessToken); resp.StatusCode != 200 {
		t.Errorf("GET with a query: %s", resp.Status)
	}
	change(t, i, demo.RegularWeb, func(c *apps.Client) { c.InsecureUserinfoQueryToken = false })
	if resp := get(t, i, "/userinfo?access_token="+web.AccessToken); resp.StatusCode != 400 {
		t.Errorf("GET with a query for a client that no longer may: %s", resp.Status)
	}
}

// Tokens in addresses, forms and headers are in no log.
func TestThreat_TK18_TokensAreNotLogged(t *testing.T) {
	log := &syncBuffer{}
	i := servertest.New(t, servertest.Options{Log: log})
	web, _ := i.TokensFor(t, demo.Reader, demo.RegularWeb, "scope", offline)
	get(t, i, "/userinfo?access_token="+web.AccessToken)
	get(t, i, "/userinfo?access_token="+web.AccessToken+"x")
	get(t, i, "/nowhere?access_token="+web.AccessToken)
	i.Refresh(t, demo.RegularWeb, web.RefreshToken)
	i.Refresh(t, demo.SPA, web.RefreshToken)
	for _, secret := range []string{web.AccessToken, web.RefreshToken, web.IDToken, i.Content.Client(demo.RegularWeb).ClientSecret} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%s… is in the log", secret[:12])
		}
	}
}

func TestUserInfoNeedsOpenID(t *testing.T) {
	i := house(t)
	_, b := i.TokensFor(t, demo.Reader, demo.SPA)
	// A token without openid is not for /userinfo at all, and is told so.
	tokens := i.TokensIn(t, b, demo.SPA, "scope", "read:shows")
	if resp := get(t, i, "/userinfo", "Authorization", "Bearer "+tokens.AccessToken); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token for the API alone: %s", resp.Status)
	}
	// One that names no API is, whatever it is good for there.
	change(t, i, demo.SPA, func(c *apps.Client) { c.Audience = "" })
	plain := i.TokensIn(t, b, demo.SPA, "scope", "profile")
	resp := get(t, i, "/userinfo", "Authorization", "Bearer "+plain.AccessToken)
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="insufficient_scope"`) || !strings.Contains(resp.Header.Get("WWW-Authenticate"), `scope="openid"`) {
		t.Errorf("a token without openid: %s, %q", resp.Status, resp.Header.Get("WWW-Authenticate"))
	}
}

func TestThreat_JW14_DeadTokensAtUserInfo(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *servertest.Instance, *servertest.Browser, servertest.Tokens){
		"expired": func(_ *testing.T, i *servertest.Instance, _ *servertest.Browser, _ servertest.Tokens) {
			i.Clock.Advance(10 * time.Minute)
		},
		"the user is blocked": func(t *testing.T, i *servertest.Instance, _ *servertest.Browser, _ servertest.Tokens) {
			i.Block(t, demo.Reader)
		},
		"the user is blocked and no rule says so": func(t *testing.T, i *servertest.Instance, _ *servertest.Browser, _ servertest.Tokens) {
			must(t, i.House.Tenant.DB.Write(t.Context(), func(tx *db.Tx) error {
				_, err := i.House.People.SetBlocked(tx, i.UserID(t, demo.Reader), true)
				return err
			}))
		},
		"the client is disabled": func(t *testing.T, i *servertest.Instance, _ *servertest.Browser, _ servertest.Tokens) {
			change(t, i, demo.SPA, func(c *apps.Client) { c.Disabled = true })
		},
		"revoked": func(t *testing.T, i *servertest.Instance, _ *servertest.Browser, tk servertest.Tokens) {
			i.PostForm(t, "/oauth/revoke", demo.SPA, "token", tk.AccessToken)
		},
		"its refresh token revoked": func(t *testing.T, i *servertest.Instance, _ *servertest.Browser, tk servertest.Tokens) {
			i.PostForm(t, "/oauth/revoke", demo.SPA, "token", tk.RefreshToken)
		},
		"signed out": func(_ *testing.T, _ *servertest.Instance, b *servertest.Browser, tk servertest.Tokens) {
			b.Get("/oidc/logout?" + url.Values{"id_token_hint": {tk.IDToken}}.Encode())
		},
	} {
		i := house(t)
		tokens, b := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
		end(t, i, b, tokens)
		resp := get(t, i, "/userinfo", "Authorization", "Bearer "+tokens.AccessToken)
		if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: userinfo: %s, %q", name, resp.Status, resp.Header.Get("WWW-Authenticate"))
		}
		if got := i.Introspect(t, demo.Machine, tokens.AccessToken); len(got) != 1 || got["active"] != false {
			t.Errorf("%s: introspection: %v", name, got)
		}
	}
}

// Two nodes whose clocks differ by a few seconds honour each other's tokens, and none lives longer for it.
func TestThreat_DB12_ClocksOfNodesDiffer(t *testing.T) {
	i := house(t)
	tokens, _ := i.TokensFor(t, demo.Reader, demo.SPA)
	status := func() int {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, i.URL+"/userinfo", nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
		res, err := i.Client().Do(r)
		must(t, err)
		res.Body.Close()
		return res.StatusCode
	}
	made := i.Clock.Now()
	for behind, want := range map[time.Duration]int{5 * time.Second: 200, 29 * time.Second: 200, time.Minute: 401, -time.Duration(tokens.ExpiresIn) * time.Second: 401} {
		i.Clock.Set(made.Add(-behind))
		if got := status(); got != want {
			t.Errorf("on a node %s behind: %d, want %d", behind, got, want)
		}
	}
}

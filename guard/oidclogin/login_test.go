package oidclogin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

func TestSignInAndOut(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		for _, tls := range []bool{false, true} {
			a := newApp(t, tls, change)
			b := a.browser(t)
			p := b.visit("/shows?page=2")
			if p.StatusCode != 200 || p.body != "hello alice at /shows?page=2" {
				t.Fatalf("%d %s\n%s", p.StatusCode, p.body, a.log)
			}
			if left := b.cookies("_login_"); len(left) != 0 {
				t.Errorf("the flow's cookie is still there: %v", left)
			}
			for _, c := range b.cookies("") {
				if strings.HasPrefix(c.Name, "__Host-") != tls {
					t.Errorf("tls %v: cookie %s", tls, c.Name)
				}
			}

			me := b.fetch("/auth/me")
			var claims map[string]any
			if err := json.Unmarshal([]byte(me.body), &claims); err != nil {
				t.Fatal(err)
			}
			if claims["sub"] != "alice" || claims["email"] != "alice@example.com" || claims["nonce"] != nil || claims["aud"] != nil {
				t.Errorf("me: %v", claims)
			}
			if me.Header.Get("Cache-Control") != "no-store" {
				t.Error("me may be cached")
			}

			out := b.send(http.MethodPost, "/auth/logout", nil, "Sec-Fetch-Site", "same-origin")
			if out.body != "signed out\n" {
				t.Fatalf("%d %s", out.StatusCode, out.body)
			}
			q := out.Request.URL.Query()
			if q.Get("client_id") != testissuer.ClientID || q.Get("post_logout_redirect_uri") != a.server.URL || strings.Count(q.Get("id_token_hint"), ".") != 2 {
				t.Errorf("logout at the provider: %v", q)
			}
			if b.signedIn() || len(b.cookies("session")) != 0 {
				t.Error("still signed in")
			}
		}
	})
}

func TestPrincipalOfASession(t *testing.T) {
	a := newApp(t, false, nil)
	b := a.browser(t)
	b.signIn()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range b.cookies("session") {
		r.AddCookie(c)
	}
	res, err := a.login.Authenticate(r)
	if err != nil {
		t.Fatal(err)
	}
	p := res.Principal
	if !p.IsUser() || p.Subject != "alice" || p.Issuer != a.issuer.URL || p.ClientID != testissuer.ClientID || p.Method != oidclogin.Method ||
		p.SessionID != "session-1" || p.ACR != "1" || len(p.AMR) != 1 || !p.HasScope("email") || !p.Expiry.Equal(a.clock.Now().Add(24*time.Hour)) {
		t.Errorf("%+v", p)
	}
	if s := fmt.Sprintf("%v %+v %s", p.Credential, p.Credential, p.Credential); strings.Contains(s, "ey") {
		t.Errorf("tokens in a log: %s", s)
	}
}

func TestAuthorizationRequest(t *testing.T) {
	a := newApp(t, false, func(o *oidclogin.Options) {
		o.Audience = "https://api/tv-shows"
		o.Scopes = []string{"offline_access"}
		o.Parameters = map[string]string{"connection": "google", "state": "mine", "code_challenge_method": "plain"}
	})
	b := a.browser(t)
	b.stopAtCallback("/auth/login?login_hint=alice&prompt=login&scope=admin&redirect_uri=https://evil.example&state=theirs&nonce=theirs")
	u, _ := url.Parse(b.visited[len(b.visited)-1])
	q := u.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": testissuer.ClientID, "redirect_uri": a.server.URL + "/auth/callback", "scope": "openid offline_access",
		"audience": "https://api/tv-shows", "connection": "google", "login_hint": "alice", "prompt": "login", "code_challenge_method": "S256",
	} {
		if got := q[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(q.Get(name)) < 43 {
			t.Errorf("%s = %q", name, q.Get(name))
		}
	}
}

func TestClientAuthentication(t *testing.T) {
	for _, tt := range []struct {
		name    string
		methods any
		basic   bool
	}{
		{"nothing listed", nil, true},
		{"both", []string{"client_secret_post", "client_secret_basic"}, true},
		{"post alone", []string{"client_secret_post"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t, false, nil)
			a.issuer.Lock(func() {
				a.issuer.Metadata = func(m map[string]any) {
					delete(m, "token_endpoint_auth_methods_supported")
					if tt.methods != nil {
						m["token_endpoint_auth_methods_supported"] = tt.methods
					}
				}
			})
			a.browser(t).signIn()
			if form := a.issuer.Forms()[0]; form.Has("basic") != tt.basic {
				t.Errorf("%v", form)
			}
		})
	}
}

func TestSeveralTabs(t *testing.T) {
	a := newApp(t, false, nil)
	b := a.browser(t)
	one, two := b.stopAtCallback("/one"), b.stopAtCallback("/two")
	if n := len(b.cookies("_login_")); n != 2 {
		t.Fatalf("%d flows under way", n)
	}
	for callback, want := range map[string]string{two: "/two", one: "/one"} {
		if p := b.visit(callback); p.body != "hello alice at "+want {
			t.Errorf("%d %s", p.StatusCode, p.body)
		}
	}
}

func TestAbandonedFlowsAreBounded(t *testing.T) {
	a := newApp(t, false, nil)
	b := a.browser(t)
	last := ""
	for range 20 {
		a.clock.Advance(time.Second)
		last = b.stopAtCallback("/shows")
	}
	if n := len(b.cookies("_login_")); n > 5 {
		t.Errorf("%d flow cookies", n)
	}
	if p := b.visit(last); p.StatusCode != 200 {
		t.Errorf("the newest flow does not work: %d", p.StatusCode)
	}
}

// The sixth tab pushes out the first, and no other.
func TestOldestFlowMakesRoom(t *testing.T) {
	a := newApp(t, false, nil)
	b := a.browser(t)
	var callbacks []string
	for range 7 {
		a.clock.Advance(time.Second)
		callbacks = append(callbacks, b.stopAtCallback("/shows"))
	}
	for i, callback := range callbacks {
		want := http.StatusOK
		if i < 2 {
			want = http.StatusBadRequest
		}
		if p := b.visit(callback); p.StatusCode != want {
			t.Errorf("tab %d of 7: %d", i+1, p.StatusCode)
		}
	}
}

// The provider is down when the application starts, and comes up later.
func TestLazyStart(t *testing.T) {
	a := newApp(t, false, nil)
	a.issuer.Down(true)
	b := a.browser(t)
	if p := b.visit("/"); p.StatusCode != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", p.StatusCode, p.Header)
	}
	a.issuer.Down(false)
	a.clock.Advance(5 * time.Second)
	if p := b.visit("/"); p.StatusCode != 200 {
		t.Errorf("%d %s", p.StatusCode, p.body)
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := oidclogin.New(oidclogin.Options{
		Issuer: "http://id.example.com/", BaseURL: "https://app.example.com/shows", Secrets: []string{"short"}, Prefix: "auth/",
		PostLogoutURL: "/bye", IdleTimeout: time.Second, Logout: "everywhere",
	})
	for _, want := range []string{"must be https", "ClientID", "BaseURL", "Secrets", "Prefix", "PostLogoutURL", "IdleTimeout", "Logout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if strings.Contains(fmt.Sprint(err), "short\"") {
		t.Error("the secret is in the error")
	}
}

// Applications on other ports of a host share its cookies.
func TestNeighboursDoNotDisturbEachOther(t *testing.T) {
	a := newApp(t, false, nil)
	b := a.browser(t)
	b.signIn()
	other := newAppAt(t, a.issuer, a.clock, false, func(o *oidclogin.Options) { o.ClientID = "another" })
	for _, c := range b.cookies("session") {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(c)
		res, err := other.login.Authenticate(r)
		if err != nil || res.Principal != nil {
			t.Errorf("%v %v", res.Principal, err)
		}
		h := http.Header{}
		res.BeforeHeader(h)
		if len(h["Set-Cookie"]) != 0 {
			t.Errorf("the neighbour's cookie is cleared: %v", h)
		}
	}
}

// Login behind an outer guard: one session per request, opened once.
func TestNestedGuards(t *testing.T) {
	a := newApp(t, false, nil)
	b := a.browser(t)
	b.signIn()
	var outer, inner *oidclogin.Session
	h := guard.Optional(a.login)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outer, _ = oidclogin.FromContext(r.Context())
		who, _ := guard.From(r.Context())
		who.Roles = []string{"admin"} // that a handler makes up: no guard believes it
		guard.Require(a.login, guard.Roles("admin"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Error("a role that a handler made up opens a door")
		})).ServeHTTP(httptest.NewRecorder(), r)
		guard.Require(a.login)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			inner, _ = oidclogin.FromContext(r.Context())
		})).ServeHTTP(w, r)
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range b.cookies("session") {
		r.AddCookie(c)
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
	if outer == nil || outer != inner {
		t.Error("two copies of one session")
	}
}

func TestMethods(t *testing.T) {
	a := newApp(t, false, nil)
	for route, want := range map[string]int{
		"POST /auth/login": 405, "POST /auth/callback": 405, "DELETE /auth/logout": 405, "POST /auth/me": 405, "HEAD /auth/login": 405,
		"GET /auth/": 404, "GET /auth/other": 404, "GET /auth": 404, "GET /authx/login": 404, "GET /auth/login/": 404,
	} {
		method, path, _ := strings.Cut(route, " ")
		w := httptest.NewRecorder()
		a.login.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", route, w.Code, want)
		}
	}
}

func TestAnonymousMe(t *testing.T) {
	a := newApp(t, false, func(o *oidclogin.Options) { o.AnonymousMe = true })
	b := a.browser(t)
	if p := b.fetch("/auth/me"); p.StatusCode != http.StatusNoContent {
		t.Errorf("%d", p.StatusCode)
	}
	b.signIn()
}

func TestThreat_LO02_ReturnTo(t *testing.T) {
	a := newApp(t, false, nil)
	for _, tt := range []struct{ asked, want string }{
		{"/shows?page=2", "/shows?page=2"},
		{"", "/"},
		{"//evil.example", "/"},
		{`/\evil.example`, "/"},
		{"/\t/evil.example", "/"},
		{"/%09/evil.example", "/"},
		{"https:evil.example", "/"},
		{"https://evil.example", "/"},
		{"javascript:alert(1)", "/"},
		{"/..//evil.example", "/"},
		{"/a\r\nSet-Cookie: x=y", "/"},
		{"/auth/login", "/"}, // round and round
		{"/auth/logout", "/"},
		{"/%61uth/login", "/"},
	} {
		p := a.browser(t).visit("/auth/login?" + url.Values{"returnTo": {tt.asked}}.Encode())
		if got := p.Request.URL.String(); got != a.server.URL+tt.want {
			t.Errorf("%q leads to %s, want %s", tt.asked, got, tt.want)
		}
	}
}

func TestThreat_LO03_LogoutNeedsTheUsersOwnHand(t *testing.T) {
	document := []string{"Accept", "text/html", "Sec-Fetch-Dest", "document", "Sec-Fetch-Mode", "navigate"}
	for _, tt := range []struct {
		name     string
		method   string
		header   []string
		status   int
		signsOut bool
	}{
		{"link on a page of ours", "GET", append(document, "Sec-Fetch-Site", "same-origin"), 200, true},
		{"typed", "GET", append(document, "Sec-Fetch-Site", "none"), 200, true},
		{"link elsewhere", "GET", append(document, "Sec-Fetch-Site", "cross-site"), 200, false},
		{"link on a neighbouring host", "GET", append(document, "Sec-Fetch-Site", "same-site"), 200, false},
		{"image", "GET", []string{"Sec-Fetch-Dest", "image", "Sec-Fetch-Site", "cross-site"}, 403, false},
		{"image on a page of ours", "GET", []string{"Sec-Fetch-Dest", "image", "Sec-Fetch-Site", "same-origin"}, 403, false},
		{"frame", "GET", []string{"Sec-Fetch-Dest", "iframe", "Sec-Fetch-Site", "same-origin"}, 403, false},
		{"old browser", "GET", nil, 200, false},
		{"old browser, elsewhere", "GET", []string{"Referer", "https://evil.example/"}, 200, false},
		{"form of ours", "POST", []string{"Sec-Fetch-Site", "same-origin"}, 200, true},
		{"form elsewhere", "POST", []string{"Sec-Fetch-Site", "cross-site"}, 403, false},
		{"form on a neighbouring host", "POST", []string{"Sec-Fetch-Site", "same-site"}, 403, false},
		{"form elsewhere, old browser", "POST", []string{"Origin", "https://evil.example"}, 403, false},
		{"form in a sandbox, old browser", "POST", []string{"Origin", "null"}, 403, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t, false, nil)
			b := a.browser(t)
			b.signIn()
			p := b.send(tt.method, "/auth/logout", nil, tt.header...)
			if p.StatusCode != tt.status || b.signedIn() == tt.signsOut {
				t.Errorf("%d, signed in: %v", p.StatusCode, !tt.signsOut)
			}
			if tt.status == 200 && !tt.signsOut && !strings.Contains(p.body, `<form method="post" action="/auth/logout">`) {
				t.Errorf("the person is not asked: %s", p.body)
			}
		})
	}
}

func TestLogoutModes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*oidclogin.Options)
		want   func(a *app) string
	}{
		{"v2", func(o *oidclogin.Options) { o.Logout = oidclogin.LogoutV2; o.PostLogoutURL = o.BaseURL + "/bye" }, func(a *app) string {
			return a.issuer.URL + "v2/logout?" + url.Values{"client_id": {testissuer.ClientID}, "returnTo": {a.server.URL + "/bye"}}.Encode()
		}},
		{"local", func(o *oidclogin.Options) { o.Logout = oidclogin.LogoutLocal }, func(a *app) string { return a.server.URL }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t, false, tt.change)
			b := a.browser(t)
			b.signIn()
			b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			p := b.send(http.MethodPost, "/auth/logout", nil)
			if got := p.Header.Get("Location"); p.StatusCode != 303 || got != tt.want(a) {
				t.Errorf("%d %s", p.StatusCode, got)
			}
		})
	}
	t.Run("provider down", func(t *testing.T) {
		a := newApp(t, false, nil)
		b := a.browser(t)
		b.signIn()
		a.clock.Advance(25 * time.Minute)
		a.issuer.Down(true)
		b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if p := b.send(http.MethodPost, "/auth/logout", nil); p.StatusCode != 303 || b.signedIn() {
			t.Errorf("%d: a provider that is down keeps somebody signed in", p.StatusCode)
		}
	})
}

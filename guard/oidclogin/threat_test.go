package oidclogin_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// refused asserts what every failed callback must answer: 400, a page without
// anything the request said, nobody signed in, the flow's cookie gone.
func (b *browser) refused(name, callback string) {
	b.t.Helper()
	p := b.visit(callback)
	if p.StatusCode != http.StatusBadRequest || p.Header.Get("Location") != "" || p.Header.Get("Cache-Control") != "no-store" {
		b.t.Errorf("%s: %d %v", name, p.StatusCode, p.Header)
	}
	if strings.Contains(p.body, "evil") || strings.Contains(p.body, "<script") {
		b.t.Errorf("%s: the page repeats what the request said", name)
	}
	if b.signedIn() || len(b.cookies("_session")) != 0 {
		b.t.Errorf("%s: somebody is signed in", name)
	}
}

func edit(t *testing.T, address string, change func(url.Values)) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	change(q)
	u.RawQuery = q.Encode()
	return u.String()
}

func TestThreat_RP01_Callback(t *testing.T) {
	set := func(name, value string) func(url.Values) { return func(q url.Values) { q.Set(name, value) } }
	for name, change := range map[string]func(url.Values){
		"no state":                func(q url.Values) { q.Del("state") },
		"empty state":             set("state", ""),
		"made-up state":           set("state", "ABCDEFGH.evil"),
		"flow id alone":           func(q url.Values) { q.Set("state", q.Get("state")[:8]) },
		"flow id and a dot":       func(q url.Values) { q.Set("state", q.Get("state")[:9]) },
		"state cut short":         func(q url.Values) { q.Set("state", q.Get("state")[:40]) },
		"state in lower case":     func(q url.Values) { q.Set("state", strings.ToLower(q.Get("state"))) },
		"state with a path":       func(q url.Values) { q.Set("state", "../../../../evil.x") },
		"state twice":             func(q url.Values) { q.Add("state", q.Get("state")) },
		"no code":                 func(q url.Values) { q.Del("code") },
		"code twice":              func(q url.Values) { q.Add("code", "evil") },
		"another code":            set("code", "evil"),
		"no iss":                  func(q url.Values) { q.Del("iss") },
		"iss of another provider": set("iss", "https://evil.example/"),
		"iss without its slash":   func(q url.Values) { q.Set("iss", strings.TrimSuffix(q.Get("iss"), "/")) },
		"provider says no":        func(q url.Values) { q.Set("error", "access_denied"); q.Del("code") },
		"error and code":          set("error", "login_required"),
		"error with markup":       set("error", "<script>alert(1)</script>"),
		"error text with markup":  func(q url.Values) { q.Set("error", "access_denied"); q.Set("error_description", "<script>evil") },
		"error without iss":       func(q url.Values) { q.Set("error", "access_denied"); q.Del("iss") },
		"access token in the URL": set("access_token", "evil"),
		"ID token in the URL":     set("id_token", "evil"),
	} {
		a := newApp(t, false, nil)
		b := a.browser(t)
		b.refused(name, edit(t, b.stopAtCallback("/"), change))
	}
}

func TestThreat_RP01_FlowBelongsToOneBrowserAndOneCallback(t *testing.T) {
	t.Run("another browser", func(t *testing.T) {
		a := newApp(t, false, nil)
		attacker, victim := a.browser(t), a.browser(t)
		victim.refused("no flow at all", attacker.stopAtCallback("/"))
		victim.stopAtCallback("/")
		victim.refused("a flow of their own", attacker.stopAtCallback("/"))
	})
	t.Run("another tab", func(t *testing.T) {
		a := newApp(t, false, nil)
		b := a.browser(t)
		one, two := b.stopAtCallback("/one"), b.stopAtCallback("/two")
		u, _ := url.Parse(one)
		b.refused("state of one with the code of the other", edit(t, two, func(q url.Values) { q.Set("state", u.Query().Get("state")) }))
	})
	t.Run("cookie under another name", func(t *testing.T) {
		a := newApp(t, false, nil)
		b := a.browser(t)
		b.stopAtCallback("/one")
		value := b.cookies("_login_")[0].Value
		two := b.stopAtCallback("/two")
		for _, c := range b.cookies("_login_") {
			b.setCookie(c.Name, value)
		}
		b.refused("cookie of one flow as that of another", two)
	})
	t.Run("second time", func(t *testing.T) {
		a := newApp(t, false, nil)
		b := a.browser(t)
		callback := b.stopAtCallback("/")
		b.visit(callback)
		if left := b.cookies("_login_"); len(left) != 0 {
			t.Errorf("the flow is over and its cookie stays: %v", left)
		}
		b.send(http.MethodPost, "/auth/logout", nil)
		b.refused("replay", callback)
	})
	t.Run("second time, cookie kept", func(t *testing.T) {
		a := newApp(t, false, nil)
		b := a.browser(t)
		callback := b.stopAtCallback("/")
		kept := b.cookies("_login_")[0]
		b.visit(callback)
		b.send(http.MethodPost, "/auth/logout", nil)
		b.setCookie(kept.Name, kept.Value)
		b.refused("replay", callback)
	})
	t.Run("too late", func(t *testing.T) {
		a := newApp(t, false, nil)
		b := a.browser(t)
		callback := b.stopAtCallback("/")
		a.clock.Advance(10*time.Minute + time.Second)
		b.refused("after ten minutes", callback)
	})
	t.Run("another provider", func(t *testing.T) {
		// One application that trusts two providers, with one secret and one name:
		// an answer must come from the one the flow began with.
		a := newApp(t, false, func(o *oidclogin.Options) { o.CookieName = "app" })
		other := newApp(t, false, func(o *oidclogin.Options) { o.CookieName = "app" })
		b := a.browser(t)
		callback := b.stopAtCallback("/")
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, callback, nil)
		for _, c := range b.cookies("_login_") {
			r.AddCookie(c)
		}
		other.login.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest {
			t.Errorf("%d", w.Code)
		}
	})
}

// Whoever can have a browser visit the login route again and again must not be able to fill its Cookie header
// until servers refuse it (8 KB at common proxies): the flows of one browser are bounded in bytes, too.
func TestThreat_RP01_FlowsFillNoHeader(t *testing.T) {
	a := newApp(t, false, nil)
	b := a.browser(t)
	long := "/auth/login?" + url.Values{"returnTo": {"/" + strings.Repeat("a", 2000)}, "acr_values": {strings.Repeat("urn:x ", 160)}}.Encode()
	var last string
	for n := range 7 {
		last = b.stopAtCallback(long)
		size := 0
		for _, c := range b.cookies("") {
			size += len(c.Name) + len(c.Value) + len("=; ")
		}
		if size > 6000 {
			t.Fatalf("after %d visits the cookies have %d bytes", n+1, size)
		}
		a.clock.Advance(time.Second)
	}
	// A flow that a person begins beside them lives, and the last of them as well.
	short := b.stopAtCallback("/short")
	if p := b.visit(short); p.StatusCode != http.StatusOK || !strings.Contains(p.body, "/short") {
		t.Errorf("%d %s", p.StatusCode, p.body)
	}
	if p := b.visit(last); p.StatusCode == http.StatusBadRequest {
		t.Errorf("the flow before it: %d %s", p.StatusCode, p.body)
	}
}

// What is secret about a flow stands in no URL and in no log.
func TestThreat_RP02_VerifierStaysInside(t *testing.T) {
	a := newApp(t, false, func(o *oidclogin.Options) { o.Scopes = []string{"openid", "offline_access"} })
	b := a.browser(t)
	b.visit("/")
	// And a flow that fails, so that something is logged.
	b.visit(edit(t, b.stopAtCallback("/auth/login"), func(q url.Values) { q.Set("code", "wrong") }))
	if !strings.Contains(a.log.String(), "token_exchange_failed") {
		t.Error("the failure is not in the log")
	}
	forms := a.issuer.Forms()
	if len(forms) == 0 {
		t.Fatal("no code was redeemed")
	}
	secrets := map[string]string{"client secret": testissuer.ClientSecret, "app secret": secret}
	for i, form := range forms {
		verifier := form.Get("code_verifier")
		if len(verifier) < 43 {
			t.Fatalf("verifier %q", verifier)
		}
		secrets["verifier of flow "+strconv.Itoa(i+1)] = verifier
	}
	seen := strings.Join(b.visited, "\n") + a.log.String()
	for name, value := range secrets {
		if strings.Contains(seen, value) || strings.Contains(seen, url.QueryEscape(value)) {
			t.Errorf("the %s is in a URL or in the log", name)
		}
	}
}

func TestThreat_RP03_IssuerParameterIsCheckedWherePromised(t *testing.T) {
	for _, tt := range []struct {
		name     string
		promised bool
		change   func(url.Values)
		ok       bool
	}{
		{"promised and sent", true, func(url.Values) {}, true},
		{"promised, not sent", true, func(q url.Values) { q.Del("iss") }, false},
		{"not promised, not sent", false, func(q url.Values) { q.Del("iss") }, true},
		{"not promised, sent", false, func(url.Values) {}, true},
		{"not promised, wrong", false, func(q url.Values) { q.Set("iss", "https://evil.example/") }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t, false, nil)
			a.issuer.Lock(func() {
				a.issuer.Metadata = func(m map[string]any) { m["authorization_response_iss_parameter_supported"] = tt.promised }
				a.issuer.Callback = tt.change
			})
			b := a.browser(t)
			if p := b.visit("/"); (p.StatusCode == 200) != tt.ok || b.signedIn() != tt.ok {
				t.Errorf("%d", p.StatusCode)
			}
		})
	}
}

func TestThreat_RP04_IDToken(t *testing.T) {
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	drop := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	for _, tt := range []struct {
		name   string
		change func(map[string]any)
		ok     bool
	}{
		{"as is", func(map[string]any) {}, true},
		{"other issuer", set("iss", "https://evil.example/"), false},
		{"no issuer", drop("iss"), false},
		{"other audience", set("aud", "other"), false},
		{"no audience", drop("aud"), false},
		{"audience list", set("aud", []string{testissuer.ClientID}), true},
		{"two audiences, no azp", set("aud", []string{testissuer.ClientID, "other"}), false},
		{"two audiences with azp", func(c map[string]any) {
			c["aud"], c["azp"] = []string{testissuer.ClientID, "other"}, testissuer.ClientID
		}, true},
		{"azp is another client", set("azp", "other"), false},
		{"no nonce", drop("nonce"), false},
		{"other nonce", set("nonce", "other"), false},
		{"no subject", drop("sub"), false},
		{"empty subject", set("sub", ""), false},
		{"subject is a number", set("sub", 7), false},
		{"no expiry", drop("exp"), false},
		{"expired", func(c map[string]any) { c["exp"] = c["iat"].(int64) - 31 }, false},
		{"no iat", drop("iat"), false},
		{"from the future", func(c map[string]any) { c["iat"] = c["iat"].(int64) + 3600 }, false},
		{"wrong at_hash", set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), false},
		{"an access token in disguise", set("client_id", testissuer.ClientID), false},
		{"a logout token in disguise", set("events", map[string]any{}), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t, false, nil)
			a.issuer.Lock(func() { a.issuer.IDToken = tt.change })
			b := a.browser(t)
			if tt.ok {
				b.signIn()
				return
			}
			b.refused(tt.name, "/auth/login")
		})
	}
}

func TestThreat_RP04_Signature(t *testing.T) {
	for name, change := range map[string]func(idToken string) string{
		"alg none": func(s string) string { return replaceHeader(s, `{"alg":"none"}`, "") },
		"HS256":    func(s string) string { return replaceHeader(s, `{"alg":"HS256","kid":"key-1"}`, "AAAA") },
		"kid unknown": func(s string) string {
			return replaceHeader(s, `{"alg":"ES256","kid":"nope"}`, strings.Split(s, ".")[2])
		},
		"signature bent": func(s string) string { return s[:len(s)-4] + "AAAA" },
		"no signature":   func(s string) string { return s[:strings.LastIndex(s, ".")+1] },
		"type at+jwt": func(s string) string {
			return replaceHeader(s, `{"alg":"ES256","kid":"key-1","typ":"at+jwt"}`, strings.Split(s, ".")[2])
		},
		"not a token": func(string) string { return "evil" },
		"empty":       func(string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, false, nil)
			a.issuer.Lock(func() {
				a.issuer.TokenResponse = func(m map[string]any) { m["id_token"] = change(m["id_token"].(string)) }
			})
			a.browser(t).refused(name, "/auth/login")
		})
	}
}

func replaceHeader(token, header, signature string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + strings.Split(token, ".")[1] + "." + signature
}

func TestThreat_RP05_AccessTokenAloneSignsNobodyIn(t *testing.T) {
	for name, change := range map[string]func(m map[string]any){
		"no ID token":                   func(m map[string]any) { delete(m, "id_token") },
		"access token as the ID token":  func(m map[string]any) { m["id_token"] = m["access_token"] },
		"no access token":               func(m map[string]any) { delete(m, "access_token") },
		"another token type":            func(m map[string]any) { m["token_type"] = "mac" },
		"ID token of an earlier flow":   func(m map[string]any) { m["id_token"] = earlierToken },
		"an error among the good words": func(m map[string]any) { clear(m); m["error"] = "invalid_grant" },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, false, nil)
			a.issuer.Lock(func() { a.issuer.TokenResponse = change })
			a.browser(t).refused(name, "/auth/login")
		})
	}
	t.Run("ID token of another client", func(t *testing.T) {
		a := newApp(t, false, nil)
		a.issuer.Lock(func() {
			a.issuer.TokenResponse = func(m map[string]any) {
				claims := a.issuer.IDClaims("n")
				claims["aud"] = "another-client"
				m["id_token"] = a.issuer.Sign(t, "JWT", claims)
			}
		})
		a.browser(t).refused("token of another client", "/auth/login")
	})
}

const earlierToken = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImtleS0xIn0.e30.AAAA"

// A session cookie that is not good is nobody, is cleared, and is no error.
func TestThreat_RP06_SessionCookie(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, change)
		b := a.browser(t)
		b.signIn()
		good := b.cookies("_session")[0]
		for name, value := range map[string]string{
			"empty": "", "junk": "junk", "no chunk number": good.Value[1:], "more chunks than sent": "2" + good.Value[1:],
			"cut": good.Value[:len(good.Value)-1], "longer": good.Value + "A", "one character changed": flip(good.Value, 20),
			"key id changed": flip(good.Value, 3), "version changed": flip(good.Value, 1), "base64 of another alphabet": good.Value + "+/",
		} {
			v := a.browser(t)
			v.setCookie(good.Name, value)
			p := v.fetch("/auth/me")
			if p.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: %d", name, p.StatusCode)
			}
			if left := v.cookies("_session"); len(left) != 0 {
				t.Errorf("%s: the cookie stays: %v", name, left)
			}
		}
	})
}

func flip(s string, i int) string {
	c := byte('A')
	if s[i] == 'A' {
		c = 'B'
	}
	return s[:i] + string(c) + s[i+1:]
}

func TestThreat_RP06_SwapBetweenApps(t *testing.T) {
	named := func(change func(*oidclogin.Options)) func(*oidclogin.Options) {
		return func(o *oidclogin.Options) { o.CookieName = "app"; change(o) }
	}
	a := newApp(t, false, named(func(*oidclogin.Options) {}))
	b := a.browser(t)
	b.signIn()
	good := b.cookies("app_session")[0]
	for name, tt := range map[string]struct {
		cookie string
		change func(*oidclogin.Options)
		ok     bool
	}{
		"another client":          {"app_session", func(o *oidclogin.Options) { o.ClientID = "another" }, false},
		"another cookie name":     {"other_session", func(o *oidclogin.Options) { o.CookieName = "other" }, false},
		"another secret":          {"app_session", func(o *oidclogin.Options) { o.Secrets = []string{"another-secret-another-secret-anot"} }, false},
		"another node":            {"app_session", func(*oidclogin.Options) {}, true},
		"a newer secret in front": {"app_session", func(o *oidclogin.Options) { o.Secrets = []string{"a-newer-secret-a-newer-secret-a-ne", secret} }, true},
	} {
		v := newAppAt(t, a.issuer, a.clock, false, named(tt.change)).browser(t)
		v.setCookie(tt.cookie, good.Value)
		if v.signedIn() != tt.ok {
			t.Errorf("%s: signed in: %v", name, !tt.ok)
		}
	}
}

func TestThreat_BR09_SessionsEnd(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, change)
		idle := a.browser(t)
		idle.signIn()
		busy := a.browser(t)
		busy.signIn()
		for range 6 * 2 {
			a.clock.Advance(12 * time.Hour)
			if !busy.signedIn() {
				t.Fatal("a session in use ends before its absolute limit")
			}
		}
		if idle.signedIn() {
			t.Error("an idle session goes on")
		}
		a.clock.Advance(24*time.Hour - time.Second)
		if !busy.signedIn() {
			t.Error("ended a second early")
		}
		a.clock.Advance(time.Second)
		if busy.signedIn() {
			t.Error("a session outlives its absolute limit")
		}
	})
}

func TestThreat_BR09_TooLargeASessionFailsLoudly(t *testing.T) {
	a := newApp(t, false, nil)
	a.issuer.Lock(func() {
		a.issuer.IDToken = func(c map[string]any) { c["groups"] = strings.Repeat("g", 5000) }
	})
	b := a.browser(t)
	p := b.visit("/auth/login")
	if p.StatusCode != http.StatusInternalServerError || b.signedIn() || !strings.Contains(a.log.String(), "store with memory") {
		t.Errorf("%d\n%s", p.StatusCode, a.log)
	}
	// With a store it fits.
	a = newApp(t, false, func(o *oidclogin.Options) { o.Store = session.NewMemoryStoreClock(o.Clock) })
	a.issuer.Lock(func() {
		a.issuer.IDToken = func(c map[string]any) { c["groups"] = strings.Repeat("g", 5000) }
	})
	a.browser(t).signIn()
	// And two cookies hold what one cannot.
	a = newApp(t, false, nil)
	a.issuer.Lock(func() {
		a.issuer.IDToken = func(c map[string]any) { c["groups"] = strings.Repeat("g", 1500) }
	})
	b = a.browser(t)
	b.signIn()
	if n := len(b.cookies("_session")); n != 2 {
		t.Errorf("%d cookies", n)
	}
}

// Everything this package seals, shown to everything that opens something.
func TestThreat_BR10_SealedValuesHaveOnePurpose(t *testing.T) {
	a := newApp(t, false, nil)
	b := a.browser(t)
	callback := b.stopAtCallback("/")
	flow := b.cookies("_login_")[0]
	b.visit(callback)
	signedIn := b.cookies("_session")[0]

	v := a.browser(t)
	v.setCookie(signedIn.Name, flow.Value)
	if v.signedIn() {
		t.Error("a flow half done passes for a session")
	}
	v = a.browser(t)
	next := v.stopAtCallback("/")
	v.setCookie(v.cookies("_login_")[0].Name, signedIn.Value)
	v.refused("a session passes for a flow", next)

	v = a.browser(t)
	v.setCookie(flow.Name, flow.Value)
	if v.signedIn() {
		t.Error("a flow's cookie signs somebody in")
	}
}

func TestThreat_BR01_SessionFixation(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, change)
		attacker := a.browser(t)
		attacker.signIn()
		planted := attacker.cookies("_session")[0]
		victim := a.browser(t)
		victim.setCookie(planted.Name, planted.Value)
		victim.signIn()
		if got := victim.cookies("_session")[0]; got.Value == planted.Value {
			t.Error("signing in keeps the session that was planted")
		}
	})
	t.Run("the old one ends", func(t *testing.T) {
		a := newApp(t, false, func(o *oidclogin.Options) { o.Store = session.NewMemoryStoreClock(o.Clock) })
		b := a.browser(t)
		b.signIn()
		before := b.cookies("_session")[0]
		b.signIn()
		old := a.browser(t)
		old.setCookie(before.Name, before.Value)
		if old.signedIn() {
			t.Error("the session before is still good")
		}
	})
}

func TestThreat_BR09_ReplayAfterLogout(t *testing.T) {
	a := newApp(t, false, func(o *oidclogin.Options) { o.Store = session.NewMemoryStoreClock(o.Clock) })
	b := a.browser(t)
	b.signIn()
	kept := b.cookies("_session")[0]
	b.send(http.MethodPost, "/auth/logout", nil)
	thief := a.browser(t)
	thief.setCookie(kept.Name, kept.Value)
	if thief.signedIn() {
		t.Error("a session in a store is good after logout")
	}
}

func TestThreat_BR02_DuplicateCookies(t *testing.T) {
	a := newApp(t, false, nil)
	b := a.browser(t)
	b.signIn()
	good := b.cookies("_session")[0]
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(good)
	r.AddCookie(good)
	res, err := a.login.Authenticate(r)
	if err != nil || res.Principal != nil {
		t.Errorf("two cookies of one name: %v %v", res.Principal, err)
	}
	h := http.Header{}
	res.BeforeHeader(h)
	if len(h["Set-Cookie"]) == 0 {
		t.Error("not cleared")
	}
}

func TestThreat_RP13_NothingWithACookieIsCacheable(t *testing.T) {
	a := newApp(t, true, nil)
	b := a.browser(t)
	check := func(p page) {
		t.Helper()
		if len(p.Header["Set-Cookie"]) > 0 && (p.Header.Get("Cache-Control") != "no-store" || !strings.Contains(strings.Join(p.Header["Vary"], ","), "Cookie")) {
			t.Errorf("%s sets a cookie and may be cached: %v", p.Request.URL, p.Header)
		}
		for _, line := range p.Header["Set-Cookie"] {
			for _, want := range []string{"__Host-", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
				if !strings.Contains(line, want) {
					t.Errorf("%s: %q lacks %s", p.Request.URL, line, want)
				}
			}
		}
	}
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for next := "/"; ; {
		p := b.visit(next)
		check(p)
		next = p.Header.Get("Location")
		if next == "" {
			break
		}
	}
	a.clock.Advance(12 * time.Hour)
	p := b.visit("/") // renews the session
	check(p)
	if len(p.Header["Set-Cookie"]) != 1 {
		t.Errorf("not renewed: %v", p.Header)
	}
	if p = b.visit("/"); len(p.Header["Set-Cookie"]) != 0 || p.Header.Get("Cache-Control") != "private" {
		t.Errorf("renewed though nothing changed: %v", p.Header)
	}
	check(b.send(http.MethodPost, "/auth/logout", nil))
}

// The application's address is configuration; whatever Host a request claims,
// nothing leads there.
func TestThreat_BR14_HostHeader(t *testing.T) {
	a := newApp(t, false, nil)
	for _, path := range []string{"/auth/login", "/auth/logout", "/auth/callback", "/auth/me"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "evil.example"
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("Forwarded", "host=evil.example")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		w := httptest.NewRecorder()
		a.login.ServeHTTP(w, r)
		if strings.Contains(w.Header().Get("Location")+w.Body.String(), "evil.example") {
			t.Errorf("%s leads to the host the request named", path)
		}
	}
}

func FuzzThreat_RP06_SessionCookie(f *testing.F) {
	a := newApp(f, false, nil)
	b := a.browser(f)
	b.signIn()
	good := b.cookies("_session")[0]
	for _, seed := range []string{"", "1", good.Value, good.Value[1:], good.Value[:30], "2" + good.Value[1:], "1AQAAAA", flip(good.Value, 40)} {
		f.Add(good.Name+"="+seed, "")
		f.Add(good.Name+"=2"+seed, good.Name+"_1="+seed)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Cookie"] = []string{one, two}
		w := httptest.NewRecorder()
		guard.Require(a.login)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		genuine := false
		for _, c := range r.CookiesNamed(good.Name) {
			genuine = genuine || c.Value == good.Value
		}
		if w.Code != http.StatusUnauthorized && !(genuine && w.Code == http.StatusOK) {
			t.Errorf("%q %q: %d", one, two, w.Code)
		}
	})
}

func FuzzThreat_RP01_CallbackState(f *testing.F) {
	a := newApp(f, false, nil)
	b := a.browser(f)
	callback := b.stopAtCallback("/")
	u, err := url.Parse(callback)
	if err != nil {
		f.Fatal(err)
	}
	flow := b.cookies("_login_")[0]
	state := u.Query().Get("state")
	f.Add("", flow.Value)
	f.Add(state[:9], flow.Value)
	f.Add(state, "")
	f.Add(state, flip(flow.Value, 30))
	f.Fuzz(func(t *testing.T, s, cookie string) {
		if s == state && cookie == flow.Value {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/auth/callback?"+url.Values{"state": {s}, "code": {"c"}, "iss": {a.issuer.URL}}.Encode(), nil)
		r.AddCookie(&http.Cookie{Name: flow.Name, Value: cookie})
		w := httptest.NewRecorder()
		a.login.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || len(a.issuer.Forms()) != 0 {
			t.Errorf("%q %q: %d, and %d codes went on to the provider", s, cookie, w.Code, len(a.issuer.Forms()))
		}
	})
}

// carelessStore finds a record whichever application asks, for ever.
type carelessStore struct {
	session.Store
	app string
}

func (s *carelessStore) Create(ctx context.Context, rec session.Record) (string, error) {
	s.app, rec.Expires = rec.App, rec.Expires.AddDate(10, 0, 0)
	return s.Store.Create(ctx, rec)
}

func (s *carelessStore) Find(ctx context.Context, _, token string) (session.Record, error) {
	return s.Store.Find(ctx, s.app, token)
}

// Somebody's own Store may be careless. What decides who is signed in is checked
// above it.
func TestThreat_RP06_CarelessStore(t *testing.T) {
	var store session.Store
	a := newApp(t, false, func(o *oidclogin.Options) {
		store = &carelessStore{Store: session.NewMemoryStoreClock(o.Clock)}
		o.Store, o.CookieName = store, "app"
	})
	b := a.browser(t)
	b.signIn()
	other := newAppAt(t, a.issuer, a.clock, false, func(o *oidclogin.Options) {
		o.Store, o.CookieName, o.ClientID = store, "app", "another"
	}).browser(t)
	c := b.cookies("app_session")[0]
	other.setCookie(c.Name, c.Value)
	if other.signedIn() {
		t.Error("a session of another application is accepted")
	}
	a.clock.Advance(24 * time.Hour)
	b.setCookie(c.Name, c.Value)
	if b.signedIn() {
		t.Error("an expired session is accepted")
	}
}

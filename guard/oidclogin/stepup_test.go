package oidclogin_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

// asked returns the parameters of the last authorization request.
func (b *browser) asked() url.Values {
	b.t.Helper()
	for i := len(b.visited) - 1; i >= 0; i-- {
		if u, err := url.Parse(b.visited[i]); err == nil && u.Path == "/authorize" {
			return u.Query()
		}
	}
	b.t.Fatal("never sent to the provider")
	return nil
}

func TestStepUp(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, change)
		done := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "done at "+r.URL.RequestURI()) })
		a.mux.Handle("/pay", guard.Require(a.login, guard.ACR("gold", "platinum"))(done))
		a.mux.Handle("/fresh", guard.Require(a.login, guard.MaxAge(5*time.Minute), guard.Clock(a.clock.Now))(done))
		b := a.browser(t)
		b.signIn()

		if p := b.fetch("/pay"); p.StatusCode != http.StatusUnauthorized || !strings.Contains(p.body, "insufficient_user_authentication") {
			t.Errorf("a script: %d %s", p.StatusCode, p.body)
		}
		// The provider does not reach it: one try, no circle, and the sign-in stands.
		p := b.visit("/pay?n=1")
		if p.StatusCode != http.StatusForbidden || !strings.Contains(p.body, "unmet_authentication_requirements") || !b.signedIn() {
			t.Errorf("fell short: %d %s", p.StatusCode, p.body)
		}
		a.issuer.Lock(func() { a.issuer.IDToken = func(c map[string]any) { c["acr"] = "platinum" } })
		if p := b.visit("/pay?n=1"); p.body != "done at /pay?n=1" {
			t.Errorf("%d %s", p.StatusCode, p.body)
		}
		if q := b.asked(); q.Get("acr_values") != "gold platinum" || q.Has("max_age") || q.Has("prompt") {
			t.Errorf("%v", q)
		}

		if p := b.visit("/fresh"); p.body != "done at /fresh" {
			t.Errorf("%d %s", p.StatusCode, p.body)
		}
		a.clock.Advance(5*time.Minute + time.Second)
		if p := b.visit("/fresh"); p.body != "done at /fresh" || b.asked().Get("max_age") != "300" {
			t.Errorf("%d %s %v", p.StatusCode, p.body, b.asked())
		}
	})
}

func TestStepUpURL(t *testing.T) {
	a := newApp(t, false, nil)
	r := httptest.NewRequest(http.MethodGet, "/pay?n=1", nil)
	for _, tt := range []struct {
		why  guard.Error
		want url.Values
	}{
		{guard.Error{ACRValues: []string{"a", "b"}, MaxAge: time.Hour}, url.Values{"acr_values": {"a b"}, "max_age": {"3600"}, "returnTo": {"/pay?n=1"}}},
		{guard.Error{}, url.Values{"prompt": {"login"}, "returnTo": {"/pay?n=1"}}},
	} {
		if got := a.login.StepUpURL(r, &tt.why); got != "/auth/login?"+tt.want.Encode() {
			t.Error(got)
		}
	}
}

// What was asked for is checked: the way to the provider leads through the
// browser, where anybody can take a parameter away.
func TestThreat_RP04_AuthenticationAsAskedFor(t *testing.T) {
	for _, tt := range []struct {
		name   string
		login  string
		change func(map[string]any)
		ok     bool
	}{
		{"fresh", "max_age=60", func(map[string]any) {}, true},
		{"within the leeway", "max_age=60", func(c map[string]any) { c["auth_time"] = c["auth_time"].(int64) - 89 }, true},
		{"too old", "max_age=60", func(c map[string]any) { c["auth_time"] = c["auth_time"].(int64) - 91 }, false},
		{"now", "max_age=0", func(map[string]any) {}, true},
		{"not now", "max_age=0", func(c map[string]any) { c["auth_time"] = c["auth_time"].(int64) - 31 }, false},
		{"no word on it", "max_age=60", func(c map[string]any) { delete(c, "auth_time") }, false},
		{"configured, too old", "", func(c map[string]any) { c["auth_time"] = c["auth_time"].(int64) - 3700 }, false},
		{"configured, asked for longer", "max_age=86400", func(c map[string]any) { c["auth_time"] = c["auth_time"].(int64) - 3700 }, false},
		{"nonsense", "max_age=-1", func(map[string]any) {}, true},
		{"class reached", "acr_values=0+1", func(map[string]any) {}, true},
		{"another class", "acr_values=2", func(map[string]any) {}, false},
		{"no class", "acr_values=1", func(c map[string]any) { delete(c, "acr") }, false},
	} {
		a := newApp(t, false, func(o *oidclogin.Options) { o.Parameters = map[string]string{"max_age": "3600"} })
		a.issuer.Lock(func() { a.issuer.IDToken = tt.change })
		b := a.browser(t)
		p := b.visit("/auth/login?" + tt.login)
		if (p.StatusCode == http.StatusOK) != tt.ok || b.signedIn() != tt.ok {
			t.Errorf("%s: %d, signed in: %v", tt.name, p.StatusCode, b.signedIn())
		}
		if n := b.asked()["max_age"]; len(n) != 1 {
			t.Errorf("%s: max_age %v", tt.name, n)
		}
	}
}

// The time somebody takes to sign in does not make the sign-in old.
func TestSlowHands(t *testing.T) {
	a := newApp(t, false, nil)
	b := a.browser(t)
	callback := b.stopAtCallback("/auth/login?max_age=0")
	signedInAt := a.clock.Now().Unix()
	a.clock.Advance(5 * time.Minute)
	a.issuer.Lock(func() { a.issuer.IDToken = func(c map[string]any) { c["auth_time"] = signedInAt } })
	if p := b.visit(callback); p.StatusCode != http.StatusOK {
		t.Errorf("%d %s", p.StatusCode, p.body)
	}
}

// The scheme without its pages.
func TestAPI(t *testing.T) {
	a := newApp(t, false, nil)
	a.mux.Handle("/data", guard.Require(a.login.API(), guard.ACR("gold"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	b := a.browser(t)
	if p := b.visit("/data"); p.StatusCode != http.StatusUnauthorized || !strings.Contains(p.Header.Get("WWW-Authenticate"), "login_url") || len(b.visited) != 1 {
		t.Errorf("%d %v %v", p.StatusCode, p.Header, b.visited)
	}
	b.signIn()
	b.visited = nil
	if p := b.visit("/data"); p.StatusCode != http.StatusUnauthorized || len(b.visited) != 1 {
		t.Errorf("%d %v", p.StatusCode, b.visited)
	}
}

// Refusals that somebody asked for are no faults.
func TestPromptNone(t *testing.T) {
	a := newApp(t, false, nil)
	a.issuer.Lock(func() {
		a.issuer.Callback = func(q url.Values) { q.Del("code"); q.Set("error", "login_required") }
	})
	p := a.browser(t).visit("/auth/login?prompt=none")
	if log := a.log.String(); p.StatusCode != http.StatusBadRequest || !strings.Contains(log, "level=INFO") || strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
		t.Errorf("%d\n%s", p.StatusCode, log)
	}
	a.issuer.Lock(func() {
		a.issuer.Callback = func(q url.Values) { q.Del("code"); q.Set("error", "server_error") }
	})
	if a.browser(t).visit("/auth/login"); !strings.Contains(a.log.String(), "level=WARN") {
		t.Error("a fault is not told")
	}
}

package oidclogin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

func offline(o *oidclogin.Options) { o.Scopes = []string{"openid", "offline_access"} }

func (b *browser) token() string {
	b.t.Helper()
	p := b.fetch("/token")
	if p.StatusCode != http.StatusOK {
		b.t.Fatalf("token: %d %s", p.StatusCode, p.body)
	}
	return p.body
}

func (a *app) renewals() (n int) {
	for _, form := range a.issuer.Forms() {
		if form.Get("grant_type") == "refresh_token" {
			n++
		}
	}
	return n
}

func TestAccessToken(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); change(o) })
		b := a.browser(t)
		b.signIn()
		first := b.token()
		a.clock.Advance(9 * time.Minute)
		if b.token() != first || a.renewals() != 0 {
			t.Error("renewed while good")
		}
		for round := 1; round <= 5; round++ {
			a.clock.Advance(9*time.Minute + 31*time.Second)
			next := b.token()
			if next == first || a.renewals() != round {
				t.Fatalf("round %d: %d renewals", round, a.renewals())
			}
			if again := b.token(); again != next {
				t.Fatal("the renewed token was not kept")
			}
			first = next
		}
	})
}

// Providers write the life of a token in every way that JSON has for a number.
func TestLivesOfAccessTokens(t *testing.T) {
	for name, life := range map[string]any{"a whole number": 600, "a fraction": 600.9, "an exponent": json.Number("6e2"), "a text": "600"} {
		a := newApp(t, false, offline)
		a.issuer.TokenResponse = func(answer map[string]any) { answer["expires_in"] = life }
		b := a.browser(t)
		b.signIn()
		first := b.token()
		a.clock.Advance(9 * time.Minute)
		if b.token() != first {
			t.Errorf("%s: renewed while good", name)
		}
		a.clock.Advance(time.Minute)
		if b.token() == first {
			t.Errorf("%s: an access token that is over is handed out", name)
		}
	}
}

// However many requests ask, the provider is asked once. Its refresh tokens are
// good once: a second use ends the sign-in.
func TestThreat_RP12_ParallelRequestsRenewOnce(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); change(o) })
		b := a.browser(t)
		b.signIn()
		a.clock.Advance(10 * time.Minute)
		var wg sync.WaitGroup
		var mu sync.Mutex
		seen := map[string]int{}
		cookies := b.cookies("_session")
		for range 64 {
			wg.Go(func() {
				r, _ := http.NewRequest(http.MethodGet, a.server.URL+"/token", nil)
				for _, c := range cookies {
					r.AddCookie(c)
				}
				res, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				body := make([]byte, 4096)
				n, _ := res.Body.Read(body)
				mu.Lock()
				defer mu.Unlock()
				seen[string(body[:n])]++
			})
		}
		wg.Wait()
		if len(seen) != 1 || a.renewals() != 1 {
			t.Errorf("%d different answers, %d renewals", len(seen), a.renewals())
		}
		a.clock.Advance(10 * time.Minute)
		b.token()
		if a.renewals() != 2 {
			t.Errorf("%d renewals", a.renewals())
		}
	})
}

// A browser that lost the response, and with it the cookie that held the new
// refresh token, goes on.
func TestThreat_RP12_LostCookie(t *testing.T) {
	a := newApp(t, false, offline)
	b := a.browser(t)
	b.signIn()
	before := b.cookies("_session")
	a.clock.Advance(10 * time.Minute)
	renewed := b.token()
	for _, c := range before {
		b.setCookie(c.Name, c.Value)
	}
	if got := b.token(); got != renewed || a.renewals() != 1 {
		t.Errorf("%d renewals", a.renewals())
	}
	for _, c := range before {
		b.setCookie(c.Name, c.Value)
	}
	a.clock.Advance(10 * time.Minute)
	b.token() // along the chain: what became of the old one has expired too
	if a.renewals() != 2 {
		t.Errorf("%d renewals", a.renewals())
	}
}

// Two processes share a store. The slower finds the tokens of the faster.
func TestThreat_RP12_TwoProcesses(t *testing.T) {
	a := newApp(t, false, nil)
	var shared session.Store
	one := newAppAt(t, a.issuer, a.clock, false, func(o *oidclogin.Options) {
		offline(o)
		shared = session.NewMemoryStoreClock(o.Clock)
		o.Store = shared
	})
	two := newAppAt(t, a.issuer, a.clock, false, func(o *oidclogin.Options) { offline(o); o.Store = shared })
	b := one.browser(t)
	b.signIn()
	a.clock.Advance(10 * time.Minute)

	// A request at the second process has read the session and not yet asked.
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range b.cookies("_session") {
		r.AddCookie(c)
	}
	res, err := two.login.Authenticate(r)
	if err != nil || res.Principal == nil {
		t.Fatal(res, err)
	}
	renewed := b.token() // the first process is faster
	got, err := res.Principal.Credential.(*oidclogin.Session).AccessToken(t.Context(), "")
	if err != nil || got.AccessToken != renewed {
		t.Errorf("%v: the slower process did not find the other's token", err)
	}
	if !b.signedIn() {
		t.Error("the race ended the session")
	}
}

func TestSignedOutAtTheProvider(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); change(o) })
		b := a.browser(t)
		b.signIn()
		a.issuer.RevokeRefreshTokens()
		a.clock.Advance(10 * time.Minute)
		if p := b.fetch("/token"); p.StatusCode != http.StatusConflict || !strings.Contains(p.body, "signed out") {
			t.Fatalf("%d %s", p.StatusCode, p.body)
		}
		if b.signedIn() || len(b.cookies("_session")) != 0 {
			t.Error("still signed in here")
		}
	})
}

func TestProviderDownAtRenewal(t *testing.T) {
	a := newApp(t, false, offline)
	b := a.browser(t)
	b.signIn()
	first := b.token()
	a.issuer.Down(true)
	a.clock.Advance(9*time.Minute + 45*time.Second)
	if b.token() != first {
		t.Error("a token with some seconds left is not handed out")
	}
	a.clock.Advance(time.Minute)
	if p := b.fetch("/token"); p.StatusCode != http.StatusConflict || strings.Contains(p.body, "signed out") {
		t.Errorf("%d %s", p.StatusCode, p.body)
	}
	a.issuer.Down(false)
	if !b.signedIn() || b.token() == first {
		t.Error("the outage ended the session")
	}
}

func TestNoRefreshToken(t *testing.T) {
	a := newApp(t, false, nil)
	b := a.browser(t)
	b.signIn()
	b.token()
	a.clock.Advance(10 * time.Minute)
	if p := b.fetch("/token"); p.StatusCode != http.StatusConflict || !strings.Contains(p.body, "expired") {
		t.Errorf("%d %s", p.StatusCode, p.body)
	}
	if !b.signedIn() {
		t.Error("the session ended with the token")
	}
	if p := a.browser(t).fetch("/token"); !strings.Contains(p.body, "no session") {
		t.Errorf("%d %s", p.StatusCode, p.body)
	}
}

// The new ID token must be about the person who signed in.
func TestThreat_RP04_RenewalOfSomebodyElse(t *testing.T) {
	a := newApp(t, false, offline)
	b := a.browser(t)
	b.signIn()
	a.issuer.Lock(func() { a.issuer.IDToken = func(c map[string]any) { c["sub"] = "mallory" } })
	a.clock.Advance(10 * time.Minute)
	if p := b.fetch("/token"); p.StatusCode != http.StatusConflict {
		t.Errorf("%d", p.StatusCode)
	}
	if p := b.fetch("/auth/me"); !strings.Contains(p.body, "alice") {
		t.Errorf("now it is %s", p.body)
	}
}

// A store that is down must not make everybody anonymous, nor clear cookies.
func TestStoreDown(t *testing.T) {
	a := newApp(t, false, func(o *oidclogin.Options) { o.Store = brokenStore{}; o.CookieName = "app" })
	b := a.browser(t)
	if p := b.visit("/auth/login"); p.StatusCode != http.StatusInternalServerError || strings.Contains(p.body, "hunter2") {
		t.Errorf("%d %s", p.StatusCode, p.body)
	}
	b.setCookie("app_session", "1abc")
	if p := b.fetch("/auth/me"); p.StatusCode != http.StatusServiceUnavailable || strings.Contains(p.body, "hunter2") {
		t.Errorf("%d %s", p.StatusCode, p.body)
	}
	if len(b.cookies("app_session")) != 1 {
		t.Error("the cookie was cleared")
	}
	if p := b.send(http.MethodPost, "/auth/logout", nil); p.StatusCode != http.StatusInternalServerError {
		t.Errorf("logout claims success: %d", p.StatusCode)
	}
}

type brokenStore struct{}

var errBroken = errors.New("password of the database is hunter2")

func (brokenStore) Create(context.Context, session.Record) (string, error) { return "", errBroken }
func (brokenStore) Find(context.Context, string, string) (session.Record, error) {
	return session.Record{}, errBroken
}

func (brokenStore) Update(context.Context, string, session.Record) (string, error) {
	return "", errBroken
}
func (brokenStore) Delete(context.Context, string, string) error { return errBroken }

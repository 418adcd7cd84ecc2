package oidclogin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

const (
	shows  = "https://api/tv-shows"
	orders = "https://api/orders"
)

// multi makes the issuer give tokens for the audience and the scope a refresh
// names, as multi-resource refresh tokens do, except for the audience "https://api/none".
func (a *app) multi(t *testing.T) {
	a.issuer.Lock(func() {
		a.issuer.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/token" {
				return false
			}
			if err := r.ParseForm(); err != nil {
				return false
			}
			code := map[string]string{"https://api/none": "invalid_target", "https://api/unknown": "invalid_grant"}[r.PostForm.Get("audience")]
			if code == "" {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"error":%q}`, code)
			return true
		}
		a.issuer.TokenResponse = func(m map[string]any) {
			forms := a.issuer.Forms()
			form := forms[len(forms)-1]
			if audience := form.Get("audience"); audience != "" {
				m["access_token"] = a.issuer.AccessToken(t, audience, nil)
			}
			if scope := form.Get("scope"); scope != "" {
				m["scope"] = scope
			}
		}
	})
}

// ask is the browser's wish for an access token.
func (b *browser) ask(audience string, scopes ...string) (token oidclogin.Token, problem string) {
	b.t.Helper()
	p := b.fetch("/tokens?" + url.Values{"audience": {audience}, "scope": scopes}.Encode())
	if p.StatusCode != http.StatusOK {
		return token, p.body
	}
	if err := json.Unmarshal([]byte(p.body), &token); err != nil {
		b.t.Fatal(err)
	}
	return token, ""
}

func tokens(w http.ResponseWriter, r *http.Request) {
	token, err := oidclogin.AccessToken(r.Context(), r.FormValue("audience"), r.Form["scope"]...)
	for name, is := range map[string]error{"again": oidclogin.ErrSignInAgain, "unavailable": oidclogin.ErrUnavailable, "refused": oidclogin.ErrRefused, "too late": oidclogin.ErrTooLate} {
		if errors.Is(err, is) {
			http.Error(w, name, http.StatusConflict)
			return
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(token)
}

func TestTokensForSeveralAPIs(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); o.Audience = shows; change(o) })
		a.multi(t)
		b := a.browser(t)
		b.signIn()
		own, _ := b.ask("")
		if own.AccessToken == "" || own.Type != "Bearer" || !own.Expiry.Equal(a.clock.Now().Add(10*time.Minute)) || own.Scope != "openid offline_access" {
			t.Fatalf("%+v %v", own, own.Expiry)
		}
		for _, same := range []struct {
			audience string
			scopes   []string
		}{{shows, nil}, {"", []string{"openid"}}, {shows, []string{"offline_access", "openid"}}} {
			if got, problem := b.ask(same.audience, same.scopes...); got.AccessToken != own.AccessToken || a.renewals() != 0 {
				t.Errorf("%v: asked the provider: %s", same, problem)
			}
		}
		first, problem := b.ask(orders, "read:orders", "write:orders")
		if problem != "" || first.AccessToken == own.AccessToken || first.Scope != "read:orders write:orders" || a.renewals() != 1 {
			t.Fatalf("%+v %s, %d renewals", first, problem, a.renewals())
		}
		if form := a.issuer.Forms()[1]; form.Get("audience") != orders || form.Get("scope") != "read:orders write:orders" {
			t.Errorf("asked with %v", form)
		}
		for _, scopes := range [][]string{nil, {"read:orders"}, {"write:orders", "read:orders"}} {
			if got, _ := b.ask(orders, scopes...); got.AccessToken != first.AccessToken || a.renewals() != 1 {
				t.Errorf("%v: a token with more scopes does not serve", scopes)
			}
		}
		if got, _ := b.ask("", "read:shows"); got.AccessToken == own.AccessToken || got.Scope != "read:shows" || a.renewals() != 2 {
			t.Error("scopes beyond the sign-in's were not asked for")
		}
		if got, _ := b.ask(""); got.AccessToken != own.AccessToken {
			t.Error("the sign-in's own token was replaced")
		}
		// Each is renewed by itself, in its own right.
		a.clock.Advance(9*time.Minute + 31*time.Second)
		next, problem := b.ask(orders, "read:orders")
		if problem != "" || next.AccessToken == first.AccessToken || a.renewals() != 3 || !next.Expiry.Equal(a.clock.Now().Add(10*time.Minute)) {
			t.Errorf("%s, %d renewals", problem, a.renewals())
		}
		if got, _ := b.ask(""); got.AccessToken == own.AccessToken || a.renewals() != 4 {
			t.Error("the sign-in's token was not renewed")
		}
		if got, _ := b.ask(orders); got.AccessToken != next.AccessToken || a.renewals() != 4 {
			t.Error("renewing one lost the other")
		}
	})
}

func TestRefusedAudience(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); change(o) })
		a.multi(t)
		b := a.browser(t)
		b.signIn()
		for _, audience := range []string{"https://api/none", "https://api/unknown"} {
			if _, problem := b.ask(audience); problem != "refused\n" {
				t.Errorf("%s: %q", audience, problem)
			}
			if _, problem := b.ask(""); problem != "" || !b.signedIn() {
				t.Errorf("%s ended the session: %s", audience, problem)
			}
		}
		if _, problem := b.ask("", `a"b`); !strings.Contains(problem, "scope") {
			t.Errorf("%q", problem)
		}
		// invalid_grant may mean either; here it means the sign-in.
		a.issuer.RevokeRefreshTokens()
		if _, problem := b.ask("https://api/unknown"); problem != "again\n" {
			t.Errorf("signed out at the provider: %q", problem)
		}
	})
	t.Run("no refresh token", func(t *testing.T) {
		a := newApp(t, false, nil)
		b := a.browser(t)
		b.signIn()
		if _, problem := b.ask(orders); problem != "refused\n" {
			t.Errorf("%q: signing in again would go round and round", problem)
		}
	})
}

// A provider that ignores the audience would have one API's token shown to
// another.
func TestThreat_RP05_TokenForAnotherAudience(t *testing.T) {
	a := newApp(t, false, func(o *oidclogin.Options) { offline(o); o.Audience = shows })
	b := a.browser(t)
	b.signIn()
	if _, problem := b.ask(orders); problem != "refused\n" {
		t.Errorf("a token for %s passes for one for %s: %q", shows, orders, problem)
	}
}

func TestRenewalFailures(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); change(o) })
		b := a.browser(t)
		b.signIn()
		held, _ := b.ask("")
		a.issuer.Down(true)
		a.clock.Advance(9*time.Minute + 45*time.Second)
		if got, problem := b.ask(""); got.AccessToken != held.AccessToken {
			t.Errorf("a token with seconds left is not handed out: %s", problem)
		}
		a.clock.Advance(time.Minute)
		if _, problem := b.ask(""); problem != "unavailable\n" {
			t.Errorf("provider down: %q", problem)
		}
		a.issuer.Down(false)
		if _, problem := b.ask(""); problem != "" {
			t.Errorf("provider up again: %q", problem)
		}
		a.issuer.RevokeRefreshTokens()
		a.clock.Advance(10 * time.Minute)
		if _, problem := b.ask(""); problem != "again\n" {
			t.Errorf("signed out at the provider: %q", problem)
		}
		if b.signedIn() {
			t.Error("still signed in here")
		}
	})
}

// The refresh token is used up before the ID token can be checked: what came for
// it is not thrown away because the keys are out of reach.
func TestKeysOutOfReachAtRenewal(t *testing.T) {
	a := newApp(t, false, offline)
	b := a.browser(t)
	b.signIn()
	before := b.fetch("/auth/me").body
	a.clock.Advance(25 * time.Hour / 2) // within the idle limit
	b.signedIn()
	a.clock.Advance(12 * time.Hour) // keys are too old to be used
	a.issuer.Lock(func() {
		a.issuer.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/jwks" {
				return false
			}
			http.Error(w, "down", http.StatusBadGateway)
			return true
		}
		a.issuer.IDToken = func(c map[string]any) { c["name"] = "Mallory" }
	})
	if _, problem := b.ask(""); problem != "" {
		t.Fatal(problem)
	}
	if got := b.fetch("/auth/me").body; got != before {
		t.Errorf("an ID token that was not checked is believed: %s", got)
	}
	a.clock.Advance(10 * time.Minute)
	if _, problem := b.ask(""); problem != "" {
		t.Errorf("the refresh token was lost: %s", problem)
	}
}

// One session, a hundred requests, four APIs: the refresh token is used four
// times, one after the other.
func TestThreat_RP12_ParallelRequestsForSeveralAPIs(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); change(o) })
		b := a.browser(t)
		b.signIn()
		cookies := b.cookies("_session")
		// The audiences are the issuer's own or none: it need not know them.
		a.issuer.Lock(func() {
			a.issuer.TokenResponse = func(m map[string]any) { m["access_token"] = "opaque-" + rand32() }
		})
		a.clock.Advance(10 * time.Minute)
		var wg sync.WaitGroup
		var mu sync.Mutex
		seen := map[string]map[string]int{}
		for i := range 64 {
			audience := []string{"", "https://api/1", "https://api/2", "https://api/3"}[i%4]
			wg.Go(func() {
				r, _ := http.NewRequest(http.MethodGet, a.server.URL+"/tokens?audience="+url.QueryEscape(audience), nil)
				for _, c := range cookies {
					r.AddCookie(c)
				}
				res, err := a.server.Client().Transport.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				body, _ := io.ReadAll(res.Body)
				mu.Lock()
				defer mu.Unlock()
				if seen[audience] == nil {
					seen[audience] = map[string]int{}
				}
				seen[audience][string(body)]++
			})
		}
		wg.Wait()
		for audience, answers := range seen {
			for body := range answers {
				if !strings.Contains(body, "opaque-") {
					t.Errorf("%q: %s", audience, body)
				}
			}
			if len(answers) != 1 {
				t.Errorf("%q: %d different answers", audience, len(answers))
			}
		}
		if a.renewals() != 4 {
			t.Errorf("%d renewals", a.renewals())
		}
		if !b.signedIn() {
			t.Error("the race ended the session")
		}
	})
}

var errGone = errors.New("gone")

// What was renewed is stored though whoever asked has left, and though the
// response has begun.
func TestThreat_RP12_StoredWhateverTheHandlerDoes(t *testing.T) {
	memory := func(o *oidclogin.Options) { o.Store = session.NewMemoryStoreClock(o.Clock) }
	t.Run("the caller has left", func(t *testing.T) {
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); memory(o) })
		b := a.browser(t)
		b.signIn()
		a.clock.Advance(10 * time.Minute)
		asked, goOn := make(chan struct{}), make(chan struct{})
		a.issuer.Lock(func() {
			a.issuer.TokenResponse = func(map[string]any) { close(asked); <-goOn }
		})
		ctx, leave := context.WithCancelCause(t.Context())
		done := make(chan error)
		s := a.session(t, b)
		go func() { _, err := s.AccessToken(ctx, ""); done <- err }()
		<-asked
		leave(errGone)
		if err := <-done; !errors.Is(err, errGone) {
			t.Error(err)
		}
		a.issuer.Lock(func() { a.issuer.TokenResponse = nil })
		close(goOn)
		// Another process has nothing but the store.
		other := newAppAt(t, a.issuer, a.clock, false, func(o *oidclogin.Options) {
			offline(o)
			o.Store = a.store
		})
		if _, err := other.session(t, b).AccessToken(t.Context(), ""); err != nil || a.renewals() != 1 {
			t.Errorf("%v, %d renewals", err, a.renewals())
		}
	})
	for _, tt := range []struct {
		name   string
		change func(*oidclogin.Options)
		want   string
	}{{"memory", memory, ""}, {"cookie", func(*oidclogin.Options) {}, "too late"}} {
		t.Run("the response has begun, "+tt.name, func(t *testing.T) {
			a := newApp(t, false, func(o *oidclogin.Options) { offline(o); tt.change(o) })
			b := a.browser(t)
			b.signIn()
			first := b.token()
			handler := guard.Require(a.login)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusOK)
				tokens(w, r)
			}))
			late := func() string {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, a.request(b))
				return w.Body.String()
			}
			if got := late(); !strings.Contains(got, first) {
				t.Errorf("a good token is not handed out: %s", got)
			}
			a.clock.Advance(10 * time.Minute)
			got := late()
			if tt.want != "" {
				if !strings.Contains(got, tt.want) || a.renewals() != 0 {
					t.Errorf("%s, %d renewals: the new refresh token is lost", got, a.renewals())
				}
				return
			}
			if !strings.Contains(got, b.token()) || a.renewals() != 1 {
				t.Errorf("%s: not stored", got)
			}
		})
	}
}

func TestRefreshOfTheClaims(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); change(o) })
		b := a.browser(t)
		b.signIn()
		a.issuer.Lock(func() { a.issuer.IDToken = func(c map[string]any) { c["name"] = "Alice Cooper" } })
		p := b.fetch("/refresh")
		if p.body != "Alice Cooper" || a.renewals() != 1 {
			t.Errorf("%d %s, %d renewals", p.StatusCode, p.body, a.renewals())
		}
		if me := b.fetch("/auth/me"); !strings.Contains(me.body, "Alice Cooper") {
			t.Errorf("not kept: %s", me.body)
		}
		if p := b.fetch("/refresh"); p.body != "Alice Cooper" || a.renewals() != 2 {
			t.Errorf("a second time: %s, %d renewals", p.body, a.renewals())
		}
	})
}

// What a renewed ID token does not repeat stays true, and the session can still be
// found by the sid it came with.
func TestClaimsThatARenewalLeavesOut(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); change(o) })
		b := a.browser(t)
		b.signIn()
		was := a.session(t, b).Principal()
		a.issuer.Lock(func() {
			a.issuer.IDToken = func(c map[string]any) {
				for _, name := range []string{"sid", "acr", "amr", "auth_time"} {
					delete(c, name)
				}
			}
		})
		for range 2 {
			a.clock.Advance(10 * time.Minute)
			b.token()
			if p := a.session(t, b).Principal(); p.SessionID != was.SessionID || p.ACR != was.ACR || !slices.Equal(p.AMR, was.AMR) || !p.AuthTime.Equal(was.AuthTime) || p.SessionID == "" {
				t.Errorf("%+v", p)
			}
		}
		a.issuer.Lock(func() { a.issuer.IDToken = func(c map[string]any) { c["acr"] = "gold" } })
		a.clock.Advance(10 * time.Minute)
		b.token()
		if p := a.session(t, b).Principal(); p.ACR != "gold" || p.SessionID != was.SessionID {
			t.Errorf("%+v", p)
		}
		if a.store != nil {
			if res := a.deliver(t, a.issuer.Sign(t, "logout+jwt", a.logoutClaims())); res.StatusCode != http.StatusOK || b.signedIn() {
				t.Errorf("not found by its sid: %d", res.StatusCode)
			}
		}
	})
}

func refresh(w http.ResponseWriter, r *http.Request) {
	s, ok := oidclogin.FromContext(r.Context())
	if !ok {
		http.Error(w, "nobody", http.StatusUnauthorized)
		return
	}
	p, err := s.Refresh(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	var claims struct {
		Name string `json:"name"`
	}
	if err := p.DecodeClaims(&claims); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, claims.Name)
}

// The cookie has room for so much. What can be had again makes room.
func TestThreat_BR09_FullCookieKeepsTheRefreshToken(t *testing.T) {
	a := newApp(t, false, offline)
	b := a.browser(t)
	b.signIn()
	a.issuer.Lock(func() {
		a.issuer.TokenResponse = func(m map[string]any) { m["access_token"] = strings.Repeat("x", 1200) }
	})
	for _, audience := range []string{"https://api/1", "https://api/2", "https://api/3", "https://api/4", "https://api/5"} {
		if _, problem := b.ask(audience); problem != "" {
			t.Fatalf("%s: %s\n%s", audience, problem, a.log)
		}
	}
	if log := a.log.String(); !strings.Contains(log, "cookie is full") || !strings.Contains(log, "other access tokens") || strings.Contains(log, "xxxx") {
		t.Error(log)
	}
	a.clock.Advance(10 * time.Minute)
	if _, problem := b.ask(""); problem != "" || !b.signedIn() {
		t.Errorf("the refresh token was lost: %s", problem)
	}
	// What cannot be dropped is named.
	big := newApp(t, false, nil)
	big.issuer.Lock(func() { big.issuer.IDToken = func(c map[string]any) { c["groups"] = strings.Repeat("g", 6000) } })
	if p := big.browser(t).visit("/auth/login"); p.StatusCode != http.StatusInternalServerError || !strings.Contains(big.log.String(), "ID token 8") {
		t.Errorf("%d\n%s", p.StatusCode, big.log)
	}
}

func TestOnSignIn(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		var refuse error
		a := newApp(t, false, func(o *oidclogin.Options) {
			offline(o)
			change(o)
			o.OnSignIn = func(ctx context.Context, s *oidclogin.Session) error {
				if s.Principal().Subject != "alice" {
					t.Errorf("principal %v", s.Principal())
				}
				if _, err := s.AccessToken(ctx, ""); err != nil {
					t.Error(err)
				}
				if err := s.SetValue(ctx, "theme", "dark"); err != nil {
					t.Error(err)
				}
				return errors.Join(refuse, s.SetRoles(ctx, "editor", "admin"))
			}
		})
		b := a.browser(t)
		b.signIn()
		s := a.session(t, b)
		if p := s.Principal(); !slices.Equal(p.Roles, []string{"editor", "admin"}) || s.Value("theme") != "dark" || s.Value("none") != "" {
			t.Errorf("%v %q", p.Roles, s.Value("theme"))
		}
		a.clock.Advance(10 * time.Minute)
		b.token() // roles and values outlive a renewal
		if p := a.session(t, b).Principal(); len(p.Roles) != 2 {
			t.Errorf("after a renewal: %v", p.Roles)
		}
		for _, roles := range [][]string{{}, {"reader"}} {
			w := httptest.NewRecorder()
			guard.Require(a.login)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				s, _ := oidclogin.FromContext(r.Context())
				if err := errors.Join(s.SetRoles(r.Context(), roles...), s.SetValue(r.Context(), "theme", "")); err != nil {
					t.Error(err)
				}
			})).ServeHTTP(w, a.request(b))
			for _, c := range w.Result().Cookies() {
				b.setCookie(c.Name, c.Value)
			}
			if s := a.session(t, b); !slices.Equal(s.Principal().Roles, roles) || s.Value("theme") != "" {
				t.Errorf("%v, want %v", s.Principal().Roles, roles)
			}
		}

		refuse = errors.New("not on the list of guests")
		stranger := a.browser(t)
		p := stranger.visit("/auth/login")
		if p.StatusCode != http.StatusForbidden || strings.Contains(p.body, "guests") || !strings.Contains(a.log.String(), "guests") || stranger.signedIn() {
			t.Errorf("%d %s", p.StatusCode, p.body)
		}
		refuse = &oidclogin.Error{Code: "no_seat", Status: http.StatusPaymentRequired, Description: "All seats are taken."}
		if p := stranger.visit("/auth/login"); p.StatusCode != http.StatusPaymentRequired || !strings.Contains(p.body, "All seats") || stranger.signedIn() {
			t.Errorf("%d %s", p.StatusCode, p.body)
		}
	})
}

// The provider's own word on roles, whatever it looks like.
func TestRolesOfTheIDToken(t *testing.T) {
	for name, tt := range map[string]struct {
		claim any
		want  []string
	}{"list": {[]string{"a", "b"}, []string{"a", "b"}}, "text": {"a", nil}, "objects": {[]any{map[string]any{"name": "a"}}, nil}, "none": {nil, nil}} {
		a := newApp(t, false, nil)
		a.issuer.Lock(func() { a.issuer.IDToken = func(c map[string]any) { c["roles"] = tt.claim } })
		b := a.browser(t)
		b.signIn()
		p := a.session(t, b).Principal()
		if !slices.Equal(p.Roles, tt.want) || p.KeyID != "key-1" || p.GrantID != "grant-1" || !p.IssuedAt.Equal(a.clock.Now()) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// taken takes credentials back, or cannot tell.
type taken struct {
	mu  sync.Mutex
	sid map[string]bool
	err error
}

func (v *taken) Check(_ context.Context, p *guard.Principal, token string, _ uint64) (uint64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if token != "" {
		return 0, &guard.Error{Code: guard.Internal, Description: "a cookie is no issuer's token"}
	}
	if v.sid[p.SessionID] || v.sid[p.GrantID] {
		return 0, &guard.Error{Code: guard.InvalidToken}
	}
	return 1, v.err
}

func TestThreat_BR12_RevokedSessionsAreOver(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		for _, id := range []string{"session-1", "grant-1"} {
			revoked := &taken{sid: map[string]bool{}}
			a := newApp(t, false, func(o *oidclogin.Options) { o.Revocations = revoked; change(o) })
			b := a.browser(t)
			b.signIn()
			kept := b.cookies("_session")
			revoked.err = &guard.Error{Code: guard.Unavailable, Description: "no word yet"}
			if p := b.fetch("/auth/me"); p.StatusCode != http.StatusServiceUnavailable || len(b.cookies("_session")) == 0 {
				t.Errorf("cannot tell: %d", p.StatusCode)
			}
			revoked.err = nil
			if !b.signedIn() {
				t.Error("over though nothing was taken back")
			}
			revoked.sid[id] = true
			if b.signedIn() || len(b.cookies("_session")) != 0 {
				t.Errorf("%s was taken back and the session goes on", id)
			}
			if p := b.fetch("/token"); !strings.Contains(p.body, "no session") {
				t.Errorf("%s: %s", id, p.body)
			}
			// In a store it is gone for good, whatever becomes of the list.
			revoked.sid[id] = false
			for _, c := range kept {
				b.setCookie(c.Name, c.Value)
			}
			if a.store != nil && b.signedIn() {
				t.Errorf("%s: the session is still in the store", id)
			}
		}
	})
}

// What was taken back is remembered for an hour. A session that sleeps through that hour must not
// wake up after it.
func TestThreat_BR12_NoSessionOutlivesItsRevocation(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		revoked := &taken{sid: map[string]bool{}}
		a := newApp(t, false, func(o *oidclogin.Options) { o.Revocations = revoked; change(o) })
		b := a.browser(t)
		b.signIn()
		a.clock.Advance(50 * time.Minute)
		if !b.signedIn() {
			t.Fatal("over too early")
		}
		a.clock.Advance(50 * time.Minute)
		if !b.signedIn() {
			t.Fatal("over though it is in use")
		}
		a.clock.Advance(guard.RevocationsKept) // taken back meanwhile, and forgotten by now
		if b.signedIn() {
			t.Error("a session is alive that may have been taken back")
		}
	})
	o := oidclogin.Options{
		Issuer: "https://id.example", ClientID: "app", BaseURL: "https://app.example", Secrets: []string{strings.Repeat("s", 32)},
		Revocations: &taken{}, IdleTimeout: guard.RevocationsKept + time.Second,
	}
	if _, err := oidclogin.New(o); err == nil || !strings.Contains(err.Error(), "IdleTimeout") {
		t.Errorf("a cookie outlives what is known of it: %v", err)
	}
	o.Store = session.NewMemoryStore()
	if _, err := oidclogin.New(o); err != nil {
		t.Error(err)
	}
}

func TestTokensStayOutOfLogs(t *testing.T) {
	token := oidclogin.Token{AccessToken: "hunter2", Scope: "openid"}
	for _, text := range []string{fmt.Sprint(token), fmt.Sprintf("%+v", token), fmt.Sprintf("token %s", token)} {
		if strings.Contains(text, "hunter2") {
			t.Error(text)
		}
	}
}

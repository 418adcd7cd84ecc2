package oidclogin_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

func memoryStore(o *oidclogin.Options) { o.Store = session.NewMemoryStoreClock(o.Clock) }

// indexed are the stores that can find sessions.
func indexed(t *testing.T, test func(t *testing.T, change func(*oidclogin.Options))) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		o := oidclogin.Options{Clock: time.Now}
		change(&o)
		if o.Store == nil {
			return
		}
		test(t, func(o *oidclogin.Options) { change(o); o.BackchannelLogout = true })
	})
}

// logoutClaims are those of a good logout token.
func (a *app) logoutClaims() map[string]any {
	now := a.clock.Now()
	return map[string]any{
		"iss": a.issuer.URL, "aud": testissuer.ClientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": rand32(),
		"sub": "alice", "sid": "session-1", "events": map[string]any{logoutEvent: map[string]any{}},
	}
}

func (a *app) deliver(t *testing.T, token string) *http.Response {
	t.Helper()
	res, err := a.server.Client().PostForm(a.server.URL+"/auth/backchannel-logout", url.Values{"logout_token": {token}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("may be cached: %v", res.Header)
	}
	return res
}

// signInAs signs a person in from one of their sign-ins at the provider.
func (a *app) signInAs(t *testing.T, sub, sid string) *browser {
	t.Helper()
	a.issuer.Lock(func() {
		a.issuer.IDToken = func(c map[string]any) {
			if c["sub"], c["sid"] = sub, sid; sid == "" {
				delete(c, "sid")
			}
		}
	})
	b := a.browser(t)
	b.signIn()
	return b
}

func TestBackchannelLogout(t *testing.T) {
	indexed(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, change)
		laptop, laptop2, phone := a.signInAs(t, "alice", "s1"), a.signInAs(t, "alice", "s1"), a.signInAs(t, "alice", "s2")
		bob := a.signInAs(t, "bob", "s3")
		claims := a.logoutClaims()
		claims["sid"] = "s1"
		if res := a.deliver(t, a.issuer.Sign(t, "logout+jwt", claims)); res.StatusCode != http.StatusOK {
			t.Fatalf("%d\n%s", res.StatusCode, a.log)
		}
		if laptop.signedIn() || laptop2.signedIn() {
			t.Error("the sign-in is over at the provider and goes on here")
		}
		if !phone.signedIn() || !bob.signedIn() {
			t.Error("a sid ended another sign-in")
		}
		claims = a.logoutClaims()
		delete(claims, "sid")
		if res := a.deliver(t, a.issuer.Sign(t, "logout+jwt", claims)); res.StatusCode != http.StatusOK {
			t.Fatal(res.StatusCode)
		}
		if phone.signedIn() {
			t.Error("a token without sid means everything of the person")
		}
		if !bob.signedIn() {
			t.Error("and of nobody else")
		}
		// A sign-in that is not known here is over already.
		claims = a.logoutClaims()
		claims["sid"] = "unknown"
		if res := a.deliver(t, a.issuer.Sign(t, "logout+jwt", claims)); res.StatusCode != http.StatusOK || !bob.signedIn() {
			t.Error(res.StatusCode)
		}
	})
}

// A token that names a sign-in nobody here knows, and the person, ends those of their sessions that may
// be meant: the ones whose sign-in is not known. Other sign-ins, and other people's, go on.
func TestThreat_LO05_UnknownSID(t *testing.T) {
	indexed(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, change)
		nameless, nameless2, phone := a.signInAs(t, "alice", ""), a.signInAs(t, "alice", ""), a.signInAs(t, "alice", "s2")
		bob := a.signInAs(t, "bob", "")
		deliver := func(sub, sid string) {
			t.Helper()
			claims := a.logoutClaims()
			if claims["sub"], claims["sid"] = sub, sid; sub == "" {
				delete(claims, "sub")
			}
			if res := a.deliver(t, a.issuer.Sign(t, "logout+jwt", claims)); res.StatusCode != http.StatusOK {
				t.Errorf("%d\n%s", res.StatusCode, a.log)
			}
		}
		deliver("", "s1")
		if !nameless.signedIn() {
			t.Error("nothing names the person, and a session of theirs ended")
		}
		deliver("alice", "s1")
		if nameless.signedIn() || nameless2.signedIn() {
			t.Error("the session that may be the one goes on")
		}
		if !phone.signedIn() || !bob.signedIn() {
			t.Error("another sign-in ended")
		}
	})
}

// Every process that shares the database hears of it at its next request.
func TestBackchannelLogoutReachesEveryProcess(t *testing.T) {
	databases(t, func(t *testing.T, d database) {
		apps := processes(t, 2, d, func(o *oidclogin.Options) { o.CookieName = "app" })
		b := apps[0].browser(t)
		b.signIn()
		elsewhere := apps[1].browser(t)
		for _, c := range b.cookies("app_session") {
			elsewhere.setCookie(c.Name, c.Value)
		}
		if !elsewhere.signedIn() {
			t.Fatal("the store is not shared")
		}
		if res := apps[1].deliver(t, apps[1].issuer.Sign(t, "logout+jwt", apps[1].logoutClaims())); res.StatusCode != http.StatusOK {
			t.Fatal(res.StatusCode)
		}
		if b.signedIn() || elsewhere.signedIn() {
			t.Error("still signed in")
		}
	})
}

func TestThreat_LO05_BackchannelLogout(t *testing.T) {
	a := newApp(t, false, memoryStore)
	b := a.browser(t)
	b.signIn()
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	drop := func(names ...string) func(map[string]any) {
		return func(c map[string]any) {
			maps.DeleteFunc(c, func(n string, _ any) bool { return strings.Contains(strings.Join(names, " "), n) })
		}
	}
	for name, change := range map[string]func(map[string]any){
		"no event":              drop("events"),
		"another event":         set("events", map[string]any{"https://example.com/event": map[string]any{}}),
		"event of text":         set("events", map[string]any{logoutEvent: "yes"}),
		"nonce":                 set("nonce", "n"),
		"other audience":        set("aud", "another"),
		"no audience":           drop("aud"),
		"other issuer":          set("iss", "https://evil.example/"),
		"neither sub nor sid":   func(c map[string]any) { delete(c, "sub"); delete(c, "sid") },
		"no jti":                drop("jti"),
		"no iat":                drop("iat"),
		"no exp":                drop("exp"),
		"expired":               func(c map[string]any) { c["iat"], c["exp"] = c["iat"].(int64)-100, c["iat"].(int64)-31 },
		"old, with a long life": func(c map[string]any) { c["iat"], c["exp"] = c["iat"].(int64)-200, c["iat"].(int64)+3600 },
		"from the future":       func(c map[string]any) { c["iat"] = c["iat"].(int64) + 3600 },
	} {
		claims := a.logoutClaims()
		change(claims)
		if res := a.deliver(t, a.issuer.Sign(t, "logout+jwt", claims)); res.StatusCode != http.StatusBadRequest || !b.signedIn() {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	good := a.issuer.Sign(t, "logout+jwt", a.logoutClaims())
	stranger := testissuer.New(t)
	for name, token := range map[string]string{
		"alg none":    replaceHeader(good, `{"alg":"none","typ":"logout+jwt"}`, ""),
		"HS256":       replaceHeader(good, `{"alg":"HS256","kid":"key-1","typ":"logout+jwt"}`, "AAAA"),
		"forged":      stranger.Sign(t, "logout+jwt", a.logoutClaims()),
		"type JWT":    a.issuer.Sign(t, "JWT", a.logoutClaims()),
		"type at+jwt": a.issuer.Sign(t, "at+jwt", a.logoutClaims()),
		"an ID token": a.issuer.Sign(t, "JWT", a.issuer.IDClaims("")),
		"not a token": "evil",
		"empty":       "",
	} {
		if res := a.deliver(t, token); res.StatusCode != http.StatusBadRequest || !b.signedIn() {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	for name, request := range map[string]func() *http.Request{
		"by GET": func() *http.Request {
			return httptest.NewRequest(http.MethodGet, "/auth/backchannel-logout?logout_token="+good, nil)
		},
		"in the URL": func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, "/auth/backchannel-logout?logout_token="+good, strings.NewReader(""))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return r
		},
		"as JSON": func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, "/auth/backchannel-logout", strings.NewReader(`{"logout_token":"`+good+`"}`))
			r.Header.Set("Content-Type", "application/json")
			return r
		},
		"twice": func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, "/auth/backchannel-logout", strings.NewReader("logout_token="+good+"&logout_token="+good))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return r
		},
		"too long": func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, "/auth/backchannel-logout", strings.NewReader("logout_token="+good+"&x="+strings.Repeat("x", 64<<10)))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return r
		},
	} {
		w := httptest.NewRecorder()
		a.login.ServeHTTP(w, request())
		if w.Code < 400 || w.Code >= 500 || !b.signedIn() {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if log := a.log.String(); strings.Contains(log, good) {
		t.Error("the token is in the log")
	}
	if res := a.deliver(t, good); res.StatusCode != http.StatusOK || b.signedIn() {
		t.Errorf("the good one: %d\n%s", res.StatusCode, a.log)
	}
}

// A logout token works once: a copy would sign out who has come back since.
func TestThreat_LO05_ReplayedLogoutToken(t *testing.T) {
	a := newApp(t, false, memoryStore)
	b := a.browser(t)
	b.signIn()
	claims := a.logoutClaims()
	delete(claims, "sid")
	token := a.issuer.Sign(t, "logout+jwt", claims)
	if res := a.deliver(t, token); res.StatusCode != http.StatusOK || b.signedIn() {
		t.Fatal(res.StatusCode)
	}
	b.signIn()
	if res := a.deliver(t, token); res.StatusCode != http.StatusBadRequest || !b.signedIn() {
		t.Errorf("used a second time: %d", res.StatusCode)
	}
}

// usedTokens is a Replays of several processes.
type usedTokens struct {
	used map[string]time.Time
	fail bool
}

func (u *usedTokens) Use(_ context.Context, id string, until time.Time) (bool, error) {
	if u.fail {
		return false, errBroken
	}
	_, used := u.used[id]
	u.used[id] = until
	return !used, nil
}

func (u *usedTokens) Forget(_ context.Context, id string) error {
	delete(u.used, id)
	return nil
}

func TestThreat_LO05_ReplayedAtAnotherProcess(t *testing.T) {
	used := &usedTokens{used: map[string]time.Time{}}
	store := &failingIndex{}
	a := newApp(t, false, func(o *oidclogin.Options) {
		store.MemoryStore = session.NewMemoryStoreClock(o.Clock)
		o.Store, o.Replays = store, used
	})
	other := newAppAt(t, a.issuer, a.clock, false, func(o *oidclogin.Options) { o.Store, o.Replays = store.MemoryStore, used })
	b := a.browser(t)
	b.signIn()
	claims := a.logoutClaims()
	token := a.issuer.Sign(t, "logout+jwt", claims)
	store.fail = true
	if res := a.deliver(t, token); res.StatusCode != http.StatusBadRequest {
		t.Errorf("it claims success: %d", res.StatusCode)
	}
	if res := other.deliver(t, token); res.StatusCode != http.StatusOK || b.signedIn() {
		t.Errorf("tried again at the other: %d\n%s", res.StatusCode, other.log)
	}
	b.signIn()
	store.fail = false
	if res := a.deliver(t, token); res.StatusCode != http.StatusBadRequest || !b.signedIn() {
		t.Errorf("used a second time, at another process: %d", res.StatusCode)
	}
	for id, until := range used.used {
		if until.Before(time.Unix(claims["exp"].(int64), 0).Add(30 * time.Second)) {
			t.Errorf("%q is forgotten at %v, while it is good", id, until)
		}
	}
	// Signing somebody out once too often is better than not at all.
	used.fail = true
	if res := other.deliver(t, a.issuer.Sign(t, "logout+jwt", a.logoutClaims())); res.StatusCode != http.StatusOK || b.signedIn() {
		t.Errorf("when the memory is broken: %d\n%s", res.StatusCode, other.log)
	}
}

// What the provider tries again must not count as a replay.
func TestBackchannelLogoutIsTriedAgain(t *testing.T) {
	store := &failingIndex{MemoryStore: session.NewMemoryStore()}
	a := newApp(t, false, func(o *oidclogin.Options) {
		store.MemoryStore = session.NewMemoryStoreClock(o.Clock)
		o.Store = store
	})
	b := a.browser(t)
	b.signIn()
	token := a.issuer.Sign(t, "logout+jwt", a.logoutClaims())
	store.fail = true
	if res := a.deliver(t, token); res.StatusCode != http.StatusBadRequest {
		t.Errorf("it claims success: %d", res.StatusCode)
	}
	store.fail = false
	if res := a.deliver(t, token); res.StatusCode != http.StatusOK || b.signedIn() {
		t.Errorf("%d", res.StatusCode)
	}
	a.issuer.Down(true)
	a.clock.Advance(25 * time.Hour)
	if res := a.deliver(t, a.issuer.Sign(t, "logout+jwt", a.logoutClaims())); res.StatusCode != http.StatusBadRequest {
		t.Errorf("keys out of reach: %d", res.StatusCode)
	}
}

// Providers older than the final specification.
func TestLooseLogoutTokens(t *testing.T) {
	a := newApp(t, false, func(o *oidclogin.Options) { memoryStore(o); o.LooseLogoutTokens = true })
	b := a.browser(t)
	b.signIn()
	if res := a.deliver(t, a.issuer.Sign(t, "JWT", a.issuer.IDClaims(""))); res.StatusCode != http.StatusBadRequest {
		t.Errorf("an ID token: %d", res.StatusCode)
	}
	claims := a.logoutClaims()
	delete(claims, "exp")
	if res := a.deliver(t, a.issuer.Sign(t, "JWT", claims)); res.StatusCode != http.StatusOK || b.signedIn() {
		t.Errorf("%d\n%s", res.StatusCode, a.log)
	}
}

func TestBackchannelLogoutNeedsAnIndex(t *testing.T) {
	_, err := oidclogin.New(oidclogin.Options{Issuer: "https://id.example.com/", ClientID: "c", BaseURL: "https://app.example.com", Secrets: []string{secret}, BackchannelLogout: true})
	if err == nil || !strings.Contains(err.Error(), "Revocations") || !strings.Contains(err.Error(), "SQLStore") {
		t.Errorf("%v does not say what to do", err)
	}
	a := newApp(t, false, nil)
	if res, err := a.server.Client().PostForm(a.server.URL+"/auth/backchannel-logout", url.Values{"logout_token": {"x"}}); err != nil || res.StatusCode != http.StatusNotFound {
		t.Errorf("%v %v", res, err)
	}
}

type failingIndex struct {
	*session.MemoryStore
	fail bool
}

func (s *failingIndex) DeleteSession(ctx context.Context, app, sid string) (int, error) {
	if s.fail {
		return 0, errBroken
	}
	return s.MemoryStore.DeleteSession(ctx, app, sid)
}

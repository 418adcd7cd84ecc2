package oidclogin_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/gatehousetest"
	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/internal/core/backchannel"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// With the real house, over HTTP: what the browser sees, what the API sees, what
// is left afterwards.
func TestWithTheHouse(t *testing.T) {
	for name, change := range map[string]func(*oidclogin.Options){"cookie": func(*oidclogin.Options) {}, "memory": memoryStore} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			base := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
			house := gatehousetest.New(t, gatehousetest.WithWeb("app", base+"/auth/callback"))
			client := house.Client("app")
			log := &syncBuffer{}
			o := oidclogin.Options{
				Issuer: house.Issuer(), ClientID: client.ID, ClientSecret: client.Secret, BaseURL: base, Secrets: []string{secret},
				Scopes: []string{"openid", "email", "offline_access", "read:shows"}, Audience: gatehousetest.Audience, Clock: house.Now,
			}
			change(&o)
			login, err := oidclogin.New(o)
			if err != nil {
				t.Fatal(err)
			}
			var session *oidclogin.Session
			var tokenErr error
			mux.Handle("/auth/", login)
			mux.Handle("/", guard.Require(login, guard.Scopes("read:shows"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				session, _ = oidclogin.FromContext(r.Context())
				var token oidclogin.Token
				if token, tokenErr = session.AccessToken(r.Context(), r.FormValue("audience")); tokenErr != nil {
					w.WriteHeader(http.StatusConflict)
					return
				}
				_, _ = io.WriteString(w, token.AccessToken)
			})))
			alice := house.SignIn(gatehousetest.Alice)
			get := func(path string) (int, string) {
				t.Helper()
				r, _ := http.NewRequest(http.MethodGet, base+path, nil)
				r.Header.Set("Accept", "text/html")
				res, err := alice.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				return res.StatusCode, read(t, res)
			}
			status, first := get("/shows")
			if status != http.StatusOK || strings.Count(first, ".") != 2 {
				t.Fatalf("%d %s\n%s", status, first, log)
			}
			if p := session.Principal(); p.SessionID == "" || p.GrantID == "" || p.KeyID == "" || !p.HasScope("read:shows") || p.AuthTime.IsZero() {
				t.Errorf("%+v", p)
			}
			if status, me := get("/auth/me"); status != http.StatusOK || !strings.Contains(me, gatehousetest.Alice) {
				t.Errorf("%d %s", status, me)
			}
			for range 3 {
				house.Advance(10 * time.Minute)
				status, next := get("/shows")
				if status != http.StatusOK || next == first {
					t.Fatalf("not renewed: %d %v", status, tokenErr)
				}
				if _, again := get("/shows"); again != next {
					t.Fatal("not kept")
				}
				first = next
			}
			// The house gives no token for another API than the grant's.
			if status, _ := get("/shows?audience=https://api/other"); status != http.StatusConflict || !errors.Is(tokenErr, oidclogin.ErrRefused) {
				t.Errorf("%d %v", status, tokenErr)
			}
			if status, _ := get("/shows"); status != http.StatusOK {
				t.Errorf("a refusal ended the session: %d %v", status, tokenErr)
			}
			if p, err := session.Refresh(t.Context()); name == "memory" && (err != nil || p.Subject != session.Principal().Subject) {
				t.Error(err)
			} else if name == "cookie" && !errors.Is(err, oidclogin.ErrTooLate) {
				t.Errorf("the response is long over: %v", err)
			}
			house.Block(gatehousetest.Alice)
			house.Advance(10 * time.Minute)
			if status, _ := get("/shows"); status != http.StatusConflict || !errors.Is(tokenErr, oidclogin.ErrSignedOut) {
				t.Errorf("blocked: %d %v", status, tokenErr)
			}
			if status, _ := get("/auth/me"); status != http.StatusUnauthorized {
				t.Errorf("blocked and still signed in: %d", status)
			}
		})
	}
}

// Signing out here ends it there: the grant at once, the sign-in with the redirect.
func TestSigningOutAtTheHouse(t *testing.T) {
	for _, mode := range []oidclogin.LogoutMode{oidclogin.LogoutProvider, oidclogin.LogoutV2, oidclogin.LogoutLocal} {
		t.Run("mode "+string(mode), func(t *testing.T) {
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			base := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
			var options servertest.Options
			gatehousetest.WithWeb("app", base+"/auth/callback")(&options)
			node := servertest.New(t, options)
			client := node.Content.Client("app")
			login, err := oidclogin.New(oidclogin.Options{
				Issuer: node.URL + "/", ClientID: client.ClientID, ClientSecret: client.ClientSecret, BaseURL: base, Secrets: []string{secret},
				Scopes: []string{"openid", "offline_access"}, Logout: mode, Clock: node.Clock.Now,
			})
			if err != nil {
				t.Fatal(err)
			}
			var accessToken string
			mux.Handle("/auth/", login)
			mux.Handle("/", guard.Optional(login)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if token, err := oidclogin.AccessToken(r.Context(), ""); err == nil {
					accessToken = token.AccessToken
				}
				_, _ = io.WriteString(w, "home")
			})))
			b := node.NewBrowser(t)
			b.SignIn("alice@example.com", node.Password(t, "alice@example.com"))
			client2 := &http.Client{Jar: b.HTTP.Jar}
			res, err := client2.Get(base + "/auth/login")
			if err != nil || read(t, res) != "home" || accessToken == "" {
				t.Fatal(res, err)
			}
			r, _ := http.NewRequest(http.MethodPost, base+"/auth/logout", strings.NewReader("federated="))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			res, err = client2.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if body := read(t, res); body != "home" || res.Request.URL.Path != "/" && res.Request.URL.Path != "" {
				t.Errorf("leads to %s: %.200s", res.Request.URL, body)
			}
			// Every mode ends the grant, so a stolen copy of the session renews nothing.
			if answer := node.Introspect(t, "TV Shows Worker", accessToken); answer["active"] != false {
				t.Errorf("the grant lives on: %v", answer)
			}
			// The sign-in at the house ends unless it was asked to stay.
			p := b.Authorize("app", "prompt", "none")
			if got := p.Answer(t); (got.Error == "") != (mode == oidclogin.LogoutLocal) {
				t.Errorf("at the house: %+v", got)
			}
		})
	}
}

// Signing out of one application ends the sessions of the others, by what the house posts; those that keep
// theirs in a cookie are not told.
func TestBackchannelLogoutOfTheHouse(t *testing.T) {
	type application struct {
		base  string
		login *oidclogin.Login
	}
	names := []string{"first", "second", "cookie"}
	muxes, apps := map[string]*http.ServeMux{}, map[string]*application{}
	var options servertest.Options
	for _, name := range names {
		muxes[name] = http.NewServeMux()
		server := httptest.NewServer(muxes[name])
		t.Cleanup(server.Close)
		apps[name] = &application{base: strings.Replace(server.URL, "127.0.0.1", "localhost", 1)}
		gatehousetest.WithWeb(name, apps[name].base+"/auth/callback")(&options)
		options.Extras[len(options.Extras)-1].BackchannelLogoutURI = apps[name].base + "/auth/backchannel-logout"
	}
	node := servertest.New(t, options)
	for _, name := range names {
		client := node.Content.Client(name)
		o := oidclogin.Options{
			Issuer: node.URL + "/", ClientID: client.ClientID, ClientSecret: client.ClientSecret, BaseURL: apps[name].base, Secrets: []string{secret},
			Scopes: []string{"openid"}, Clock: node.Clock.Now,
		}
		if name != "cookie" {
			memoryStore(&o)
			o.BackchannelLogout = true
		}
		login, err := oidclogin.New(o)
		if err != nil {
			t.Fatal(err)
		}
		apps[name].login = login
		muxes[name].Handle("/auth/", login)
		muxes[name].Handle("/", guard.Optional(login)(http.NotFoundHandler()))
	}
	signedIn := func(b *http.Client, name string) bool {
		t.Helper()
		res, err := b.Get(apps[name].base + "/auth/me")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	}
	enter := func(email string) *http.Client {
		t.Helper()
		b := node.NewBrowser(t)
		b.SignIn(email, node.Password(t, email))
		client := &http.Client{Jar: b.HTTP.Jar}
		for _, name := range names {
			if res, err := client.Get(apps[name].base + "/auth/login"); err != nil || !signedIn(client, name) {
				t.Fatalf("%s: %v %v", name, res, err)
			}
		}
		return client
	}
	alice, phone, bob := enter("alice@example.com"), enter("alice@example.com"), enter("bob@example.com")
	r, _ := http.NewRequest(http.MethodPost, apps["first"].base+"/auth/logout", nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if _, err := alice.Do(r); err != nil {
		t.Fatal(err)
	}
	if !signedIn(alice, "second") {
		t.Error("told before the house could")
	}
	if n, err := node.House.Logouts.Deliver(t.Context()); err != nil || n != 3 {
		t.Fatalf("%d applications were told: %v", n, err)
	}
	for i, b := range []*http.Client{alice, phone, bob} {
		for name, want := range map[string]bool{"first": i != 0, "second": i != 0, "cookie": true} {
			if signedIn(b, name) != want {
				t.Errorf("browser %d, %s: signed in: %v", i, name, !want)
			}
		}
	}
	// Whoever is locked out is out everywhere.
	node.Block(t, "alice@example.com")
	if _, err := node.House.Logouts.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if signedIn(phone, "first") || signedIn(phone, "second") || !signedIn(bob, "second") {
		t.Error("a ban")
	}
	receipts, total, err := node.House.Logouts.Receipts(t.Context(), node.House.Tenant, backchannel.Query{ClientID: node.Content.Client("cookie").ClientID, Limit: 10})
	if err != nil || total != 2 || receipts[0].Failure != backchannel.Rejected || receipts[0].Status != http.StatusNotFound {
		t.Errorf("%+v %v", receipts, err)
	}
}

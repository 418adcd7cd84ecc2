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

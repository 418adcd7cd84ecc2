package oidclogin_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// A server-rendered application: whoever visits a page without being signed in
// is sent to the provider and comes back to that page.
func ExampleNew() {
	login, err := oidclogin.New(oidclogin.Options{
		Issuer:       "https://id.example.com/",
		ClientID:     "tv-shows-web",
		ClientSecret: os.Getenv("CLIENT_SECRET"),
		BaseURL:      "https://shows.example.com",
		Secrets:      []string{"0123456789abcdef0123456789abcdef"}, // in earnest: openssl rand -base64 32
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("/auth/", login) // /auth/login, /auth/callback, /auth/logout, /auth/me
	mux.Handle("GET /watchlist", guard.Require(login)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		fmt.Fprintf(w, "The watchlist of %s", who.Subject)
	})))
	// http.ListenAndServe(":3000", mux)
	_ = mux
}

// Calling an API on behalf of whoever is signed in. The access token is renewed
// when it has to be, once, however many requests ask.
func ExampleAccessToken() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		token, err := oidclogin.AccessToken(r.Context(), "https://api/tv-shows", "read:shows")
		switch {
		case errors.Is(err, oidclogin.ErrSignInAgain):
			http.Redirect(w, r, "/auth/login?returnTo=/shows", http.StatusSeeOther)
			return
		case err != nil: // the provider is down, or gives no such token
			http.Error(w, "The shows cannot be reached at the moment.", http.StatusServiceUnavailable)
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "https://api.example.com/shows", nil)
		if err != nil {
			http.Error(w, "bad address", http.StatusInternalServerError)
			return
		}
		req.Header.Set("Authorization", token.Type+" "+token.AccessToken)
		// client.Do(req) …
	}
	_ = handler
}

// Options from the environment, under the names of Auth0's Next.js SDK or neutral
// ones. The error lists everything that is missing.
func ExampleFromEnv() {
	env := map[string]string{ // in earnest: oidclogin.FromEnv(os.Getenv)
		"AUTH0_DOMAIN":    "id.example.com",
		"AUTH0_CLIENT_ID": "tv-shows-web",
		"APP_BASE_URL":    "https://shows.example.com",
	}
	_, err := oidclogin.FromEnv(func(name string) string { return env[name] })
	fmt.Println(err)

	env["AUTH0_SECRET"] = "0123456789abcdef0123456789abcdef"
	o, err := oidclogin.FromEnv(func(name string) string { return env[name] })
	fmt.Println(o.Issuer, err)
	// Output:
	// oidclogin: environment: OIDC_SECRET or AUTH0_SECRET is missing: at least 32 random bytes, made by: openssl rand -hex 32
	// https://id.example.com/ <nil>
}

// Scripts call /api/… on their own site and never see a token.
func ExampleLogin_Proxy() {
	login, err := oidclogin.New(exampleOptions())
	if err != nil {
		log.Fatal(err)
	}
	shows, err := login.Proxy("https://api.example.com/v1", "https://api/tv-shows", "read:shows")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/", login)
	mux.Handle("/api/", http.StripPrefix("/api", shows)) // /api/shows/7 is https://api.example.com/v1/shows/7
	// http.ListenAndServe(":3000", mux)
}

// Routes that only scripts use answer 401, never a redirect; dear ones ask for a
// recent sign-in.
func ExampleLogin_API() {
	login, err := oidclogin.New(exampleOptions())
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	data := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})
	mux.Handle("GET /data", guard.Require(login.API())(data))
	mux.Handle("POST /pay", guard.Require(login.API(), guard.MaxAge(5*time.Minute))(data))
}

// Roles come from the application's own records, and who is on none of them stays
// outside.
func ExampleOptions_onSignIn() {
	o := exampleOptions()
	o.OnSignIn = func(ctx context.Context, s *oidclogin.Session) error {
		roles := map[string][]string{"0b9f2c4e": {"editor"}}[s.Principal().Subject]
		if len(roles) == 0 {
			return errors.New("no role") // for the log; the person reads "access_denied"
		}
		return s.SetRoles(ctx, roles...)
	}
	login, err := oidclogin.New(o)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/edit", guard.Require(login, guard.Roles("editor"))(http.NotFoundHandler()))
}

func exampleOptions() oidclogin.Options {
	return oidclogin.Options{
		Issuer:   "https://id.example.com/",
		ClientID: "tv-shows-web",
		BaseURL:  "https://shows.example.com",
		Secrets:  []string{"0123456789abcdef0123456789abcdef"},
		Scopes:   []string{"openid", "profile", "email", "offline_access"},
	}
}

// Sessions on the server: they end at once on every node, and their size does
// not matter. Any store of package session will do; this one is for one process.
func ExampleOptions_store() {
	login, err := oidclogin.New(oidclogin.Options{
		Issuer:   "https://id.example.com/",
		ClientID: "tv-shows-web",
		BaseURL:  "https://shows.example.com",
		Secrets:  []string{"0123456789abcdef0123456789abcdef"},
		Store:    session.NewMemoryStore(),
		Scopes:   []string{"openid", "profile", "email", "offline_access"},
		Audience: "https://api/tv-shows",
	})
	fmt.Println(login != nil, err)
	// Output: true <nil>
}

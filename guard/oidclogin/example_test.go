package oidclogin_test

import (
	"fmt"
	"log"
	"net/http"
	"os"

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
		token, err := oidclogin.AccessToken(r.Context(), "")
		if err != nil {
			http.Redirect(w, r, "/auth/login?returnTo=/shows", http.StatusSeeOther)
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "https://api.example.com/shows", nil)
		if err != nil {
			http.Error(w, "bad address", http.StatusInternalServerError)
			return
		}
		req.Header.Set("Authorization", token.Type+" "+token.AccessToken)
		// http.DefaultClient.Do(req) …
	}
	_ = handler
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

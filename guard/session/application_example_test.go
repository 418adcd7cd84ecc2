//go:build unix

package session_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/csrf"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// users are the application's records: passwords would be hashes there.
func users(name string) (password string, roles []string) {
	switch name {
	case "alice":
		return "correct horse", []string{"admin"}
	case "bob":
		return "battery staple", nil
	}
	return "", nil
}

// newApplication is an application with its own users: sessions, protection
// against forged requests, limits for sign-in, pages for administrators, and a
// fresh proof before what matters most.
func newApplication(base string, store session.Store, secrets ...string) (http.Handler, error) {
	sessions, err := session.New(session.Options{BaseURL: base, Store: store, LoginPath: "/login"})
	if err != nil {
		return nil, err
	}
	protection, err := csrf.New(csrf.Options{BaseURL: base, Secrets: secrets, RequireToken: true})
	if err != nil {
		return nil, err
	}
	attempts, err := ratelimit.New(ratelimit.Login(ratelimit.Options{Key: ratelimit.ByAddress()}))
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `<form method="post">`, csrf.Field(r.Context()), `<input name="name"><input name="password" type="password"></form>`)
	})
	mux.Handle("POST /login", attempts.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.ToLower(r.PostFormValue("name"))
		password, roles := users(name)
		if password == "" || r.PostFormValue("password") != password {
			http.Error(w, "wrong name or password", http.StatusForbidden)
			return
		}
		ratelimit.Succeeded(r.Context())
		s, _ := session.FromContext(r.Context())
		if err := s.SignIn(r.Context(), session.Identity{Subject: name, AMR: []string{"pwd"}, Roles: roles}); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, sessions.ReturnPath(r), http.StatusSeeOther)
	})))
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		s, _ := session.FromContext(r.Context())
		if err := s.SignOut(r.Context()); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, "/login", http.StatusSeeOther)
	})
	page := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, _ := guard.From(r.Context())
			fmt.Fprintf(w, "%s, %s %s", text, who.Subject, csrf.Field(r.Context()))
		})
	}
	mux.Handle("GET /{$}", guard.Require(sessions)(page("welcome")))
	mux.Handle("GET /admin", guard.Require(sessions, guard.Roles("admin"))(page("everything is yours")))
	mux.Handle("POST /delete-everything", guard.Require(sessions, guard.MaxAge(5*time.Minute))(page("deleted")))
	return sessions.Middleware(protection.Middleware(mux)), nil
}

func Example_application() {
	h, err := newApplication("http://127.0.0.1", session.NewMemoryStore(), secret)
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()

	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	token := ""
	do := func(method, path string, form url.Values) {
		if form != nil {
			form.Set(csrf.FieldName, token)
		}
		r, _ := http.NewRequest(method, server.URL+path, strings.NewReader(form.Encode()))
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := browser.Do(r)
		if err != nil {
			panic(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, _ := io.ReadAll(res.Body)
		text, rest, form2 := strings.Cut(string(body), `<input type="hidden" name="csrf_token" value="`)
		if form2 {
			token, _, _ = strings.Cut(rest, `"`)
		}
		if res.StatusCode != http.StatusOK {
			text = ""
		}
		fmt.Println(strings.TrimSpace(fmt.Sprint(method, " ", path, ": ", res.StatusCode, " ", res.Request.URL.Path, " ", text)))
	}
	do("GET", "/", nil) // leads to the form
	do("POST", "/login", url.Values{"name": {"bob"}, "password": {"guess"}})
	do("POST", "/login", url.Values{"name": {"bob"}, "password": {"battery staple"}})
	do("GET", "/admin", nil)
	do("GET", "/", nil)
	do("POST", "/logout", url.Values{})
	do("POST", "/login?returnTo=/admin", url.Values{"name": {"Alice"}, "password": {"correct horse"}})
	do("POST", "/delete-everything", url.Values{})
	token = "forged"
	do("POST", "/delete-everything", url.Values{})
	// Output:
	// GET /: 200 /login <form method="post">
	// POST /login: 403 /login
	// POST /login: 200 / welcome, bob
	// GET /admin: 403 /admin
	// GET /: 200 / welcome, bob
	// POST /logout: 200 /login <form method="post">
	// POST /login?returnTo=/admin: 200 /admin everything is yours, alice
	// POST /delete-everything: 200 /delete-everything deleted, alice
	// POST /delete-everything: 403 /delete-everything
}

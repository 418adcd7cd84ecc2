//go:build unix

package session_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// flash is shown once, on the next page.
const flash session.Key[string] = "flash"

// An application with its own users: sign-in, a page for those who are, and a
// message that is shown once.
func Example() {
	sessions, err := session.New(session.Options{
		BaseURL:   "http://127.0.0.1", // https://app.example, where it is served to people
		Store:     session.NewMemoryStore(),
		LoginPath: "/login",
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("password") != "correct horse" {
			http.Error(w, "wrong password", http.StatusForbidden)
			return
		}
		s, _ := session.FromContext(r.Context())
		if err := s.SignIn(r.Context(), session.Identity{Subject: "alice"}); err != nil {
			http.Error(w, "try again", http.StatusInternalServerError)
			return
		}
		_ = flash.Put(r.Context(), "Welcome back.")
		http.Redirect(w, r, sessions.ReturnPath(r), http.StatusSeeOther)
	})
	mux.Handle("GET /", guard.Require(sessions)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		message, _, _ := flash.Take(r.Context())
		fmt.Fprintln(w, "hello", who.Subject, message)
	})))
	server := httptest.NewServer(sessions.Middleware(mux))
	defer server.Close()

	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	show := func(res *http.Response, err error) {
		if err != nil {
			panic(err)
		}
		defer func() { _ = res.Body.Close() }()
		var text [64]byte
		n, _ := res.Body.Read(text[:])
		fmt.Println(res.StatusCode, string(text[:n]))
	}
	show(browser.PostForm(server.URL+"/login", map[string][]string{"password": {"correct horse"}}))
	show(browser.Get(server.URL))
	// Output:
	// 200 hello alice Welcome back.
	//
	// 200 hello alice
}

// Ending every other session after a password was changed, and proving again who
// one is before something important.
func ExampleSession_EndOthers() {
	sessions, err := session.New(session.Options{BaseURL: "https://app.example", Store: session.NewMemoryStore(), LoginPath: "/login"})
	if err != nil {
		panic(err)
	}
	changePassword := guard.Require(sessions, guard.MaxAge(10*time.Minute))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// … store the new password, then:
		s, _ := session.FromContext(r.Context())
		if err := s.Reauthenticate(r.Context(), "", "pwd"); err != nil {
			http.Error(w, "try again", http.StatusInternalServerError)
			return
		}
		ended, err := s.EndOthers(r.Context())
		if err != nil {
			http.Error(w, "try again", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%d other browsers were signed out", ended)
	}))

	w := httptest.NewRecorder()
	sessions.Middleware(changePassword).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/password", nil))
	fmt.Println(w.Code)
	// Output: 401
}

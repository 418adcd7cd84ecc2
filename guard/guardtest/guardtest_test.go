package guardtest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/guardtest"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
)

// newApp is an application under test: what matters is that it is handed its
// scheme.
func newApp(scheme guard.Authenticator) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /hello", guard.Require(scheme)(http.HandlerFunc(hello)))
	mux.Handle("GET /admin", guard.Require(scheme, guard.Users(), guard.Roles("admin"))(http.HandlerFunc(hello)))
	mux.Handle("GET /pay", guard.Require(scheme, guard.ACR("mfa"), guard.MaxAge(time.Minute))(http.HandlerFunc(hello)))
	mux.Handle("GET /open", guard.Optional(scheme)(http.HandlerFunc(hello)))
	return mux
}

func hello(w http.ResponseWriter, r *http.Request) {
	who, ok := guard.From(r.Context())
	if !ok {
		_, _ = io.WriteString(w, "hello stranger")
		return
	}
	_, _ = io.WriteString(w, "hello "+who.Subject)
}

func admin(p *guard.Principal) { p.Roles = []string{"admin"} }

// Every request of a test is whose the test says.
func ExampleScheme() {
	scheme := guardtest.NewScheme()
	app := newApp(scheme)

	for _, who := range []*guard.Principal{guardtest.User("alice", admin), guardtest.User("bob"), guardtest.Client("robot", admin)} {
		r := httptest.NewRequest(http.MethodGet, "/admin", nil)
		scheme.SignIn(r, who)
		w := httptest.NewRecorder()
		app.ServeHTTP(w, r)
		fmt.Println(who.Subject, w.Code)
	}
	// Output:
	// alice 200
	// bob 403
	// robot 403
}

// A handler by itself, called as somebody.
// A Scheme needs no NewScheme.
func TestZeroScheme(t *testing.T) {
	scheme := &guardtest.Scheme{LoginPage: "/login"}
	r := httptest.NewRequest("GET", "/", nil)
	if found, err := scheme.Authenticate(r); found.Principal != nil || err != nil {
		t.Error(found, err)
	}
	scheme.SignIn(r, guardtest.User("alice"))
	if found, err := scheme.Authenticate(r); err != nil || found.Principal.Subject != "alice" {
		t.Error(found, err)
	}
}

func ExampleAs() {
	w := httptest.NewRecorder()
	guardtest.As(guardtest.User("alice"), http.HandlerFunc(hello)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Body)
	// Output: hello alice
}

// Real tokens, through the real checks.
func TestIssuer(t *testing.T) {
	for name, issuer := range map[string]*guardtest.Issuer{
		"in memory": guardtest.NewIssuer(t, "https://api.test"),
		"started":   guardtest.StartIssuer(t, "https://api.test"),
	} {
		t.Run(name, func(t *testing.T) {
			scheme := issuer.Scheme()
			if name == "started" { // configured by the address alone
				var err error
				if scheme, err = bearer.New(bearer.Options{Issuer: issuer.URL, Audience: "https://api.test"}); err != nil {
					t.Fatal(err)
				}
			}
			app := newApp(scheme)
			get := func(token string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(http.MethodGet, "/hello", nil)
				r.Header.Set("Authorization", "Bearer "+token)
				w := httptest.NewRecorder()
				app.ServeHTTP(w, r)
				return w
			}
			if w := get(issuer.Token("alice")); w.Code != 200 || w.Body.String() != "hello alice" {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			bad := issuer.Bad("alice")
			if len(bad) < 10 {
				t.Errorf("only %d kinds of bad token", len(bad))
			}
			for what, token := range bad {
				if w := get(token); w.Code != 401 {
					t.Errorf("%s: %d", what, w.Code)
				}
			}
			who, err := scheme.Verify(t.Context(), issuer.ClientToken("robot", func(c map[string]any) { c["scope"] = "read write" }))
			if err != nil || who.Kind != guard.Client || who.Subject != "robot" || !who.HasScope("write") {
				t.Errorf("%+v %v", who, err)
			}
		})
	}
}

// A test turns the clock to the end of a token.
func TestIssuerClock(t *testing.T) {
	clock := testclock.New()
	issuer := guardtest.NewIssuer(t, "https://api.test")
	issuer.Clock = clock.Now
	scheme, token := issuer.Scheme(), issuer.Token("alice")
	if _, err := scheme.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Hour)
	if _, err := scheme.Verify(t.Context(), token); err == nil {
		t.Error("a token does not end")
	}
}

func TestScheme(t *testing.T) {
	scheme := guardtest.NewScheme()
	scheme.LoginPage = "/login"
	server := httptest.NewServer(newApp(scheme))
	defer server.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	alice := guardtest.User("alice")
	page := func(r *http.Request) { r.Header.Set("Accept", "text/html") }
	tests := []struct {
		name     string
		path     string
		prepare  []func(*http.Request)
		status   int
		body     string
		location string
	}{
		{"signed in", "/hello", []func(*http.Request){func(r *http.Request) { scheme.SignIn(r, alice) }}, 200, "hello alice", ""},
		{"nobody", "/hello", nil, 401, "", ""},
		{"nobody, welcome", "/open", nil, 200, "hello stranger", ""},
		{"a credential nobody made", "/hello", []func(*http.Request){func(r *http.Request) { r.Header.Set(guardtest.Header, "alice") }}, 401, "", ""},
		{"refused", "/hello", []func(*http.Request){func(r *http.Request) { scheme.Refuse(r, &guard.Error{Code: guard.Unavailable}) }}, 503, "", ""},
		{"a page visit", "/hello?a=1", []func(*http.Request){page}, 303, "", "/login?returnTo=%2Fhello%3Fa%3D1"},
		{"a page visit that has to sign in anew", "/pay", []func(*http.Request){page, func(r *http.Request) { scheme.SignIn(r, alice) }}, 303, "", "/login?acr_values=mfa&max_age=60&returnTo=%2Fpay"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, prepare := range tt.prepare {
				prepare(r)
			}
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != tt.status || tt.body != "" && string(body) != tt.body || res.Header.Get("Location") != tt.location {
				t.Errorf("%d %s %s", res.StatusCode, body, res.Header.Get("Location"))
			}
		})
	}
	if scheme.LoginPage = ""; scheme.LoginURL(httptest.NewRequest("GET", "/", nil)) != "" {
		t.Error("a page where there is none")
	}
}

func TestContext(t *testing.T) {
	type key struct{}
	ctx := guardtest.Context(context.WithValue(t.Context(), key{}, 1), guardtest.User("alice"))
	who, ok := guard.From(ctx)
	if !ok || who.Subject != "alice" || ctx.Value(key{}) != 1 {
		t.Errorf("%+v %v", who, ctx)
	}
	if _, ok := guard.From(guardtest.Context(t.Context(), nil)); ok {
		t.Error("nobody is somebody")
	}
}

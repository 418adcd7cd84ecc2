package guard_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// tokens and login stand for schemes, such as those of packages bearer and
// oidclogin.
var tokens, login guard.Authenticator = pass{header: "X-Token"}, pass{header: "X-Session"}

// One handler behind two schemes: scripts bring a token, people a session. The
// handler does not need to know which it was.
func ExampleRequire() {
	protect := guard.Require(guard.AnyOf(tokens, login), guard.Scopes("read"))
	h := protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		fmt.Fprintf(w, "hello %s", who.Subject)
	}))

	r := httptest.NewRequest(http.MethodGet, "/shows", nil)
	r.Header.Set("X-Session", "alice")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 hello alice
}

// A page that greets whoever is signed in and serves everybody else too.
func ExampleOptional() {
	h := guard.Optional(login)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who, ok := guard.From(r.Context()); ok {
			fmt.Fprintf(w, "hello %s", who.Subject)
			return
		}
		fmt.Fprint(w, "hello stranger")
	}))

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 200 hello stranger
}

// A rule of the application's own beside those of this package.
func ExampleWhere() {
	staff := guard.Where(func(_ *http.Request, who *guard.Principal) error {
		if who.Organization != "org_staff" {
			return errors.New("not staff")
		}
		return nil
	})
	h := guard.Require(tokens, guard.Users(), staff)(http.NotFoundHandler())

	r := httptest.NewRequest(http.MethodGet, "/admin", nil)
	r.Header.Set("X-Token", "alice")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output: 403
}

// Administrators, and whoever holds the permission.
func ExampleEither() {
	h := guard.Require(tokens, guard.Either(guard.Roles("admin"), guard.Permissions("shows:read")))(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "welcome") }))

	r := httptest.NewRequest(http.MethodGet, "/shows", nil)
	r.Header.Set("X-Token", "alice") // no administrator, but she holds it
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 welcome
}

// A person who is signed in, at an application that shows its own token: neither
// is enough alone.
func ExampleAllOf() {
	h := guard.Require(guard.AllOf(login, tokens))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		fmt.Fprintf(w, "%s by %s", who.Subject, who.Also[0].Subject)
	}))

	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Session", "alice")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code)

	r.Header.Set("X-Token", "kiosk")
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output:
	// 401
	// 200 alice by kiosk
}

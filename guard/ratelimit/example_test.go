package ratelimit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
)

// A limit for an API behind a load balancer.
func ExampleLimiter_Middleware() {
	limits, err := ratelimit.New(ratelimit.Options{
		Name:  "api",
		Limit: ratelimit.Limit{Requests: 2, Per: time.Minute},
		Key:   ratelimit.ByAddress(netip.MustParsePrefix("10.0.0.0/8")),
	})
	if err != nil {
		panic(err)
	}
	h := limits.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))

	for range 3 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		fmt.Println(w.Code, w.Header().Get("RateLimit-Policy"))
	}
	// Output:
	// 200 "api";q=2;w=60
	// 200 "api";q=2;w=60
	// 429 "api";q=2;w=60
}

// A sign-in form: five failures for an address and five for an account, from
// wherever they come.
func ExampleLogin() {
	addresses, err := ratelimit.New(ratelimit.Login(ratelimit.Options{Key: ratelimit.ByAddress()}))
	if err != nil {
		panic(err)
	}
	accounts, err := ratelimit.New(ratelimit.Login(ratelimit.Options{Name: "account"}))
	if err != nil {
		panic(err)
	}
	login := addresses.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// As the records spell it: alice and ALICE must not have five guesses each.
		account := strings.ToLower(r.PostFormValue("account"))
		if result := accounts.Allow(r.Context(), account); !result.Allowed {
			accounts.SetHeader(w.Header(), result)
			http.Error(w, "try again later", http.StatusTooManyRequests)
			return
		}
		if r.PostFormValue("password") != "correct horse" {
			http.Error(w, "wrong password", http.StatusForbidden)
			return
		}
		accounts.Refund(r.Context(), account)
		ratelimit.Succeeded(r.Context())
		fmt.Fprint(w, "welcome")
	}))

	for range 6 {
		w := httptest.NewRecorder()
		login.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/login", nil))
		fmt.Print(w.Code, " ")
	}
	// Output: 403 403 403 403 403 429
}

package basic_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/basic"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
)

func TestThreat_AK06_LimitedByName(t *testing.T) {
	clock := testclock.New()
	limits, err := ratelimit.New(ratelimit.Login(ratelimit.Options{Clock: clock.Now}))
	if err != nil {
		t.Fatal(err)
	}
	// Right passwords are not remembered here, so each of them is an attempt.
	h := guard.Require(build(t, basic.Options{Verifier: &counted{}, CacheTTL: -1, Limiter: basic.Limit(limits, nil)}))(http.HandlerFunc(whoami))
	for range 20 {
		if w := ask(h, header("alice", "open:sesame")); w.Code != 200 {
			t.Fatalf("a right password is counted: %d", w.Code)
		}
	}
	for i := range 5 {
		if w := ask(h, header("alice", fmt.Sprint("guess", i))); w.Code != 401 {
			t.Fatalf("guess %d: %d", i, w.Code)
		}
	}
	w := ask(h, header("alice", "open:sesame"))
	if w.Code != 429 || w.Header().Get("Retry-After") != "180" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("after five guesses: %d %v", w.Code, w.Header())
	}
	if w := ask(h, header("bob", "guess")); w.Code != 401 {
		t.Errorf("somebody else: %d", w.Code)
	}
	clock.Advance(3 * time.Minute)
	if w := ask(h, header("alice", "open:sesame")); w.Code != 200 {
		t.Errorf("when told to come back: %d", w.Code)
	}
}

// Nobody has to think of it.
func TestThreat_AK06_LimitedByDefault(t *testing.T) {
	s, err := basic.New(basic.Options{Realm: "tests", Verifier: &counted{}, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	h := guard.Require(s)(http.HandlerFunc(whoami))
	from := func(peer, client, password string) int {
		r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", client)
		r.Header.Set("Authorization", header("alice", password))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for name, tt := range map[string]struct {
		peer   string
		client func(i int) string
	}{
		"an address":                      {"192.0.2.1:1", func(int) string { return "" }},
		"an address that says others":     {"192.0.2.2:1", func(i int) string { return fmt.Sprint("198.51.100.", i) }},
		"an address behind our proxy":     {"10.0.0.1:1", func(int) string { return "203.0.113.9" }},
		"behind our proxy, saying others": {"10.0.0.1:1", func(i int) string { return fmt.Sprintf("198.51.100.%d, 203.0.113.10", i) }},
		"no address":                      {"@", func(int) string { return "" }},
	} {
		for i := range 5 {
			if got := from(tt.peer, tt.client(i), fmt.Sprint("guess", i)); got != 401 {
				t.Errorf("%s: guess %d: %d", name, i, got)
			}
		}
		if got := from(tt.peer, tt.client(5), "guess5"); got != 429 {
			t.Errorf("%s: after five guesses: %d", name, got)
		}
	}
	if got := from("192.0.2.7:1", "", "open:sesame"); got != 200 {
		t.Errorf("the owner, from elsewhere: %d", got)
	}
	if _, err := basic.New(basic.Options{Realm: "tests", Verifier: &counted{}, InsecureUnlimited: true, Limiter: &attempts{}}); err == nil {
		t.Error("limited and unlimited at once")
	}
}

func TestLimitByAddress(t *testing.T) {
	limits, err := ratelimit.New(ratelimit.Options{Name: "x", Limit: ratelimit.Limit{Requests: 1, Per: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	l := basic.Limit(limits, ratelimit.ByAddress())
	from := func(address, name string) error {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
		r.RemoteAddr = address
		return l.Attempt(r, name)
	}
	var e *guard.Error
	if err := from("192.0.2.1:1", "alice"); err != nil {
		t.Error(err)
	}
	if err := from("192.0.2.1:2", "alice"); !errors.As(err, &e) || e.Code != guard.TooManyRequests {
		t.Error(err)
	}
	if from("192.0.2.2:1", "alice") != nil || from("192.0.2.1:1", "bob") != nil {
		t.Error("another address or another name is held up")
	}
	if err := from("nowhere", "alice"); !errors.As(err, &e) || e.Code != guard.InvalidRequest {
		t.Errorf("no address: %v", err)
	}
}

package basic_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
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

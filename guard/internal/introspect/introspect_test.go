package introspect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/introspect"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// server answers every question as answer says.
func server(t *testing.T, answer func(r *http.Request) string) (*introspect.Client, *testclock.Clock, *atomic.Int64) {
	t.Helper()
	asked := &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, answer(r))
	}))
	t.Cleanup(s.Close)
	clock := testclock.New()
	return introspect.New(introspect.Options{
		Endpoint: func(context.Context) (string, error) { return s.URL, nil }, ClientID: "a b", ClientSecret: "c:d%", Tokens: 8,
		HTTPClient: s.Client(), Clock: clock.Now, Logger: slog.New(slog.DiscardHandler),
	}), clock, asked
}

func TestAsk(t *testing.T) {
	c, clock, asked := server(t, func(r *http.Request) string {
		if id, secret, ok := r.BasicAuth(); !ok || id != "a+b" || secret != "c%3Ad%25" {
			return `{"active":false}`
		}
		return fmt.Sprintf(`{"active":%v,"sub":"alice"}`, r.PostFormValue("token") == "good" && r.PostFormValue("token_type_hint") == "access_token")
	})
	for range 3 {
		said, until, err := c.Ask(t.Context(), introspect.Question{Token: "good"})
		if err != nil || said.Claims().Subject != "alice" || !until.Equal(clock.Now().Add(introspect.DefaultTTL)) {
			t.Fatalf("%v until %v, %v", said, until, err)
		}
		if said, _, err := c.Ask(t.Context(), introspect.Question{Token: "bad"}); said != nil || !errors.Is(err, oauth.ErrInactive) {
			t.Fatalf("%v, %v", said, err)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("%d questions about two tokens", n)
	}
	clock.Advance(introspect.DefaultTTL)
	_, _, _ = c.Ask(t.Context(), introspect.Question{Token: "good"})
	_, _, _ = c.Ask(t.Context(), introspect.Question{Token: "bad"})
	if n := asked.Load(); n != 4 {
		t.Errorf("%d questions, when the answers were too old", n)
	}
}

// A token that is shown from two places is two questions; what shows it is told, and makes none.
func TestThreat_AK04_WhereATokenIsShown(t *testing.T) {
	c, _, asked := server(t, func(r *http.Request) string {
		return fmt.Sprintf(`{"active":%v,"sub":"alice","ua":%q}`, r.PostFormValue("remote_addr") == "192.0.2.1", r.PostFormValue("user_agent"))
	})
	for range 2 {
		for from, good := range map[string]bool{"": false, "192.0.2.1": true, "192.0.2.2": false} {
			said, _, err := c.Ask(t.Context(), introspect.Question{Token: "token", RemoteAddr: from, UserAgent: "one"})
			if (err == nil) != good || good && !strings.Contains(string(said.Payload()), `"ua":"one"`) {
				t.Errorf("from %q: %v, %v", from, said, err)
			}
		}
		if _, _, err := c.Ask(t.Context(), introspect.Question{Token: "token", RemoteAddr: "192.0.2.1", UserAgent: "two"}); err != nil {
			t.Error(err)
		}
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("%d questions from three places", n)
	}
}

func TestACallerThatLeavesTakesNobodyAlong(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	c, _, asked := server(t, func(*http.Request) string {
		close(arrived)
		<-release
		return `{"active":true,"sub":"alice"}`
	})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { _, _, err := c.Ask(ctx, introspect.Question{Token: "token"}); left <- err }()
	<-arrived
	stayed := make(chan error, 1)
	go func() { _, _, err := c.Ask(t.Context(), introspect.Question{Token: "token"}); stayed <- err }()
	leave()
	if err := <-left; !errors.Is(err, introspect.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(release)
	if err := <-stayed; err != nil || asked.Load() != 1 {
		t.Errorf("who stayed got %v, after %d questions", err, asked.Load())
	}
}

// A flood of different tokens opens no more than so many connections: the rest is
// told at once that it cannot be known.
func TestThreat_RP11_QuestionsAtOnceAreBounded(t *testing.T) {
	release := make(chan struct{})
	c, _, asked := server(t, func(*http.Request) string { <-release; return `{"active":false}` })
	var refused atomic.Int64
	var wg sync.WaitGroup
	for n := range 200 {
		wg.Go(func() {
			if _, _, err := c.Ask(t.Context(), introspect.Question{Token: fmt.Sprint("made-up-", n)}); errors.Is(err, introspect.ErrUnavailable) {
				if refused.Add(1) == 200-64 {
					close(release)
				}
			}
		})
	}
	wg.Wait()
	if asked.Load() > 64 {
		t.Errorf("%d questions at once", asked.Load())
	}
}

// Made-up tokens are remembered apart from the good ones.
func TestThreat_RP11_MadeUpTokensPushOutNoGoodOnes(t *testing.T) {
	c, _, asked := server(t, func(r *http.Request) string {
		return fmt.Sprintf(`{"active":%v,"sub":"alice"}`, r.PostFormValue("token") == "good")
	})
	for n := range 200 {
		if _, _, err := c.Ask(t.Context(), introspect.Question{Token: "good"}); err != nil {
			t.Fatal(err)
		}
		_, _, _ = c.Ask(t.Context(), introspect.Question{Token: fmt.Sprint("made-up-", n)})
	}
	if n := asked.Load(); n != 201 {
		t.Errorf("%d questions about 200 made-up tokens and a good one", n)
	}
}

func TestAfterAFailureIsAPause(t *testing.T) {
	c, clock, asked := server(t, func(*http.Request) string { return "nonsense" })
	for n := range 10 {
		if _, _, err := c.Ask(t.Context(), introspect.Question{Token: fmt.Sprint(n)}); !errors.Is(err, introspect.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d questions to a server in trouble", n)
	}
	clock.Advance(time.Second)
	_, _, _ = c.Ask(t.Context(), introspect.Question{Token: "again"})
	if n := asked.Load(); n != 2 {
		t.Errorf("%d questions after the pause", n)
	}
}

package revocation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/revocation"
	wire "github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

const issuer = "https://login.example.com/"

// house is a server in memory: a transport that answers as the real one does. With
// the bubble's clock, time passes while everybody waits.
type house struct {
	t  *testing.T
	mu sync.Mutex

	n       int64
	rules   []wire.Rule
	wake    chan struct{}
	down    bool // no connection can be made, and none that is open brings anything
	proxied bool // streams are gathered and never arrive
	active  map[string]bool
	tooFar  bool
	revoked bool // tokens for the feed are not taken

	requests map[string]int
	log      bytes.Buffer
}

func newHouse(t *testing.T) *house {
	return &house{t: t, wake: make(chan struct{}), active: map[string]bool{}, requests: map[string]int{}}
}

func (h *house) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.wake)
	h.wake = make(chan struct{})
}

func (h *house) revoke(kind wire.Kind, id string) {
	h.change(func() {
		h.n++
		h.rules = append(h.rules, wire.Rule{N: h.n, Kind: kind, Digest: wire.DigestOf(kind, id), Until: wire.Seconds(time.Now().Add(time.Hour).Unix())})
	})
}

func (h *house) count(what string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.requests[what]
}

func answer(status int, kind, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body))}
}

// RoundTrip implements http.RoundTripper.
func (h *house) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	what := r.URL.Path
	switch {
	case what == "/revocations" && strings.Contains(r.Header.Get("Accept"), "event-stream"):
		what = "stream"
	case what == "/revocations" && r.URL.RawQuery != "":
		what = "poll"
	case what == "/revocations":
		what = "snapshot"
	}
	h.requests[what]++
	if h.down {
		return nil, errors.New("no route to host")
	}
	if h.revoked && what != "/oauth/token" && strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		h.revoked = false
		return answer(401, "application/json", `{}`), nil
	}
	after := int64(0)
	fmt.Sscan(r.Header.Get("Last-Event-ID")+r.URL.Query().Get("after"), &after)
	switch what {
	case "/.well-known/openid-configuration":
		return answer(200, "application/json", `{"issuer":"`+issuer+`","authorization_endpoint":"`+issuer+`authorize","token_endpoint":"`+issuer+`oauth/token","introspection_endpoint":"`+issuer+`oauth/introspect","jwks_uri":"`+issuer+`jwks"}`), nil
	case "/oauth/token":
		id, secret, _ := r.BasicAuth()
		body, _ := io.ReadAll(r.Body)
		if id != "app" || secret != "s3cret" || !strings.Contains(string(body), "scope=read%3Arevocations") {
			h.t.Errorf("token request %s:%s %s", id, secret, body)
		}
		return answer(200, "application/json", `{"access_token":"t","token_type":"Bearer","expires_in":600}`), nil
	case "/oauth/introspect":
		if err := r.ParseForm(); err != nil {
			h.t.Error(err)
		}
		if !h.active[r.PostForm.Get("token")] {
			return answer(200, "application/json", `{"active":false}`), nil
		}
		return answer(200, "application/json", fmt.Sprintf(`{"active":true,"iss":%q,"sub":"alice","client_id":"app","aud":"api","token_type":"Bearer","exp":%d}`, issuer, time.Now().Add(time.Hour).Unix())), nil
	case "snapshot":
		return answer(200, wire.MediaTypeSnapshot, string(wire.Snapshot{N: h.n, Rules: h.rules}.Encode())), nil
	case "poll":
		if h.tooFar {
			return answer(200, wire.MediaTypeSnapshot, string(wire.Snapshot{N: h.n, Rules: h.rules}.Encode())), nil
		}
		return answer(200, "application/json", string(wire.Answer{N: h.n, Rules: h.since(after)}.Encode())), nil
	case "stream":
		if h.tooFar {
			h.tooFar = false
			return answer(410, "application/json", `{}`), nil
		}
		body, w := io.Pipe()
		context.AfterFunc(r.Context(), func() { body.CloseWithError(r.Context().Err()) })
		go h.stream(w, after)
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: body}, nil
	}
	return answer(404, "text/plain", ""), nil
}

func (h *house) since(after int64) (out []wire.Rule) {
	for _, r := range h.rules {
		if r.N > after {
			out = append(out, r)
		}
	}
	return out
}

// stream writes as the real house does: rules at once, a beat every second.
func (h *house) stream(w *io.PipeWriter, after int64) {
	for {
		h.mu.Lock()
		e, mute, wake := wire.Event{N: h.n, Rules: h.since(after)}, h.down || h.proxied, h.wake
		h.mu.Unlock()
		if !mute {
			if _, err := w.Write(e.Append(nil)); err != nil {
				return
			}
			after = e.N
		} else if _, err := w.Write(nil); err != nil {
			return // the reader is gone
		}
		select {
		case <-wake:
		case <-time.After(time.Second):
		}
	}
}

func (h *house) options() revocation.Options {
	return revocation.Options{
		Issuer: issuer, ClientID: "app", ClientSecret: "s3cret", HTTPClient: &http.Client{Transport: h},
		Logger: slog.New(slog.NewTextHandler(&h.log, nil)),
	}
}

// bubble follows a house in a bubble of its own time. What the feed is to find from the start is for
// change to say: the feed may act before f does.
func bubble(t *testing.T, change func(*house, *revocation.Options), f func(t *testing.T, h *house, feed *revocation.Feed)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		o := h.options()
		if change != nil {
			change(h, &o)
		}
		feed, err := revocation.Follow(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { // also when f has failed: a bubble waits for all who live in it
			if err := feed.Close(); err != nil || !errors.Is(feed.Ready(), revocation.ErrClosed) {
				t.Errorf("closed: %v, %v", err, feed.Ready())
			}
			h.change(func() { h.down = true }) // wakes the streams, which find their readers gone
		}()
		f(t, h, feed)
	})
}

// pass lets the time of the bubble pass.
func pass(d time.Duration) { <-time.After(d) }

func alice() *guard.Principal {
	return &guard.Principal{Issuer: issuer, Subject: "alice", ClientID: "app", SessionID: "sid-1", GrantID: "gid-1", TokenID: "jti-1", IssuedAt: time.Now()}
}

// code returns what Check says: "" for a credential that stands.
func code(t *testing.T, feed *revocation.Feed, p *guard.Principal, token string, cleared uint64) (guard.Code, uint64) {
	t.Helper()
	n, err := feed.Check(t.Context(), p, token, cleared)
	var why *guard.Error
	if err != nil && !errors.As(err, &why) {
		t.Fatalf("%v is no guard.Error", err)
	}
	if why == nil {
		return "", n
	}
	if (why.Code == guard.Unavailable) != (why.RetryAfter > 0) {
		t.Errorf("%v with Retry-After %v", why, why.RetryAfter)
	}
	return why.Code, n
}

func want(t *testing.T, what string, feed *revocation.Feed, p *guard.Principal, want guard.Code) {
	t.Helper()
	if got, _ := code(t, feed, p, "token", 0); got != want {
		t.Errorf("%s: %q, want %q (%v)", what, got, want, feed.Ready())
	}
}

func TestThreat_JW14_FollowEndsWhatWasTakenBack(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house, feed *revocation.Feed) {
		synctest.Wait()
		verdict, cleared := code(t, feed, alice(), "", 0)
		if verdict != "" || cleared == 0 {
			t.Fatalf("%q at %d, %v", verdict, cleared, feed.Ready())
		}
		asked := h.count("poll") + h.count("snapshot")
		h.revoke(wire.Token, "other")
		synctest.Wait()
		verdict, next := code(t, feed, alice(), "", cleared)
		if verdict != "" || next <= cleared {
			t.Errorf("after another's rule: %q at %d, cleared at %d before", verdict, next, cleared)
		}
		began := time.Now()
		h.revoke(wire.Session, "sid-1")
		synctest.Wait()
		for _, since := range []uint64{0, cleared, next} {
			if verdict, _ := code(t, feed, alice(), "", since); verdict != guard.InvalidToken {
				t.Errorf("cleared at %d: %q", since, verdict)
			}
		}
		if took := time.Since(began); took != 0 || h.count("poll")+h.count("snapshot") != asked {
			t.Errorf("it took %v and %d requests", took, h.count("poll")+h.count("snapshot")-asked)
		}
		elsewhere := alice()
		elsewhere.Issuer = "https://other.example.com/"
		want(t, "another issuer's", feed, elsewhere, "")
	})
}

// Until the snapshot is in nobody passes, and what fails is said.
func TestThreat_DB14_BeforeTheSnapshot(t *testing.T) {
	downFromTheStart := func(h *house, _ *revocation.Options) { h.down = true }
	bubble(t, downFromTheStart, func(t *testing.T, h *house, feed *revocation.Feed) {
		synctest.Wait()
		want(t, "before", feed, alice(), guard.Unavailable)
		if err := feed.Ready(); !errors.Is(err, revocation.ErrNoSnapshot) {
			t.Errorf("Ready = %v", err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := feed.Wait(short); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, revocation.ErrNoSnapshot) {
			t.Errorf("Wait = %v", err)
		}
		h.change(func() { h.down = false })
		if err := feed.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, "after", feed, alice(), "")
	})
}

// A partition: the connection is there and brings nothing. What was cleared passes for
// StaleAfter and no longer; what is dead stays dead; after it all is caught up.
func TestThreat_TK11_Partition(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house, feed *revocation.Feed) {
		h.revoke(wire.Token, "dead")
		synctest.Wait()
		dead := alice()
		dead.TokenID = "dead"
		_, cleared := code(t, feed, alice(), "", 0)
		h.change(func() { h.down = true })
		h.revoke(wire.Session, "sid-1")
		pass(3 * time.Second)
		want(t, "within the bound", feed, alice(), "")
		pass(3 * time.Second)
		if verdict, _ := code(t, feed, alice(), "", cleared); verdict != guard.Unavailable {
			t.Errorf("beyond the bound a credential that was cleared: %q", verdict)
		}
		want(t, "what is known to be dead", feed, dead, guard.InvalidToken)
		if err := feed.Ready(); !errors.Is(err, revocation.ErrSilent) {
			t.Errorf("Ready = %v", err)
		}
		pass(time.Hour / 2)
		h.change(func() { h.down = false })
		began := time.Now()
		if err := feed.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("found again after %v", took)
		}
		if verdict, _ := code(t, feed, alice(), "", cleared); verdict != guard.InvalidToken {
			t.Errorf("taken back during the partition: %q", verdict)
		}
		if lost, found := strings.Count(h.log.String(), "cannot be followed"), strings.Count(h.log.String(), "are followed"); lost != 1 || found != 2 {
			t.Errorf("logged %d times lost, %d times found:\n%s", lost, found, &h.log)
		}
		// Whoever closes it is not warned that it is closed.
		if err := feed.Close(); err != nil || strings.Count(h.log.String(), "cannot be followed") != 1 {
			t.Errorf("closed with %v:\n%s", err, &h.log)
		}
	})
}

func TestThreat_TK11_PartitionWithIntrospection(t *testing.T) {
	proxied := func(h *house, o *revocation.Options) { h.proxied, o.OnStale = true, revocation.Introspect }
	bubble(t, proxied, func(t *testing.T, _ *house, feed *revocation.Feed) {
		synctest.Wait()
		// The stream is silent and polls are not: the feed is trusted.
		want(t, "polled", feed, alice(), "")
	})
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.active["good"] = true
		o := h.options()
		o.OnStale = revocation.Introspect
		o.Token = func(context.Context) (string, error) { return "", errors.New("no token today") }
		feed, err := revocation.Follow(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer feed.Close()
		defer h.change(func() { h.down = true })
		synctest.Wait()
		for token, want := range map[string]guard.Code{"good": "", "bad": guard.InvalidToken, "": guard.Unavailable} {
			if got, n := code(t, feed, alice(), token, 0); got != want || n != 0 {
				t.Errorf("token %q: %q at %d, want %q", token, got, n, want)
			}
		}
		h.change(func() { h.down = true })
		pass(2 * time.Second)
		if got, _ := code(t, feed, alice(), "good", 0); got != guard.Unavailable {
			t.Errorf("when nobody can be asked: %q", got)
		}
	})
}

// Behind a proxy that gathers streams the feed is polled, and trusted throughout.
func TestProxyThatCutsStreams(t *testing.T) {
	proxied := func(h *house, _ *revocation.Options) { h.proxied = true }
	bubble(t, proxied, func(t *testing.T, h *house, feed *revocation.Feed) {
		if err := feed.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 600 {
			pass(time.Second / 4)
			if err := feed.Ready(); err != nil {
				t.Fatalf("not trusted: %v", err)
			}
		}
		began := time.Now()
		h.revoke(wire.Grant, "gid-1")
		for {
			if verdict, _ := code(t, feed, alice(), "", 0); verdict == guard.InvalidToken {
				break
			}
			pass(10 * time.Millisecond)
		}
		if took := time.Since(began); took > 7*time.Second {
			t.Errorf("heard after %v", took)
		}
		if n := h.count("stream"); n < 3 || n > 40 {
			t.Errorf("%d tries for a stream in two and a half minutes", n)
		}
	})
}

// Far behind, the snapshot is read; what was known before it stays.
func TestThreat_TK11_SnapshotTakesNothingBack(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house, feed *revocation.Feed) {
		h.revoke(wire.Session, "sid-1")
		synctest.Wait()
		want(t, "before", feed, alice(), guard.InvalidToken)
		// The house was restored from a backup: it has forgotten the rule, and numbers begin anew.
		h.change(func() { h.rules, h.n, h.tooFar, h.down = nil, 0, true, true })
		pass(10 * time.Second)
		h.change(func() { h.down = false })
		if err := feed.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		h.revoke(wire.Token, "new")
		pass(5 * time.Second)
		want(t, "after", feed, alice(), guard.InvalidToken)
		other := alice()
		other.SessionID, other.TokenID = "sid-2", "new"
		want(t, "a rule after the restore", feed, other, guard.InvalidToken)
	})
}

func TestTokenOfTheFeedIsReplaced(t *testing.T) {
	revoked := func(h *house, _ *revocation.Options) { h.revoked = true }
	bubble(t, revoked, func(t *testing.T, h *house, feed *revocation.Feed) {
		if err := feed.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := h.count("/oauth/token"); n != 2 {
			t.Errorf("%d tokens were fetched, want a second one after the 401", n)
		}
	})
}

func TestTooManyRulesAreNotHalfFollowed(t *testing.T) {
	bubble(t, func(_ *house, o *revocation.Options) { o.MaxRules = 2 }, func(t *testing.T, h *house, feed *revocation.Feed) {
		for i := range 3 {
			h.revoke(wire.Token, fmt.Sprint(i))
		}
		pass(time.Second)
		if err := feed.Ready(); !errors.Is(err, revocation.ErrTooManyRules) && !errors.Is(err, wire.ErrTooMany) && !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("Ready = %v", err)
		}
		want(t, "beyond the bound", feed, alice(), guard.Unavailable)
	})
}

// A frozen function: nothing happens in the background, one request in a second asks.
func TestPollOnTheWayOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		feed, err := revocation.Poll(h.options())
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { want(t, "first", feed, alice(), "") })
		}
		all.Wait()
		if n := h.count("snapshot") + h.count("poll"); n != 1 {
			t.Errorf("%d requests for 50 at once", n)
		}
		_, cleared := code(t, feed, alice(), "", 0)
		h.revoke(wire.Session, "sid-1")
		pass(time.Second)
		if verdict, _ := code(t, feed, alice(), "", cleared); verdict != guard.InvalidToken {
			t.Errorf("after PollEvery: %q", verdict)
		}
		other := alice()
		other.SessionID = "sid-2"
		h.change(func() { h.down = true })
		pass(2 * time.Second)
		want(t, "within the bound", feed, other, "")
		pass(time.Hour) // frozen
		want(t, "beyond the bound", feed, other, guard.Unavailable)
		if err := feed.Ready(); !errors.Is(err, revocation.ErrSilent) {
			t.Errorf("Ready = %v", err)
		}
		h.change(func() { h.down = false })
		pass(time.Second)
		want(t, "when it is back", feed, other, "")
		if err := feed.Close(); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		want(t, "closed", feed, other, guard.Unavailable)
	})
}

// A session that was used while its end could not be heard of may sleep for as long as rules are kept,
// counted from then: silence that lasts longer than rules are kept beyond that would give it back.
func TestThreat_LO07_NoSilenceOutlastsARule(t *testing.T) {
	for silence, ok := range map[time.Duration]bool{0: true, 2 * time.Second: true, time.Minute: true, time.Minute + 1: false, 10 * time.Minute: false, time.Hour: false} {
		feed, err := revocation.Poll(revocation.Options{Issuer: issuer, ClientID: "app", ClientSecret: "s3cret", StaleAfter: silence})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "StaleAfter") {
			t.Errorf("silence for %v: %v", silence, err)
		}
		if err == nil {
			_ = feed.Close()
		}
	}
}

func TestOptionsReportEveryProblem(t *testing.T) {
	_, err := revocation.Follow(t.Context(), revocation.Options{
		Issuer: "http://login.example.com/", OnStale: 7, StaleAfter: time.Second, PollEvery: time.Minute, MaxRules: -1,
	})
	for _, problem := range []string{"https", "ClientID", "OnStale", "StaleAfter", "PollEvery", "MaxRules"} {
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q is not in %v", problem, err)
		}
	}
	if _, err := revocation.Poll(revocation.Options{}); err == nil {
		t.Error("no options were enough")
	}
}

package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/limittest"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
)

func TestMemoryStore(t *testing.T) { limittest.Run(t, ratelimit.NewMemoryStore(0)) }

func TestTheBucketFillsUpEvenly(t *testing.T) {
	clock := testclock.New()
	store := ratelimit.NewMemoryStoreClock(0, clock.Now)
	limit := ratelimit.Limit{Requests: 5, Per: 15 * time.Minute}
	take := func() ratelimit.Result {
		r, err := store.Take(t.Context(), "key", limit, 1)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for range 5 {
		if !take().Allowed {
			t.Fatal("a full bucket refuses")
		}
	}
	if r := take(); r.Allowed || r.RetryAfter != 3*time.Minute || r.Reset != 15*time.Minute {
		t.Errorf("%+v", r)
	}
	clock.Advance(3*time.Minute - time.Microsecond)
	if r := take(); r.Allowed || r.RetryAfter != time.Microsecond {
		t.Errorf("%+v", r)
	}
	clock.Advance(time.Microsecond)
	if r := take(); !r.Allowed || r.Remaining != 0 {
		t.Errorf("%+v", r)
	}
	if r := take(); r.Allowed {
		t.Errorf("%+v", r)
	}
	clock.Advance(24 * time.Hour)
	if r := take(); !r.Allowed || r.Remaining != 4 {
		t.Errorf("a bucket that was full for long: %+v", r)
	}
}

func TestThreat_RP10_BoundedKeys(t *testing.T) {
	const most = 160
	store := ratelimit.NewMemoryStore(most)
	limit := ratelimit.Limit{Requests: 1, Per: time.Hour}
	spent := func(key string) bool {
		r, err := store.Take(t.Context(), key, limit, 1)
		if err != nil {
			t.Fatal(err)
		}
		return !r.Allowed
	}
	for i := range 50 * most {
		spent(fmt.Sprint("flood", i))
		if i%8 == 0 && spent("busy") != (i > 0) {
			t.Fatalf("after %d keys a bucket in use was forgotten", i)
		}
	}
	if spent("flood0") {
		t.Error("the first of many keys is still kept")
	}
	if !spent(fmt.Sprint("flood", 50*most-1)) {
		t.Error("the last of many keys is forgotten")
	}
}

// The longest and the fastest limits, any number of requests and any moment: the
// result stays within the limit, and a refusal is followed by success when its
// RetryAfter has passed.
func FuzzThreat_RP10_NoOverflow(f *testing.F) {
	f.Add(int64(5), int64(15*time.Minute), int64(5), int64(0), int64(0), int64(1))
	f.Add(int64(1), int64(366*24*time.Hour), int64(1), int64(math.MaxInt64/2), int64(math.MaxInt64/4), int64(math.MaxInt64))
	f.Add(int64(1_000_000), int64(time.Second), int64(math.MaxInt32), int64(-1), int64(1), int64(math.MinInt64))
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), int64(0), int64(0), int64(0))
	f.Add(int64(1_000_000), int64(math.MaxInt64), int64(1), int64(0), int64(0), int64(1))
	f.Fuzz(func(t *testing.T, requests, per, burst, full, now, n int64) {
		limit := ratelimit.Limit{Requests: int(requests), Per: time.Duration(per), Burst: int(burst)}
		if limit.Check() != nil {
			return
		}
		if now < 0 || now > math.MaxInt64/4 || full > math.MaxInt64/2 || full < 0 {
			return // no clock counts from before its own start, or for 70 years
		}
		most := limit.Burst
		if most == 0 {
			most = limit.Requests
		}
		next, r := limit.Decide(time.Duration(full), time.Duration(now), int(n))
		if next < time.Duration(now) || next-time.Duration(now) > limit.Capacity() || r.Reset != next-time.Duration(now) {
			t.Fatalf("%+v at %d: next %d, %+v", limit, now, next, r)
		}
		if r.Remaining < 0 || r.Remaining > most || r.RetryAfter < 0 || r.Allowed != (r.RetryAfter == 0) {
			t.Fatalf("%+v: %+v", limit, r)
		}
		if n > int64(most) && r.Allowed || n <= 0 && !r.Allowed {
			t.Fatalf("%+v: %d requests: %+v", limit, n, r)
		}
		if !r.Allowed && n <= int64(most) {
			if _, again := limit.Decide(next, time.Duration(now)+r.RetryAfter, int(n)); !again.Allowed {
				t.Fatalf("%+v: refused after RetryAfter: %+v", limit, again)
			}
		}
	})
}

// A server's clock that is set back empties buckets at worst; it does not close
// them until the time it showed comes again.
func TestThreat_RP10_ClockSetBack(t *testing.T) {
	limit := ratelimit.Limit{Requests: 5, Per: 5 * time.Minute}
	full, _ := limit.Decide(0, 1000*time.Hour, 1)
	full, r := limit.Decide(full, time.Hour, 1)
	if r.Allowed || r.RetryAfter > time.Minute || r.Reset > 5*time.Minute {
		t.Errorf("%+v", r)
	}
	if _, r = limit.Decide(full, time.Hour+r.RetryAfter, 1); !r.Allowed {
		t.Errorf("%+v", r)
	}
}

func TestOptions(t *testing.T) {
	good := ratelimit.Options{Name: "api", Limit: ratelimit.Limit{Requests: 1, Per: time.Second}}
	for name, spoil := range map[string]func(*ratelimit.Options){
		"no name":            func(o *ratelimit.Options) { o.Name = "" },
		"a name to inject":   func(o *ratelimit.Options) { o.Name = "a\";q=9" },
		"no limit":           func(o *ratelimit.Options) { o.Limit = ratelimit.Limit{} },
		"no period":          func(o *ratelimit.Options) { o.Limit.Per = 0 },
		"negative":           func(o *ratelimit.Options) { o.Limit.Requests = -1 },
		"too fast":           func(o *ratelimit.Options) { o.Limit.Requests = 1_000_001 },
		"too long":           func(o *ratelimit.Options) { o.Limit.Per = 367 * 24 * time.Hour },
		"too long to fill":   func(o *ratelimit.Options) { o.Limit.Burst = math.MaxInt },
		"nodes without":      func(o *ratelimit.Options) { o.Nodes = 3 },
		"store, nodes not":   func(o *ratelimit.Options) { o.Store = ratelimit.NewMemoryStore(0) },
		"negative nodes":     func(o *ratelimit.Options) { o.Store, o.Nodes = ratelimit.NewMemoryStore(0), -1 },
		"nodes out of hand":  func(o *ratelimit.Options) { o.Store, o.Nodes = ratelimit.NewMemoryStore(0), math.MaxInt },
		"negative burst":     func(o *ratelimit.Options) { o.Limit.Burst = -1 },
		"overflowing period": func(o *ratelimit.Options) { o.Limit = ratelimit.Limit{Requests: 2, Per: math.MaxInt64} },
	} {
		o := good
		spoil(&o)
		if _, err := ratelimit.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ratelimit.New(good); err != nil {
		t.Error(err)
	}
	if _, err := ratelimit.New(ratelimit.Options{}); err == nil || !strings.Contains(err.Error(), "Name") || !strings.Contains(err.Error(), "Limit") {
		t.Errorf("not all problems at once: %v", err)
	}
}

func limiter(t testing.TB, o ratelimit.Options) *ratelimit.Limiter {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	l, err := ratelimit.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func get(h http.Handler, from string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = from
	if header != nil {
		r.Header = header
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

func TestHeaders(t *testing.T) {
	clock := testclock.New()
	l := limiter(t, ratelimit.Options{Name: "api", Limit: ratelimit.Limit{Requests: 2, Per: time.Minute}, Key: ratelimit.ByAddress(), Clock: clock.Now})
	h := l.Middleware(http.HandlerFunc(ok))
	want := []struct {
		status             int
		ratelimit, retryIn string
	}{
		{200, `"api";r=1;t=30`, ""},
		{200, `"api";r=0;t=60`, ""},
		{429, `"api";r=0;t=60`, "30"},
	}
	for i, want := range want {
		w := get(h, "192.0.2.1:1", nil)
		if w.Code != want.status || w.Header().Get("RateLimit") != want.ratelimit || w.Header().Get("Retry-After") != want.retryIn || w.Header().Get("RateLimit-Policy") != `"api";q=2;w=60` {
			t.Errorf("request %d: %d %v", i, w.Code, w.Header())
		}
		if w.Code == 429 && (w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(w.Body.String(), `"too_many_requests"`)) {
			t.Errorf("%v %s", w.Header(), w.Body)
		}
	}
	clock.Advance(30 * time.Second)
	if w := get(h, "192.0.2.1:1", nil); w.Code != 200 {
		t.Errorf("after Retry-After: %d", w.Code)
	}
}

// Nothing that a client sends changes whose bucket it takes from.
func TestThreat_HT02_KeyCannotBeSpoofed(t *testing.T) {
	l := limiter(t, ratelimit.Options{
		Name: "api", Limit: ratelimit.Limit{Requests: 1, Per: time.Hour},
		Key: ratelimit.ByAddress(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")),
	})
	h := l.Middleware(http.HandlerFunc(ok))
	groups := map[string][]struct{ from, forwarded string }{
		"a client that claims to be a proxy": {
			{"192.0.2.1:1", ""},
			{"192.0.2.1:2", "198.51.100.1"},
			{"192.0.2.1:3", "198.51.100.2, 10.0.0.1"},
			{"192.0.2.1:3", "nonsense"},
			{"[::ffff:192.0.2.1]:4", ""},
			{"10.0.0.1:5", "192.0.2.1"},
			{"10.0.0.1:6", "1.2.3.4, 192.0.2.1"},
			{"10.0.0.2:7", "5.6.7.8, 192.0.2.1, 10.0.0.1"},
			{"10.0.0.2:7", "::ffff:192.0.2.1"},
			{"10.0.0.2:7", "\x00, 192.0.2.1:4711 "},
			{"[::ffff:10.0.0.2]:7", "192.0.2.1"},
			{"[fd00::1]:7", "192.0.2.1"},
		},
		"one network of 2^64": {
			{"[2001:db8:0:1::1]:1", ""}, {"[2001:db8:0:1:ffff::2]:1", ""}, {"[2001:db8:0:1::1%eth0]:1", ""}, {"10.0.0.1:1", "2001:db8:0:1:1:2:3:4"}, {"10.0.0.1:1", "[2001:db8:0:1::5]:80"},
		},
		"the proxy itself": {{"10.0.0.9:1", ""}, {"10.0.0.9:2", "10.0.0.9"}},
	}
	for name, group := range groups {
		for i, from := range group {
			header := http.Header{"X-Real-Ip": {fmt.Sprint("203.0.113.", i)}, "Forwarded": {fmt.Sprint("for=203.0.113.", i)}, "X_Forwarded_For": {"203.0.113.7"}}
			if from.forwarded != "" {
				header["X-Forwarded-For"] = []string{from.forwarded}
			}
			want := 429
			if i == 0 {
				want = 200
			}
			if w := get(h, from.from, header); w.Code != want {
				t.Errorf("%s: %+v: %d, want %d", name, from, w.Code, want)
			}
		}
	}
	// Several lines are one list, the last of them the nearest.
	if w := get(h, "10.0.0.1:1", http.Header{"X-Forwarded-For": {"203.0.113.77", "192.0.2.1, 10.0.0.3"}}); w.Code != 429 {
		t.Errorf("two lines: %d", w.Code)
	}
	if w := get(h, "[2001:db8:0:2::1]:1", nil); w.Code != 200 {
		t.Errorf("the next network: %d", w.Code)
	}
}

// Who has a whole /48 finds that hopping within it is counted, too.
func TestThreat_HT02_NetworkHopping(t *testing.T) {
	key := ratelimit.ByNetwork()
	same := [][2]string{{"[2001:db8:1:1::1]:1", "[2001:db8:1:ffff::1]:1"}, {"192.0.2.1:1", "192.0.2.254:1"}, {"192.0.2.1:1", "[::ffff:192.0.2.7]:1"}}
	other := [][2]string{{"[2001:db8:1::1]:1", "[2001:db8:2::1]:1"}, {"192.0.2.1:1", "192.0.3.1:1"}}
	of := func(peer string) string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = peer
		k, err := key(r)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for _, p := range same {
		if of(p[0]) != of(p[1]) {
			t.Errorf("%s and %s are counted apart", p[0], p[1])
		}
	}
	for _, p := range other {
		if of(p[0]) == of(p[1]) {
			t.Errorf("%s and %s are counted together", p[0], p[1])
		}
	}
}

// What a proxy passed on and cannot be read refuses the request.
func TestThreat_HT01_UnreadableForwardedAddressIsRefused(t *testing.T) {
	l := limiter(t, ratelimit.Options{Name: "api", Limit: ratelimit.Limit{Requests: 100, Per: time.Hour}, Key: ratelimit.ByAddress(netip.MustParsePrefix("10.0.0.0/8"))})
	reached := false
	h := l.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	for _, forwarded := range []string{"", " ", "unknown", "192.0.2.1,", "192.0.2.1, ,", "192.0.2", "192.0.2.1%eth0", "2001:db8::1%eth0", "999.1.1.1", "192.0.2.1 198.51.100.1", "_hidden", "192.0.2.1\x00"} {
		if w := get(h, "10.0.0.1:1", http.Header{"X-Forwarded-For": {forwarded}}); w.Code != 400 || reached {
			t.Errorf("%q: %d", forwarded, w.Code)
		}
	}
	for _, peer := range []string{"", "@", "pipe", "10.0.0.1"} {
		if w := get(h, peer, nil); w.Code != 400 || reached {
			t.Errorf("peer %q: %d", peer, w.Code)
		}
	}
}

func FuzzThreat_RP10_ForwardedFor(f *testing.F) {
	for _, seed := range []string{"", "1.2.3.4", "1.2.3.4, 5.6.7.8", ",,,", "[::1]:1", "::1%x", "10.0.0.1, 10.0.0.2"} {
		f.Add(seed)
	}
	key := ratelimit.ByAddress(netip.MustParsePrefix("10.0.0.0/8"))
	f.Fuzz(func(t *testing.T, left string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "10.0.0.1:1"
		// Whatever the client wrote, our proxy added its address at the right.
		r.Header["X-Forwarded-For"] = []string{left + ", 192.0.2.1"}
		if k, err := key(r); err != nil || k != "address 192.0.2.1/32" {
			t.Errorf("%q: %q, %v", left, k, err)
		}
		r.Header["X-Forwarded-For"] = []string{left}
		if k, err := key(r); err == nil && !strings.HasPrefix(k, "address ") {
			t.Errorf("%q: %q", left, k)
		}
	})
}

func TestKeys(t *testing.T) {
	as := func(who guard.Principal) *http.Request {
		var seen *http.Request
		guard.Require(fake{&who})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r })).
			ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		return seen
	}
	anonymous := httptest.NewRequest(http.MethodGet, "/", nil)
	alice := as(guard.Principal{Kind: guard.User, Subject: "alice", Issuer: "https://a"})
	key := func(f ratelimit.KeyFunc, r *http.Request) string {
		t.Helper()
		k, err := f(r)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	if key(ratelimit.ByPrincipal(), anonymous) != "" {
		t.Error("a stranger has a name")
	}
	for _, other := range []guard.Principal{
		{Kind: guard.Client, Subject: "alice", Issuer: "https://a"},
		{Kind: guard.User, Subject: "alice", Issuer: "https://b"},
		{Kind: guard.User, Subject: "https://a\nalice"},
		{Kind: guard.User, Subject: "alice\n", Issuer: "https://a"},
		{Kind: guard.User, Subject: "Alice", Issuer: "https://a"},
	} {
		for _, f := range []ratelimit.KeyFunc{ratelimit.ByPrincipal(), ratelimit.ByCredential()} {
			if key(f, alice) == key(f, as(other)) {
				t.Errorf("%+v shares alice's bucket", other)
			}
		}
	}
	first := ratelimit.First(ratelimit.ByPrincipal(), ratelimit.ByAddress())
	if key(first, alice) != key(ratelimit.ByPrincipal(), alice) || !strings.HasPrefix(key(first, anonymous), "address ") {
		t.Error("First")
	}
	each := ratelimit.Each(ratelimit.ByRoute(), ratelimit.ByPrincipal())
	if key(each, alice) == key(each, anonymous) {
		t.Error("Each")
	}
	broken := func(*http.Request) (string, error) { return "", errors.New("broken") }
	for _, f := range []ratelimit.KeyFunc{ratelimit.Each(ratelimit.ByRoute(), broken), ratelimit.First(broken, ratelimit.ByRoute())} {
		if _, err := f(alice); err == nil {
			t.Error("an error is lost")
		}
	}
}

type fake struct{ who *guard.Principal }

func (f fake) Authenticate(*http.Request) (guard.Result, error) {
	return guard.Result{Principal: f.who}, nil
}
func (fake) Challenge(*http.Request, *guard.Error) []string { return nil }

// Failures count, successes do not, and attempts made at once are all counted
// before any is given back.
func TestLoginCountsFailures(t *testing.T) {
	l := limiter(t, ratelimit.Login(ratelimit.Options{Key: ratelimit.ByAddress()}))
	right := l.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ratelimit.Succeeded(r.Context())
		ratelimit.Succeeded(r.Context()) // is one success
	}))
	wrong := l.Middleware(http.HandlerFunc(ok)) // a form that is shown again answers 200, too
	for range 20 {
		if w := get(right, "192.0.2.1:1", nil); w.Code != 200 {
			t.Fatalf("a success counts: %d", w.Code)
		}
	}
	for i := range 7 {
		if i == 3 {
			get(right, "192.0.2.1:1", nil)
		}
		if w := get(wrong, "192.0.2.1:1", nil); (w.Code == 200) != (i < 5) {
			t.Errorf("failure %d: %d", i+1, w.Code)
		}
	}
	if w := get(right, "192.0.2.1:1", nil); w.Code != 429 {
		t.Errorf("the sixth attempt is let through, with the right password: %d", w.Code)
	}

	var inside atomic.Int32
	var wg sync.WaitGroup
	hold := make(chan struct{})
	slow := l.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		inside.Add(1)
		<-hold
		ratelimit.Succeeded(r.Context())
	}))
	refused := make(chan struct{}, 100)
	for range 100 {
		wg.Go(func() {
			if w := get(slow, "192.0.2.2:1", nil); w.Code == 429 {
				refused <- struct{}{}
			}
		})
	}
	for range 95 {
		<-refused
	}
	close(hold)
	wg.Wait()
	if inside.Load() != 5 {
		t.Errorf("%d attempts at once", inside.Load())
	}
}

func TestSucceededReachesEveryLimitAround(t *testing.T) {
	outer := limiter(t, ratelimit.Login(ratelimit.Options{Name: "outer", Key: ratelimit.ByAddress()}))
	inner := limiter(t, ratelimit.Login(ratelimit.Options{Name: "inner", Key: ratelimit.ByRoute()}))
	h := outer.Middleware(inner.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ratelimit.Succeeded(r.Context()) })))
	for i := range 20 {
		w := get(h, "192.0.2.1:1", nil)
		if w.Code != 200 {
			t.Fatalf("request %d: %d", i, w.Code)
		}
		if len(w.Header().Values("RateLimit")) != 2 {
			t.Fatalf("%v", w.Header())
		}
	}
	ratelimit.Succeeded(t.Context()) // without a limit around: nothing to do
}

// failing is a store that is lost.
type failing struct{ calls atomic.Int32 }

func (f *failing) Take(context.Context, string, ratelimit.Limit, int) (ratelimit.Result, error) {
	f.calls.Add(1)
	return ratelimit.Result{}, errors.New("connection refused")
}

func TestThreat_DB08_ShareOfTheLimit(t *testing.T) {
	clock := testclock.New()
	tests := []struct{ burst, nodes, want int }{{100, 1, 100}, {100, 3, 33}, {100, 100, 1}, {5, 10_000, 1}}
	for _, test := range tests {
		store := &failing{}
		l := limiter(t, ratelimit.Options{Name: "api", Limit: ratelimit.Limit{Requests: test.burst, Per: 300 * 24 * time.Hour}, Store: store, Nodes: test.nodes, Clock: clock.Now})
		n := 0
		for range 200 {
			if l.Allow(t.Context(), "key").Allowed {
				n++
			}
		}
		if n != test.want {
			t.Errorf("%+v: %d allowed", test, n)
		}
		if calls := store.calls.Load(); calls != 1 {
			t.Errorf("a lost store was asked %d times within a moment", calls)
		}
		clock.Advance(time.Second)
		l.Allow(t.Context(), "key")
		if calls := store.calls.Load(); calls != 2 {
			t.Errorf("a lost store was asked %d times after a second", calls)
		}
	}
}

func BenchmarkAllow(b *testing.B) {
	l := limiter(b, ratelimit.Options{Name: "api", Limit: ratelimit.Limit{Requests: 1_000_000, Per: time.Second}})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		l.Allow(ctx, "address 192.0.2.1/32")
	}
}

func BenchmarkAllowManyKeys(b *testing.B) {
	l := limiter(b, ratelimit.Options{Name: "api", Limit: ratelimit.Limit{Requests: 10, Per: time.Second}})
	keys := make([]string, 200_000)
	for i := range keys {
		keys[i] = fmt.Sprint("address ", i)
	}
	ctx := b.Context()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Allow(ctx, keys[i%len(keys)])
		i++
	}
}

func BenchmarkMiddleware(b *testing.B) {
	h := limiter(b, ratelimit.Options{Name: "api", Limit: ratelimit.Limit{Requests: 1_000_000, Per: time.Second}, Key: ratelimit.ByAddress()}).
		Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		clear(w.Header())
		h.ServeHTTP(w, r)
	}
}

package apikey_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/apikey"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	format "github.com/gatehouse-dev/gatehouse/protocol/apikey"
)

// counted counts what a store is asked.
type counted struct {
	apikey.Store
	finds atomic.Int64
	fail  atomic.Bool
}

func (c *counted) Find(ctx context.Context, hash [32]byte) (apikey.Record, error) {
	c.finds.Add(1)
	if c.fail.Load() {
		return apikey.Record{}, errors.New("the database at 10.0.0.1 is gone")
	}
	return c.Store.Find(ctx, hash)
}

type fixture struct {
	t      testing.TB
	store  *counted
	keys   *apikey.Keys
	clock  *testclock.Clock
	scheme *apikey.Scheme
}

func setup(t testing.TB, change func(*apikey.Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, store: &counted{Store: apikey.NewMemoryStore()}, clock: testclock.New()}
	f.keys = apikey.NewKeys(f.store).WithClock(f.clock.Now)
	o := apikey.Options{Store: f.store, Clock: f.clock.Now, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	s, err := apikey.New(o)
	must(t, err)
	f.scheme = s
	return f
}

func (f *fixture) issue(change func(*apikey.Spec)) (apikey.Record, string) {
	f.t.Helper()
	s := apikey.Spec{Name: "x", Subject: "alice", Scopes: []string{"read"}}
	if change != nil {
		change(&s)
	}
	r, key, err := f.keys.Issue(context.Background(), s)
	must(f.t, err)
	return r, key.Reveal()
}

// call sends a request with headers to a handler that the scheme guards.
func (f *fixture) call(target string, header ...string) *httptest.ResponseRecorder {
	return callWith(f.scheme, target, header...)
}

func callWith(scheme guard.Authenticator, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.RemoteAddr = "192.0.2.7:4711"
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	guard.Require(scheme)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := guard.From(r.Context())
		fmt.Fprint(w, p.Method, " ", p.Subject)
	})).ServeHTTP(w, r)
	return w
}

func (f *fixture) want(status int, key string) {
	f.t.Helper()
	if w := f.call("/", "X-API-Key", key); w.Code != status {
		f.t.Fatalf("%d, want %d: %s", w.Code, status, w.Body)
	}
}

func TestPrincipal(t *testing.T) {
	f := setup(t, nil)
	record, key := f.issue(func(s *apikey.Spec) {
		s.Organization, s.ExpiresAt = "org-1", f.clock.Now().Add(time.Hour)
	})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-API-Key", key)
	got, err := f.scheme.Authenticate(r)
	must(t, err)
	p := got.Principal
	if !p.IsUser() || p.Subject != "alice" || p.Method != apikey.Method || !p.HasScope("read") || p.Organization != "org-1" || p.TokenID != record.ID ||
		!p.Expiry.Equal(f.clock.Now().Add(time.Hour)) || !p.IssuedAt.Equal(f.clock.Now()) || p.Issuer != "" || p.Credential.(*apikey.Record).Name != "x" {
		t.Errorf("%+v", p)
	}
	_, machine := f.issue(func(s *apikey.Spec) { s.Owner, s.Subject = guard.Client, "job" })
	r.Header.Set("X-API-Key", machine)
	got, err = f.scheme.Authenticate(r)
	must(t, err)
	if !got.Principal.IsClient() || got.Principal.ClientID != "job" {
		t.Errorf("%+v", got.Principal)
	}
}

// One place for a key, one way to spell it, and never the address. A bad key is 401 and never 403.
func TestThreat_AK01_WhereAKeyMayStand(t *testing.T) {
	f := setup(t, func(o *apikey.Options) { o.Realm = "shows" })
	_, key := f.issue(nil)
	_, ended := f.issue(func(s *apikey.Spec) { s.ExpiresAt = f.clock.Now().Add(time.Second) })
	f.clock.Advance(time.Second)
	unknown, err := format.New(make([]byte, 32), format.Secret, format.Live)
	must(t, err)
	_, public := f.issue(func(s *apikey.Spec) { s.Kind = format.Publishable })
	_, test := f.issue(func(s *apikey.Spec) { s.Environment = format.Test })
	const bare = `ApiKey realm="shows", header="X-Api-Key"`
	for _, tt := range []struct {
		name, target string
		header       []string
		status       int
		challenge    string
	}{
		{"own header", "/", []string{"X-API-Key", key}, 200, ""},
		{"bearer", "/", []string{"Authorization", "Bearer " + key}, 200, ""},
		{"bearer in lower case", "/", []string{"Authorization", "bearer " + key}, 200, ""},
		{"nothing", "/", nil, 401, bare},
		{"another bearer token", "/", []string{"Authorization", "Bearer eyJhbGciOiJFUzI1NiJ9.e30.x"}, 401, bare},
		{"another scheme", "/", []string{"Authorization", "Basic YTpi"}, 401, bare},
		{"no scheme", "/", []string{"Authorization", key}, 401, bare},
		{"two spaces", "/", []string{"Authorization", "Bearer  " + key}, 401, `error="invalid_token"`},
		{"a tab", "/", []string{"Authorization", "Bearer\t" + key}, 401, `error="invalid_token"`},
		{"a comma", "/", []string{"Authorization", "Bearer," + key}, 401, `error="invalid_token"`},
		{"a scheme that only begins alike", "/", []string{"Authorization", "Bearer" + key}, 401, bare},
		{"empty", "/", []string{"X-API-Key", ""}, 401, `error="invalid_token"`},
		{"not a key", "/", []string{"X-API-Key", "hunter2"}, 401, `error="invalid_token"`},
		{"a space after", "/", []string{"X-API-Key", key + " "}, 401, `error="invalid_token"`},
		{"wrong checksum", "/", []string{"X-API-Key", key[:57] + "_"}, 401, `error="invalid_token"`},
		{"unknown", "/", []string{"X-API-Key", unknown.Reveal()}, 401, `error="invalid_token"`},
		{"expired", "/", []string{"Authorization", "Bearer " + ended}, 401, `error="invalid_token"`},
		{"publishable", "/", []string{"X-API-Key", public}, 401, `error="invalid_token"`},
		{"test", "/", []string{"X-API-Key", test}, 401, `error="invalid_token"`},
		{"in both headers", "/", []string{"X-API-Key", key, "Authorization", "Bearer " + key}, 400, `error="invalid_request"`},
		{"own header twice", "/", []string{"X-API-Key", key, "X-API-Key", key}, 400, `error="invalid_request"`},
		{"bearer twice", "/", []string{"Authorization", "Bearer " + key, "Authorization", "Bearer " + key}, 400, `error="invalid_request"`},
		{"beside another scheme", "/", []string{"Authorization", "Basic YTpi", "Authorization", "Bearer " + key}, 400, `error="invalid_request"`},
		{"in front of another token", "/", []string{"Authorization", "Bearer " + key, "Authorization", "Bearer abc"}, 400, `error="invalid_request"`},
		{"in the query", "/?key=" + key, nil, 400, `error="invalid_request"`},
		{"in the query, mistyped", "/?key=" + key[:50], nil, 400, `error="invalid_request"`},
		{"in the query beside the header", "/?k=" + key, []string{"X-API-Key", key}, 400, `error="invalid_request"`},
		{"in the path", "/" + key + "/shows", nil, 400, `error="invalid_request"`},
		{"a path that is none", "/desk_live_chat?x=risk_test_1", []string{"X-API-Key", key}, 200, ""},
	} {
		w := f.call(tt.target, tt.header...)
		if w.Code != tt.status || !strings.Contains(w.Header().Get("WWW-Authenticate"), tt.challenge) {
			t.Errorf("%s: %d %q, want %d %q", tt.name, w.Code, w.Header().Get("WWW-Authenticate"), tt.status, tt.challenge)
		}
		if tt.challenge == bare && w.Header().Get("WWW-Authenticate") != bare {
			t.Errorf("%s: %q names an error", tt.name, w.Header().Get("WWW-Authenticate"))
		}
		if strings.Contains(w.Body.String()+fmt.Sprint(w.Header()), key[8:40]) {
			t.Errorf("%s: the answer tells the key back", tt.name)
		}
	}
}

// Malformed is not nothing: whoever lets strangers in as well does not take the sender for one.
func TestThreat_RP08_MalformedIsNotNothing(t *testing.T) {
	f := setup(t, nil)
	_, key := f.issue(nil)
	h := guard.Optional(f.scheme)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, separator := range []string{"\t", "  ", ",", " ,", "=", "\u00a0"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer"+separator+key)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 401 {
			t.Errorf("%q: %d", separator, w.Code)
		}
	}
}

// Neither errors nor logs hold a key, whatever goes wrong.
func TestThreat_AK01_NoKeyInErrorsAndLogs(t *testing.T) {
	var log bytes.Buffer
	f := setup(t, func(o *apikey.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	_, key := f.issue(nil)
	try := func(text string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-API-Key", text)
		found, err := f.scheme.Authenticate(r)
		shown := fmt.Sprintf("%v %+v %#v", err, err, found.Principal)
		if found.Principal != nil {
			slog.New(slog.NewTextHandler(&log, nil)).Info("x", "who", found.Principal, "record", found.Principal.Credential)
		}
		if strings.Contains(shown, key[8:40]) {
			t.Errorf("a key in clear: %s", shown)
		}
	}
	try(key)
	try(key[:57] + "_")
	f.store.fail.Store(true)
	try(key)
	if strings.Contains(log.String(), key[8:40]) {
		t.Errorf("a key in the log: %s", &log)
	}
}

func TestThreat_AK02_WrongChecksumAsksNobody(t *testing.T) {
	f := setup(t, nil)
	_, key := f.issue(nil)
	for _, wrong := range []string{"x", key[:57], key + "0", key[:20] + "~" + key[21:], "rk" + key[2:], strings.Repeat("a", 1<<20), format.Pattern} {
		f.want(401, wrong)
	}
	if n := f.store.finds.Load(); n != 0 {
		t.Errorf("%d questions to the store", n)
	}
}

// However near a guess comes, it costs one hash and one question, and gets the same answer.
func TestThreat_AK03_EqualWorkForEveryGuess(t *testing.T) {
	f := setup(t, nil)
	record, key := f.issue(nil)
	must(t, f.keys.Revoke(t.Context(), record.ID))
	answers := map[string]bool{}
	for _, guess := range []string{key, made(t, 1), made(t, 0xfe)} {
		before := f.store.finds.Load()
		w := f.call("/", "X-API-Key", guess)
		answers[fmt.Sprint(w.Code, w.Header(), w.Body)] = true
		if n := f.store.finds.Load() - before; n != 1 {
			t.Errorf("%d questions", n)
		}
	}
	if len(answers) != 1 {
		t.Errorf("a known key is told from an unknown one: %v", answers)
	}
}

func made(t testing.TB, b byte) string {
	t.Helper()
	k, err := format.New(bytes.Repeat([]byte{b}, 32), format.Secret, format.Live)
	must(t, err)
	return k.Reveal()
}

// A key ends at the next request, or after the few seconds that its owner allowed.
func TestThreat_AK04_EverythingIsJudgedAtEveryRequest(t *testing.T) {
	for name, ttl := range map[string]time.Duration{"not cached": 0, "cached": apikey.MaxCacheTTL} {
		t.Run(name, func(t *testing.T) {
			f := setup(t, func(o *apikey.Options) { o.CacheTTL = ttl })
			gone, revokedKey := f.issue(nil)
			_, expiring := f.issue(func(s *apikey.Spec) { s.ExpiresAt = f.clock.Now().Add(time.Second) })
			_, elsewhere := f.issue(func(s *apikey.Spec) { s.Networks = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")} })
			_, here := f.issue(func(s *apikey.Spec) { s.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
			f.want(200, revokedKey)
			f.want(200, expiring)
			f.want(401, elsewhere)
			f.want(200, here)
			f.clock.Advance(time.Second)
			f.want(401, expiring) // the cache knows when
			must(t, f.keys.Revoke(t.Context(), gone.ID))
			f.clock.Advance(ttl)
			f.want(401, revokedKey)
		})
	}
	// An address that a client writes into a header by itself counts for nothing.
	f := setup(t, nil)
	_, key := f.issue(func(s *apikey.Spec) { s.Networks = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")} })
	if w := f.call("/", "X-API-Key", key, "X-Forwarded-For", "198.51.100.1"); w.Code != 401 {
		t.Errorf("a forged address: %d", w.Code)
	}
	proxied := setup(t, func(o *apikey.Options) {
		o.Store, o.Proxies = f.store, []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}
	})
	if w := proxied.call("/", "X-API-Key", key, "X-Forwarded-For", "203.0.113.9, 198.51.100.1"); w.Code != 200 {
		t.Errorf("by a proxy of ours: %d", w.Code)
	}
}

// A number that nobody can count to is no limit, and must be neither a crash nor a licence.
func TestThreat_AK04_LimitsThatAreNone(t *testing.T) {
	f := setup(t, nil)
	for i, bad := range []apikey.Spec{{Rate: math.MaxInt}, {Quota: math.MaxInt}, {Rate: -1}, {Quota: -1}, {Rate: 1 << 60}} {
		bad.Name, bad.Subject = "job", "alice"
		if _, _, err := f.keys.Issue(t.Context(), bad); err == nil {
			t.Errorf("issued: %+v", bad)
		}
		good := bad
		good.Rate, good.Quota = 0, 0
		r, _, err := f.keys.Issue(t.Context(), good)
		must(t, err)
		key, err := format.New(bytes.Repeat([]byte{byte(i + 1)}, format.RandomBytes), r.Kind, r.Environment)
		must(t, err)
		r.ID, r.Hash, r.Rate, r.Quota = fmt.Sprint("bad", i), key.Hash(), bad.Rate, bad.Quota
		must(t, f.store.Create(t.Context(), r))
		f.want(503, key.Reveal())
	}
}

// taken is a Revocations in a test's hand.
type taken struct {
	gone    atomic.Bool
	checks  atomic.Int64
	cleared atomic.Uint64
}

func (r *taken) Check(_ context.Context, p *guard.Principal, token string, cleared uint64) (uint64, error) {
	r.checks.Add(1)
	r.cleared.Store(cleared)
	if r.gone.Load() {
		return 0, &guard.Error{Code: guard.InvalidToken, Description: "ended: " + token}
	}
	return 41, nil
}

func TestRevocations(t *testing.T) {
	r := &taken{}
	f := setup(t, func(o *apikey.Options) { o.Revocations, o.CacheTTL = r, time.Second })
	_, key := f.issue(nil)
	f.want(200, key)
	f.want(200, key)
	if r.cleared.Load() != 41 {
		t.Errorf("the number of the last look is lost: %d", r.cleared.Load())
	}
	r.gone.Store(true)
	f.want(401, key)
	if r.checks.Load() != 3 {
		t.Errorf("%d looks", r.checks.Load())
	}
}

func TestLimits(t *testing.T) {
	f := setup(t, nil)
	_, key := f.issue(func(s *apikey.Spec) { s.Rate, s.Quota = 2, 3 })
	f.want(200, key)
	f.want(200, key)
	w := f.call("/", "X-API-Key", key)
	if w.Code != 429 || w.Header().Get("Retry-After") != "30" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	f.clock.Advance(time.Minute)
	f.want(200, key)
	f.want(429, key) // the day's
	if w := f.call("/", "X-API-Key", key); w.Header().Get("Retry-After") == "" {
		t.Errorf("%v", w.Header())
	}
	f.clock.Advance(24 * time.Hour)
	f.want(200, key)
	_, free := f.issue(nil)
	for range 10 {
		f.want(200, free)
	}
	broken := setup(t, func(o *apikey.Options) { o.Store, o.Limits = f.store, brokenLimits{} })
	broken.want(503, key)
	broken.want(200, free)
}

// Two guards on the way of one request count it once.
func TestLimitsOfGuardsInsideOfOneAnother(t *testing.T) {
	f := setup(t, nil)
	_, key := f.issue(func(s *apikey.Spec) { s.Rate = 2 })
	h := guard.Require(f.scheme)(guard.Require(f.scheme, guard.Scopes("read"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	for i, want := range []int{200, 200, 429} {
		for _, header := range [...]string{"X-API-Key", "Authorization"} {
			if (header == "Authorization") != (i == 1) {
				continue
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set(header, map[string]string{"X-API-Key": key, "Authorization": "Bearer " + key}[header])
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != want {
				t.Errorf("request %d: %d, want %d", i+1, w.Code, want)
			}
		}
	}
}

// Caches know that an answer to a request with Authorization is somebody's own (RFC 9111 §3.5); of X-API-Key they
// know nothing, and would hand it to whoever asks next.
func TestThreat_RP13_AnswersToKeysStayOutOfSharedCaches(t *testing.T) {
	f := setup(t, nil)
	_, key := f.issue(nil)
	serve := func(header, value, control string) http.Header {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set(header, value)
		w := httptest.NewRecorder()
		guard.Require(f.scheme)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if control != "" {
				w.Header().Set("Cache-Control", control)
			}
			w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 12:00:00 GMT")
		})).ServeHTTP(w, r)
		if w.Code != 200 {
			t.Fatal(w.Code)
		}
		return w.Header()
	}
	if h := serve("X-API-Key", key, ""); h.Get("Cache-Control") != "private" || h.Get("Vary") != "X-Api-Key" {
		t.Errorf("%v", h)
	}
	if h := serve("X-API-Key", key, "public, max-age=60"); h.Get("Cache-Control") != "public, max-age=60" || h.Get("Vary") != "X-Api-Key" {
		t.Errorf("what the handler says goes: %v", h)
	}
	if h := serve("Authorization", "Bearer "+key, ""); h.Get("Cache-Control") != "" || h.Get("Vary") != "" {
		t.Errorf("by Authorization: %v", h)
	}
}

type brokenLimits struct{}

func (brokenLimits) Take(context.Context, string, ratelimit.Limit, int) (ratelimit.Result, error) {
	return ratelimit.Result{}, errors.New("gone")
}

func TestStoreThatIsAway(t *testing.T) {
	f := setup(t, func(o *apikey.Options) { o.CacheTTL = 5 * time.Second })
	_, key := f.issue(nil)
	f.want(200, key)
	f.store.fail.Store(true)
	f.want(200, key)
	f.clock.Advance(5 * time.Second)
	w := f.call("/", "X-API-Key", key)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "10.0.0.1") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// When keys were last used is written once a minute, beside the requests.
func TestUses(t *testing.T) {
	f := setup(t, nil)
	record, key := f.issue(nil)
	for range 3 {
		f.want(200, key)
	}
	f.want(401, made(t, 3))
	if got, _ := f.store.Get(t.Context(), record.ID); got.Uses != 0 {
		t.Errorf("%d uses written on the way of a request", got.Uses)
	}
	must(t, f.scheme.Flush(t.Context()))
	if got, _ := f.store.Get(t.Context(), record.ID); got.Uses != 3 || !got.LastUsedAt.Equal(f.clock.Now()) {
		t.Errorf("%+v", got)
	}
}

// Beside package bearer each credential finds its scheme.
func TestBesideBearer(t *testing.T) {
	f := setup(t, nil)
	issuer := testissuer.New(t)
	tokens, err := bearer.New(bearer.Options{Issuer: issuer.URL, Audience: "https://api/", Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	_, key := f.issue(nil)
	token := issuer.AccessToken(t, "https://api/", nil)
	for name, chain := range map[string]guard.Authenticator{"key first": guard.AnyOf(f.scheme, tokens), "token first": guard.AnyOf(tokens, f.scheme)} {
		for _, tt := range []struct {
			header []string
			body   string
			status int
		}{
			{[]string{"Authorization", "Bearer " + token}, "bearer alice", 200},
			{[]string{"X-API-Key", key}, "apikey alice", 200},
			{[]string{"Authorization", "Bearer " + key}, "apikey alice", 200},
			{[]string{"Authorization", "Bearer " + key[:57] + "_"}, "", 401},
			{[]string{"Authorization", "Bearer " + token, "X-API-Key", "bad"}, "", 401},
			{[]string{"Authorization", "Bearer x.y.z", "X-API-Key", key}, "", 401},
			{nil, "", 401},
		} {
			w := callWith(chain, "/", tt.header...)
			if w.Code != tt.status || tt.status == 200 && w.Body.String() != tt.body {
				t.Errorf("%s: %.20v: %d %s", name, tt.header, w.Code, w.Body)
			}
			if tt.status == 401 && len(w.Header().Values("WWW-Authenticate")) != 2 {
				t.Errorf("%s: challenges %q", name, w.Header().Values("WWW-Authenticate"))
			}
		}
	}
}

func TestNewNamesAllThatIsWrong(t *testing.T) {
	_, err := apikey.New(apikey.Options{
		Kinds: []format.Kind{"x"}, Environments: []format.Environment{"x"}, Header: "Authorization", Realm: "\n", CacheTTL: time.Minute, CacheSize: -1,
		Proxies: []netip.Prefix{{}}, ClientAddr: func(*http.Request) netip.Addr { return netip.Addr{} },
	})
	for _, want := range []string{"Store", "Kinds", "Environments", "Header", "Realm", "CacheTTL", "CacheSize", "Proxies", "ClientAddr"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is passed over: %v", want, err)
		}
	}
	_, err = apikey.New(apikey.Options{Gatehouse: &apikey.Gatehouse{Issuer: "http://example.com/", Endpoint: "ftp://x"}})
	for _, want := range []string{"https", "Audience", "ClientID", "Endpoint"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is passed over: %v", want, err)
		}
	}
	if _, err := apikey.NewSQLStore(nil); err == nil {
		t.Error("a store without a database")
	}
}

func lines(err error) []string {
	if err == nil {
		return nil
	}
	return slices.Collect(strings.SplitSeq(strings.TrimPrefix(err.Error(), "apikey: "), "\n"))
}

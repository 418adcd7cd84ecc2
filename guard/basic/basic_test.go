package basic_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/basic"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
)

// counted is a Verifier that knows alice and counts.
type counted struct {
	calls atomic.Int64
	hold  chan struct{} // if set, every call waits for it
}

func (c *counted) Verify(_ context.Context, username, password string) (*guard.Principal, error) {
	c.calls.Add(1)
	if c.hold != nil {
		<-c.hold
	}
	switch {
	case username == "panics":
		panic(http.ErrAbortHandler)
	case username == "broken":
		return nil, errors.New("the database's password is hunter2")
	case username == "nil":
		return nil, nil
	case username == "alice" && password == "open:sesame":
		return &guard.Principal{Subject: "user_1", Roles: []string{"admin"}}, nil
	}
	return nil, basic.ErrRefused
}

func build(t testing.TB, o basic.Options) *basic.Scheme {
	t.Helper()
	o.InsecureUnlimited = o.Limiter == nil // tests guess a lot
	if o.Realm == "" {
		o.Realm = "tests"
	}
	s, err := basic.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func whoami(w http.ResponseWriter, r *http.Request) {
	who, _ := guard.From(r.Context())
	_, _ = io.WriteString(w, who.Subject)
}

func header(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// ask sends a request over TLS.
func ask(h http.Handler, authorization ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	for _, a := range authorization {
		r.Header.Add("Authorization", a)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const challenge = `Basic realm="tests", charset="UTF-8"`

func TestBasic(t *testing.T) {
	h := guard.Require(build(t, basic.Options{Verifier: &counted{}}))(http.HandlerFunc(whoami))
	tests := []struct {
		name      string
		header    []string
		status    int
		challenge string
	}{
		{"right", []string{header("alice", "open:sesame")}, 200, ""},
		{"case of the scheme", []string{"bASIC " + base64.StdEncoding.EncodeToString([]byte("alice:open:sesame"))}, 200, ""},
		{"several spaces", []string{"Basic   " + base64.StdEncoding.EncodeToString([]byte("alice:open:sesame"))}, 200, ""},
		{"wrong password", []string{header("alice", "guess")}, 401, challenge},
		{"unknown name", []string{header("mallory", "open:sesame")}, 401, challenge},
		{"nothing", nil, 401, challenge},
		{"another scheme", []string{"Bearer abc"}, 401, challenge},
		{"two headers", []string{header("alice", "open:sesame"), header("alice", "open:sesame")}, 400, challenge},
		{"beside another scheme", []string{"Bearer abc", header("alice", "open:sesame")}, 400, challenge},
		{"a verifier that fails", []string{header("broken", "x")}, 500, ""},
		{"a verifier that says nothing", []string{header("nil", "x")}, 401, challenge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := ask(h, tt.header...)
			if w.Code != tt.status || w.Header().Get("WWW-Authenticate") != tt.challenge {
				t.Errorf("%d %q, want %d %q", w.Code, w.Header().Get("WWW-Authenticate"), tt.status, tt.challenge)
			}
			if tt.status == 200 && w.Body.String() != "user_1" {
				t.Errorf("it is %q", w.Body)
			}
			if strings.Contains(w.Body.String(), "hunter2") {
				t.Error("the cause reached the client")
			}
		})
	}
	wrong, unknown := ask(h, header("alice", "guess")), ask(h, header("mallory", "guess"))
	if wrong.Body.String() != unknown.Body.String() {
		t.Error("an unknown name is answered differently from a wrong password")
	}
}

func TestThreat_AK05_Credentials(t *testing.T) {
	encode := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	users, err := basic.Users(map[string]string{"alice": "a:b:c", "bob": "::", "jürgen": "grüße", "carol": strings.Repeat("x", 1000)})
	if err != nil {
		t.Fatal(err)
	}
	h := guard.Require(build(t, basic.Options{Verifier: users}))(http.HandlerFunc(whoami))
	for name, tt := range map[string]struct {
		header string
		status int
	}{
		"colons in the password":         {encode("alice:a:b:c"), 200},
		"the password cut at a colon":    {encode("alice:a"), 401},
		"a name cut at the last colon":   {encode("alice:a:b"), 401},
		"nothing but colons":             {encode("bob:::"), 200},
		"one colon too few":              {encode("bob::"), 401},
		"UTF-8":                          {encode("jürgen:grüße"), 200},
		"Latin-1":                        {encode("j\xfcrgen:gr\xfc\xdfe"), 401},
		"a long password":                {encode("carol:" + strings.Repeat("x", 1000)), 200},
		"no colon":                       {encode("alice"), 401},
		"nothing":                        {"Basic", 401},
		"a space":                        {"Basic ", 401},
		"empty":                          {encode(""), 401},
		"empty name":                     {encode(":a:b:c"), 401},
		"empty password":                 {encode("alice:"), 401},
		"not base64":                     {"Basic !!!!", 401},
		"no padding":                     {"Basic " + base64.RawStdEncoding.EncodeToString([]byte("alice:a:b:c1")) + "A", 401},
		"base64url":                      {"Basic " + strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte("bob:???>>>")), "/", "_"), 401},
		"bits left over in the base64":   {"Basic " + strings.TrimSuffix(base64.StdEncoding.EncodeToString([]byte("alice:a:b:c")), "=")[:14] + "9=", 401},
		"a parameter after the base64":   {encode("alice:a:b:c") + `, realm="x"`, 401},
		"NUL in the name":                {encode("alice\x00:a:b:c"), 401},
		"NUL after the password":         {encode("alice:a:b:c\x00"), 401},
		"a line's end in the password":   {encode("alice:a:b:c\r\n"), 401},
		"a control character of C1":      {encode("alice:a:b:c\u0085"), 401},
		"DEL":                            {encode("alice:a:b:c\x7f"), 401},
		"a space after":                  {encode("alice:a:b:c "), 401},
		"name in capitals":               {encode("ALICE:a:b:c"), 401},
		"a megabyte of base64":           {"Basic " + strings.Repeat("QUFB", 1<<18), 401},
		"a megabyte that begins rightly": {"Basic " + base64.StdEncoding.EncodeToString([]byte("alice:a:b:c"+strings.Repeat(" ", 1<<20))), 401},
		"a tab between":                  {"Basic\t" + base64.StdEncoding.EncodeToString([]byte("alice:a:b:c")), 401},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(h, tt.header)
			if w.Code != tt.status {
				t.Errorf("%d, want %d", w.Code, tt.status)
			}
			if w.Code == 401 && w.Header().Get("WWW-Authenticate") != challenge {
				t.Error("a refusal without a challenge")
			}
		})
	}
}

// What is malformed is refused before any verifier, however trusting, sees it.
func TestThreat_AK05_MalformedReachesNobody(t *testing.T) {
	trusting := basic.VerifierFunc(func(context.Context, string, string) (*guard.Principal, error) { return &guard.Principal{}, nil })
	h := guard.Require(build(t, basic.Options{Verifier: trusting}))(http.HandlerFunc(whoami))
	for name, plain := range map[string]string{
		"no colon": "alice", "empty": "", "a control character": "ali\x01ce:x", "Latin-1": "j\xfcrgen:x", "a megabyte": "a:" + strings.Repeat("x", 1<<20),
	} {
		if w := ask(h, "Basic "+base64.StdEncoding.EncodeToString([]byte(plain))); w.Code != 401 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

// Malformed is not nothing: whoever lets strangers in as well does not take the sender for one.
func TestThreat_RP08_MalformedIsNotNothing(t *testing.T) {
	h := guard.Optional(build(t, basic.Options{Verifier: basic.VerifierFunc(func(context.Context, string, string) (*guard.Principal, error) { return &guard.Principal{}, nil })}))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	right := base64.StdEncoding.EncodeToString([]byte("alice:open:sesame"))
	for _, separator := range []string{"\t", " \t", ",", "\u00a0", "=", "/"} {
		if w := ask(h, "Basic"+separator+right); w.Code != 401 {
			t.Errorf("%q: %d", separator, w.Code)
		}
	}
	if w := ask(h, "Basically "+right); w.Code != 200 {
		t.Errorf("another scheme: %d", w.Code)
	}
}

func FuzzThreat_AK05_Credentials(f *testing.F) {
	for _, seed := range []string{
		header("alice", "open:sesame"), "Basic", "Basic ", "basic YTpi", "Basic YTpi, Basic YTpi", "Basic ////", "Basic \xff", "Bearer abc",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("a\x00:b")),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, authorization string) {
		var saw struct {
			called             bool
			username, password string
		}
		s, err := basic.New(basic.Options{Realm: "tests", CacheTTL: -1, Verifier: basic.VerifierFunc(func(_ context.Context, username, password string) (*guard.Principal, error) {
			saw.called, saw.username, saw.password = true, username, password
			return nil, basic.ErrRefused
		})})
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Header: http.Header{"Authorization": {authorization}}, TLS: &tls.ConnectionState{}}
		res, err := s.Authenticate(r)
		if res.Principal != nil {
			t.Fatal("somebody was let in")
		}
		var e *guard.Error
		if err != nil && (!errors.As(err, &e) || e.Status() != 401) {
			t.Fatalf("%v is not a 401", err)
		}
		if !saw.called {
			return
		}
		// The standard library, more lenient, must read the same.
		username, password, ok := r.BasicAuth()
		if ok && (username != saw.username || password != saw.password) {
			t.Fatalf("read as %q %q", saw.username, saw.password)
		}
		if strings.Contains(saw.username, ":") || strings.ContainsAny(saw.username+saw.password, "\x00\r\n") {
			t.Fatalf("%q %q reached the verifier", saw.username, saw.password)
		}
	})
}

// attempts is a Limiter of n wrong passwords a name.
type attempts struct {
	mu    sync.Mutex
	max   int
	taken map[string]int
}

func (a *attempts) Attempt(_ *http.Request, username string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.taken[username] >= a.max {
		return &guard.Error{Code: guard.TooManyRequests, Description: "Too many attempts", RetryAfter: time.Minute}
	}
	a.taken[username]++
	return nil
}

func (a *attempts) Succeeded(_ *http.Request, username string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken[username]--
}

// One person has one name, whatever the spelling: for the counters, for what is
// remembered, and for the application.
func TestThreat_AK06_CanonicalName(t *testing.T) {
	var asked []string
	limiter := &attempts{max: 3, taken: map[string]int{}}
	s := build(t, basic.Options{
		Canonical: strings.ToLower, Limiter: limiter,
		Verifier: basic.VerifierFunc(func(_ context.Context, username, password string) (*guard.Principal, error) {
			asked = append(asked, username)
			if username == "alice" && password == "right" {
				return &guard.Principal{}, nil
			}
			return nil, basic.ErrRefused
		}),
	})
	h := guard.Require(s)(http.HandlerFunc(whoami))
	for _, spelling := range []string{"Alice", "ALICE", "alice"} {
		if w := ask(h, header(spelling, "right")); w.Body.String() != "alice" {
			t.Errorf("%s reaches the application as %q", spelling, w.Body)
		}
	}
	if len(asked) != 1 {
		t.Errorf("asked for %q: spellings are remembered apart", asked)
	}
	s.Forget("aLiCe")
	for i, spelling := range []string{"alice", "Alice", "aLICE", "ALICE", "alIce"} {
		w := ask(h, header(spelling, fmt.Sprint("guess", i)))
		want := 401
		if i >= limiter.max {
			want = 429
		}
		if w.Code != want {
			t.Errorf("guess %d, as %s: %d, want %d", i, spelling, w.Code, want)
		}
		if want == 429 && w.Header().Get("Retry-After") != "60" {
			t.Error("nobody says when to come back")
		}
	}
	if w := ask(h, header("alice", "right")); w.Code != 429 {
		t.Errorf("the right guess after too many: %d", w.Code)
	}
	for i := range limiter.max + 1 {
		want := 401
		if i == limiter.max {
			want = 429
		}
		if w := ask(h, header("nobody", fmt.Sprint("guess", i))); w.Code != want {
			t.Errorf("a name nobody has: %d, want %d: the limit tells who exists", w.Code, want)
		}
	}
}

// Who may not sign in by password alone is a stranger here.
func TestThreat_AK06_OnlyWhoIsAllowed(t *testing.T) {
	compared := 0
	verifier, err := basic.Hashed{
		Find: func(_ context.Context, username string) (*guard.Principal, []byte, error) {
			switch username {
			case "script":
				return &guard.Principal{Kind: guard.Client}, []byte("hash of right"), nil
			case "has-mfa":
				return &guard.Principal{}, []byte("hash of right"), basic.ErrRefused
			case "no-password":
				return &guard.Principal{}, nil, nil
			}
			return nil, nil, basic.ErrRefused
		},
		Compare: func(hash, password []byte) error {
			compared++
			if string(hash) == "hash of "+string(password) {
				return nil
			}
			return errors.New("no")
		},
		Dummy: []byte("hash of nobody"),
	}.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	h := guard.Require(build(t, basic.Options{Verifier: verifier, CacheTTL: -1}))(http.HandlerFunc(whoami))
	for _, tt := range []struct {
		name, password string
		status         int
	}{
		{"script", "right", 200},
		{"script", "wrong", 401},
		{"has-mfa", "right", 401},
		{"has-mfa", "nobody", 401},
		{"no-password", "right", 401},
		{"no-password", "nobody", 401},
		{"stranger", "right", 401},
		{"stranger", "nobody", 401}, // the dummy's own password opens nothing
	} {
		compared = 0
		if w := ask(h, header(tt.name, tt.password)); w.Code != tt.status {
			t.Errorf("%s with %s: %d, want %d", tt.name, tt.password, w.Code, tt.status)
		}
		if compared != 1 {
			t.Errorf("%s: %d comparisons: the time it takes tells who exists", tt.name, compared)
		}
	}
}

func TestRemembered(t *testing.T) {
	clock := testclock.New()
	verifier := &counted{}
	s := build(t, basic.Options{Verifier: verifier, Clock: clock.Now, CacheSize: 2})
	h := guard.Require(s)(http.HandlerFunc(whoami))
	expect := func(what string, calls int64, status int, username, password string) {
		t.Helper()
		before := verifier.calls.Load()
		if w := ask(h, header(username, password)); w.Code != status {
			t.Errorf("%s: %d, want %d", what, w.Code, status)
		}
		if got := verifier.calls.Load() - before; got != calls {
			t.Errorf("%s: verified %d times, want %d", what, got, calls)
		}
	}
	expect("the first time", 1, 200, "alice", "open:sesame")
	expect("again", 0, 200, "alice", "open:sesame")
	expect("another password", 1, 401, "alice", "open:sesam")
	expect("the same cut elsewhere", 1, 401, "alic", "eopen:sesame")
	expect("wrong ones are not remembered", 1, 401, "alice", "open:sesam")
	clock.Advance(time.Minute - 1)
	expect("nearly a minute later", 0, 200, "alice", "open:sesame")
	clock.Advance(1)
	expect("a minute after the first, used or not", 1, 200, "alice", "open:sesame")
	s.Forget("bob")
	expect("another was forgotten", 0, 200, "alice", "open:sesame")
	s.Forget("alice")
	expect("forgotten", 1, 200, "alice", "open:sesame")
	s.ForgetAll()
	expect("all forgotten", 1, 200, "alice", "open:sesame")
}

func TestRememberedIsBounded(t *testing.T) {
	var calls int
	s := build(t, basic.Options{CacheSize: 2, Verifier: basic.VerifierFunc(func(context.Context, string, string) (*guard.Principal, error) {
		calls++
		return &guard.Principal{}, nil
	})})
	h := guard.Require(s)(http.HandlerFunc(whoami))
	for _, name := range []string{"a", "b", "a", "c", "a", "b"} { // c takes b's place, as a was used since
		ask(h, header(name, "x"))
	}
	if calls != 4 {
		t.Errorf("verified %d times, want 4: a, b, c, and b anew", calls)
	}
}

func TestRememberedNotLongerThanThePrincipal(t *testing.T) {
	clock, calls := testclock.New(), 0
	s := build(t, basic.Options{Clock: clock.Now, Verifier: basic.VerifierFunc(func(context.Context, string, string) (*guard.Principal, error) {
		calls++
		return &guard.Principal{Expiry: clock.Now().Add(time.Second)}, nil
	})})
	h := guard.Require(s)(http.HandlerFunc(whoami))
	ask(h, header("a", "x"))
	clock.Advance(time.Second)
	ask(h, header("a", "x"))
	if calls != 2 {
		t.Errorf("verified %d times: what is remembered outlives the principal", calls)
	}
}

// A page that loads a hundred pictures costs one hash.
func TestOneVerificationForAll(t *testing.T) {
	verifier := &counted{hold: make(chan struct{})}
	s := build(t, basic.Options{Verifier: verifier})
	h := guard.Require(s)(http.HandlerFunc(whoami))
	const callers = 64
	var started, ended sync.WaitGroup
	for range callers {
		started.Add(1)
		ended.Go(func() {
			r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
			r.Header.Set("Authorization", header("alice", "open:sesame"))
			started.Done()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 200 {
				t.Errorf("%d", w.Code)
			}
		})
	}
	started.Wait()
	close(verifier.hold)
	ended.Wait()
	if got := verifier.calls.Load(); got != 1 {
		t.Errorf("%d requests cost %d verifications", callers, got)
	}
}

// Who joined a verification that panicked is refused, not left waiting; and what
// was forgotten while it was verified is not remembered.
func TestVerificationsThatEndBadly(t *testing.T) {
	verifier := &counted{}
	s := build(t, basic.Options{Verifier: verifier})
	func() {
		defer func() { _ = recover() }()
		r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
		r.Header.Set("Authorization", header("panics", "x"))
		_, _ = s.Authenticate(r)
		t.Error("the panic was swallowed")
	}()
	h := guard.Require(s)(http.HandlerFunc(whoami))
	if w := ask(h, header("alice", "open:sesame")); w.Code != 200 {
		t.Errorf("after a panic: %d", w.Code)
	}

	var forget func()
	calls := 0
	s = build(t, basic.Options{Verifier: basic.VerifierFunc(func(context.Context, string, string) (*guard.Principal, error) {
		calls++
		forget()
		return &guard.Principal{}, nil
	})})
	forget = func() { s.Forget("alice") }
	h = guard.Require(s)(http.HandlerFunc(whoami))
	ask(h, header("alice", "x"))
	ask(h, header("alice", "x"))
	if calls != 2 {
		t.Error("a password forgotten while it was verified is remembered")
	}
}

// The leader's client hangs up; those who wait for its answer still get it.
func TestVerificationOutlivesItsRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := build(t, basic.Options{Verifier: basic.VerifierFunc(func(ctx context.Context, _, _ string) (*guard.Principal, error) {
		cancel()
		return &guard.Principal{}, ctx.Err()
	})})
	r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil).WithContext(ctx)
	r.Header.Set("Authorization", header("alice", "x"))
	if res, err := s.Authenticate(r); err != nil || res.Principal == nil {
		t.Errorf("%v", err)
	}
}

func TestThreat_HT01_PasswordsOverPlainHTTP(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.2/32")}
	tests := []struct {
		name   string
		peer   string
		tls    bool
		header map[string][]string
		free   bool
		ok     bool
	}{
		{name: "TLS", peer: "203.0.113.7:1234", tls: true, ok: true},
		{name: "plain", peer: "203.0.113.7:1234"},
		{name: "plain, and says it was not", peer: "203.0.113.7:1234", header: map[string][]string{"X-Forwarded-Proto": {"https"}, "Forwarded": {"proto=https"}}},
		{name: "loopback", peer: "127.0.0.1:1234", ok: true},
		{name: "loopback of IPv6", peer: "[::1]:1234", ok: true},
		{name: "loopback, mapped", peer: "[::ffff:127.0.0.1]:1234", ok: true},
		{name: "a proxy nobody configured", peer: "127.0.0.1:1234", header: map[string][]string{"X-Forwarded-For": {"203.0.113.7"}}},
		{name: "a proxy nobody configured, by TLS", peer: "127.0.0.1:1234", header: map[string][]string{"X-Forwarded-Proto": {"https"}}},
		{name: "the proxy, by TLS", peer: "10.1.2.3:1234", header: map[string][]string{"X-Forwarded-Proto": {"https"}}, ok: true},
		{name: "the proxy on this machine", peer: "127.0.0.2:1234", header: map[string][]string{"X-Forwarded-Proto": {"https"}}, ok: true},
		{name: "the proxy, plain", peer: "10.1.2.3:1234", header: map[string][]string{"X-Forwarded-Proto": {"http"}}},
		{name: "the proxy says nothing", peer: "10.1.2.3:1234"},
		{name: "the proxy on this machine says nothing", peer: "127.0.0.2:1234"},
		{name: "the client said so to the proxy", peer: "10.1.2.3:1234", header: map[string][]string{"X-Forwarded-Proto": {"https", "http"}}},
		{name: "in one line", peer: "10.1.2.3:1234", header: map[string][]string{"X-Forwarded-Proto": {"https, http"}}},
		{name: "an address that is none", peer: "@"},
		{name: "not even an address", peer: "localhost:1234"},
		{name: "allowed by name", peer: "203.0.113.7:1234", free: true, ok: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			verifier := &counted{}
			h := guard.Require(build(t, basic.Options{Verifier: verifier, Proxies: proxies, InsecureAllowHTTP: tt.free}))(http.HandlerFunc(whoami))
			for _, credentials := range []string{"", header("alice", "open:sesame")} {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.RemoteAddr, r.TLS = tt.peer, nil
				if tt.tls {
					r.TLS = &tls.ConnectionState{}
				}
				for k, v := range tt.header {
					r.Header[k] = v
				}
				if credentials != "" {
					r.Header.Set("Authorization", credentials)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				switch {
				case credentials == "":
					if asked := w.Header().Get("WWW-Authenticate") != ""; asked != tt.ok {
						t.Errorf("asks for a password: %v", asked)
					}
				case tt.ok && w.Code != 200, !tt.ok && w.Code != 400:
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
			if !tt.ok && verifier.calls.Load() != 0 {
				t.Error("the password was tried")
			}
		})
	}
}

// rules is a Revocations that clears at 7 until somebody is banned.
type rules struct {
	banned  bool
	cleared []uint64
}

func (r *rules) Check(_ context.Context, p *guard.Principal, _ string, cleared uint64) (uint64, error) {
	r.cleared = append(r.cleared, cleared)
	if r.banned && p.Subject == "user_1" {
		return 0, &guard.Error{Code: guard.InvalidToken, Description: "It was taken back"}
	}
	return 7, nil
}

func TestRevocations(t *testing.T) {
	revoked := &rules{}
	h := guard.Require(build(t, basic.Options{Verifier: &counted{}, Revocations: revoked}))(http.HandlerFunc(whoami))
	for range 2 {
		if w := ask(h, header("alice", "open:sesame")); w.Code != 200 {
			t.Fatal(w.Code)
		}
	}
	if fmt.Sprint(revoked.cleared) != "[0 7]" {
		t.Errorf("cleared at %v: what was remembered does not keep its number", revoked.cleared)
	}
	revoked.banned = true
	if w := ask(h, header("alice", "open:sesame")); w.Code != 401 {
		t.Errorf("banned, and remembered: %d", w.Code)
	}
}

func TestChallengeOnlyWhereItHelps(t *testing.T) {
	s := build(t, basic.Options{Verifier: &counted{}})
	for name, option := range map[string]guard.Option{"role": guard.Roles("owner"), "step-up": guard.ACR("gold"), "scope": guard.Scopes("write")} {
		if w := ask(guard.Require(s, option)(http.HandlerFunc(whoami)), header("alice", "open:sesame")); w.Code < 400 || w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %d, and the browser asks for the password again and again", name, w.Code)
		}
	}
}

// A client of somebody else's, over a real connection on loopback.
func TestCurl(t *testing.T) {
	if testing.Short() {
		t.Skip("runs curl")
	}
	users, err := basic.Users(map[string]string{"alice": "open:sesame", "jürgen": "grüße: ☕"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(guard.Require(build(t, basic.Options{Verifier: users}))(http.HandlerFunc(whoami)))
	defer server.Close()
	for user, want := range map[string]string{"alice:open:sesame": "alice 200", "jürgen:grüße: ☕": "jürgen 200", "alice:open": " 401"} {
		out, err := exec.CommandContext(t.Context(), "curl", "--silent", "--show-error", "--anyauth", "--user", user, "--write-out", " %{http_code}", server.URL).CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), want) {
			t.Errorf("%s: %v %s", user, err, out)
		}
	}
}

func TestOptions(t *testing.T) {
	ok := &counted{}
	for name, o := range map[string]basic.Options{
		"Realm must":          {Verifier: ok},
		"Realm must be":       {Realm: "a\"\r\nb", Verifier: ok},
		"Verifier is missing": {Realm: "x"},
		"CacheTTL":            {Realm: "x", Verifier: ok, CacheTTL: time.Hour},
		"CacheSize":           {Realm: "x", Verifier: ok, CacheSize: -1},
		"Proxies":             {Realm: "x", Verifier: ok, Proxies: []netip.Prefix{{}}},
		"Proxies: one":        {Realm: "x", Verifier: ok, Proxies: []netip.Prefix{{}}, InsecureUnlimited: true},
	} {
		if _, err := basic.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := basic.New(basic.Options{CacheTTL: time.Hour}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("not all problems at once: %v", err)
	}
	for name, users := range map[string]map[string]string{
		"nobody": nil, "no name": {"": "x"}, "a colon": {"a:b": "x"}, "no password": {"a": ""}, "a control character": {"a": "x\n"}, "Latin-1": {"\xfc": "x"},
	} {
		if _, err := basic.Users(users); err == nil {
			t.Errorf("Users builds with %s", name)
		}
	}
	if _, err := (basic.Hashed{}).Verifier(); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("Hashed with nothing: %v", err)
	}
}

func BenchmarkBasicCached(b *testing.B) {
	s := build(b, basic.Options{Verifier: &counted{}})
	r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	r.Header.Set("Authorization", header("alice", "open:sesame"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}

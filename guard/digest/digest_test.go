package digest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/digest"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	protocol "github.com/gatehouse-dev/gatehouse/protocol/digest"
)

const (
	realm    = "tests"
	secret   = "0123456789abcdef0123456789abcdef"
	password = "open sesame"
)

func sealer(t testing.TB, secrets ...string) *digest.Sealer {
	t.Helper()
	if len(secrets) == 0 {
		secrets = []string{secret}
	}
	s, err := digest.NewSealer(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// build returns a scheme that knows alice and jürgen.
func build(t testing.TB, o digest.Options) *digest.Scheme {
	t.Helper()
	o.InsecureUnlimited = o.Limiter == nil // tests guess a lot
	if o.Realm == "" {
		o.Realm = realm
	}
	if o.Sealer == nil {
		o.Sealer = sealer(t)
	}
	if o.Find == nil {
		find, err := o.Sealer.Users(o.Realm, map[string]string{"alice": password, "jürgen": password})
		if err != nil {
			t.Fatal(err)
		}
		o.Find = find
	}
	s, err := digest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func whoami(w http.ResponseWriter, r *http.Request) {
	who, _ := guard.From(r.Context())
	_, _ = io.WriteString(w, who.Subject)
	_, _ = io.Copy(w, r.Body)
}

// client answers challenges as a browser would. Its fields may be changed to make
// it lie; what is empty it fills in rightly.
type client struct {
	username, password string
	method, target     string
	body               string
	algorithm          digest.Algorithm
	qop                digest.QOP
	realm, nonce, uri  string
	cnonce             string
	count              uint32
	name               string // the username parameters, whole
	method2            string // hashed in place of method
	body2              string // hashed in place of body, if not empty
}

func (c client) filled() client {
	or := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	or(&c.username, "alice")
	or(&c.password, password)
	or(&c.method, "GET")
	or(&c.method2, c.method)
	or(&c.target, "/dir/?x=1")
	or(&c.uri, c.target)
	or(&c.realm, realm)
	or(&c.cnonce, "cnonce")
	or((*string)(&c.algorithm), string(digest.SHA256))
	or((*string)(&c.qop), string(digest.Auth))
	or(&c.name, fmt.Sprintf("username=%q", c.username))
	or(&c.body2, c.body)
	if c.count == 0 {
		c.count = 1
	}
	return c
}

// header is the Authorization header, and ha1 what it was made with.
func (c client) header() (header, ha1 string) {
	nc := fmt.Sprintf("%08x", c.count)
	proof := protocol.Credentials{
		Nonce: c.nonce, URI: c.uri, Algorithm: c.algorithm, QOP: c.qop, CNonce: c.cnonce, NC: nc,
	}
	hash := c.algorithm
	if !hash.Known() {
		proof.Algorithm, hash = digest.SHA256, digest.SHA256
	}
	ha1 = protocol.HA1(hash, c.username, c.realm, c.password)
	return fmt.Sprintf(`Digest %s, realm=%q, nonce=%q, uri=%q, response="%s", qop=%s, cnonce=%q, nc=%s, algorithm=%s`,
		c.name, c.realm, c.nonce, c.uri, proof.Expected(ha1, c.method2, []byte(c.body2)), c.qop, c.cnonce, nc, c.algorithm), ha1
}

func send(h http.Handler, c client, authorization ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(c.method, c.target, strings.NewReader(c.body))
	for _, a := range authorization {
		r.Header.Add("Authorization", a)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// do sends c's answer to nonce, or to a fresh challenge if it has none.
func do(h http.Handler, c client) *httptest.ResponseRecorder {
	c = c.filled()
	if c.nonce == "" {
		c.nonce = nonce(send(h, c))
	}
	header, _ := c.header()
	return send(h, c, header)
}

func nonce(w *httptest.ResponseRecorder) string {
	_, after, _ := strings.Cut(w.Header().Get("WWW-Authenticate"), `nonce="`)
	n, _, _ := strings.Cut(after, `"`)
	return n
}

func isStale(w *httptest.ResponseRecorder) bool {
	return w.Code == 401 && strings.Contains(w.Header().Get("WWW-Authenticate"), "stale=true")
}

func TestDigest(t *testing.T) {
	for _, a := range []digest.Algorithm{digest.SHA512256, digest.SHA256, digest.MD5} {
		t.Run(string(a), func(t *testing.T) {
			h := guard.Require(build(t, digest.Options{Algorithms: []digest.Algorithm{a}, InsecureMD5: true, QOP: []digest.QOP{digest.Auth, digest.AuthInt}, Userhash: true}))(http.HandlerFunc(whoami))
			tests := []struct {
				name   string
				client client
				want   string // body of the answer; the status if it is a refusal
			}{
				{"right", client{}, "alice"},
				{"with a body", client{method: "POST", body: "hello"}, "alicehello"},
				{"the body covered", client{method: "POST", body: "hello", qop: digest.AuthInt}, "alicehello"},
				{"no body covered", client{qop: digest.AuthInt}, "alice"},
				{"raw UTF-8", client{username: "jürgen", name: `username="jürgen"`}, "jürgen"},
				{"extended", client{username: "jürgen", name: `username*=UTF-8''j%C3%BCrgen`}, "jürgen"},
				{"userhash", client{name: fmt.Sprintf("username=%q, userhash=true", protocol.Userhash(a, "alice", realm))}, "alice"},
				{"userhash in capitals", client{name: fmt.Sprintf("username=%q, userhash=true", strings.ToUpper(protocol.Userhash(a, "alice", realm)))}, "alice"},
				{"wrong password", client{password: "guess"}, "401"},
				{"unknown name", client{username: "mallory"}, "401"},
				{"no name", client{username: "alice", name: `username=""`}, "401"},
				{"the name for a hash", client{name: `username="alice", userhash=true`}, "401"},
				{"the hash for a name", client{name: fmt.Sprintf("username=%q", protocol.Userhash(a, "alice", realm))}, "401"},
				{"another's proof", client{username: "jürgen", name: `username="alice"`}, "401"},
			}
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					tt.client.algorithm = a
					w := do(h, tt.client)
					got := w.Body.String()
					if w.Code != 200 {
						got = fmt.Sprint(w.Code)
					}
					if got != tt.want {
						t.Errorf("%s, want %s: %s", got, tt.want, w.Body)
					}
					if isStale(w) {
						t.Error("a wrong proof is called stale")
					}
				})
			}
		})
	}
}

func TestChallenges(t *testing.T) {
	s := build(t, digest.Options{Algorithms: []digest.Algorithm{digest.MD5, digest.SHA256, digest.SHA512256}, InsecureMD5: true})
	w := send(guard.Require(s)(http.HandlerFunc(whoami)), client{}.filled())
	var algorithms, nonces []string
	for _, c := range w.Header().Values("WWW-Authenticate") {
		_, after, _ := strings.Cut(c, "algorithm=")
		a, _, _ := strings.Cut(after, ",")
		_, after, _ = strings.Cut(c, `nonce="`)
		n, _, _ := strings.Cut(after, `"`)
		algorithms, nonces = append(algorithms, a), append(nonces, n)
	}
	if !slices.Equal(algorithms, []string{"SHA-512-256", "SHA-256", "MD5"}) {
		t.Errorf("offered %v: the best must come first", algorithms)
	}
	if other := nonce(send(guard.Require(s)(http.HandlerFunc(whoami)), client{}.filled())); slices.Contains(nonces, other) || other == "" {
		t.Error("two challenges have one nonce")
	}
	for name, option := range map[string]guard.Option{"role": guard.Roles("owner"), "step-up": guard.ACR("gold")} {
		h := guard.Require(s, option)(http.HandlerFunc(whoami))
		if w := do(h, client{}); w.Code < 400 || w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}

func TestAuthenticationInfo(t *testing.T) {
	clock := testclock.New()
	h := guard.Require(build(t, digest.Options{Clock: clock.Now}))(http.HandlerFunc(whoami))
	c := client{}.filled()
	c.nonce = nonce(send(h, c))
	c.cnonce = `c"n\once`
	check := func(wantNext bool) {
		t.Helper()
		header, ha1 := c.header()
		info := send(h, c, header).Header().Get("Authentication-Info")
		proof := protocol.Credentials{Nonce: c.nonce, URI: c.uri, Algorithm: c.algorithm, CNonce: c.cnonce, NC: fmt.Sprintf("%08x", c.count)}
		if want := proof.AuthenticationInfo(ha1, ""); !strings.HasSuffix(info, want) {
			t.Errorf("%s, want %s", info, want)
		}
		_, after, found := strings.Cut(info, `nextnonce="`)
		if found != wantNext {
			t.Errorf("nextnonce %v, want %v", found, wantNext)
		}
		if found {
			c.nonce, _, _ = strings.Cut(after, `"`)
			c.count = 0
		}
		c.count++
	}
	check(false)
	clock.Advance(digest.NonceLife / 2)
	check(true)
	clock.Advance(digest.NonceLife - 1) // the first is dead by now
	check(true)
}

func TestThreat_AK08_Replay(t *testing.T) {
	clock := testclock.New()
	scheme := build(t, digest.Options{Clock: clock.Now})
	h := guard.Require(scheme)(http.HandlerFunc(whoami))
	fresh := func() string { return nonce(send(h, client{}.filled())) }
	n := fresh()
	for _, step := range []struct {
		name  string
		count uint32
		ok    bool
	}{
		{"first", 1, true},
		{"the same again", 1, false},
		{"second", 2, true},
		{"a gap", 9, true},
		{"back inside the gap", 5, false},
		{"the highest again", 9, false},
		{"on", 10, true},
		{"the last there is", 1<<32 - 1, true},
		{"around", 1, false},
	} {
		w := do(h, client{nonce: n, count: step.count})
		if (w.Code == 200) != step.ok || !step.ok && !isStale(w) {
			t.Errorf("%s: %d %s", step.name, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
	zero := client{nonce: fresh()}.filled()
	zero.count = 0
	header, _ := zero.header()
	if w := send(h, zero, header); !isStale(w) {
		t.Errorf("a count of nothing: %d", w.Code)
	}

	// An exchange overheard, sent to another place.
	c := client{nonce: fresh()}.filled()
	header, _ = c.header()
	for name, elsewhere := range map[string]client{"another method": {method: "DELETE", target: c.target}, "another target": {method: "GET", target: "/other"}, "another query": {method: "GET", target: "/dir/?x=2"}} {
		if w := send(h, elsewhere, header); w.Code != 401 || isStale(w) {
			t.Errorf("%s: %d", name, w.Code)
		}
	}

	// Age. What is told of it is told to who knows the password.
	n = fresh()
	clock.Advance(digest.NonceLife - time.Millisecond)
	if w := do(h, client{nonce: n}); w.Code != 200 {
		t.Errorf("nearly too old: %d", w.Code)
	}
	clock.Advance(time.Millisecond)
	if w := do(h, client{nonce: n, count: 2}); !isStale(w) {
		t.Errorf("too old: %d", w.Code)
	}
	if w := do(h, client{nonce: n, count: 3, password: "guess"}); w.Code != 401 || isStale(w) {
		t.Error("stale is said to who does not know the password")
	}
	if w := do(h, client{nonce: n, count: 3, username: "mallory"}); w.Code != 401 || isStale(w) {
		t.Error("stale is said to a name nobody has")
	}
	clock.Advance(10 * digest.NonceLife)
	if w := do(h, client{nonce: n, count: 1}); !isStale(w) {
		t.Errorf("forgotten and too old: %d", w.Code)
	}

	// Nonces from elsewhere.
	other := guard.Require(build(t, digest.Options{Clock: clock.Now, Realm: "other"}))(http.HandlerFunc(whoami))
	if w := do(h, client{nonce: nonce(send(other, client{}.filled()))}); w.Code == 200 {
		t.Error("a nonce of another realm is accepted")
	}
	if w := do(h, client{nonce: strings.Repeat("A", 48)}); w.Code == 200 {
		t.Error("a nonce of the client's own is accepted")
	}
	c = client{nonce: fresh()}.filled()
	header, _ = c.header()
	if w := send(h, c, strings.Replace(header, `cnonce="cnonce", `, "", 1)); w.Code != 400 {
		t.Errorf("no cnonce: %d", w.Code)
	}
}

// Two servers with one secret and one count: a nonce of either is good at both,
// once.
// Two guards on the way of one request are one use of its count.
func TestThreat_AK08_GuardsInsideOfOneAnother(t *testing.T) {
	s := build(t, digest.Options{QOP: []digest.QOP{digest.Auth, digest.AuthInt}})
	h := guard.Require(s)(guard.Require(s, guard.Users())(http.HandlerFunc(whoami)))
	for _, qop := range []digest.QOP{digest.Auth, digest.AuthInt} {
		c := client{method: "POST", body: "text", qop: qop, nonce: nonce(do(h, client{method: "POST", password: "wrong"}))}
		if w := do(h, c); w.Code != 200 || w.Body.String() != "alicetext" || w.Header().Get("Authentication-Info") == "" {
			t.Errorf("%s: %d %s", qop, w.Code, w.Body)
		}
		if w := do(h, c); !isStale(w) {
			t.Errorf("%s: the count once more: %d", qop, w.Code)
		}
	}
}

func TestThreat_AK08_TwoServers(t *testing.T) {
	shared := &counts{used: map[string]uint32{}}
	a := guard.Require(build(t, digest.Options{Counts: shared}))(http.HandlerFunc(whoami))
	b := guard.Require(build(t, digest.Options{Counts: shared}))(http.HandlerFunc(whoami))
	n := nonce(send(a, client{}.filled()))
	if w := do(b, client{nonce: n}); w.Code != 200 {
		t.Errorf("a nonce of the other server: %d", w.Code)
	}
	if w := do(a, client{nonce: n}); !isStale(w) {
		t.Errorf("what one server saw is replayed at the other: %d", w.Code)
	}
	shared.err = errors.New("the store is away")
	if w := do(a, client{nonce: n, count: 2}); w.Code != 503 {
		t.Errorf("without its store a server says %d", w.Code)
	}
	lone := guard.Require(build(t, digest.Options{Sealer: sealer(t, strings.Repeat("x", 32))}))(http.HandlerFunc(whoami))
	if w := do(lone, client{nonce: n}); !isStale(w) {
		t.Errorf("after a change of secrets: %d; the browser would ask for the password", w.Code)
	}
}

// counts is a Counts that servers share.
type counts struct {
	mu   sync.Mutex
	used map[string]uint32
	err  error
}

func (c *counts) Use(_ context.Context, nonce string, count uint32, until time.Time) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || until.IsZero() {
		return false, c.err
	}
	if count <= c.used[nonce] {
		return false, nil
	}
	c.used[nonce] = count
	return true, nil
}

func TestThreat_AK08_OneOfMany(t *testing.T) {
	for round := range 20 {
		h := guard.Require(build(t, digest.Options{}))(http.HandlerFunc(whoami))
		n := nonce(send(h, client{}.filled()))
		var ok atomic.Int64
		var ready, done sync.WaitGroup
		start := make(chan struct{})
		for range 64 {
			ready.Add(1)
			done.Go(func() {
				ready.Done()
				<-start
				if do(h, client{nonce: n}).Code == 200 {
					ok.Add(1)
				}
			})
		}
		ready.Wait()
		close(start)
		done.Wait()
		if ok.Load() != 1 {
			t.Fatalf("round %d: one count let %d requests in", round, ok.Load())
		}
	}
}

// Counts are kept as long as their nonce may live, and not for ever.
func TestThreat_AK08_CountsOutliveTheirNonce(t *testing.T) {
	clock := testclock.New()
	h := guard.Require(build(t, digest.Options{Clock: clock.Now}))(http.HandlerFunc(whoami))
	for range 40 { // at every phase of the generations
		n := nonce(send(h, client{}.filled()))
		if w := do(h, client{nonce: n}); w.Code != 200 {
			t.Fatalf("the first time: %d", w.Code)
		}
		clock.Advance(digest.NonceLife - time.Second)
		if w := do(h, client{nonce: n}); !isStale(w) {
			t.Fatalf("the same, just before the nonce dies: %d", w.Code)
		}
		clock.Advance(14 * time.Second)
	}
}

func TestThreat_AK09_Downgrade(t *testing.T) {
	strict := guard.Require(build(t, digest.Options{}))(http.HandlerFunc(whoami))
	covered := guard.Require(build(t, digest.Options{QOP: []digest.QOP{digest.AuthInt}}))(http.HandlerFunc(whoami))
	absolute := "http://example.com/dir/?x=1"
	tests := []struct {
		name   string
		h      http.Handler
		client client
	}{
		{"MD5 that was not offered", strict, client{algorithm: digest.MD5}},
		{"SHA-512-256 that was not offered", strict, client{algorithm: digest.SHA512256}},
		{"a session variant", strict, client{algorithm: "SHA-256-sess"}},
		{"an algorithm of nobody's", strict, client{algorithm: "none"}},
		{"auth-int that was not offered", strict, client{qop: digest.AuthInt}},
		{"a qop of nobody's", strict, client{qop: "none"}},
		{"auth where auth-int was asked for", covered, client{}},
		{"another body", covered, client{qop: digest.AuthInt, method: "POST", body: "pay 100", body2: "pay 1"}},
		{"another realm", strict, client{realm: "other"}},
		{"another target", strict, client{uri: "/"}},
		{"the target without its query", strict, client{uri: "/dir/"}},
		{"the target in another case", strict, client{uri: "/DIR/?x=1"}},
		{"the target escaped", strict, client{uri: "/%64ir/?x=1"}},
		{"the target not escaped", strict, client{target: "/%64ir/", uri: "/dir/"}},
		{"the target with a dot", strict, client{uri: "/./dir/?x=1"}},
		{"the whole address", strict, client{uri: absolute}},
		{"another method", strict, client{method: "POST", method2: "GET"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if w := do(tt.h, tt.client); w.Code != 401 || isStale(w) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	if w := do(covered, client{qop: digest.AuthInt, method: "POST", body: "pay 1"}); w.Code != 200 {
		t.Errorf("a covered body: %d", w.Code)
	}
	// RFC 2069: without qop, and so without counts.
	n := nonce(send(strict, client{}.filled()))
	old := fmt.Sprintf(`Digest username="alice", realm=%q, nonce=%q, uri="/", algorithm=SHA-256, response="%064d"`, realm, n, 0)
	if w := send(strict, client{method: "GET", target: "/"}, old); w.Code != 401 || nonce(w) == "" {
		t.Errorf("a client of RFC 2069: %d %v", w.Code, w.Header())
	}
	for name, o := range map[string]digest.Options{"MD5 by itself": {Algorithms: []digest.Algorithm{digest.MD5}}, "MD5 beside better": {Algorithms: []digest.Algorithm{digest.SHA256, digest.MD5}}} {
		o.Realm, o.Sealer = realm, sealer(t)
		o.Find = func(context.Context, digest.Name) (digest.Record, error) { return digest.Record{}, digest.ErrUnknown }
		if _, err := digest.New(o); err == nil || !strings.Contains(err.Error(), "InsecureMD5") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A body is read up to a bound, and what the handler gets is what was covered.
func TestThreat_AK09_BodyBound(t *testing.T) {
	h := guard.Require(build(t, digest.Options{QOP: []digest.QOP{digest.AuthInt}, MaxBody: 8}))(http.HandlerFunc(whoami))
	for body, want := range map[string]int{"": 200, "12345678": 200, "123456789": 400, strings.Repeat("x", 1<<20): 400} {
		if w := do(h, client{method: "POST", body: body, qop: digest.AuthInt}); w.Code != want || want == 200 && w.Body.String() != "alice"+body {
			t.Errorf("%d bytes: %d %.20s", len(body), w.Code, w.Body)
		}
	}
	c := client{method: "POST", qop: digest.AuthInt, body: "1234"}.filled()
	c.nonce = nonce(send(h, c))
	header, _ := c.header()
	r := httptest.NewRequest(c.method, c.target, io.MultiReader(strings.NewReader("1234"), broken{}))
	r.Header.Set("Authorization", header)
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 400 {
		t.Errorf("a body cut short: %d", w.Code)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Malformed is not nothing: whoever lets strangers in as well does not take the sender for one.
func TestThreat_RP08_MalformedIsNotNothing(t *testing.T) {
	s := build(t, digest.Options{})
	h := guard.Optional(s)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	c := client{}.filled()
	c.nonce = nonce(send(guard.Require(s)(h), c))
	header, _ := c.header()
	for _, separator := range []string{"\t", ",", "=", "/"} {
		if w := send(h, c, "Digest"+separator+strings.TrimPrefix(header, "Digest ")); w.Code != 400 {
			t.Errorf("%q: %d", separator, w.Code)
		}
	}
	if w := send(h, c, "Digestive"+strings.TrimPrefix(header, "Digest")); w.Code != 200 {
		t.Errorf("another scheme: %d", w.Code)
	}
}

func TestThreat_AK10_Headers(t *testing.T) {
	h := guard.Require(build(t, digest.Options{Userhash: true}))(http.HandlerFunc(whoami))
	plain := guard.Require(build(t, digest.Options{}))(http.HandlerFunc(whoami))
	fresh := func() client {
		c := client{}.filled()
		c.nonce = nonce(send(h, c))
		return c
	}
	for name, change := range map[string]func(string) []string{
		"both names":            func(s string) []string { return []string{s + `, username*=UTF-8''alice`} },
		"a name twice":          func(s string) []string { return []string{s + `, username="alice"`} },
		"a response twice":      func(s string) []string { return []string{s + `, response="0"`} },
		"an open quote":         func(s string) []string { return []string{s + `, x="`} },
		"two headers":           func(s string) []string { return []string{s, s} },
		"beside another scheme": func(s string) []string { return []string{"Basic YWxpY2U6eA==", s} },
		"behind itself":         func(s string) []string { return []string{s + ", " + s} },
		"a name in Latin-1":     func(s string) []string { return []string{strings.Replace(s, "alice", "\xe4lice", 1)} },
		"a control character":   func(s string) []string { return []string{strings.Replace(s, "alice", "al\x01ice", 1)} },
		"extended, and a hash": func(s string) []string {
			return []string{strings.Replace(s, `username="`, `userhash=true, username*="`, 1)}
		},
		"an extended name quoted": func(s string) []string {
			return []string{strings.Replace(s, `username="alice"`, `username*="alice"`, 1)}
		},
	} {
		header, _ := fresh().header()
		w := send(h, client{}.filled(), change(header)...)
		if w.Code != 400 || nonce(w) == "" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	c := fresh()
	c.name = fmt.Sprintf("username=%q, userhash=true", protocol.Userhash(digest.SHA256, "alice", realm))
	if w := do(plain, c); w.Code != 401 {
		t.Errorf("a hash where none was offered: %d", w.Code)
	}
	// A name of one algorithm's hash is none in another.
	c.name = fmt.Sprintf("username=%q, userhash=true", protocol.Userhash(digest.MD5, "alice", realm))
	if w := do(h, c); w.Code != 401 {
		t.Errorf("another algorithm's hash: %d", w.Code)
	}
}

// What is stored of a password is good for nothing without the secret, nor in
// another place.
func TestThreat_AK11_Sealed(t *testing.T) {
	s := sealer(t)
	sealed, err := s.Seal(digest.SHA256, realm, "alice", password)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []digest.Algorithm{digest.SHA256, digest.MD5} {
		if ha1 := protocol.HA1(a, "alice", realm, password); bytes.Contains(sealed, []byte(ha1)) || bytes.Contains(sealed, []byte(password)) {
			t.Fatal("it is stored in clear")
		}
	}
	if again, _ := s.Seal(digest.SHA256, realm, "alice", password); bytes.Equal(again, sealed) {
		t.Error("equal passwords are seen to be equal")
	}
	bare := []byte(protocol.HA1(digest.SHA256, "alice", realm, password))
	other, _ := s.Seal(digest.SHA256, realm, "bob", password)
	elsewhere, _ := s.Seal(digest.SHA256, "other", "alice", password)
	md5, _ := s.Seal(digest.MD5, realm, "alice", password)
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for name, tt := range map[string]struct {
		sealer *digest.Sealer
		stored []byte
		status int
	}{
		"sealed":               {s, sealed, 200},
		"the secret rotated":   {sealer(t, strings.Repeat("n", 32), secret), sealed, 200},
		"another secret":       {sealer(t, strings.Repeat("n", 32)), sealed, 500},
		"not sealed":           {s, bare, 500},
		"of another user":      {s, other, 500},
		"of another realm":     {s, elsewhere, 500},
		"of another algorithm": {s, md5, 500},
		"a bit flipped":        {s, flipped, 500},
		"nothing":              {s, nil, 500},
	} {
		h := guard.Require(build(t, digest.Options{Sealer: tt.sealer, Find: func(context.Context, digest.Name) (digest.Record, error) {
			return digest.Record{Username: "alice", HA1: tt.stored}, nil
		}}))(http.HandlerFunc(whoami))
		w := do(h, client{})
		if w.Code != tt.status {
			t.Errorf("%s: %d, want %d", name, w.Code, tt.status)
		}
		if strings.Contains(w.Body.String(), string(bare)) {
			t.Errorf("%s: H(A1) reached the client", name)
		}
	}
	for name, try := range map[string]func() ([]byte, error){
		"an algorithm of nobody's": func() ([]byte, error) { return s.Seal("SHA-1", realm, "alice", password) },
		"a colon in the name":      func() ([]byte, error) { return s.Seal(digest.SHA256, realm, "alice:tests", password) },
		"no password":              func() ([]byte, error) { return s.Seal(digest.SHA256, realm, "alice", "") },
	} {
		if _, err := try(); err == nil {
			t.Errorf("%s is sealed", name)
		}
	}
	if _, err := digest.NewSealer("short"); err == nil || strings.Contains(err.Error(), "short\"") {
		t.Errorf("a short secret: %v", err)
	}
}

// attempts is a Limiter of three.
type attempts struct{ taken map[string]int }

func (a *attempts) Attempt(_ *http.Request, username string) error {
	if a.taken[username] == 3 {
		return &guard.Error{Code: guard.TooManyRequests, RetryAfter: time.Minute}
	}
	a.taken[username]++
	return nil
}

func (a *attempts) Succeeded(_ *http.Request, username string) { a.taken[username]-- }

func TestLimiter(t *testing.T) {
	h := guard.Require(build(t, digest.Options{Limiter: &attempts{map[string]int{}}, Userhash: true}))(http.HandlerFunc(whoami))
	for range 5 {
		if w := do(h, client{}); w.Code != 200 {
			t.Fatalf("a right password is counted: %d", w.Code)
		}
	}
	hashed := fmt.Sprintf("username=%q, userhash=true", protocol.Userhash(digest.SHA256, "alice", realm))
	for i, name := range []string{"", hashed, "", hashed} {
		want := 401
		if i == 3 {
			want = 429
		}
		if w := do(h, client{password: "guess", name: name}); w.Code != want {
			t.Errorf("guess %d: %d, want %d: a name and its hash are counted apart", i, w.Code, want)
		}
	}
	if w := do(h, client{}); w.Code != 429 {
		t.Errorf("the right one after too many: %d", w.Code)
	}
}

// A page and all its pictures, asked for at once with the nonce of the page.
func TestParallelRequestsAreNoGuesses(t *testing.T) {
	limiter := &asked{attempts: attempts{map[string]int{}}}
	h := guard.Require(build(t, digest.Options{Limiter: limiter}))(http.HandlerFunc(whoami))
	n := nonce(send(h, client{}.filled()))
	if w := do(h, client{nonce: n}); w.Code != 200 {
		t.Fatal(w.Code)
	}
	for i := range uint32(64) {
		if w := do(h, client{nonce: n, count: i + 2}); w.Code != 200 {
			t.Fatalf("request %d: %d", i, w.Code)
		}
	}
	if limiter.times != 1 {
		t.Errorf("%d attempts", limiter.times)
	}
	// The nonce opens no door for other names.
	do(h, client{nonce: n, count: 99, username: "jürgen", name: `username="jürgen"`, password: "guess"})
	if limiter.times != 2 {
		t.Error("a guess at another name is not counted")
	}
}

// asked counts how often it is asked.
type asked struct {
	attempts
	times int
}

func (a *asked) Attempt(r *http.Request, username string) error {
	a.times++
	return a.attempts.Attempt(r, username)
}

// Nobody has to think of it.
func TestLimitedByDefault(t *testing.T) {
	sealer := sealer(t)
	find, _ := sealer.Users(realm, map[string]string{"alice": password})
	s, err := digest.New(digest.Options{Realm: realm, Sealer: sealer, Find: find})
	if err != nil {
		t.Fatal(err)
	}
	h := guard.Require(s)(http.HandlerFunc(whoami))
	for i := range 6 {
		want := 401
		if i == 5 {
			want = 429
		}
		if w := do(h, client{password: fmt.Sprint("guess", i)}); w.Code != want {
			t.Errorf("guess %d: %d, want %d", i, w.Code, want)
		}
	}
}

func TestPrincipal(t *testing.T) {
	s := sealer(t)
	sealed, _ := s.Seal(digest.SHA256, realm, "alice", password)
	kept := &guard.Principal{Subject: "user_1", Roles: []string{"admin"}}
	scheme := build(t, digest.Options{Sealer: s, Revocations: banned{}, Find: func(_ context.Context, name digest.Name) (digest.Record, error) {
		switch name.Username {
		case "alice":
			return digest.Record{Username: "alice", HA1: sealed, Principal: kept}, nil
		case "broken":
			return digest.Record{}, errors.New("the database's password is hunter2")
		}
		return digest.Record{}, digest.ErrUnknown
	}})
	h := guard.Require(scheme)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		fmt.Fprint(w, who.Kind, who.Subject, who.Method, who.AMR, who.Roles)
	}))
	if w := do(h, client{}); w.Body.String() != "useruser_1digest[pwd] [admin]" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if kept.Method != "" {
		t.Error("the application's record was written to")
	}
	if w := do(h, client{username: "broken"}); w.Code != 500 || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	kept.Subject = "banned"
	if w := do(h, client{}); w.Code != 401 {
		t.Errorf("banned: %d", w.Code)
	}
}

type banned struct{}

func (banned) Check(_ context.Context, p *guard.Principal, _ string, _ uint64) (uint64, error) {
	if p.Subject == "banned" {
		return 0, &guard.Error{Code: guard.InvalidToken}
	}
	return 0, nil
}

func TestOptions(t *testing.T) {
	_, err := digest.New(digest.Options{Realm: `a"b`, Algorithms: []digest.Algorithm{"SHA-1"}, QOP: []digest.QOP{"auth-conf"}, MaxBody: -1, Proxies: []netip.Prefix{{}}})
	if err == nil || strings.Count(err.Error(), "\n") != 6 {
		t.Errorf("not all problems at once: %v", err)
	}
	for name, users := range map[string]map[string]string{"nobody": nil, "no name": {"": "x"}, "no password": {"a": ""}, "a colon": {"a:b": "x"}} {
		if _, err := sealer(t).Users(realm, users); err == nil {
			t.Errorf("Users builds with %s", name)
		}
	}
}

func BenchmarkDigestVerify(b *testing.B) {
	h := build(b, digest.Options{})
	c := client{}.filled()
	protected := guard.Require(h)(http.HandlerFunc(whoami))
	c.nonce = nonce(send(protected, c))
	requests := make([]*http.Request, 1024)
	at := len(requests)
	b.ReportAllocs()
	for b.Loop() {
		if at == len(requests) {
			b.StopTimer()
			c.nonce, c.count = nonce(send(protected, c)), 0
			for i := range requests {
				c.count++
				requests[i] = httptest.NewRequest(c.method, c.target, nil)
				header, _ := c.header()
				requests[i].Header.Set("Authorization", header)
			}
			at = 0
			b.StartTimer()
		}
		if _, err := h.Authenticate(requests[at]); err != nil {
			b.Fatal(err)
		}
		at++
	}
}

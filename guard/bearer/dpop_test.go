package bearer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// sender holds a DPoP key.
type sender struct {
	key *ecdsa.PrivateKey
	jwk map[string]any
	jkt string
}

func newSender(t testing.TB) *sender {
	t.Helper()
	key := newKey(t)
	data, err := jose.Set{{Alg: jose.ES256, Key: &key.PublicKey}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Keys []map[string]any }
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	jkt, err := jose.Thumbprint(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return &sender{key, document.Keys[0], jkt}
}

// proof makes a proof for GET /shows with token, changed by change.
func (s *sender) proof(t testing.TB, now time.Time, token string, change func(claims map[string]any)) string {
	t.Helper()
	claims := map[string]any{
		"jti": rand.Text(), "htm": "GET", "htu": "https://api.example.com/shows", "iat": now.Unix(), "ath": oauth.TokenHash(token),
	}
	if change != nil {
		change(claims)
	}
	header, err := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": s.jwk})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	digest := sha256.Sum256([]byte(input))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...))
}

func shown(scheme, token string, proofs ...string) *http.Request {
	r := request(scheme + " " + token)
	for _, p := range proofs {
		r.Header.Add("DPoP", p)
	}
	return r
}

func withDPoP(o *bearer.Options) {
	o.URL, o.DPoP = "https://api.example.com", &bearer.DPoP{}
}

func boundTo(jkt string) func(map[string]any) {
	return func(c map[string]any) { c["cnf"] = map[string]any{"jkt": jkt} }
}

func TestThreat_TK16_BoundTokens(t *testing.T) {
	issuer, s, clock := setup(t, withDPoP)
	alice, mallory := newSender(t), newSender(t)
	bound := issuer.AccessToken(t, audience, boundTo(alice.jkt))
	other := issuer.AccessToken(t, audience, boundTo(alice.jkt))
	free := issuer.AccessToken(t, audience, nil)
	certificate := issuer.AccessToken(t, audience, func(c map[string]any) { c["cnf"] = map[string]any{"x5t#S256": alice.jkt} })
	proof := func(change func(map[string]any)) string { return alice.proof(t, clock.Now(), bound, change) }
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	plain := `Bearer`
	algs := `algs="ES256 EdDSA PS256 RS256"`
	const says = `error="invalid_dpop_proof", error_description="`
	once := proof(nil)
	tests := []struct {
		name   string
		r      *http.Request
		status int
		dpop   string // what the challenge for DPoP begins with
	}{
		{"bound, with its proof", shown("DPoP", bound, once), 200, ""},
		{"the proof once more", shown("DPoP", bound, once), 401, says + `The DPoP proof was used before"`},
		{"another proof", shown("dpop", bound, proof(nil)), 200, ""},
		{"no proof", shown("DPoP", bound), 401, says + `The request carries no DPoP proof"`},
		{"two proofs", shown("DPoP", bound, proof(nil), proof(nil)), 401, says + `There is more than one DPoP header"`},
		{"two in one header", shown("DPoP", bound, proof(nil)+","+proof(nil)), 401, says},
		{"somebody else's proof", shown("DPoP", bound, mallory.proof(t, clock.Now(), bound, nil)), 401, `error="invalid_token", error_description="The access token is bound to another key`},
		{"another method", shown("DPoP", bound, proof(set("htm", "POST"))), 401, says},
		{"another path", shown("DPoP", bound, proof(set("htu", "https://api.example.com/users"))), 401, says},
		{"another host", shown("DPoP", bound, proof(set("htu", "https://example.com/shows"))), 401, says},
		{"the host the request names", shown("DPoP", bound, proof(set("htu", "http://example.com/shows"))), 401, says},
		{"with a query", shown("DPoP", bound, proof(set("htu", "https://API.example.com:443/shows?page=2"))), 200, ""},
		{"for another token of the same key", shown("DPoP", bound, alice.proof(t, clock.Now(), other, nil)), 401, says},
		{"without the token's hash", shown("DPoP", bound, proof(func(c map[string]any) { delete(c, "ath") })), 401, says},
		{"a minute and a second old", shown("DPoP", bound, proof(set("iat", clock.Now().Add(-61*time.Second).Unix()))), 401, says},
		{"a minute and a second early", shown("DPoP", bound, proof(set("iat", clock.Now().Add(61*time.Second).Unix()))), 401, says},
		{"ten seconds old", shown("DPoP", bound, proof(set("iat", clock.Now().Add(-10*time.Second).Unix()))), 200, ""},
		{"ten seconds early", shown("DPoP", bound, proof(set("iat", clock.Now().Add(10*time.Second).Unix()))), 200, ""},

		{"bound, by the scheme Bearer", shown("Bearer", bound), 401, algs},
		{"bound, by the scheme Bearer with its proof", shown("Bearer", bound, proof(nil)), 401, algs},
		{"free, by the scheme DPoP", shown("DPoP", free, alice.proof(t, clock.Now(), free, nil)), 401, `error="invalid_token"`},
		{"free, by the scheme Bearer", shown("Bearer", free), 200, ""},
		{"bound to a certificate, by the scheme DPoP", shown("DPoP", certificate, alice.proof(t, clock.Now(), certificate, nil)), 401, `error="invalid_token"`},
		{"the proof in place of the token", shown("DPoP", proof(nil), proof(nil)), 401, `error="invalid_token"`},
		{"nothing", request(), 401, algs},
		{"two schemes", request("Bearer "+free, "DPoP "+bound), 400, algs},
	}
	for _, tt := range tests {
		w := call(s, tt.r)
		challenges := strings.Join(w.Header().Values("WWW-Authenticate"), "\n")
		if w.Code != tt.status {
			t.Errorf("%s: %d\n%s", tt.name, w.Code, challenges)
		}
		if w.Code != 200 && !strings.Contains(challenges, plain) || !strings.Contains(challenges, "DPoP "+tt.dpop) && w.Code != 200 || tt.dpop != "" && !strings.Contains(challenges, algs) {
			t.Errorf("%s: challenges\n%s", tt.name, challenges)
		}
		if strings.HasPrefix(tt.dpop, says) != strings.Contains(w.Body.String(), `"code":"invalid_dpop_proof"`) {
			t.Errorf("%s: challenges\n%s\nand the problem document\n%s", tt.name, challenges, w.Body)
		}
		if strings.Contains(challenges+w.Body.String(), bound) {
			t.Errorf("%s: the token stands in the answer", tt.name)
		}
	}
	w := call(s, shown("DPoP", bound, proof(nil)), guard.DPoPBound())
	if w.Code != 200 {
		t.Errorf("where a bound token is required: %d", w.Code)
	}
	if w := call(s, shown("Bearer", free), guard.DPoPBound()); w.Code != 401 {
		t.Errorf("a free one where a bound one is required: %d", w.Code)
	}
	if _, err := s.Verify(t.Context(), bound); err == nil {
		t.Error("a bound token without a request: accepted")
	}
}

// An API that was not set up for DPoP must not take a bound token for a free one.
func TestThreat_TK16_BoundTokenWithoutDPoP(t *testing.T) {
	issuer, s, clock := setup(t, nil)
	alice := newSender(t)
	token := issuer.AccessToken(t, audience, boundTo(alice.jkt))
	for range 2 {
		if w := call(s, shown("Bearer", token, alice.proof(t, clock.Now(), token, nil))); w.Code != 401 {
			t.Errorf("by the scheme Bearer: %d", w.Code)
		}
		if w := call(s, shown("DPoP", token, alice.proof(t, clock.Now(), token, nil))); w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("by the scheme DPoP, which this API does not know: %d %v", w.Code, w.Header())
		}
	}
}

// Of a hundred requests with one proof, one gets through; afterwards none, for as
// long as the proof could be acceptable.
func TestThreat_TK16_Replay(t *testing.T) {
	issuer, s, clock := setup(t, withDPoP)
	alice := newSender(t)
	token := issuer.AccessToken(t, audience, boundTo(alice.jkt))
	early := alice.proof(t, clock.Now(), token, func(c map[string]any) { c["iat"] = clock.Now().Add(30 * time.Second).Unix() })
	var mu sync.Mutex
	passed := 0
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if w := call(s, shown("DPoP", token, early)); w.Code == 200 {
				mu.Lock()
				passed++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if passed != 1 {
		t.Errorf("%d of 100 passed", passed)
	}
	for second := range 100 {
		clock.Advance(time.Second)
		if w := call(s, shown("DPoP", token, early)); w.Code == 200 {
			t.Fatalf("%d seconds later it passed again", second+1)
		}
		if w := call(s, shown("DPoP", token, alice.proof(t, clock.Now(), token, nil))); w.Code != 200 {
			t.Fatalf("a fresh one: %d", w.Code)
		}
	}
	// Two senders may choose the same jti.
	bob := newSender(t)
	his := issuer.AccessToken(t, audience, boundTo(bob.jkt))
	same := func(c map[string]any) { c["jti"] = "1" }
	if w := call(s, shown("DPoP", token, alice.proof(t, clock.Now(), token, same))); w.Code != 200 {
		t.Errorf("alice: %d", w.Code)
	}
	if w := call(s, shown("DPoP", his, bob.proof(t, clock.Now(), his, same))); w.Code != 200 {
		t.Errorf("bob, with the same jti: %d", w.Code)
	}
}

// A group of routes has a guard, and a route in it another one: the request shows its proof to both,
// and it is one use. Whoever sends the proof again has used it.
func TestThreat_TK16_GuardsInsideOfOneAnother(t *testing.T) {
	issuer, s, clock := setup(t, withDPoP)
	alice := newSender(t)
	token := issuer.AccessToken(t, audience, boundTo(alice.jkt))
	route := guard.Require(s, guard.DPoPBound())(http.HandlerFunc(echo))
	for name, group := range map[string]http.Handler{
		"Require":  guard.Require(s)(route),
		"Optional": guard.Optional(s)(route),
		"AnyOf":    guard.Require(guard.AnyOf(s, nobody{}))(guard.Optional(guard.AnyOf(nobody{}, s))(route)),
	} {
		proof := alice.proof(t, clock.Now(), token, nil)
		if w := serve(group, shown("DPoP", token, proof)); w.Code != 200 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if w := serve(group, shown("DPoP", token, proof)); w.Code != 401 {
			t.Errorf("%s: the proof once more: %d", name, w.Code)
		}
	}
	// What stands between the guards may send something else on: that is judged.
	other := alice.proof(t, clock.Now(), token, nil)
	if w := call(s, shown("DPoP", token, other)); w.Code != 200 {
		t.Fatal(w.Code)
	}
	swapped := guard.Require(s)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("DPoP", other)
		route.ServeHTTP(w, r)
	}))
	if w := serve(swapped, shown("DPoP", token, alice.proof(t, clock.Now(), token, nil))); w.Code != 401 {
		t.Errorf("another proof on the way: %d", w.Code)
	}
}

// nobody is a scheme that nothing is meant for.
type nobody struct{}

func (nobody) Authenticate(*http.Request) (guard.Result, error) { return guard.Result{}, nil }

func (nobody) Challenge(*http.Request, *guard.Error) []string { return nil }

// shared is a store that two processes use, or that is broken.
type shared struct {
	mu   sync.Mutex
	seen map[string]time.Time
	err  error
}

func (s *shared) Use(_ context.Context, id string, until time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return true, s.err
	}
	_, used := s.seen[id]
	s.seen[id] = until
	return !used, nil
}

func TestThreat_TK16_ReplayAtAnotherProcess(t *testing.T) {
	store := &shared{seen: map[string]time.Time{}}
	issuer, one, clock := setup(t, func(o *bearer.Options) { withDPoP(o); o.DPoP.Replays = store })
	_, two, _ := setup(t, func(o *bearer.Options) { withDPoP(o); o.Issuer, o.Clock, o.DPoP.Replays = issuer.URL, clock.Now, store })
	alice := newSender(t)
	token := issuer.AccessToken(t, audience, boundTo(alice.jkt))
	proof := alice.proof(t, clock.Now(), token, nil)
	if w := call(one, shown("DPoP", token, proof)); w.Code != 200 {
		t.Fatal(w.Code)
	}
	if w := call(two, shown("DPoP", token, proof)); w.Code != 401 {
		t.Errorf("at the other process: %d", w.Code)
	}
	for id, until := range store.seen {
		if strings.Contains(id, alice.jkt) || !until.Equal(clock.Now().Add(time.Minute)) {
			t.Errorf("remembered as %q until %v", id, until)
		}
	}
	store.err = errors.New("broken")
	if w := call(one, shown("DPoP", token, alice.proof(t, clock.Now(), token, nil))); w.Code != 503 {
		t.Errorf("when the store is broken: %d", w.Code)
	}
}

// A memory that is full refuses what is new and forgets nothing that could come
// again, until its time is over.
func TestThreat_TK16_AFullMemoryForgetsNothing(t *testing.T) {
	clock := testclock.New()
	store := bearer.UsedProofs(clock.Now, 3)
	use := func(id string) (bool, error) { return store.Use(t.Context(), id, clock.Now().Add(time.Minute)) }
	for _, id := range []string{"a", "b", "c"} {
		if fresh, err := use(id); !fresh || err != nil {
			t.Fatalf("%s: %v, %v", id, fresh, err)
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		if fresh, err := use(id); fresh || err != nil {
			t.Errorf("%s again: %v, %v", id, fresh, err)
		}
	}
	if fresh, err := use("d"); fresh || err == nil {
		t.Errorf("one too many: %v, %v", fresh, err)
	}
	clock.Advance(90 * time.Second)
	if fresh, err := use("d"); !fresh || err != nil {
		t.Errorf("when there is room again: %v, %v", fresh, err)
	}
	if fresh, _ := use("a"); fresh {
		t.Error("a proof of the heap before was forgotten")
	}
	clock.Advance(3 * time.Minute)
	if fresh, err := use("a"); !fresh || err != nil {
		t.Errorf("long after its time: %v, %v", fresh, err)
	}
}

func TestThreat_TK16_Nonces(t *testing.T) {
	key := []byte(rand.Text() + rand.Text())
	issuer, s, clock := setup(t, func(o *bearer.Options) { withDPoP(o); o.DPoP.NonceKey = key })
	alice := newSender(t)
	token := issuer.AccessToken(t, audience, func(c map[string]any) { boundTo(alice.jkt)(c); c["exp"] = clock.Now().Add(time.Hour).Unix() })
	send := func(nonce any) *httptest.ResponseRecorder {
		return call(s, shown("DPoP", token, alice.proof(t, clock.Now(), token, func(c map[string]any) {
			if nonce != nil {
				c["nonce"] = nonce
			}
		})))
	}
	w := send(nil)
	nonce := w.Header().Get("DPoP-Nonce")
	if challenge := strings.Join(w.Header().Values("WWW-Authenticate"), "\n"); w.Code != 401 || nonce == "" || !strings.Contains(challenge, `DPoP error="use_dpop_nonce"`) || !strings.Contains(w.Body.String(), `"code":"use_dpop_nonce"`) {
		t.Fatalf("without a nonce: %d %v", w.Code, w.Header())
	}
	if w := send(nonce); w.Code != 200 || w.Header().Get("DPoP-Nonce") != "" {
		t.Errorf("with it: %d %v", w.Code, w.Header())
	}
	clock.Advance(3 * time.Minute)
	w = send(nonce)
	next := w.Header().Get("DPoP-Nonce")
	if w.Code != 200 || next == "" || next == nonce {
		t.Errorf("with an old one: %d, and %q for the next", w.Code, next)
	}
	clock.Advance(3 * time.Minute)
	if w := send(nonce); w.Code != 401 || w.Header().Get("DPoP-Nonce") == "" {
		t.Errorf("with one that is over: %d", w.Code)
	}
	if w := send(next); w.Code != 200 {
		t.Errorf("with the newer one: %d", w.Code)
	}
	for _, made := range []any{"", "x", strings.Repeat("A", 22), 7} {
		if w := send(made); w.Code != 401 {
			t.Errorf("with the made-up nonce %v: %d", made, w.Code)
		}
	}
	_, other, _ := setup(t, func(o *bearer.Options) { withDPoP(o); o.Issuer, o.Clock, o.DPoP.NonceKey = issuer.URL, clock.Now, key })
	if w := call(other, shown("DPoP", token, alice.proof(t, clock.Now(), token, func(c map[string]any) { c["nonce"] = next }))); w.Code != 200 {
		t.Errorf("at another process with the same key: %d", w.Code)
	}
}

// Behind a router that cuts the path, htu is the address as it was sent; and the
// Host of a request decides nothing.
func TestThreat_TK16_AddressesComeFromTheConfiguration(t *testing.T) {
	issuer, s, clock := setup(t, withDPoP)
	alice := newSender(t)
	token := issuer.AccessToken(t, audience, boundTo(alice.jkt))
	mux := http.NewServeMux()
	mux.Handle("/v1/", http.StripPrefix("/v1", guard.Require(s)(http.HandlerFunc(echo))))
	send := func(htu, host string) int {
		r := httptest.NewRequest(http.MethodGet, "/v1/shows?page=2", nil)
		r.Host = host
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("Authorization", "DPoP "+token)
		r.Header.Set("DPoP", alice.proof(t, clock.Now(), token, func(c map[string]any) { c["htu"] = htu }))
		return serve(mux, r).Code
	}
	for _, tt := range []struct {
		htu, host string
		status    int
	}{
		{"https://api.example.com/v1/shows", "api.example.com", 200},
		{"https://api.example.com/v1/shows", "10.0.0.1:8080", 200},
		{"https://api.example.com/shows", "api.example.com", 401},
		{"https://evil.example/v1/shows", "evil.example", 401},
		{"http://evil.example/v1/shows", "evil.example", 401},
	} {
		if got := send(tt.htu, tt.host); got != tt.status {
			t.Errorf("htu %s, Host %s: %d", tt.htu, tt.host, got)
		}
	}
	_, own, _ := setup(t, func(o *bearer.Options) {
		o.Issuer, o.Clock = issuer.URL, clock.Now
		o.DPoP = &bearer.DPoP{URL: func(r *http.Request) string { return "https://edge.example.com/api" + r.URL.Path }}
	})
	proof := alice.proof(t, clock.Now(), token, func(c map[string]any) { c["htu"] = "https://edge.example.com/api/shows" })
	if w := call(own, shown("DPoP", token, proof)); w.Code != 200 {
		t.Errorf("with an address of its own: %d", w.Code)
	}
}

// Headers that a proxy might set, from whoever likes to set them, change nothing:
// not the address a proof is for, not the certificate a token is bound to.
func TestThreat_HT01_ForwardedHeadersDecideNothing(t *testing.T) {
	issuer, s, clock := setup(t, withDPoP)
	alice := newSender(t)
	certificate, thumbprint := clientCertificate(t, "alice")
	byKey, byCertificate := issuer.AccessToken(t, audience, boundTo(alice.jkt)), issuer.AccessToken(t, audience, boundToCertificate(thumbprint))
	field := ":" + base64.StdEncoding.EncodeToString(certificate.Certificate[0]) + ":"
	for name, header := range map[string]http.Header{
		"X-Forwarded": {"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"https"}},
		"Forwarded":   {"Forwarded": {"host=evil.example;proto=https"}},
		"rewrites":    {"X-Original-Url": {"/shows"}, "X-Rewrite-Url": {"/shows"}, "X-Forwarded-Prefix": {"/shows"}},
		"Client-Cert": {"Client-Cert": {field}, "X-Ssl-Client-Cert": {field}, "X-Forwarded-Client-Cert": {"Hash=" + thumbprint}},
	} {
		for _, htu := range []string{"https://evil.example/shows", "http://example.com/shows", "https://api.example.com/shows"} {
			r := shown("DPoP", byKey, alice.proof(t, clock.Now(), byKey, func(c map[string]any) { c["htu"] = htu }))
			maps.Copy(r.Header, header)
			if w := call(s, r); (w.Code == 200) != (htu == "https://api.example.com/shows") {
				t.Errorf("%s, htu %s: %d", name, htu, w.Code)
			}
		}
		r := shown("Bearer", byCertificate)
		maps.Copy(r.Header, header)
		if w := call(s, r); w.Code != 401 {
			t.Errorf("%s, bound to a certificate: %d", name, w.Code)
		}
	}
}

// Nothing a client sent stands in an answer's header.
func TestThreat_HT03_ChallengesHoldNothingOfTheRequest(t *testing.T) {
	_, s, clock := setup(t, withDPoP)
	alice := newSender(t)
	const marker = "zzmarkerzz"
	for _, r := range []*http.Request{
		request("Bearer " + marker), request("DPoP " + marker), request(marker + " x"), shown("DPoP", "a.b.c", marker),
		shown("DPoP", "a.b.c", alice.proof(t, clock.Now(), "a.b.c", func(c map[string]any) { c["htu"], c["htm"], c["nonce"] = marker, marker, marker })),
	} {
		w := call(s, r)
		for name, values := range w.Header() {
			if strings.Contains(strings.Join(values, " "), marker) {
				t.Errorf("%s: %q", name, values)
			}
		}
		if strings.Contains(w.Body.String(), marker) {
			t.Errorf("the body: %s", w.Body)
		}
	}
}

// A bound token that the issuer is asked about is bound all the same.
func TestThreat_TK16_OpaqueBoundToken(t *testing.T) {
	issuer, s, clock := setup(t, func(o *bearer.Options) { withDPoP(o); asking(nil)(o) })
	alice := newSender(t)
	token := issuer.OpaqueToken(t, audience, func(c map[string]any) { boundTo(alice.jkt)(c); c["token_type"] = "DPoP" })
	for range 2 {
		if w := call(s, shown("DPoP", token, alice.proof(t, clock.Now(), token, nil))); w.Code != 200 {
			t.Errorf("with a proof: %d", w.Code)
		}
		if w := call(s, shown("DPoP", token)); w.Code != 401 {
			t.Errorf("without one: %d", w.Code)
		}
		if w := call(s, shown("Bearer", token)); w.Code != 401 {
			t.Errorf("as Bearer: %d", w.Code)
		}
	}
}

// Nine kinds of token and proof before the three ways to show one: only an access
// token passes, each by its own way.
func TestThreat_JW05_KindsAndSchemes(t *testing.T) {
	issuer, s, clock := setup(t, withDPoP)
	alice := newSender(t)
	bound := issuer.AccessClaims(audience)
	boundTo(alice.jkt)(bound)
	id := issuer.IDClaims("")
	id["aud"] = audience
	logout := map[string]any{"iss": issuer.URL, "aud": audience, "sub": "alice", "iat": bound["iat"], "exp": bound["exp"], "jti": "1", "events": map[string]any{}}
	proof := alice.proof(t, clock.Now(), "x", func(c map[string]any) { maps.Copy(c, bound) })
	kinds := map[string]struct{ token, ways string }{
		"access token":                 {issuer.AccessToken(t, audience, nil), "Bearer"},
		"bound access token":           {issuer.Sign(t, "at+jwt", bound), "DPoP"},
		"access token of another type": {issuer.Sign(t, "JWT", bound), ""},
		"ID token":                     {issuer.Sign(t, "JWT", id), ""},
		"ID token, dressed up":         {issuer.Sign(t, "at+jwt", id), ""},
		"logout token":                 {issuer.Sign(t, "logout+jwt", logout), ""},
		"security event":               {issuer.Sign(t, "secevent+jwt", bound), ""},
		"DPoP proof":                   {proof, ""},
		"proof signed by the issuer":   {issuer.Sign(t, "dpop+jwt", bound), ""},
		"client assertion":             {issuer.Sign(t, "JWT", map[string]any{"iss": testissuer.ClientID, "sub": testissuer.ClientID, "aud": audience, "exp": bound["exp"], "jti": "1"}), ""},
		"refresh token":                {rand.Text(), ""},
	}
	for name, kind := range kinds {
		for _, way := range []string{"Bearer", "DPoP", "Token"} {
			w := call(s, shown(way, kind.token, alice.proof(t, clock.Now(), kind.token, nil)))
			if (w.Code == 200) != (way == kind.ways) {
				t.Errorf("%s by the scheme %s: %d", name, way, w.Code)
			}
		}
	}
}

func FuzzThreat_TK16_ProofHeader(f *testing.F) {
	clock := testclock.New()
	issuer, s, _ := setup(f, func(o *bearer.Options) { withDPoP(o); o.Clock = clock.Now })
	issuer.Now = clock.Now
	alice := newSender(f)
	token := issuer.AccessToken(f, audience, boundTo(alice.jkt))
	good := alice.proof(f, clock.Now(), token, nil)
	for _, seed := range []string{"", good, good + ",", good[:40], "e30.e30.", strings.Repeat("a.", 9000), strings.ToUpper(good)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, proof string) {
		w := call(s, shown("DPoP", token, proof))
		if w.Code == http.StatusOK && proof != good {
			t.Errorf("accepted %q", proof)
		}
		if w.Code != http.StatusOK && w.Code != http.StatusUnauthorized {
			t.Errorf("%q: %d", proof, w.Code)
		}
	})
}

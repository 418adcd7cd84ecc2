package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

const (
	proofURL   = "https://api.example.com/shows"
	proofToken = "access.token.text"
)

// publicJWK returns a public key as the JSON of a header.
func publicJWK(t testing.TB, public any, alg jose.Alg) map[string]any {
	t.Helper()
	data := must(jose.Set{{Alg: alg, Key: public}}.Marshal())
	var document struct{ Keys []map[string]any }
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	return document.Keys[0]
}

// signProof signs header and claims as they are given, with an ES256 key.
func signProof(t testing.TB, key *ecdsa.PrivateKey, header, claims map[string]any) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	input := encode(must(json.Marshal(header))) + "." + encode(must(json.Marshal(claims)))
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

type prover struct {
	key            *ecdsa.PrivateKey
	header, claims map[string]any
}

func newProver(t testing.TB) *prover {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return &prover{
		key:    key,
		header: map[string]any{"alg": "ES256", "typ": "dpop+jwt", "jwk": publicJWK(t, &key.PublicKey, jose.ES256)},
		claims: map[string]any{"jti": "proof-1", "htm": "GET", "htu": proofURL, "iat": now.Unix(), "ath": oauth.TokenHash(proofToken)},
	}
}

func (p *prover) proof(t testing.TB, change func(header, claims map[string]any)) string {
	t.Helper()
	header, claims := maps.Clone(p.header), maps.Clone(p.claims)
	header["jwk"] = maps.Clone(header["jwk"].(map[string]any))
	if change != nil {
		change(header, claims)
	}
	return signProof(t, p.key, header, claims)
}

func proofRules() oauth.DPoPRules {
	return oauth.DPoPRules{Method: "GET", URL: proofURL, Algs: oauth.DPoPAlgs(), Now: now, AccessToken: proofToken}
}

func TestVerifyDPoPProof(t *testing.T) {
	p := newProver(t)
	proof, err := oauth.VerifyDPoPProof(p.proof(t, nil), proofRules())
	if err != nil {
		t.Fatal(err)
	}
	if want := must(jose.Thumbprint(&p.key.PublicKey)); proof.JKT != want || proof.ID != "proof-1" || !proof.Until.Equal(now.Add(oauth.DPoPMaxAge)) {
		t.Errorf("%+v, want the key %s", proof, want)
	}
}

func TestThreat_TK16_Proofs(t *testing.T) {
	p := newProver(t)
	other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	claim := func(name string, value any) func(_, c map[string]any) {
		return func(_, c map[string]any) { c[name] = value }
	}
	header := func(name string, value any) func(h, _ map[string]any) {
		return func(h, _ map[string]any) { h[name] = value }
	}
	jwk := func(name string, value any) func(h, _ map[string]any) {
		return func(h, _ map[string]any) { h["jwk"].(map[string]any)[name] = value }
	}
	raw, err := p.key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	private := base64.RawURLEncoding.EncodeToString(raw)
	tests := []struct {
		name   string
		change func(header, claims map[string]any)
		ok     bool
	}{
		{"as it should be", nil, true},
		{"made ten seconds ago", claim("iat", now.Add(-10*time.Second).Unix()), true},
		{"made ten seconds from now", claim("iat", now.Add(10*time.Second).Unix()), true},
		{"a kid beside the key", jwk("kid", strings.Repeat("k", 200)), true},
		{"extra claims", claim("sub", "alice"), true},

		{"too old", claim("iat", now.Add(-61*time.Second).Unix()), false},
		{"from the future", claim("iat", now.Add(61*time.Second).Unix()), false},
		{"from the near future", claim("iat", now.Add(31*time.Second).Unix()), false},
		{"no iat", claim("iat", nil), false},
		{"iat is text", claim("iat", "1893553445"), false},
		{"iat is a fraction", claim("iat", float64(now.Unix())+.5), false},
		{"another method", claim("htm", "POST"), false},
		{"method in lower case", claim("htm", "get"), false},
		{"no method", claim("htm", ""), false},
		{"another path", claim("htu", proofURL+"/1"), false},
		{"another host", claim("htu", "https://evil.example/shows"), false},
		{"plain http", claim("htu", "http://api.example.com/shows"), false},
		{"no address", claim("htu", ""), false},
		{"another access token", claim("ath", oauth.TokenHash("another")), false},
		{"the token itself as its hash", claim("ath", proofToken), false},
		{"no access token", func(_, c map[string]any) { delete(c, "ath") }, false},
		{"no jti", claim("jti", ""), false},
		{"jti is a number", claim("jti", 7), false},
		{"jti without end", claim("jti", strings.Repeat("j", 257)), false},

		{"type JWT", header("typ", "JWT"), false},
		{"type at+jwt", header("typ", "at+jwt"), false},
		{"no type", func(h, _ map[string]any) { delete(h, "typ") }, false},
		{"alg none", header("alg", "none"), false},
		{"alg HS256", header("alg", "HS256"), false},
		{"alg of another key", header("alg", "RS256"), false},
		{"no key", func(h, _ map[string]any) { delete(h, "jwk") }, false},
		{"key is a list", header("jwk", []any{p.header["jwk"]}), false},
		{"another key", header("jwk", publicJWK(t, &other.PublicKey, jose.ES256)), false},
		{"private key", jwk("d", private), false},
		{"secret key", header("jwk", map[string]any{"kty": "oct", "k": "AAAA"}), false},
		{"key for encryption", jwk("use", "enc"), false},
		{"key off the curve", jwk("x", base64.RawURLEncoding.EncodeToString(make([]byte, 32))), false},
		{"crit", header("crit", []string{"exp"}), false},
		{"b64", header("b64", false), false},
	}
	for _, tt := range tests {
		_, err := oauth.VerifyDPoPProof(p.proof(t, tt.change), proofRules())
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && oauth.CodeOf(err) != oauth.InvalidDPoPProof {
			t.Errorf("%s: code %s", tt.name, oauth.CodeOf(err))
		}
	}
	good := p.proof(t, nil)
	for name, proof := range map[string]string{
		"cut": good[:len(good)-2], "empty": "", "twice": good + "," + good, "two segments": good[:strings.LastIndexByte(good, '.')],
		"huge": p.proof(t, claim("pad", strings.Repeat("x", 9000))), "duplicate claims": duplicated(t, p),
	} {
		if _, err := oauth.VerifyDPoPProof(proof, proofRules()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// duplicated is a proof whose claims name two methods.
func duplicated(t testing.TB, p *prover) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	payload := strings.Replace(string(must(json.Marshal(p.claims))), `"htm":"GET"`, `"htm":"GET","htm":"GET"`, 1)
	input := encode(must(json.Marshal(p.header))) + "." + encode([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// Proofs and tokens, each with a good signature, before each other's readers:
// only the diagonal passes.
func TestThreat_JW05_ProofsAndTokens(t *testing.T) {
	p := newProver(t)
	set := jose.Set{{KeyID: "es", Alg: jose.ES256, Key: &p.key.PublicKey}}
	payload := func(more map[string]any) map[string]any {
		var c map[string]any
		if err := json.Unmarshal(must(json.Marshal(userClaims())), &c); err != nil {
			t.Fatal(err)
		}
		maps.Copy(c, more)
		return c
	}
	sign := func(typ string, claims map[string]any) string {
		return signProof(t, p.key, map[string]any{"alg": "ES256", "typ": typ, "kid": "es", "jwk": p.header["jwk"]}, claims)
	}
	foreign := payload(map[string]any{"aud": "https://api/tv-shows"})
	delete(foreign, "gid")
	kinds := map[string]struct{ token, reader string }{
		"access token, rfc9068":              {sign("at+jwt", payload(nil)), "rfc9068 untyped"},
		"access token, auth0":                {sign("JWT", payload(nil)), "auth0 untyped"},
		"access token, untyped":              {sign("JWT", foreign), "untyped"},
		"proof":                              {sign("dpop+jwt", p.claims), "proof"},
		"proof of type JWT":                  {sign("JWT", p.claims), ""},
		"proof with the claims of a token":   {sign("dpop+jwt", payload(p.claims)), "proof"},
		"the same of type at+jwt":            {sign("at+jwt", payload(p.claims)), ""},
		"the same of type JWT":               {sign("JWT", payload(p.claims)), ""},
		"access token that calls itself one": {sign("dpop+jwt", payload(nil)), ""},
	}
	readers := map[string]func(token string) error{
		"proof": func(token string) error { _, err := oauth.VerifyDPoPProof(token, proofRules()); return err },
	}
	for _, d := range []oauth.Dialect{oauth.DialectRFC9068, oauth.DialectAuth0, oauth.DialectUntyped} {
		readers[string(d)] = func(token string) error {
			_, err := oauth.VerifyAccessToken(token, rules(d), set.Lookup)
			return err
		}
	}
	for name, kind := range kinds {
		for reader, read := range readers {
			want := strings.Contains(" "+kind.reader+" ", " "+reader+" ")
			if err := read(kind.token); (err == nil) != want {
				t.Errorf("%s read as %s: %v", name, reader, err)
			}
		}
	}
}

// A public key must not become a secret: neither by the proof's alg nor because
// the rules list HS256 by mistake.
func TestThreat_TK16_NoSymmetricProofs(t *testing.T) {
	p := newProver(t)
	rules := proofRules()
	rules.Algs = append(rules.Algs, jose.HS256)
	encode := base64.RawURLEncoding.EncodeToString
	secret := []byte("a secret of thirty-two bytes and more")
	for name, jwk := range map[string]any{
		"the public key": p.header["jwk"], "a secret": map[string]any{"kty": "oct", "k": encode(secret)},
	} {
		input := encode(must(json.Marshal(map[string]any{"alg": "HS256", "typ": "dpop+jwt", "jwk": jwk}))) + "." + encode(must(json.Marshal(p.claims)))
		for _, key := range [][]byte{secret, must(json.Marshal(jwk))} {
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(input))
			if _, err := oauth.VerifyDPoPProof(input+"."+encode(mac.Sum(nil)), rules); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	}
}

func TestThreat_TK16_Nonce(t *testing.T) {
	p := newProver(t)
	rules := proofRules()
	rules.Nonce = func(nonce string) bool { return nonce == "n-1" }
	for nonce, want := range map[any]string{"n-1": "", "n-2": oauth.UseDPoPNonce, "": oauth.UseDPoPNonce, 7: oauth.InvalidDPoPProof} {
		_, err := oauth.VerifyDPoPProof(p.proof(t, func(_, c map[string]any) { c["nonce"] = nonce }), rules)
		if oauth.CodeOf(err) != want {
			t.Errorf("nonce %v: %v", nonce, err)
		}
	}
	// What is wrong besides is said first: a client that made a bad proof would
	// make a bad one again.
	_, err := oauth.VerifyDPoPProof(p.proof(t, func(_, c map[string]any) { c["htm"] = "PUT" }), rules)
	if oauth.CodeOf(err) != oauth.InvalidDPoPProof {
		t.Errorf("bad proof without a nonce: %v", err)
	}
}

func TestThreat_TK16_ZeroRulesAcceptNothing(t *testing.T) {
	proof := newProver(t).proof(t, nil)
	for name, change := range map[string]func(*oauth.DPoPRules){
		"no method": func(r *oauth.DPoPRules) { r.Method = "" },
		"no URL":    func(r *oauth.DPoPRules) { r.URL = "" },
		"no algs":   func(r *oauth.DPoPRules) { r.Algs = nil },
		"no time":   func(r *oauth.DPoPRules) { r.Now = time.Time{} },
	} {
		rules := proofRules()
		change(&rules)
		if _, err := oauth.VerifyDPoPProof(proof, rules); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestThreat_TK16_Targets(t *testing.T) {
	p := newProver(t)
	tests := []struct {
		htu, url string
		same     bool
	}{
		{"https://api.example.com/shows", "https://api.example.com/shows", true},
		{"HTTPS://API.Example.COM/shows", "https://api.example.com/shows", true},
		{"https://api.example.com:443/shows", "https://api.example.com/shows", true},
		{"https://api.example.com/shows?page=2#top", "https://api.example.com/shows", true},
		{"https://api.example.com/shows", "https://api.example.com/shows?page=2", true},
		{"https://api.example.com", "https://api.example.com/", true},
		{"https://api.example.com/%7Ealice", "https://api.example.com/~alice", true},
		{"https://api.example.com/a%2fb", "https://api.example.com/a%2Fb", true},
		{"https://api.example.com/x/../shows", "https://api.example.com/shows", true},
		{"https://api.example.com/./shows", "https://api.example.com/shows", true},
		{"http://127.0.0.1:8080/", "http://127.0.0.1:8080/", true},
		{"https://[::1]:443/a", "https://[::1]/a", true},

		{"https://api.example.com/Shows", "https://api.example.com/shows", false},
		{"https://api.example.com/shows/", "https://api.example.com/shows", false},
		{"https://api.example.com//shows", "https://api.example.com/shows", false},
		{"https://api.example.com/a%2Fb", "https://api.example.com/a/b", false},
		{"https://api.example.com:444/shows", "https://api.example.com/shows", false},
		{"http://api.example.com:443/shows", "https://api.example.com/shows", false},
		{"https://api.example.com.evil.example/shows", "https://api.example.com/shows", false},
		{"https://api.example.com@evil.example/shows", "https://evil.example/shows", false},
		{"https://alice@api.example.com/shows", "https://api.example.com/shows", false},
		{"//api.example.com/shows", "https://api.example.com/shows", false},
		{"/shows", "https://api.example.com/shows", false},
		{"https:api.example.com/shows", "https://api.example.com/shows", false},
		{"ftp://api.example.com/shows", "ftp://api.example.com/shows", false},
		{"https://api.example.com/%zz", "https://api.example.com/%zz", false},
		{"https://api.example.com/" + strings.Repeat("a", 5000), "https://api.example.com/" + strings.Repeat("a", 5000), false},
		{"", "", false},
	}
	for _, tt := range tests {
		rules := proofRules()
		rules.URL = tt.url
		_, err := oauth.VerifyDPoPProof(p.proof(t, func(_, c map[string]any) { c["htu"] = tt.htu }), rules)
		if (err == nil) != tt.same {
			t.Errorf("htu %.60q at %.60q: %v", tt.htu, tt.url, err)
		}
	}
}

func TestDPoPHeader(t *testing.T) {
	h := http.Header{}
	if _, err := oauth.DPoPHeader(h); err != oauth.ErrNoDPoPProof {
		t.Errorf("none: %v", err)
	}
	h.Add("DPoP", "a")
	if proof, err := oauth.DPoPHeader(h); proof != "a" || err != nil {
		t.Errorf("one: %q, %v", proof, err)
	}
	h.Add("DPoP", "a")
	if _, err := oauth.DPoPHeader(h); oauth.CodeOf(err) != oauth.InvalidDPoPProof {
		t.Errorf("two: %v", err)
	}
}

func TestDPoPChallenge(t *testing.T) {
	got := oauth.DPoPChallenge([]jose.Alg{jose.ES256, jose.RS256}, oauth.Parameter{Name: "error", Value: oauth.UseDPoPNonce})
	if want := `DPoP error="use_dpop_nonce", algs="ES256 RS256"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The example of RFC 9449 §7.1: the hash of its access token.
func TestTokenHash(t *testing.T) {
	if got := oauth.TokenHash("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"); got != "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" {
		t.Error(got)
	}
}

// Whatever comes as a proof is refused or is one for this request.
func FuzzThreat_TK16_Proof(f *testing.F) {
	p := newProver(f)
	good := p.proof(f, nil)
	f.Add(good, proofURL)
	f.Add(good, "https://api.example.com/%73hows")
	f.Add(strings.Replace(good, ".", "..", 1), proofURL)
	f.Add("e30.e30.", "")
	f.Add("eyJqd2siOnt9fQ.e30.AA", "https://[::1]:443/../%2e%2E/a")
	f.Fuzz(func(t *testing.T, proof, url string) {
		rules := proofRules()
		rules.URL = url
		if got, err := oauth.VerifyDPoPProof(proof, rules); err == nil {
			// Fuzzing runs in several processes, each with a prover of its own.
			header, peeked := jose.Peek(proof)
			if got.JKT == "" || got.ID != "proof-1" || peeked != nil || header.Type != "dpop+jwt" || !header.Alg.Asymmetric() {
				t.Errorf("accepted %q", proof)
			}
		} else if got != nil || oauth.CodeOf(err) != oauth.InvalidDPoPProof {
			t.Errorf("%v beside %v", got, err)
		}
	})
}

func BenchmarkVerifyDPoPProof(b *testing.B) {
	proof, rules := newProver(b).proof(b, nil), proofRules()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := oauth.VerifyDPoPProof(proof, rules); err != nil {
			b.Fatal(err)
		}
	}
}

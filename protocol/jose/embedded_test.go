package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// embed signs a token whose header carries the public key as jwk, with the
// member alg of the key as given, "" for none.
func embed(t testing.TB, alg jose.Alg, keyAlg string, key crypto.Signer) string {
	t.Helper()
	data, err := jose.Set{{Alg: alg, Key: key.Public()}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Keys []map[string]any }
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	jwk := document.Keys[0]
	delete(jwk, "alg")
	if keyAlg != "" {
		jwk["alg"] = keyAlg
	}
	header, err := json.Marshal(map[string]any{"alg": alg, "typ": "dpop+jwt", "jwk": jwk})
	if err != nil {
		t.Fatal(err)
	}
	input := base64.RawURLEncoding.EncodeToString(header) + ".e30"
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	switch key := key.(type) {
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(input))
	case *rsa.PrivateKey:
		if alg == jose.PS256 {
			signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		}
	case *ecdsa.PrivateKey:
		r, s, signErr := ecdsa.Sign(rand.Reader, key, digest[:])
		if err = signErr; err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestVerifyEmbedded(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	all := []jose.Alg{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA, jose.HS256}
	tests := []struct {
		name   string
		alg    jose.Alg
		keyAlg string
		key    crypto.Signer
		algs   []jose.Alg
		want   error
	}{
		{"ES256", jose.ES256, "", ec, all, nil},
		{"ES256 by name", jose.ES256, "ES256", ec, all, nil},
		{"RS256", jose.RS256, "", rsaKey, all, nil},
		{"PS256", jose.PS256, "", rsaKey, all, nil},
		{"PS256 by name", jose.PS256, "PS256", rsaKey, all, nil},
		{"EdDSA", jose.EdDSA, "", ed, all, nil},
		{"PS256 with a key for RS256", jose.PS256, "RS256", rsaKey, all, jose.ErrAlgorithm},
		{"RS256 with a key for PS256", jose.RS256, "PS256", rsaKey, all, jose.ErrAlgorithm},
		{"not among the algorithms", jose.RS256, "", rsaKey, []jose.Alg{jose.ES256}, jose.ErrAlgorithm},
		{"no algorithms", jose.ES256, "", ec, nil, jose.ErrAlgorithm},
		{"a key we do not speak", jose.ES256, "ES512", ec, all, jose.ErrWeakKey},
	}
	for _, tt := range tests {
		verified, thumbprint, err := jose.VerifyEmbedded(embed(t, tt.alg, tt.keyAlg, tt.key), jose.Expect{Types: []string{"dpop+jwt"}, Algs: tt.algs})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			continue
		}
		if want, _ := jose.Thumbprint(tt.key.Public()); err == nil && (thumbprint != want || verified.Alg() != tt.alg) {
			t.Errorf("%s: key %s, %s", tt.name, thumbprint, verified.Alg())
		}
		if err != nil && (thumbprint != "" || verified.Payload() != nil) {
			t.Errorf("%s: something beside an error", tt.name)
		}
	}
}

func TestThreat_JW10_EmbeddedKeys(t *testing.T) {
	number := func(bits int) string {
		n := make([]byte, bits/8)
		_, _ = rand.Read(n)
		n[0], n[len(n)-1] = n[0]|0x80, n[len(n)-1]|1
		return base64.RawURLEncoding.EncodeToString(n)
	}
	for name, jwk := range map[string]map[string]any{
		"RSA of 1024 bits":  {"kty": "RSA", "n": number(1024), "e": "AQAB"},
		"RSA of 16384 bits": {"kty": "RSA", "n": number(16384), "e": "AQAB"},
		"RSA, e is 1":       {"kty": "RSA", "n": number(2048), "e": "AQ"},
		"RSA, e is even":    {"kty": "RSA", "n": number(2048), "e": "Ag"},
		"EC off the curve":  {"kty": "EC", "crv": "P-256", "x": number(256), "y": number(256)},
		"EC at nought":      {"kty": "EC", "crv": "P-256", "x": base64.RawURLEncoding.EncodeToString(make([]byte, 32)), "y": base64.RawURLEncoding.EncodeToString(make([]byte, 32))},
		"EC, short":         {"kty": "EC", "crv": "P-256", "x": number(248), "y": number(256)},
		"P-384":             {"kty": "EC", "crv": "P-384", "x": number(384), "y": number(384)},
		"Ed25519, short":    {"kty": "OKP", "crv": "Ed25519", "x": number(128)},
		"no type":           {"n": number(2048), "e": "AQAB"},
	} {
		for _, alg := range []jose.Alg{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA} {
			header, err := json.Marshal(map[string]any{"alg": alg, "typ": "dpop+jwt", "jwk": jwk})
			if err != nil {
				t.Fatal(err)
			}
			token := base64.RawURLEncoding.EncodeToString(header) + ".e30." + number(512)
			_, _, err = jose.VerifyEmbedded(token, jose.Expect{Types: []string{"dpop+jwt"}, Algs: []jose.Alg{alg}})
			if !errors.Is(err, jose.ErrWeakKey) {
				t.Errorf("%s, %s: %v", name, alg, err)
			}
		}
	}
}

func TestPeekIssuer(t *testing.T) {
	token := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".AA"
	}
	if got, err := jose.PeekIssuer(token(`{"sub":"a","iss":"https://id.example.com/"}`)); got != "https://id.example.com/" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", "a", "a.b", "..", token(`{}`), token(`{"iss":1}`), token(`{"iss":["a"]}`), token(`{"iss":"a","iss":"b"}`), token(`[]`), token(`{"iss":"a"} x`), "e30.!!.AA"} {
		if got, err := jose.PeekIssuer(bad); got != "" || err == nil {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}

func TestSame(t *testing.T) {
	a, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edA, _, _ := ed25519.GenerateKey(rand.Reader)
	edB, _, _ := ed25519.GenerateKey(rand.Reader)
	twin := a.PublicKey
	one := jose.Key{KeyID: "1", Alg: jose.ES256, Key: &a.PublicKey}
	for name, tt := range map[string]struct {
		other jose.Key
		same  bool
	}{
		"itself":            {one, true},
		"parsed again":      {jose.Key{KeyID: "1", Alg: jose.ES256, Key: &twin}, true},
		"another kid":       {jose.Key{KeyID: "2", Alg: jose.ES256, Key: &a.PublicKey}, false},
		"another algorithm": {jose.Key{KeyID: "1", Alg: jose.EdDSA, Key: &a.PublicKey}, false},
		"another key":       {jose.Key{KeyID: "1", Alg: jose.ES256, Key: &b.PublicKey}, false},
		"another type":      {jose.Key{KeyID: "1", Alg: jose.ES256, Key: edA}, false},
		"no key":            {jose.Key{KeyID: "1", Alg: jose.ES256}, false},
	} {
		if one.Same(tt.other) != tt.same {
			t.Errorf("%s: %v", name, !tt.same)
		}
	}
	ed := jose.Key{Alg: jose.EdDSA, Key: edA}
	secret := jose.Key{Alg: jose.HS256, Key: []byte("0123456789abcdef0123456789abcdef")}
	if !ed.Same(ed) || ed.Same(jose.Key{Alg: jose.EdDSA, Key: edB}) || !secret.Same(secret) || secret.Same(jose.Key{Alg: jose.HS256, Key: []byte("x")}) || secret.Same(ed) {
		t.Error("Ed25519 or a secret")
	}
}

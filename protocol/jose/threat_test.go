package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

var accessTokens = jose.Expect{Types: []string{"at+jwt"}, Algs: allAlgs}

// publicKeys answers with the test key for each algorithm, all under kid k1.
func publicKeys(t testing.TB) jose.KeyFunc {
	var keys []jose.Key
	for _, alg := range allAlgs {
		keys = append(keys, signerFor(t, "k1", alg).Public())
	}
	return only(keys...)
}

// brokenTokens is a corpus of tokens made from good ones, each broken in one
// way.
func brokenTokens(t testing.TB) []string {
	var corpus []string
	add := func(format string, args ...any) { corpus = append(corpus, fmt.Sprintf(format, args...)) }
	payload := b64(`{"sub":"joe"}`)

	for _, none := range []string{"none", "None", "NONE", "nOnE", "nonE", "", " none", "none ", "null", "HS512", "RS512", "ES384", "ES256K", "rs256", "Rs256", "RS256 ", "RSA1_5", "dir", "PBES2-HS256+A128KW"} {
		header := b64(fmt.Sprintf(`{"alg":%q,"typ":"at+jwt","kid":"k1"}`, none))
		add("%s.%s.", header, payload)
		add("%s.%s", header, payload)
		add("%s.%s.%s", header, payload, b64("signature"))
		for _, alg := range allAlgs {
			add("%s.%s.%s", header, payload, base64.RawURLEncoding.EncodeToString(rawSignature(t, alg, header+"."+payload)))
		}
	}
	for _, header := range []string{
		`{}`, `[]`, `null`, `"x"`, `1`, ``, ` `, `{`, `{"typ":"at+jwt","kid":"k1"}`, `{"alg":null,"typ":"at+jwt","kid":"k1"}`, `{"alg":["ES256"],"typ":"at+jwt","kid":"k1"}`,
		`{"alg":{"a":1},"typ":"at+jwt"}`, `{"alg":1,"typ":"at+jwt"}`, `{"ALG":"ES256","typ":"at+jwt","kid":"k1"}`, `{"alg":"ES256","TYP":"at+jwt","kid":"k1"}`,
		`{"alg":"ES256","alg":"ES256","typ":"at+jwt","kid":"k1"}`, `{"alg":"ES256","typ":"at+jwt","typ":"at+jwt","kid":"k1"}`, `{"alg":"ES256","typ":"at+jwt","kid":"k1"}x`,
		`{"alg":"ES256","typ":"at+jwt","kid":"k1"}{}`, "\ufeff" + `{"alg":"ES256","typ":"at+jwt","kid":"k1"}`, `{"alg":"ES256","typ":"at+jwt","kid":"k1",}`, `{"alg":"ES256","typ":"at+jwt","kid":"k1","x":"` + "\xff" + `"}`,
		`{"alg":"ES256","\u0061lg":"ES256","typ":"at+jwt","kid":"k1"}`, `{"alg":"ES256","typ":["at+jwt"],"kid":"k1"}`, `{"alg":"ES256","typ":"JWT","kid":"k1"}`, `{"alg":"ES256","kid":"k1"}`,
		`{"alg":"ES256","typ":"","kid":"k1"}`, `{"alg":"ES256","typ":"at+jwt ","kid":"k1"}`, `{"alg":"ES256","typ":"application/application/at+jwt","kid":"k1"}`, `{"alg":"ES256","typ":"text/at+jwt","kid":"k1"}`,
		`{"alg":"ES256","typ":"at+jwt","kid":"k1","crit":["exp"]}`, `{"alg":"ES256","typ":"at+jwt","kid":"k1","crit":[]}`, `{"alg":"ES256","typ":"at+jwt","kid":"k1","b64":false}`, `{"alg":"ES256","typ":"at+jwt","kid":"k1","zip":"DEF"}`,
		`{"alg":"ES256","typ":"at+jwt","kid":"k1","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
	} {
		for _, alg := range allAlgs {
			corpus = append(corpus, craft(t, strings.ReplaceAll(header, "ES256", string(alg)), `{"sub":"joe"}`, alg))
		}
	}
	for _, alg := range allAlgs {
		token := sign(t, signerFor(t, "k1", alg), "at+jwt", `{"sub":"joe"}`)
		parts := strings.Split(token, ".")
		add("%s.%s", parts[0], parts[1])
		add("%s.%s.", parts[0], parts[1])
		add("%s..%s", parts[0], parts[2])
		add(".%s.%s", parts[1], parts[2])
		add("%s.", token)
		add(".%s", token)
		add("%s.%s", token, parts[2])
		add("%s.%s.%s", token, parts[1], parts[2])
		add("%s..", token)
		add("..%s", token)
		for _, junk := range []string{" ", "\n", "\r\n", "=", "==", "\x00", "A", "%20", "+", "/", "é"} {
			add("%s%s", token, junk)
			add("%s%s", junk, token)
			add("%s%s.%s.%s", parts[0], junk, parts[1], parts[2])
			add("%s.%s%s.%s", parts[0], parts[1], junk, parts[2])
			add("%s.%s%s.%s", parts[0], junk, parts[1], parts[2])
			add("%s.%s.%s%s", parts[0], parts[1], junk, parts[2])
		}
		// Any single character changed.
		for i := 0; i < len(token); i += 7 {
			if token[i] == '.' {
				continue
			}
			replacement := byte('A')
			if token[i] == 'A' {
				replacement = 'B'
			}
			corpus = append(corpus, token[:i]+string(replacement)+token[i+1:])
		}
		// The signature of another algorithm, and another payload's.
		for _, other := range allAlgs {
			if other != alg {
				add("%s.%s.%s", parts[0], parts[1], base64.RawURLEncoding.EncodeToString(rawSignature(t, other, parts[0]+"."+parts[1])))
			}
		}
		add("%s.%s.%s", parts[0], b64(`{"sub":"eve"}`), parts[2])
	}
	return corpus
}

// unspelled returns token with one unused bit of its last character set: the
// same bytes to a lenient decoder.
func unspelled(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last|1])
}

func TestThreat_JW01_BrokenTokens(t *testing.T) {
	keys, corpus := publicKeys(t), brokenTokens(t)
	if len(corpus) < 500 {
		t.Fatalf("only %d tokens", len(corpus))
	}
	for _, token := range corpus {
		if v, err := jose.Verify(token, accessTokens, keys); err == nil {
			t.Errorf("accepted %q as %q", token, v.Payload())
		}
	}
	good := sign(t, signerFor(t, "k1", jose.ES256), "at+jwt", `{"sub":"joe"}`)
	if _, err := jose.Verify(good, accessTokens, keys); err != nil {
		t.Fatalf("the unbroken token: %v", err)
	}
	if _, err := jose.Verify(unspelled(good), accessTokens, keys); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("second spelling of a token: %v", err)
	}
}

func TestThreat_JW01_NothingExpectedAcceptsNothing(t *testing.T) {
	token := sign(t, signerFor(t, "k1", jose.ES256), "at+jwt", `{}`)
	for _, want := range []jose.Expect{{}, {Types: []string{"at+jwt"}}, {Algs: allAlgs}, {Types: []string{""}, Algs: allAlgs}, {Types: []string{"at+jwt"}, Algs: []jose.Alg{jose.RS256}}} {
		if _, err := jose.Verify(token, want, publicKeys(t)); err == nil {
			t.Errorf("accepted by %+v", want)
		}
	}
}

func FuzzThreat_JW01_Verify(f *testing.F) {
	keys := publicKeys(f)
	for _, token := range brokenTokens(f) {
		f.Add(token)
	}
	for _, alg := range allAlgs {
		f.Add(sign(f, signerFor(f, "k1", alg), "at+jwt", `{"sub":"joe"}`))
	}
	f.Fuzz(func(t *testing.T, token string) {
		v, err := jose.Verify(token, accessTokens, keys)
		if err != nil {
			if v.Payload() != nil || v.KeyID() != "" {
				t.Fatal("both an error and a token")
			}
			return
		}
		// Whatever we accept, the other implementation accepts too.
		_, public := oracleKeys(v.Alg())
		parsed, err := gojose.ParseSignedCompact(token, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(v.Alg())})
		if err != nil {
			t.Fatalf("accepted what go-jose cannot parse: %v", err)
		}
		if payload, err := parsed.Verify(public); err != nil || !bytes.Equal(payload, v.Payload()) {
			t.Fatalf("accepted what go-jose does not: %v", err)
		}
	})
}

func TestThreat_JW02_PublicKeyAsSecret(t *testing.T) {
	for _, alg := range []jose.Alg{jose.RS256, jose.ES256, jose.EdDSA} {
		public := signerFor(t, "k1", alg).Public()
		der, err := x509.MarshalPKIXPublicKey(public.Key)
		if err != nil {
			t.Fatal(err)
		}
		jwks, err := jose.Set{public}.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range [][]byte{der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), jwks} {
			forger, err := jose.NewHS256Signer("k1", secret)
			if err != nil {
				t.Fatal(err)
			}
			token := sign(t, forger, "at+jwt", `{"sub":"eve"}`)
			// A careless key function, which does not look at alg.
			careless := func(string, jose.Alg) (jose.Key, bool) { return public, true }
			if _, err := jose.Verify(token, accessTokens, careless); !errors.Is(err, jose.ErrAlgorithm) {
				t.Errorf("%s key as HMAC secret: %v", alg, err)
			}
			// A key whose Alg lies.
			lying := func(string, jose.Alg) (jose.Key, bool) { k := public; k.Alg = jose.HS256; return k, true }
			if _, err := jose.Verify(token, accessTokens, lying); err == nil {
				t.Errorf("%s key relabelled HS256: accepted", alg)
			}
		}
	}
	if _, err := jose.NewSigner("k1", jose.HS256, private().rsa); err == nil {
		t.Error("an RSA key became an HS256 signer")
	}
	if err := (jose.Key{Alg: jose.HS256, Key: &private().rsa.PublicKey}).Validate(); err == nil {
		t.Error("an RSA key passed for HS256")
	}
}

func TestThreat_JW03_HeaderBringsItsKey(t *testing.T) {
	attacker, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(gojose.JSONWebKey{Key: &attacker.PublicKey, KeyID: "k1", Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	forger, err := jose.NewSigner("k1", jose.ES256, attacker)
	if err != nil {
		t.Fatal(err)
	}
	for _, extra := range []string{`"jwk":` + string(jwk), `"jku":"http://127.0.0.1:1/jwks"`, `"x5u":"http://127.0.0.1:1/cert"`, `"x5c":["MIIB"]`, `"x5t":"abc"`, `"cty":"JWT"`} {
		header := `{"alg":"ES256","typ":"at+jwt","kid":"k1",` + extra + `}`
		// Signed by the attacker: the key in the header counts for nothing.
		input := b64(header) + "." + b64(`{"sub":"eve"}`)
		signed := sign(t, forger, "at+jwt", `{"sub":"eve"}`)
		forged := input + signed[strings.LastIndexByte(signed, '.'):]
		if _, err := jose.Verify(forged, accessTokens, publicKeys(t)); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("%s: %v", extra, err)
		}
		// Signed by us: the parameter does no harm.
		if _, err := jose.Verify(craft(t, header, `{}`, jose.ES256), accessTokens, publicKeys(t)); err != nil {
			t.Errorf("%s on our own token: %v", extra, err)
		}
	}
	for _, extra := range []string{`"crit":["exp"],"exp":1`, `"crit":["b64"],"b64":true`, `"b64":false`, `"zip":"DEF"`} {
		token := craft(t, `{"alg":"ES256","typ":"at+jwt","kid":"k1",`+extra+`}`, `{}`, jose.ES256)
		if _, err := jose.Verify(token, accessTokens, publicKeys(t)); !errors.Is(err, jose.ErrCritical) {
			t.Errorf("%s: %v", extra, err)
		}
	}
}

func TestThreat_JW04_KeyIDInjection(t *testing.T) {
	for _, kid := range []string{
		`"../../etc/passwd"`, `"k1' OR '1'='1"`, `"k1\u0000"`, `"` + strings.Repeat("k", 65) + `"`, `"` + strings.Repeat("k", 10<<10) + `"`,
		`["k1"]`, `{"k":"k1"}`, `1`, `null`, `true`, `"K1"`, `"k1 "`, `" k1"`, `"k2"`, `""`, `"k1\n"`, `"k\u00e9"`, `"\ud800"`,
	} {
		token := craft(t, `{"alg":"ES256","typ":"at+jwt","kid":`+kid+`}`, `{}`, jose.ES256)
		asked := ""
		_, err := jose.Verify(token, accessTokens, func(kid string, alg jose.Alg) (jose.Key, bool) {
			asked = kid
			return publicKeys(t)(kid, alg)
		})
		if err == nil {
			t.Errorf("kid %.80s: accepted", kid)
		}
		if len(asked) > 64 || strings.ContainsAny(asked, "\x00\n\" ") {
			t.Errorf("kid %.80s reached the key function", kid)
		}
	}
}

// A malformed payload never makes a difference before the signature holds, and
// none after: readers get bytes and read them strictly.
func TestThreat_JW08_StrictJSON(t *testing.T) {
	type claims struct {
		Sub  string `json:"sub"`
		Aud  string `json:"aud"`
		Deep struct {
			Role string `json:"role"`
		} `json:"deep"`
		List []struct {
			ID string `json:"id"`
		} `json:"list"`
		ByName map[string]struct {
			ID string `json:"id"`
		} `json:"by_name"`
		Any any `json:"any"`
	}
	for _, text := range []string{
		`{"sub":"joe"}`, ` {"sub" : "joe" } `, `{"sub":"j\u006fe","x":[1,-0,1.5e+3,true,false,null,{}]}`, `{"sub":"\ud83d\ude00"}`, `{"any":{"SUB":1,"sub":2}}`,
		`{"deep":{"role":"x"},"list":[{"id":"1"},{"id":"2"}],"by_name":{"ID":{"id":"1"}}}`, `{"any":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`,
	} {
		var c claims
		if err := jose.Decode([]byte(text), &c); err != nil {
			t.Errorf("refused %s: %v", text, err)
		}
	}
	for _, text := range []string{
		``, ` `, `{`, `}`, `{"sub"}`, `{"sub":}`, `{"sub":"a",}`, `{,}`, `{"a":1 "b":2}`, `[1,]`, `{"a":[1 2]}`, `nul`, `truefalse`, `{'sub':'a'}`, `{sub:"a"}`,
		`{"sub":"a"}{}`, `{"sub":"a"} x`, `{"sub":"a"}` + "\x00", `{"sub":"a"}]`, "\ufeff" + `{"sub":"a"}`,
		`{"sub":"a","sub":"b"}`, `{"sub":"a","s\u0075b":"b"}`, `{"x":{"a":1,"a":1}}`, `{"x":[{"a":1,"a":1}]}`,
		`{"SUB":"a"}`, `{"Sub":"a"}`, `{"ſub":"a"}`, `{"sub":"a","SUB":"b"}`, `{"deep":{"ROLE":"x"}}`, `{"list":[{"ID":"1"}]}`, `{"by_name":{"x":{"ID":"1"}}}`,
		"{\"sub\":\"\xff\"}", "{\"sub\":\"a\nb\"}", "{\"sub\":\"\x00\"}", `{"sub":"\x"}`, `{"sub":"\u12"}`, `{"sub":"\ud800"}`, `{"sub":"\udc00\ud800"}`, `{"sub":"\ud800\u0041"}`,
		`{"a":01}`, `{"a":+1}`, `{"a":.5}`, `{"a":1.}`, `{"a":1e}`, `{"a":NaN}`, `{"a":Infinity}`, `{"a":-}`, `{"a":0x1}`,
		`{"any":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, strings.Repeat("[", 10_000), strings.Repeat(`{"a":`, 10_000), `{"sub":1}`,
	} {
		var c claims
		if err := jose.Decode([]byte(text), &c); !errors.Is(err, jose.ErrJSON) {
			t.Errorf("accepted %.60q (%v)", text, err)
		}
	}
}

// Looking for duplicates must not cost the square of the number of names.
func TestThreat_JW08_ManyNames(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"n":0`)
	for i := range 100_000 {
		fmt.Fprintf(&b, `,"%d":0`, i)
	}
	object, err := jose.ParseObject(b.String() + `}`)
	if err != nil || len(object) != 100_001 {
		t.Fatalf("%d members, %v", len(object), err)
	}
	for _, again := range []string{"n", "0", "22", "23", "24", "99999"} {
		if _, err := jose.ParseObject(b.String() + `,"` + again + `":0}`); err == nil {
			t.Errorf("second %q accepted", again)
		}
	}
}

func TestThreat_JW09_NoEncryptedTokens(t *testing.T) {
	for _, header := range []string{`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AA"}`, `{"alg":"dir","enc":"A128CBC-HS256","zip":"DEF"}`, `{"alg":"A128KW","enc":"A128CBC-HS256"}`} {
		for _, rest := range []string{"....", ".....", ".AA.AA.AA.AA", "..AA..AA"} {
			if _, err := jose.Verify(b64(header)+rest, accessTokens, publicKeys(t)); !errors.Is(err, jose.ErrMalformed) {
				t.Errorf("%s%s: %v", header, rest, err)
			}
		}
	}
}

func TestThreat_JW10_WeakKeys(t *testing.T) {
	n := private().rsa.N
	x, y := private().ecdsa.X, private().ecdsa.Y
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short := new(big.Int).Rsh(n, 1024)
	weak := map[string]jose.Key{
		"RSA 1024":         {Alg: jose.RS256, Key: &rsa.PublicKey{N: short.SetBit(short, 0, 1), E: 65537}},
		"RSA 2047":         {Alg: jose.PS256, Key: &rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int).Rsh(n, 1), 0, 1), E: 65537}},
		"RSA 16384":        {Alg: jose.RS256, Key: &rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int).Lsh(n, 16384-2048), 0, 1), E: 65537}},
		"RSA e=1":          {Alg: jose.RS256, Key: &rsa.PublicKey{N: n, E: 1}},
		"RSA e=2":          {Alg: jose.RS256, Key: &rsa.PublicKey{N: n, E: 2}},
		"RSA e=0":          {Alg: jose.RS256, Key: &rsa.PublicKey{N: n}},
		"RSA e=-3":         {Alg: jose.RS256, Key: &rsa.PublicKey{N: n, E: -3}},
		"RSA even modulus": {Alg: jose.RS256, Key: &rsa.PublicKey{N: new(big.Int).Sub(n, big.NewInt(1)), E: 65537}},
		"RSA empty":        {Alg: jose.RS256, Key: &rsa.PublicKey{}},
		"RSA nil":          {Alg: jose.RS256, Key: (*rsa.PublicKey)(nil)},
		//lint:ignore SA1019 no other way makes a key that is none
		"EC off the curve": {Alg: jose.ES256, Key: &ecdsa.PublicKey{Curve: elliptic.P256(), X: x, Y: new(big.Int).Add(y, big.NewInt(1))}},
		//lint:ignore SA1019 no other way makes a key that is none
		"EC infinity":       {Alg: jose.ES256, Key: &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int), Y: new(big.Int)}},
		"EC P-384":          {Alg: jose.ES256, Key: &p384.PublicKey},
		"EC nil":            {Alg: jose.ES256, Key: (*ecdsa.PublicKey)(nil)},
		"short secret":      {Alg: jose.HS256, Key: []byte("0123456789abcdef0123456789abcde")},
		"empty secret":      {Alg: jose.HS256, Key: []byte{}},
		"private key":       {Alg: jose.ES256, Key: private().ecdsa},
		"no key":            {Alg: jose.ES256},
		"RSA key for ES256": {Alg: jose.ES256, Key: &private().rsa.PublicKey},
		"EC key for RS256":  {Alg: jose.RS256, Key: &private().ecdsa.PublicKey},
		"kid too long":      {KeyID: strings.Repeat("k", 65), Alg: jose.RS256, Key: &private().rsa.PublicKey},
	}
	weak["Ed25519 31 bytes"] = jose.Key{Alg: jose.EdDSA, Key: private().ed25519.Public().(ed25519.PublicKey)[:31]}
	for name, key := range weak {
		if err := key.Validate(); !errors.Is(err, jose.ErrWeakKey) {
			t.Errorf("%s passed: %v", name, err)
		}
		if key.Alg == "" || key.KeyID != "" {
			continue
		}
		token := craft(t, `{"alg":"`+string(key.Alg)+`","typ":"at+jwt"}`, `{}`, key.Alg)
		if _, err := jose.Verify(token, accessTokens, func(string, jose.Alg) (jose.Key, bool) { return key, true }); err == nil {
			t.Errorf("%s verified a token", name)
		}
	}
}

// Tokens that weak keys signed for real: the key is refused, not the signature.
func TestThreat_JW10_WeakKeysThatVerify(t *testing.T) {
	head := func(alg jose.Alg) string { return b64(`{"alg":"`+string(alg)+`","typ":"at+jwt"}`) + "." + b64(`{}`) }
	refuse := func(name string, key jose.Key, signature []byte) {
		t.Helper()
		token := head(key.Alg) + "." + base64.RawURLEncoding.EncodeToString(signature)
		if _, err := jose.Verify(token, accessTokens, func(string, jose.Alg) (jose.Key, bool) { return key, true }); !errors.Is(err, jose.ErrWeakKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	digest := func(alg jose.Alg) []byte { d := sha256.Sum256([]byte(head(alg))); return d[:] }

	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := rsa.SignPKCS1v15(nil, small, crypto.SHA256, digest(jose.RS256))
	if err != nil {
		t.Fatal(err)
	}
	refuse("RSA 1024", jose.Key{Alg: jose.RS256, Key: &small.PublicKey}, signature)

	secret := []byte("short")
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(head(jose.HS256)))
	refuse("short secret", jose.Key{Alg: jose.HS256, Key: secret}, mac.Sum(nil))

	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, s, err := ecdsa.Sign(rand.Reader, p224, digest(jose.ES256))
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	refuse("P-224", jose.Key{Alg: jose.ES256, Key: &p224.PublicKey}, raw)
}

// A key labelled with another algorithm verifies nothing, not even what it
// signed.
func TestThreat_JW02_MislabelledKeys(t *testing.T) {
	for _, real := range allAlgs {
		for _, label := range allAlgs {
			if real == label {
				continue
			}
			key := signerFor(t, "k1", real).Public()
			key.Alg = label
			input := b64(`{"alg":"`+string(label)+`","typ":"at+jwt","kid":"k1"}`) + "." + b64(`{}`)
			token := input + "." + base64.RawURLEncoding.EncodeToString(rawSignature(t, real, input))
			if _, err := jose.Verify(token, accessTokens, only(key)); err == nil {
				t.Errorf("%s key labelled %s: accepted", real, label)
			}
			if key.Validate() == nil && !(strings.Contains("RS256 PS256", string(real)) && strings.Contains("RS256 PS256", string(label))) {
				t.Errorf("%s key labelled %s: valid", real, label)
			}
		}
	}
}

func TestThreat_JW10_SignatureOutOfRange(t *testing.T) {
	order := elliptic.P256().Params().N
	signature := rawSignature(t, jose.ES256, b64(`{"alg":"ES256","typ":"at+jwt","kid":"k1"}`)+"."+b64(`{}`))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	zero := new(big.Int)
	limit := new(big.Int).Lsh(big.NewInt(1), 256)
	for name, pair := range map[string][2]*big.Int{
		"r=0": {zero, s}, "s=0": {r, zero}, "both 0": {zero, zero}, "r=n": {order, s}, "s=n": {r, order},
		"r+n": {new(big.Int).Mod(new(big.Int).Add(r, order), limit), s}, "s+n": {r, new(big.Int).Mod(new(big.Int).Add(s, order), limit)},
	} {
		raw := make([]byte, 64)
		pair[0].FillBytes(raw[:32])
		pair[1].FillBytes(raw[32:])
		token := b64(`{"alg":"ES256","typ":"at+jwt","kid":"k1"}`) + "." + b64(`{}`) + "." + base64.RawURLEncoding.EncodeToString(raw)
		if _, err := jose.Verify(token, accessTokens, publicKeys(t)); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	padded := append(append(append([]byte{}, signature[:32]...), 0), signature[32:]...)
	if _, err := jose.Verify(b64(`{"alg":"ES256","typ":"at+jwt","kid":"k1"}`)+"."+b64(`{}`)+"."+base64.RawURLEncoding.EncodeToString(padded), accessTokens, publicKeys(t)); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("s with a leading zero: %v", err)
	}
	for _, length := range []int{0, 1, 63, 65, 70, 72, 128} {
		raw := append(append([]byte{}, signature...), make([]byte, 64)...)[:length]
		token := b64(`{"alg":"ES256","typ":"at+jwt","kid":"k1"}`) + "." + b64(`{}`) + "." + base64.RawURLEncoding.EncodeToString(raw)
		if _, err := jose.Verify(token, accessTokens, publicKeys(t)); err == nil {
			t.Errorf("signature of %d bytes accepted", length)
		}
	}
}

func TestThreat_JW11_OversizedTokensCostNothing(t *testing.T) {
	keys := publicKeys(t)
	for name, token := range map[string]string{
		"dots":     strings.Repeat(".", 10<<20),
		"letters":  strings.Repeat("A", 10<<20),
		"segments": strings.Repeat("eyJ9.", 2<<20),
	} {
		if _, err := jose.Verify(token, accessTokens, keys); !errors.Is(err, jose.ErrTooLong) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := jose.Peek(token); !errors.Is(err, jose.ErrTooLong) {
			t.Errorf("%s: peek: %v", name, err)
		}
		if n := allocated(func() { _, _ = jose.Verify(token, accessTokens, keys) }); n > 4<<10 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
	// At the limit, dots are counted without cutting.
	dots := strings.Repeat(".", jose.MaxTokenBytes)
	if n := allocated(func() { _, _ = jose.Verify(dots, accessTokens, keys) }); n > 4<<10 {
		t.Errorf("%d bytes allocated for a token of dots", n)
	}
	token := sign(t, signerFor(t, "k1", jose.ES256), "at+jwt", `{"x":"`+strings.Repeat("x", 1000)+`"}`)
	if _, err := jose.Verify(token, jose.Expect{Types: accessTokens.Types, Algs: allAlgs, MaxBytes: 1000}, keys); !errors.Is(err, jose.ErrTooLong) {
		t.Errorf("own limit: %v", err)
	}
}

// allocated returns how many bytes a call of f allocates. It takes the least of
// several calls, as others allocate meanwhile.
func allocated(f func()) uint64 {
	least := ^uint64(0)
	for range 10 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

func TestThreat_JW12_CompactOnly(t *testing.T) {
	signer, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.ES256, Key: private().ecdsa}, (&gojose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "k1"))
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(compact, ".")
	general := fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, parts[1], parts[0], parts[2])
	for _, text := range []string{object.FullSerialize(), general, `"` + compact + `"`, parts[0] + ".." + parts[2]} {
		if _, err := jose.Verify(text, accessTokens, publicKeys(t)); err == nil {
			t.Errorf("accepted %s", text)
		}
	}
	// A token within a token is bytes, not trust.
	nested := sign(t, signerFor(t, "k1", jose.ES256), "JWT", compact)
	if _, err := jose.Verify(nested, accessTokens, publicKeys(t)); !errors.Is(err, jose.ErrType) {
		t.Errorf("nested: %v", err)
	}
}

func TestThreat_JW13_NeverBoth(t *testing.T) {
	keys := publicKeys(t)
	for _, token := range brokenTokens(t) {
		v, err := jose.Verify(token, accessTokens, keys)
		if err == nil || v.Payload() != nil || v.KeyID() != "" || v.Alg() != "" || v.Type() != "" {
			t.Fatalf("%q: %v with %+v", token, err, v)
		}
	}
}

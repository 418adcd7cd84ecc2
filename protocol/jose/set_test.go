package jose_test

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

func TestSetRoundTrip(t *testing.T) {
	var set jose.Set
	for _, alg := range allAlgs[:4] {
		set = append(set, signerFor(t, "k1", alg).Public())
	}
	data, err := set.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{`"d"`, `"p"`, `"k"`, `"qi"`} {
		if strings.Contains(string(data), secret) {
			t.Errorf("the set has the member %s", secret)
		}
	}
	again, err := jose.ParseSet(data)
	if err != nil || len(again) != len(set) {
		t.Fatalf("%d keys, %v", len(again), err)
	}
	for _, key := range set {
		got, ok := again.Lookup(key.KeyID, key.Alg)
		if !ok || !reflect.DeepEqual(got.Key, key.Key) {
			t.Errorf("%s did not come back", key.Alg)
		}
	}
	var oracle gojose.JSONWebKeySet
	if err := json.Unmarshal(data, &oracle); err != nil || len(oracle.Keys) != 4 || oracle.Keys[0].Use != "sig" || oracle.Keys[0].Algorithm != "RS256" {
		t.Errorf("go-jose reads %+v, %v", oracle.Keys, err)
	}
}

// The set as it goes over the wire, with the published example keys.
func TestSetGolden(t *testing.T) {
	set := jose.Set{parseOne(t, rfc7638RSA), parseOne(t, rfc7515EC), parseOne(t, rfc8037Ed25519)}
	set[1].KeyID, set[2].KeyID = "ec", "ed"
	data, err := set.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/jwks.json", data)
}

type refusedKeys struct {
	keys string
	want error
}

// hostileKeys are members of a key set that spoil the whole of it.
func hostileKeys(t testing.TB) map[string]refusedKeys {
	t.Helper()
	private_, err := json.Marshal(gojose.JSONWebKey{Key: private().ecdsa, KeyID: "k1", Algorithm: "ES256", Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]refusedKeys{
		"private key":              {string(private_), jose.ErrPrivateKey},
		"private key of no use":    {`{"kty":"RSA","use":"enc","n":"AA","e":"AQAB","d":"AA"}`, jose.ErrPrivateKey},
		"secret":                   {`{"kty":"oct","k":"AAAA","alg":"HS256"}`, jose.ErrPrivateKey},
		"two of a kid":             {rfc7638RSA + "," + rfc7638RSA, jose.ErrWeakKey},
		"duplicate member":         {`{"kty":"EC","kty":"RSA"}`, jose.ErrJSON},
		"duplicate escaped member": {strings.Replace(rfc7515EC, `"kty"`, `"k\u0074y":"EC","kty"`, 1), jose.ErrJSON},
		"off the curve":            {strings.Replace(rfc7515EC, "x_FEz", "x_FEy", 1), jose.ErrWeakKey},
		"short coordinate":         {`{"kty":"EC","crv":"P-256","x":"AQ","y":"Ag"}`, jose.ErrWeakKey},
		"RSA e=1":                  {strings.Replace(rfc7638RSA, `"AQAB"`, `"AQ"`, 1), jose.ErrWeakKey},
		"RSA e=2":                  {strings.Replace(rfc7638RSA, `"AQAB"`, `"Ag"`, 1), jose.ErrWeakKey},
		"RSA 512":                  {`{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("_", 85) + `w"}`, jose.ErrWeakKey},
		"long kid":                 {strings.Replace(rfc7638RSA, "2011-04-29", strings.Repeat("k", 65), 1), jose.ErrWeakKey},
		"kid not a string":         {strings.Replace(rfc7638RSA, `"2011-04-29"`, `["k"]`, 1), nil},
		"not an object":            {`"key"`, jose.ErrJSON},
	}
}

func TestThreat_JW10_SetRefuses(t *testing.T) {
	for name, c := range hostileKeys(t) {
		set, err := jose.ParseSet([]byte(`{"keys":[` + c.keys + `]}`))
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %d keys, %v", name, len(set), err)
		}
	}
	for _, text := range []string{``, `[]`, `null`, `{}`, `{"keys":null}`, `{"keys":{}}`, `{"KEYS":[]}`, `{"keys":[],"keys":[]}`} {
		if _, err := jose.ParseSet([]byte(text)); err == nil {
			t.Errorf("%q is a set", text)
		}
	}
	if _, err := jose.ParseSet([]byte(strings.Repeat(" ", 1<<20))); !errors.Is(err, jose.ErrTooLong) {
		t.Errorf("a megabyte: %v", err)
	}
	secret, err := jose.NewHS256Key("k1", private().secret)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := signerFor(t, "k1", jose.RS256).Public()
	for name, set := range map[string]jose.Set{"secret": {secret}, "private": {{KeyID: "k", Alg: jose.RS256, Key: private().rsa}}, "twice": {rsaKey, rsaKey}} {
		if data, err := set.Marshal(); err == nil {
			t.Errorf("%s: wrote %s", name, data)
		}
	}
}

// RFC 7517 §5: keys one cannot use do not spoil the others.
func TestParseSetLeavesOut(t *testing.T) {
	others := []string{
		`{"kty":"EC","crv":"P-521","x":"AQ","y":"Ag","alg":"ES512"}`, `{"kty":"EC","crv":"secp256k1","x":"AQ","y":"Ag"}`, `{"kty":"OKP","crv":"X25519","x":"AQ"}`,
		`{"kty":"AKP","alg":"ML-DSA-44","pub":"AQ"}`, `{"kty":"RSA","alg":"RSA-OAEP","n":"AQ","e":"AQAB"}`, `{"kty":"RSA","use":"enc","n":"AQ","e":"AQAB"}`, `{}`,
	}
	set, err := jose.ParseSet([]byte(`{"keys":[` + strings.Join(others, ",") + "," + rfc7638RSA + `],"more":1}`))
	if err != nil || len(set) != 1 || set[0].KeyID != "2011-04-29" || set[0].Alg != jose.RS256 {
		t.Fatalf("%+v, %v", set, err)
	}
}

func FuzzThreat_JW10_ParseSet(f *testing.F) {
	for _, jwk := range []string{rfc7638RSA, rfc7515EC, rfc8037Ed25519, rfc7515RSA, `{"kty":"oct","k":"AA"}`} {
		f.Add(`{"keys":[` + jwk + `]}`)
	}
	hostile := map[string]string{}
	for name, c := range hostileKeys(f) {
		text := `{"keys":[` + c.keys + `]}`
		hostile[text] = name
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := jose.ParseSet([]byte(text))
		if err != nil {
			return
		}
		if name, ok := hostile[text]; ok {
			t.Fatalf("%s: accepted", name)
		}
		for _, key := range set {
			if err := key.Validate(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := set.Marshal(); err != nil {
			t.Fatal(err)
		}
	})
}

// golden compares data with a file; UPDATE_GOLDEN=1 writes it.
func golden(t *testing.T, file string, data []byte) {
	t.Helper()
	var pretty strings.Builder
	encoder := json.NewEncoder(&pretty)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(json.RawMessage(data)); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(pretty.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if pretty.String() != string(want) {
		t.Errorf("%s differs:\n%s", file, pretty.String())
	}
}

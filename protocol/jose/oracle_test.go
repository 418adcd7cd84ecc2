package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// oracleSign signs input with the test key for alg, straight by the standard
// library.
func oracleSign(alg jose.Alg, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch alg {
	case jose.RS256:
		return rsa.SignPKCS1v15(nil, private().rsa, crypto.SHA256, digest[:])
	case jose.PS256:
		return rsa.SignPSS(rand.Reader, private().rsa, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	case jose.ES256:
		r, s, err := ecdsa.Sign(rand.Reader, private().ecdsa, digest[:])
		if err != nil {
			return nil, err
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature, nil
	case jose.EdDSA:
		return ed25519.Sign(private().ed25519, input), nil
	}
	mac := hmac.New(sha256.New, private().secret)
	mac.Write(input)
	return mac.Sum(nil), nil
}

// oracleKeys are the test keys as go-jose wants them.
func oracleKeys(alg jose.Alg) (private_, public any) {
	k := private()
	switch alg {
	case jose.ES256:
		return k.ecdsa, &k.ecdsa.PublicKey
	case jose.EdDSA:
		return k.ed25519, k.ed25519.Public()
	case jose.HS256:
		return k.secret, k.secret
	}
	return k.rsa, &k.rsa.PublicKey
}

func TestOracle_GoJoseVerifiesOurs(t *testing.T) {
	for _, alg := range allAlgs {
		for i := range 50 {
			payload := `{"n":` + string(rune('0'+i%10)) + `}`
			token := sign(t, signerFor(t, "k1", alg), "at+jwt", payload)
			parsed, err := gojose.ParseSignedCompact(token, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(alg)})
			if err != nil {
				t.Fatalf("%s: %v", alg, err)
			}
			_, public := oracleKeys(alg)
			got, err := parsed.Verify(public)
			if err != nil || string(got) != payload {
				t.Fatalf("%s: %q, %v", alg, got, err)
			}
			if h := parsed.Signatures[0].Header; h.KeyID != "k1" || h.ExtraHeaders["typ"] != "at+jwt" {
				t.Fatalf("%s: header %+v", alg, h)
			}
		}
	}
}

func TestOracle_WeVerifyGoJose(t *testing.T) {
	for _, alg := range allAlgs {
		key, _ := oracleKeys(alg)
		options := (&gojose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k1")
		signer, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.SignatureAlgorithm(alg), Key: key}, options)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			object, err := signer.Sign([]byte(`{"sub":"joe"}`))
			if err != nil {
				t.Fatal(err)
			}
			token, err := object.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			v, err := jose.Verify(token, jose.Expect{Types: []string{"JWT"}, Algs: []jose.Alg{alg}}, only(signerFor(t, "k1", alg).Public()))
			if err != nil || string(v.Payload()) != `{"sub":"joe"}` || v.KeyID() != "k1" || v.Alg() != alg || v.Type() != "JWT" {
				t.Fatalf("%s: %q, %v", alg, v.Payload(), err)
			}
		}
	}
}

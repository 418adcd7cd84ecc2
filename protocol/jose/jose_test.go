package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// private are the test keys; making RSA keys is slow, so once.
var private = sync.OnceValue(func() (k struct {
	rsa     *rsa.PrivateKey
	ecdsa   *ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
	secret  []byte
},
) {
	var err error
	if k.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		panic(err)
	}
	if k.ecdsa, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		panic(err)
	}
	if _, k.ed25519, err = ed25519.GenerateKey(rand.Reader); err != nil {
		panic(err)
	}
	k.secret = []byte("0123456789abcdef0123456789abcdef")
	return k
})

var allAlgs = []jose.Alg{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA, jose.HS256}

func signerFor(t testing.TB, kid string, alg jose.Alg) *jose.Signer {
	t.Helper()
	var signer *jose.Signer
	var err error
	switch alg {
	case jose.HS256:
		signer, err = jose.NewHS256Signer(kid, private().secret)
	case jose.ES256:
		signer, err = jose.NewSigner(kid, alg, private().ecdsa)
	case jose.EdDSA:
		signer, err = jose.NewSigner(kid, alg, private().ed25519)
	default:
		signer, err = jose.NewSigner(kid, alg, private().rsa)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func sign(t testing.TB, s *jose.Signer, typ, payload string) string {
	t.Helper()
	token, err := s.Sign(typ, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// only is a KeyFunc that knows the given keys.
func only(keys ...jose.Key) jose.KeyFunc { return jose.Set(keys).Lookup }

// craft makes a token with any header, signed by key for real.
func craft(t testing.TB, header, payload string, alg jose.Alg) string {
	t.Helper()
	input := b64(header) + "." + b64(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(rawSignature(t, alg, input))
}

// rawSignature borrows the package's signer for the bytes of the signature: it
// signs any input, and the input here is whole.
func rawSignature(t testing.TB, alg jose.Alg, input string) []byte {
	t.Helper()
	signature, err := oracleSign(alg, []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

var _ crypto.Signer = (*rsa.PrivateKey)(nil)

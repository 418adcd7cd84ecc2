package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

const benchPayload = `{"iss":"https://id.example.com/","sub":"0b9f2c4e-7c1d-4a57-9f3a-0c9c2f6a1d2e","aud":"https://api/tv-shows","exp":1800000600,"iat":1800000000,"jti":"3b8f1f1e8a4c4f0f9f3a0c9c2f6a1d2e","client_id":"kq3v9X2mB7nL5pR8sT1uW4yZ6aC0dE2f","scope":"openid profile read:shows","permissions":["read:shows","write:shows"],"sid":"Z6aC0dE2fkq3v9X2mB7nL5pR8sT1uW4y","gid":"01890a5d-ac96-774b-bcce-b302099a8057","auth_time":1799999990,"amr":["pwd"]}`

func benchVerify(b *testing.B, alg jose.Alg) {
	signer := signerFor(b, "k1", alg)
	token := sign(b, signer, "at+jwt", benchPayload)
	want, keys := jose.Expect{Types: []string{"at+jwt"}, Algs: []jose.Alg{alg}}, only(signer.Public())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jose.Verify(token, want, keys); err != nil {
			b.Fatal(err)
		}
	}
}

func benchSign(b *testing.B, alg jose.Alg) {
	signer, payload := signerFor(b, "k1", alg), []byte(benchPayload)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signer.Sign("at+jwt", payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyES256(b *testing.B) { benchVerify(b, jose.ES256) }
func BenchmarkVerifyRS256(b *testing.B) { benchVerify(b, jose.RS256) }
func BenchmarkVerifyEdDSA(b *testing.B) { benchVerify(b, jose.EdDSA) }
func BenchmarkSignES256(b *testing.B)   { benchSign(b, jose.ES256) }
func BenchmarkSignRS256(b *testing.B)   { benchSign(b, jose.RS256) }
func BenchmarkSignEdDSA(b *testing.B)   { benchSign(b, jose.EdDSA) }

func BenchmarkBareVerifyES256(b *testing.B) {
	digest := sha256.Sum256([]byte(benchPayload))
	r, s, err := ecdsa.Sign(rand.Reader, private().ecdsa, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		digest := sha256.Sum256([]byte(benchPayload))
		if !ecdsa.Verify(&private().ecdsa.PublicKey, digest[:], r, s) {
			b.Fatal("does not verify")
		}
	}
}

func BenchmarkBareVerifyRS256(b *testing.B) {
	digest := sha256.Sum256([]byte(benchPayload))
	signature, err := rsa.SignPKCS1v15(nil, private().rsa, crypto.SHA256, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		digest := sha256.Sum256([]byte(benchPayload))
		if err := rsa.VerifyPKCS1v15(&private().rsa.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBareSignES256(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		digest := sha256.Sum256([]byte(benchPayload))
		if _, err := ecdsa.SignASN1(rand.Reader, private().ecdsa, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBareSignRS256(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		digest := sha256.Sum256([]byte(benchPayload))
		if _, err := rsa.SignPKCS1v15(nil, private().rsa, crypto.SHA256, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// What is around the signature: scanning and reading the claims.
func BenchmarkParseObject(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jose.ParseObject(benchPayload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	data := []byte(benchPayload)
	b.ReportAllocs()
	for b.Loop() {
		var claims struct {
			Iss, Sub string
			Aud      jose.Audience
		}
		_ = claims
		var m map[string]any
		if err := jose.Decode(data, &m); err != nil {
			b.Fatal(err)
		}
	}
}

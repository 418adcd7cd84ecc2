package jose

// Alg is a JWS algorithm name as it stands in the header (RFC 7518 §3.1,
// RFC 8037 §3.1). The list is closed; "none" is not on it.
type Alg string

// The algorithms this package signs and verifies with.
const (
	RS256 Alg = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256
	PS256 Alg = "PS256" // RSASSA-PSS with SHA-256, salt as long as the hash
	ES256 Alg = "ES256" // ECDSA on P-256 with SHA-256
	EdDSA Alg = "EdDSA" // Ed25519
	HS256 Alg = "HS256" // HMAC with SHA-256: both sides hold the same secret
)

// Known reports whether a is one of the algorithms of this package.
func (a Alg) Known() bool {
	switch a {
	case RS256, PS256, ES256, EdDSA, HS256:
		return true
	}
	return false
}

// Asymmetric reports whether a verifier of a needs only a public key.
func (a Alg) Asymmetric() bool { return a.Known() && a != HS256 }

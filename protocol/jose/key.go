package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/subtle"
	"fmt"
)

// Limits of what is taken for a key.
const (
	maxKeyID   = 64   // characters in a kid
	minRSABits = 2048 // RFC 7518 §3.3
	maxRSABits = 8192 // above it a verification is a denial of service
	minSecret  = 32   // bytes in an HS256 secret, RFC 7518 §3.2
)

// Key is what checks a signature: a public key, or for HS256 the shared
// secret, bound to the one algorithm it may be used with. The Go type of Key
// follows from Alg: *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, and
// []byte for HS256 alone, so no asymmetric key can ever be taken for an HMAC
// secret.
type Key struct {
	KeyID string
	Alg   Alg
	Key   any
}

// NewHS256Key returns the key that checks HMACs made with secret, which must
// be at least 32 bytes long; shorter secrets fail with [ErrWeakKey].
func NewHS256Key(kid string, secret []byte) (Key, error) {
	k := Key{KeyID: kid, Alg: HS256, Key: secret}
	return k, k.Validate()
}

// Validate refuses a key that is unfit for its algorithm: wrong Go type, RSA
// below 2048 or above 8192 bits or with an even or tiny exponent, a point off
// P-256, a short secret, a kid that is too long or not printable ASCII. Every
// failure wraps [ErrWeakKey].
func (k Key) Validate() error {
	if !validKeyID(k.KeyID) {
		return fmt.Errorf("%w: kid must be at most %d printable ASCII characters", ErrWeakKey, maxKeyID)
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		if k.Alg == RS256 || k.Alg == PS256 {
			return validateRSA(key)
		}
	case *ecdsa.PublicKey:
		if k.Alg == ES256 {
			return validateP256(key)
		}
	case ed25519.PublicKey:
		if k.Alg == EdDSA {
			return validateEd25519(key)
		}
	case []byte:
		if k.Alg == HS256 {
			return validateSecret(key)
		}
	}
	return fmt.Errorf("%w: a %T is not a key for %q", ErrWeakKey, k.Key, k.Alg)
}

// Same reports whether k and other are one key: the same kid, for the same
// algorithm, with the same public key or secret.
func (k Key) Same(other Key) bool {
	if k.KeyID != other.KeyID || k.Alg != other.Alg {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return key == other.Key || key.Equal(other.Key)
	case *ecdsa.PublicKey:
		return key == other.Key || key.Equal(other.Key)
	case ed25519.PublicKey:
		return key.Equal(crypto.PublicKey(other.Key))
	case []byte:
		secret, ok := other.Key.([]byte)
		return ok && subtle.ConstantTimeCompare(key, secret) == 1
	}
	return false
}

func validateRSA(key *rsa.PublicKey) error {
	if key == nil || key.N == nil || key.N.Sign() <= 0 {
		return fmt.Errorf("%w: empty RSA key", ErrWeakKey)
	}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return fmt.Errorf("%w: RSA key of %d bits, want %d to %d", ErrWeakKey, bits, minRSABits, maxRSABits)
	}
	if key.N.Bit(0) == 0 {
		return fmt.Errorf("%w: even RSA modulus", ErrWeakKey)
	}
	if key.E < 3 || key.E%2 == 0 {
		return fmt.Errorf("%w: RSA exponent %d", ErrWeakKey, key.E)
	}
	return nil
}

func validateP256(key *ecdsa.PublicKey) error {
	if key == nil || key.Curve != elliptic.P256() {
		return fmt.Errorf("%w: ES256 needs a key on P-256", ErrWeakKey)
	}
	// The conversion refuses a point that is off the curve or at infinity.
	if _, err := key.ECDH(); err != nil {
		return fmt.Errorf("%w: %w", ErrWeakKey, err)
	}
	return nil
}

func validateEd25519(key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: Ed25519 key of %d bytes", ErrWeakKey, len(key))
	}
	return nil
}

func validateSecret(secret []byte) error {
	if len(secret) < minSecret {
		return fmt.Errorf("%w: HS256 secret of %d bytes, want at least %d", ErrWeakKey, len(secret), minSecret)
	}
	return nil
}

// validKeyID admits what can stand in a header without escaping.
func validKeyID(kid string) bool {
	if len(kid) > maxKeyID {
		return false
	}
	for i := range len(kid) {
		if c := kid[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"slices"
)

// Expect says what a token must be before its key is even looked for.
type Expect struct {
	// Types are the accepted values of "typ", compared without regard to case
	// and to a leading "application/". "" accepts a token without one. An empty
	// list accepts nothing.
	Types []string
	// Algs are the accepted algorithms. An empty list accepts nothing.
	Algs []Alg
	// MaxBytes is the longest token looked at; 0 means [MaxTokenBytes].
	MaxBytes int
	// Memory, unless nil, spares checking a signature that was right before.
	Memory *Memory
}

// KeyFunc finds the key for a token's header. kid is at most 64 printable
// ASCII characters and may be empty; alg is one the reader expects. It must
// look only among keys its caller trusts for this kind of token and this
// issuer, and return false when there is none.
type KeyFunc func(kid string, alg Alg) (Key, bool)

// Verified is a token whose signature holds. Only [Verify] makes one.
type Verified struct {
	payload []byte
	key     Key
	typ     string
}

// Payload returns the signed bytes. The caller may keep but not change them.
func (v Verified) Payload() []byte { return v.payload }

// Key returns the key that verified the token.
func (v Verified) Key() Key { return v.key }

// KeyID returns the kid of the key that verified the token.
func (v Verified) KeyID() string { return v.key.KeyID }

// Alg returns the algorithm of that key.
func (v Verified) Alg() Alg { return v.key.Alg }

// Type returns the entry of [Expect].Types that the token's typ matched.
func (v Verified) Type() string { return v.typ }

// Verify checks a compact JWS: its length before anything else, its shape, its
// header against want, its signature with the key that keys returns. The key
// decides the algorithm; a token can only agree. Either the Verified or the
// error is of use, never both.
//
// The error wraps [ErrTooLong], [ErrMalformed], [ErrCritical], [ErrAlgorithm],
// [ErrType], [ErrUnknownKey], [ErrWeakKey] or [ErrSignature].
func Verify(token string, want Expect, keys KeyFunc) (Verified, error) {
	limit := want.MaxBytes
	if limit == 0 {
		limit = MaxTokenBytes
	}
	c, err := splitCompact(token, limit)
	if err != nil {
		return Verified{}, err
	}
	header, err := c.header()
	if err != nil {
		return Verified{}, err
	}
	if !header.Alg.Known() || !slices.Contains(want.Algs, header.Alg) {
		return Verified{}, fmt.Errorf("%w: %.16q", ErrAlgorithm, string(header.Alg))
	}
	typ := slices.IndexFunc(want.Types, func(t string) bool { return sameType(t, header.Type) })
	if typ < 0 {
		return Verified{}, fmt.Errorf("%w: %.32q", ErrType, header.Type)
	}
	key, ok := keys(header.KeyID, header.Alg)
	if !ok {
		return Verified{}, fmt.Errorf("%w: kid %q", ErrUnknownKey, header.KeyID)
	}
	if key.Alg != header.Alg {
		return Verified{}, fmt.Errorf("%w: key %q is for %s", ErrAlgorithm, key.KeyID, key.Alg)
	}
	if err := c.checkOnce(key, want.Memory); err != nil {
		return Verified{}, err
	}
	payload, err := appendDecoded(make([]byte, 0, len(c.encodedPayload())), c.encodedPayload())
	if err != nil {
		return Verified{}, err
	}
	return Verified{payload: payload, key: key, typ: want.Types[typ]}, nil
}

// checkOnce is check for who remembers what was right. The digest is of the
// whole token, signature included: another spelling is another token.
func (c compact) checkOnce(key Key, m *Memory) error {
	same := identity(key.Key)
	if m == nil || same == nil {
		return c.check(key)
	}
	digest := sha256.Sum256(c.text)
	if m.verified(&digest, same) {
		return nil
	}
	if err := c.check(key); err != nil {
		return err
	}
	m.learn(&digest, same)
	return nil
}

// check verifies the signature with key.
func (c compact) check(key Key) error {
	var space [maxRSABits / 8]byte
	signature, err := appendDecoded(space[:0], c.encodedSignature())
	if err != nil {
		return err
	}
	ok := false
	switch public := key.Key.(type) {
	case *ecdsa.PublicKey:
		ok, err = checkES256(key.Alg, public, c.signingInput(), signature)
	case *rsa.PublicKey:
		ok, err = checkRSA(key.Alg, public, c.signingInput(), signature)
	case ed25519.PublicKey:
		if err = validateEd25519(public); err == nil && key.Alg == EdDSA {
			ok = ed25519.Verify(public, c.signingInput(), signature)
		}
	case []byte:
		if err = validateSecret(public); err == nil && key.Alg == HS256 {
			mac := hmac.New(sha256.New, public)
			mac.Write(c.signingInput())
			ok = hmac.Equal(mac.Sum(nil), signature)
		}
	default:
		err = fmt.Errorf("%w: %T", ErrWeakKey, key.Key)
	}
	if err == nil && !ok {
		err = ErrSignature
	}
	return err
}

// checkES256 leaves the range of r and s and the curve of the point to
// ecdsa.VerifyASN1, which refuses zero, anything not below the order, and a
// point off the curve.
func checkES256(alg Alg, key *ecdsa.PublicKey, message, signature []byte) (bool, error) {
	if alg != ES256 || len(signature) != p256SigBytes {
		return false, nil
	}
	if key == nil || key.Curve == nil || key.Curve.Params().BitSize != 8*p256Bytes {
		return false, fmt.Errorf("%w: ES256 needs a key on P-256", ErrWeakKey)
	}
	var space [maxP256DERLen]byte
	digest := sha256.Sum256(message)
	return ecdsa.VerifyASN1(key, digest[:], appendDER(space[:0], signature)), nil
}

func checkRSA(alg Alg, key *rsa.PublicKey, message, signature []byte) (bool, error) {
	if err := validateRSA(key); err != nil {
		return false, err
	}
	digest := sha256.Sum256(message)
	switch alg {
	case RS256:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil, nil
	case PS256:
		options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, options) == nil, nil
	}
	return false, nil
}

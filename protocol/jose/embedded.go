package jose

import (
	"fmt"
	"slices"
)

// VerifyEmbedded checks a compact JWS with the public key that its own header
// carries (jwk, RFC 7515 §4.1.3), and returns that key's thumbprint (RFC 7638)
// beside it. It proves that whoever made the token holds a key, and nothing
// about who that is: the caller must compare the thumbprint with one it trusts.
// A DPoP proof is read this way, and nothing else should be.
//
// [Expect].Algs must not hold HS256. [Expect].Memory is not used. The error
// wraps what [Verify] says, or [ErrPrivateKey] when the header carries a
// private or symmetric key.
func VerifyEmbedded(token string, want Expect) (verified Verified, thumbprint string, err error) {
	want.Memory = nil
	want.Algs = slices.DeleteFunc(slices.Clone(want.Algs), func(a Alg) bool { return !a.Asymmetric() })
	limit := want.MaxBytes
	if limit == 0 {
		limit = MaxTokenBytes
	}
	c, err := splitCompact(token, limit)
	if err != nil {
		return Verified{}, "", err
	}
	key, err := c.embeddedKey()
	if err != nil {
		return Verified{}, "", err
	}
	verified, err = Verify(token, want, func(_ string, alg Alg) (Key, bool) {
		if key.Alg == RS256 && alg == PS256 && key.anyAlg {
			key.Alg = PS256 // an RSA key that does not say which of the two it is for
		}
		return key.Key, true
	})
	if err != nil {
		return Verified{}, "", err
	}
	if thumbprint, err = Thumbprint(key.Key.Key); err != nil {
		return Verified{}, "", err
	}
	return verified, thumbprint, nil
}

// embeddedKey is a key out of a header; anyAlg tells that it names no algorithm.
type embeddedKey struct {
	Key
	anyAlg bool
}

func (c compact) embeddedKey() (embeddedKey, error) {
	data, err := appendDecoded(nil, c.encodedHeader())
	if err != nil {
		return embeddedKey{}, err
	}
	header, err := ParseObject(string(data))
	if err != nil {
		return embeddedKey{}, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	raw := header.Get("jwk")
	if raw == "" {
		return embeddedKey{}, fmt.Errorf("%w: the header carries no jwk", ErrUnknownKey)
	}
	members, err := ParseObject(string(raw))
	if err != nil {
		return embeddedKey{}, fmt.Errorf("%w: jwk: %w", ErrMalformed, err)
	}
	key, ok, err := parseJWK(raw)
	switch {
	case err != nil:
		return embeddedKey{}, err
	case !ok:
		return embeddedKey{}, fmt.Errorf("%w: the jwk is not for signatures of ours", ErrWeakKey)
	}
	key.KeyID = "" // the key is known by its thumbprint, whatever it calls itself
	if err := key.Validate(); err != nil {
		return embeddedKey{}, err
	}
	return embeddedKey{key, members.Get("alg") == ""}, nil
}

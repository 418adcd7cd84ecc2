package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"

	gojose "github.com/go-jose/go-jose/v4"
)

// Limits of a key set.
const (
	maxSetBytes = 256 << 10
	maxSetKeys  = 100
)

// Set is a JWK Set of public signature keys. No two of its keys have the same
// (kid, alg): readers could not tell which one is meant.
type Set []Key

// Lookup finds the key for (kid, alg). It is a [KeyFunc].
func (s Set) Lookup(kid string, alg Alg) (Key, bool) {
	for i := range s {
		if s[i].KeyID == kid && s[i].Alg == alg {
			return s[i], true
		}
	}
	return Key{}, false
}

// ParseSet reads a JWK Set (RFC 7517 §5). Keys it has no use for (for
// encryption, of an unknown type, curve or algorithm) are left out, as the RFC
// asks; a key without "alg" is taken for RS256, ES256 or EdDSA by its type.
//
// The whole set is refused if it is not strict JSON ([ErrJSON]), carries
// private or symmetric key material ([ErrPrivateKey]), a weak or broken
// signature key, or two keys with the same kid and algorithm ([ErrWeakKey]).
func ParseSet(data []byte) (Set, error) {
	if len(data) > maxSetBytes {
		return nil, fmt.Errorf("%w: key set of %d bytes", ErrTooLong, len(data))
	}
	var document struct {
		Keys []Value `json:"keys"`
	}
	if err := Decode(data, &document); err != nil {
		return nil, err
	}
	if document.Keys == nil {
		return nil, fmt.Errorf("%w: no keys member", ErrJSON)
	}
	if len(document.Keys) > maxSetKeys {
		return nil, fmt.Errorf("%w: key set of %d keys", ErrTooLong, len(document.Keys))
	}
	set := Set{}
	for _, raw := range document.Keys {
		key, ok, err := parseJWK(raw)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if err := set.admit(key); err != nil {
			return nil, err
		}
		set = append(set, key)
	}
	return set, nil
}

func (s Set) admit(key Key) error {
	if err := key.Validate(); err != nil {
		return err
	}
	if _, taken := s.Lookup(key.KeyID, key.Alg); taken {
		return fmt.Errorf("%w: two keys with kid %q for %s", ErrWeakKey, key.KeyID, key.Alg)
	}
	return nil
}

// parseJWK reads one key; false means: none of ours.
func parseJWK(raw Value) (key Key, ok bool, err error) {
	members, err := ParseObject(string(raw))
	if err != nil {
		return Key{}, false, err
	}
	// RFC 7518 §6: the members that make a key private, and "k", the secret.
	for _, private := range [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if members.Get(private) != "" {
			return Key{}, false, ErrPrivateKey
		}
	}
	var facts struct {
		Kty, Crv, Alg, Use string
		Ops                []string
	}
	for _, m := range members {
		switch m.Name {
		case "kty":
			facts.Kty, err = m.Value.Text()
		case "crv":
			facts.Crv, err = m.Value.Text()
		case "alg":
			facts.Alg, err = m.Value.Text()
		case "use":
			facts.Use, err = m.Value.Text()
		case "key_ops":
			facts.Ops, err = m.Value.Texts()
		}
		if err != nil {
			return Key{}, false, fmt.Errorf("jose: key member %s: %w", m.Name, err)
		}
	}
	alg := algOf(facts.Kty, facts.Crv, facts.Alg)
	if alg == "" || facts.Use != "" && facts.Use != "sig" {
		return Key{}, false, nil
	}
	var parsed gojose.JSONWebKey
	if err := parsed.UnmarshalJSON([]byte(raw)); err != nil {
		return Key{}, false, fmt.Errorf("%w: %w", ErrWeakKey, err)
	}
	return Key{KeyID: parsed.KeyID, Alg: alg, Key: parsed.Key}, true, nil
}

// algOf returns the algorithm a key is for, or "" for one we do not speak.
func algOf(kty, crv, alg string) Alg {
	switch {
	case kty == "RSA" && (alg == "" || alg == string(RS256)):
		return RS256
	case kty == "RSA" && alg == string(PS256):
		return PS256
	case kty == "EC" && crv == elliptic.P256().Params().Name && (alg == "" || alg == string(ES256)):
		return ES256
	case kty == "OKP" && crv == "Ed25519" && (alg == "" || alg == string(EdDSA)):
		return EdDSA
	}
	return ""
}

// Marshal writes the set as a JWK Set, keys in their order, each with use,
// alg and kid. A symmetric or weak key, or a second key with the same kid and
// algorithm, fails.
func (s Set) Marshal() ([]byte, error) {
	document := gojose.JSONWebKeySet{Keys: make([]gojose.JSONWebKey, 0, len(s))}
	for i, key := range s {
		public, err := key.jwk()
		if err != nil {
			return nil, err
		}
		if err := s[:i].admit(key); err != nil {
			return nil, err
		}
		document.Keys = append(document.Keys, public)
	}
	return json.Marshal(document)
}

// Thumbprint returns the SHA-256 thumbprint of a public key (RFC 7638) in
// base64url: a kid that says nothing and never collides.
func Thumbprint(public crypto.PublicKey) (string, error) {
	key := gojose.JSONWebKey{Key: public}
	if !isPublic(public) {
		return "", ErrPrivateKey
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrWeakKey, err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

func (k Key) jwk() (gojose.JSONWebKey, error) {
	if !isPublic(k.Key) {
		return gojose.JSONWebKey{}, fmt.Errorf("%w: kid %q", ErrPrivateKey, k.KeyID)
	}
	return gojose.JSONWebKey{Key: k.Key, KeyID: k.KeyID, Algorithm: string(k.Alg), Use: "sig"}, nil
}

func isPublic(key any) bool {
	switch key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

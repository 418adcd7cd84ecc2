package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// Signer makes compact JWS with one key and one algorithm. It is safe for
// concurrent use if its crypto.Signer is.
type Signer struct {
	public Key
	sign   func(message []byte) ([]byte, error)
	head   string // the header up to the value of typ
	tail   string // the header after it
}

// NewSigner returns a signer for RS256, PS256, ES256 or EdDSA. The private key
// may live elsewhere: only its crypto.Signer face is used. A key that does not
// fit alg, or is weak (see [Key.Validate]), fails with [ErrWeakKey].
func NewSigner(kid string, alg Alg, key crypto.Signer) (*Signer, error) {
	if key == nil {
		return nil, fmt.Errorf("%w: no key", ErrWeakKey)
	}
	if alg == HS256 {
		return nil, fmt.Errorf("%w: HS256 needs NewHS256Signer", ErrAlgorithm)
	}
	public := Key{KeyID: kid, Alg: alg, Key: publicOf(key)}
	if err := public.Validate(); err != nil {
		return nil, err
	}
	return newSigner(public, func(message []byte) ([]byte, error) { return signWith(alg, key, message) }), nil
}

// NewHS256Signer returns a signer that makes HMACs with secret, at least 32
// bytes. Whoever can check such a token can also make one: use it only where
// both ends are one party.
func NewHS256Signer(kid string, secret []byte) (*Signer, error) {
	key, err := NewHS256Key(kid, secret)
	if err != nil {
		return nil, err
	}
	return newSigner(key, func(message []byte) ([]byte, error) {
		mac := hmac.New(sha256.New, secret)
		mac.Write(message)
		return mac.Sum(nil), nil
	}), nil
}

func newSigner(public Key, sign func([]byte) ([]byte, error)) *Signer {
	s := &Signer{public: public, sign: sign, head: `{"alg":"` + string(public.Alg) + `","typ":"`, tail: `"}`}
	if public.KeyID != "" {
		s.tail = `","kid":"` + public.KeyID + `"}`
	}
	return s
}

// publicOf normalises what crypto.Signer implementations return, which for
// Ed25519 is a value and for the others a pointer.
func publicOf(key crypto.Signer) any {
	switch public := key.Public().(type) {
	case *ed25519.PublicKey:
		return *public
	case rsa.PublicKey:
		return &public
	case ecdsa.PublicKey:
		return &public
	default:
		return public
	}
}

func signWith(alg Alg, key crypto.Signer, message []byte) ([]byte, error) {
	if alg == EdDSA {
		return key.Sign(nil, message, crypto.Hash(0))
	}
	digest := sha256.Sum256(message)
	switch alg {
	case RS256:
		return key.Sign(rand.Reader, digest[:], crypto.SHA256)
	case PS256:
		return key.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	case ES256:
		der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return nil, err
		}
		raw, err := fromDER(der)
		return raw[:], err
	}
	return nil, fmt.Errorf("%w: %q", ErrAlgorithm, alg)
}

// Public returns the key that checks what this signer makes. For HS256 that is
// the secret itself.
func (s *Signer) Public() Key { return s.public }

// KeyID returns the kid written into every header.
func (s *Signer) KeyID() string { return s.public.KeyID }

// Alg returns the algorithm written into every header.
func (s *Signer) Alg() Alg { return s.public.Alg }

// Sign returns the compact JWS of payload. typ is mandatory: a token that does
// not say what it is invites being taken for something else (RFC 8725 §3.11).
func (s *Signer) Sign(typ string, payload []byte) (string, error) {
	if typ == "" || !validKeyID(typ) {
		return "", fmt.Errorf("%w: %q cannot be a typ", ErrType, typ)
	}
	var space [192]byte
	header := append(append(append(space[:0], s.head...), typ...), s.tail...)

	encoding := base64.RawURLEncoding
	token := make([]byte, 0, encoding.EncodedLen(len(header))+encoding.EncodedLen(len(payload))+encoding.EncodedLen(maxRSABits/8/2)+2)
	token = encoding.AppendEncode(token, header)
	token = append(token, '.')
	token = encoding.AppendEncode(token, payload)
	signature, err := s.sign(token)
	if err != nil {
		return "", fmt.Errorf("jose: signing: %w", err)
	}
	token = append(token, '.')
	token = encoding.AppendEncode(token, signature)
	return string(token), nil
}

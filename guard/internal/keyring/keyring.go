// Package keyring seals values that leave the server and come back: cookies
// and rows in an application's database. Each purpose has a key of its own,
// derived from a secret the operator configures, so that a value sealed for one
// purpose is noise to every other.
//
// The cipher is AES-256-GCM with random nonces, the derivation HKDF with
// SHA-256, both from the standard library.
package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// MinSecret is the least length of a secret in bytes. It bounds the length and
// cannot measure the entropy: a secret must be random, not a phrase.
const MinSecret = 32

// ErrOpen is returned for everything that does not open: forged, truncated,
// sealed with a key no longer in the ring, or for another purpose or place.
// Which of them it was is nobody's business.
var ErrOpen = errors.New("keyring: sealed value does not open")

const (
	version   = 1
	keyIDSize = 4
	headSize  = 1 + keyIDSize
	label     = "gatehouse guard v1: "
)

// Ring holds secrets, the current one first.
type Ring struct{ secrets [][]byte }

// New makes a ring. The first secret seals; all of them open, so a new secret
// is put in front and the old one removed once nothing sealed with it is alive.
func New(secrets ...string) (*Ring, error) {
	if len(secrets) == 0 {
		return nil, errors.New("no secret given")
	}
	r := &Ring{}
	for i, s := range secrets {
		if len(s) < MinSecret {
			return nil, fmt.Errorf("secret %d of %d is %d bytes long; it needs %d random ones at least", i+1, len(secrets), len(s), MinSecret)
		}
		r.secrets = append(r.secrets, []byte(s))
	}
	return r, nil
}

// For returns the sealer of one purpose.
func (r *Ring) For(purpose string) (*Sealer, error) {
	s := &Sealer{purpose: purpose}
	for _, secret := range r.secrets {
		key, err := hkdf.Key(sha256.New, secret, nil, label+"seal "+purpose, 32)
		if err != nil {
			return nil, err
		}
		id, err := hkdf.Key(sha256.New, secret, nil, label+"key id", keyIDSize)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, derived{id: [keyIDSize]byte(id), aead: aead})
	}
	return s, nil
}

// Sealer seals and opens values of one purpose.
type Sealer struct {
	purpose string
	keys    []derived
}

type derived struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
}

// Seal encrypts plaintext and binds it to place: where it belongs, such as the
// application's id and the cookie's name. Opening it elsewhere fails.
func (s *Sealer) Seal(place string, plaintext []byte) []byte {
	k := s.keys[0]
	head := append([]byte{version}, k.id[:]...)
	return k.aead.Seal(head, nil, plaintext, s.bind(head, place))
}

// Open returns what Seal was given, or ErrOpen.
func (s *Sealer) Open(place string, sealed []byte) ([]byte, error) {
	if len(sealed) < headSize || sealed[0] != version {
		return nil, ErrOpen
	}
	head, body := sealed[:headSize], sealed[headSize:]
	for _, k := range s.keys {
		if !bytes.Equal(k.id[:], head[1:]) {
			continue
		}
		plain, err := k.aead.Open(nil, nil, body, s.bind(head, place))
		if err == nil {
			return plain, nil
		}
	}
	return nil, ErrOpen
}

// bind is the associated data: each part with its length, so that no two
// combinations read the same.
func (s *Sealer) bind(head []byte, place string) []byte {
	var aad []byte
	for _, part := range [...]string{string(head), s.purpose, place} {
		aad = binary.BigEndian.AppendUint32(aad, uint32(len(part)))
		aad = append(aad, part...)
	}
	return aad
}

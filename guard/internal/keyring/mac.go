package keyring

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
)

// MACSize is the length of a MAC in bytes.
const MACSize = sha256.Size

// MAC authenticates values of one purpose with HMAC-SHA-256.
type MAC struct{ keys [][]byte }

// MAC returns the authenticator of one purpose. Its keys are others than those of
// For with the same purpose.
func (r *Ring) MAC(purpose string) (*MAC, error) {
	m := &MAC{}
	for _, secret := range r.secrets {
		key, err := hkdf.Key(sha256.New, secret, nil, label+"mac "+purpose, sha256.Size)
		if err != nil {
			return nil, err
		}
		m.keys = append(m.keys, key)
	}
	return m, nil
}

// Sum returns the MAC of value by the ring's first secret.
func (m *MAC) Sum(value string) []byte { return sum(m.keys[0], value) }

// Verify reports, in constant time, whether mac is the MAC of value by any secret
// of the ring.
func (m *MAC) Verify(value string, mac []byte) bool {
	ok := false
	for _, key := range m.keys {
		ok = hmac.Equal(sum(key, value), mac) || ok
	}
	return ok
}

func sum(key []byte, value string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(value))
	return h.Sum(nil)
}

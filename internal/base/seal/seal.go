// Package seal keeps secrets at rest and hands sealed values to browsers: AES-256-GCM under keys
// that are derived, one per purpose, from the master keys.
//
// A sealed value names the master key it was made with, so several can be live while values are
// sealed anew. What a value is for (its purpose) and where it belongs (its associated data) are
// part of the seal: a value copied to another place does not open.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
)

// MasterKey is one of the keys from which all others are derived. ID is eight lower-case
// hexadecimal digits and names the key in every sealed value.
type MasterKey struct {
	ID  string
	Key [32]byte
}

// NewMasterKey returns a master key whose ID is taken from the key itself.
func NewMasterKey(key [32]byte) MasterKey {
	sum := sha256.Sum256(append([]byte("gatehouse master key id\x00"), key[:]...))
	return MasterKey{ID: hex.EncodeToString(sum[:4]), Key: key}
}

// String hides the key from logs.
func (k MasterKey) String() string { return "MasterKey(" + k.ID + ")" }

// GoString hides the key from %#v.
func (k MasterKey) GoString() string { return k.String() }

// ErrOpen is returned for a value that does not open: made for another purpose or place, changed
// on the way, or sealed with a key that is not in the ring. It never says which.
var ErrOpen = errors.New("seal: value does not open")

// ErrUnknownKey is returned with ErrOpen when the value names a master key that is not in the
// ring: for operators, who may have taken a key away too early.
var ErrUnknownKey = errors.New("seal: unknown master key")

// A sealed value is: one byte of format, four bytes of key id, then nonce and ciphertext.
const (
	format     = 1
	headerSize = 1 + 4
)

// Keyring seals with the first of its master keys and opens with any. It is safe for concurrent
// use.
type Keyring struct {
	keys    []MasterKey
	derived sync.Map // cacheKey → *derived
}

type cacheKey struct{ keyID, purpose string }

type derived struct {
	aead cipher.AEAD
	mac  []byte
}

// New returns a ring of keys, the first being the current one. It refuses an empty ring, a
// malformed id and an id that stands twice.
func New(keys []MasterKey) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("seal: no master key")
	}
	seen := map[string]bool{}
	for _, k := range keys {
		if raw, err := hex.DecodeString(k.ID); err != nil || len(raw) != 4 {
			return nil, fmt.Errorf("seal: master key id %q is not eight hexadecimal digits", k.ID)
		}
		if seen[k.ID] {
			return nil, fmt.Errorf("seal: master key %s stands twice in the ring", k.ID)
		}
		seen[k.ID] = true
	}
	return &Keyring{keys: keys}, nil
}

// CurrentID returns the id of the key that seals.
func (r *Keyring) CurrentID() string { return r.keys[0].ID }

// IDs returns the ids of all keys of the ring, the current one first.
func (r *Keyring) IDs() []string {
	out := make([]string, len(r.keys))
	for i, k := range r.keys {
		out[i] = k.ID
	}
	return out
}

// Seal encrypts plaintext for one purpose under the current key, bound to aad.
func (r *Keyring) Seal(purpose string, aad, plaintext []byte) []byte {
	key := r.keys[0]
	header := make([]byte, headerSize, headerSize+12+len(plaintext)+16)
	header[0] = format
	hex.Decode(header[1:headerSize], []byte(key.ID))
	return r.derive(key, purpose).aead.Seal(header, nil, plaintext, bind(header[:headerSize], aad))
}

// Open decrypts a value made by Seal for the same purpose and aad. The error is [ErrOpen], joined
// with [ErrUnknownKey] where that is the cause.
func (r *Keyring) Open(purpose string, aad, sealed []byte) ([]byte, error) {
	key, err := r.keyOf(sealed)
	if err != nil {
		return nil, err
	}
	plain, err := r.derive(key, purpose).aead.Open(nil, nil, sealed[headerSize:], bind(sealed[:headerSize], aad))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// KeyID returns the id of the master key a value was sealed with, without opening it.
func KeyID(sealed []byte) (string, error) {
	if len(sealed) < headerSize || sealed[0] != format {
		return "", ErrOpen
	}
	return hex.EncodeToString(sealed[1:headerSize]), nil
}

// MAC returns HMAC-SHA-256 of data under a key derived for the purpose from the named master key.
// It fails with ErrUnknownKey when the ring has no such key.
func (r *Keyring) MAC(purpose, keyID string, data []byte) ([]byte, error) {
	for _, k := range r.keys {
		if k.ID == keyID {
			h := hmac.New(sha256.New, r.derive(k, purpose).mac)
			h.Write(data)
			return h.Sum(nil), nil
		}
	}
	return nil, ErrUnknownKey
}

func (r *Keyring) keyOf(sealed []byte) (MasterKey, error) {
	keyID, err := KeyID(sealed)
	if err != nil {
		return MasterKey{}, err
	}
	for _, k := range r.keys {
		if k.ID == keyID {
			return k, nil
		}
	}
	return MasterKey{}, errors.Join(ErrOpen, ErrUnknownKey)
}

func (r *Keyring) derive(key MasterKey, purpose string) *derived {
	at := cacheKey{key.ID, purpose}
	if d, ok := r.derived.Load(at); ok {
		return d.(*derived)
	}
	block, err := aes.NewCipher(subkey(key, "gatehouse seal\x00"+purpose))
	if err != nil {
		panic(err) // the key is always 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	d, _ := r.derived.LoadOrStore(at, &derived{aead: aead, mac: subkey(key, "gatehouse mac\x00"+purpose)})
	return d.(*derived)
}

func subkey(key MasterKey, info string) []byte {
	out, err := hkdf.Key(sha256.New, key.Key[:], nil, info, 32)
	if err != nil {
		panic(err) // only for lengths beyond 255 hashes
	}
	return out
}

// bind joins header and associated data so that neither can be read as a part of the other.
func bind(header, aad []byte) []byte {
	out := make([]byte, 0, len(header)+len(aad))
	return append(append(out, header...), aad...)
}

// ColumnAAD is the associated data of a value in the database: it opens only in the column and
// row it was sealed for.
func ColumnAAD(tenant, table, column, row string) []byte {
	var out []byte
	for _, part := range []string{tenant, table, column, row} {
		out = binary.AppendUvarint(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out
}

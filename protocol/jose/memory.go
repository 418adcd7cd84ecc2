package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
)

// Memory remembers which tokens' signatures were right under which key, so that
// a token shown again and again costs a hash and not a signature check. That is
// all it remembers: header, type, claims and time of a token are judged anew
// whenever it comes, and the key must still be found among the trusted ones. It
// is bounded, forgets the older for the newer, and is safe for concurrent use.
//
// A nil Memory remembers nothing.
type Memory struct {
	slots []atomic.Pointer[memory]
}

// memory is one token. It holds no part of the token's text.
type memory struct {
	digest [sha256.Size]byte
	key    any // see identity
}

// ways is in how many places a token may be kept.
const ways = 4

// NewMemory returns a Memory for about so many tokens.
func NewMemory(tokens int) *Memory {
	n := ways
	for n < tokens {
		n *= 2
	}
	return &Memory{slots: make([]atomic.Pointer[memory], n)}
}

// set returns the places where a token with this digest may be kept.
func (m *Memory) set(digest *[sha256.Size]byte) []atomic.Pointer[memory] {
	at := binary.LittleEndian.Uint64(digest[:]) % uint64(len(m.slots)/ways) * ways
	return m.slots[at : at+ways]
}

// verified reports whether the signature of a whole token, of which this is the
// digest, was right under this very key.
func (m *Memory) verified(digest *[sha256.Size]byte, key any) bool {
	set := m.set(digest)
	for i := range set {
		if known := set[i].Load(); known != nil && known.digest == *digest {
			return known.key == key
		}
	}
	return false
}

// learn keeps a token in the place of a free one, or of the oldest.
func (m *Memory) learn(digest *[sha256.Size]byte, key any) {
	set := m.set(digest)
	next := &memory{*digest, key}
	for i := range set { // the newest stands first
		before := set[i].Swap(next)
		if before == nil || before.digest == *digest {
			return
		}
		next = before
	}
}

// identity returns what two uses of one key have in common and two keys do not:
// the pointer, or the bytes. Nil, for secrets, is never remembered.
func identity(key any) any {
	switch key := key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		return key
	case ed25519.PublicKey:
		return string(key)
	}
	return nil
}

package tokencache

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"sync"
)

// Digest stands for a token. Two spellings of one token are two tokens.
type Digest [sha256.Size]byte

// typical is how long most tokens are at most. One up to that length is taken up
// without asking for memory.
const typical = 2 << 10

// Of returns the digest of token that everybody computes: SHA-256.
func Of(token string) Digest {
	if len(token) > typical {
		return sha256.Sum256([]byte(token))
	}
	var space [typical]byte
	return sha256.Sum256(space[:copy(space[:], token)])
}

// Keyed gives tokens digests that mean something in this process alone, in a
// third of the time: GMAC (NIST SP 800-38D) under a key that nobody has seen.
// They never leave the process, so one nonce does for all: without the key, and
// without ever seeing a digest, nobody finds a second token for the digest of
// one that is not known to him anyway. It is safe for concurrent use.
type Keyed struct {
	mac    cipher.AEAD // nil where Go admits approved cryptography alone, which this use of GCM is not
	nonce  []byte
	spaces sync.Pool // of *space
}

type space struct {
	token [typical]byte
	tag   [sha256.Size]byte
}

// NewKeyed returns digests under a key of their own.
func NewKeyed() *Keyed {
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key is as long as AES wants it
	}
	k := &Keyed{spaces: sync.Pool{New: func() any { return new(space) }}}
	if mac, err := cipher.NewGCM(block); err == nil {
		k.mac, k.nonce = mac, make([]byte, mac.NonceSize())
	}
	return k
}

// Of returns the digest of token.
func (k *Keyed) Of(token string) (d Digest) {
	if k.mac == nil {
		return Of(token)
	}
	s := k.spaces.Get().(*space)
	defer k.spaces.Put(s)
	text := append(s.token[:0], token...) // a longer one gets memory of its own
	copy(d[:], k.mac.Seal(s.tag[:0], k.nonce, nil, text))
	clear(text) // what is kept for the next is no place for a token
	return d
}

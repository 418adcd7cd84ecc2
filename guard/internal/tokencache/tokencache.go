// Package tokencache remembers what was found out about tokens without keeping
// any token: a token is known by its digest. Package bearer keeps in it the
// tokens it has checked, package introspect the answers it was given.
package tokencache

import (
	"encoding/binary"
	"sync/atomic"
)

// Entry is what is remembered of one token.
type Entry[T any] struct {
	Digest Digest
	Value  T
}

// Cache is a bounded memory of tokens, in which the newer push out the older. It
// never looks at the time: who puts an entry in judges its age when it comes
// out. It is safe for concurrent use, and readers wait for nobody.
type Cache[T any] struct {
	slots []atomic.Pointer[Entry[T]]
}

// ways is in how many places one token may be kept.
const ways = 8

// spare is how many places there are for each token, so that hardly two in use
// have to share one: of so many tokens as the cache is for, one in ten thousand.
const spare = 4

// New returns a cache with room for so many tokens in use at a time. The most it
// ever holds is four times as many.
func New[T any](tokens int) *Cache[T] {
	return &Cache[T]{make([]atomic.Pointer[Entry[T]], (spare*tokens+ways-1)/ways*ways)}
}

func (c *Cache[T]) places(d *Digest) []atomic.Pointer[Entry[T]] {
	at := binary.LittleEndian.Uint64(d[:]) % uint64(len(c.slots)/ways) * ways
	return c.slots[at : at+ways]
}

// Get returns what is remembered of a token, nil if nothing is.
func (c *Cache[T]) Get(d *Digest) *Entry[T] {
	places := c.places(d)
	for i := range places {
		if e := places[i].Load(); e != nil && e.Digest == *d {
			return e
		}
	}
	return nil
}

// Put remembers e in place of what was known of the same token, of nothing, or
// of the oldest that it could be mistaken for.
func (c *Cache[T]) Put(e *Entry[T]) {
	places := c.places(&e.Digest)
	for i, next := 0, e; i < len(places) && next != nil; i++ { // the newest stands first
		before := places[i].Swap(next)
		if before != nil && before.Digest == e.Digest {
			return
		}
		next = before
	}
}

// Drop forgets e, unless something newer stands in its place.
func (c *Cache[T]) Drop(e *Entry[T]) {
	places := c.places(&e.Digest)
	for i := range places {
		places[i].CompareAndSwap(e, nil)
	}
}

package ratelimit

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"
)

// Store keeps the buckets. It is safe for concurrent use.
type Store interface {
	// Take takes n requests out of the bucket called key, if it holds as many, and
	// creates the bucket, full, if there is none. A negative n puts requests back,
	// never over the brim. The error means that the store could not tell.
	Take(ctx context.Context, key string, limit Limit, n int) (Result, error)
}

const (
	// DefaultMaxKeys is how many buckets a MemoryStore holds, some 100 bytes each.
	DefaultMaxKeys = 100_000
	shards         = 16
)

// MemoryStore keeps buckets in this process, a bounded number of them: when a
// new key needs room, the one used longest ago is forgotten.
type MemoryStore struct {
	now    func() time.Time
	start  time.Time
	shards [shards]shard
}

// NewMemoryStore returns an empty store for at most maxKeys buckets; zero stands
// for DefaultMaxKeys.
func NewMemoryStore(maxKeys int) *MemoryStore { return NewMemoryStoreClock(maxKeys, time.Now) }

// NewMemoryStoreClock returns an empty store that asks now for the time.
func NewMemoryStoreClock(maxKeys int, now func() time.Time) *MemoryStore {
	if maxKeys <= 0 {
		maxKeys = DefaultMaxKeys
	}
	s := &MemoryStore{now: now, start: now()}
	for i := range s.shards {
		s.shards[i].max = (maxKeys + shards - 1) / shards
		s.shards[i].buckets = map[bucketID]int32{}
	}
	return s
}

// Take implements Store. The error is always nil.
func (s *MemoryStore) Take(_ context.Context, key string, limit Limit, n int) (Result, error) {
	id := bucketID(sha256.Sum256([]byte(key)))
	sh := &s.shards[id[0]%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	// Asked for under the lock, so that time does not run backwards within a
	// shard. The difference is monotonic: turning the machine's clock changes
	// nothing.
	now := s.now().Sub(s.start)
	b := sh.bucket(id)
	var r Result
	b.full, r = limit.Decide(b.full, now, n)
	return r, nil
}

type bucketID [sha256.Size]byte

// shard is a part of the buckets with a lock of its own. They form a list in the
// order of their use, most recent first, by their places in a slice: no bucket
// is an allocation of its own.
type shard struct {
	mu      sync.Mutex
	max     int
	buckets map[bucketID]int32
	list    []bucket
	first   int32
	last    int32
}

type bucket struct {
	id         bucketID
	full       time.Duration // since the store's start
	prev, next int32         // neighbours, -1 at the ends
}

// bucket returns the bucket called id and makes it the most recent.
func (s *shard) bucket(id bucketID) *bucket {
	at, ok := s.buckets[id]
	switch {
	case ok:
		s.unlink(at)
	case len(s.list) < s.max:
		at = int32(len(s.list))
		s.list = append(s.list, bucket{id: id})
		s.buckets[id] = at
	default:
		at = s.last
		s.unlink(at)
		delete(s.buckets, s.list[at].id)
		s.list[at] = bucket{id: id}
		s.buckets[id] = at
	}
	s.link(at)
	return &s.list[at]
}

func (s *shard) unlink(at int32) {
	b := s.list[at]
	if b.prev >= 0 {
		s.list[b.prev].next = b.next
	} else {
		s.first = b.next
	}
	if b.next >= 0 {
		s.list[b.next].prev = b.prev
	} else {
		s.last = b.prev
	}
}

func (s *shard) link(at int32) {
	b := &s.list[at]
	b.prev, b.next = -1, -1
	if len(s.buckets) > 1 {
		b.next = s.first
		s.list[s.first].prev = at
	} else {
		s.last = at
	}
	s.first = at
}

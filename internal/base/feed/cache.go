package feed

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
)

// Cache remembers for a short while what was read of tenants. What its own node writes it forgets
// at once: the verb that writes calls Forget when it is committed. What others write is seen when
// ttl is over, with no need to hear of it. It is bounded, and safe for concurrent use.
type Cache[V any] struct {
	clock clock.Clock
	ttl   time.Duration
	most  int64

	mu      sync.RWMutex
	shelves map[string]*shelf
}

// shelf is all that is remembered of one tenant. It is thrown away whole: a value that was read
// before a change and comes too late lands on a shelf that nobody looks at any more.
type shelf struct {
	values sync.Map // key → remembered[V]
	count  atomic.Int64
}

type remembered[V any] struct {
	value V
	until time.Time
}

// NewCache returns a cache that holds at most so many values of each tenant, each for at most ttl.
func NewCache[V any](c clock.Clock, ttl time.Duration, most int) *Cache[V] {
	return &Cache[V]{clock: c, ttl: ttl, most: int64(most), shelves: map[string]*shelf{}}
}

// Get returns what is remembered of key, or what read returns, which then is remembered unless it
// is an error. Values are shared: nobody may change one.
func (c *Cache[V]) Get(tenantID, key string, read func() (V, error)) (V, error) {
	s := c.shelf(tenantID)
	if known, ok := c.peek(s, key); ok {
		return known, nil
	}
	began := c.clock.Now() // a value is as old as the question it answers
	value, err := read()
	if err != nil {
		return value, err
	}
	c.put(s, tenantID, key, value, began)
	return value, nil
}

// Peek returns what is remembered of key, if anything is.
func (c *Cache[V]) Peek(tenantID, key string) (V, bool) { return c.peek(c.shelf(tenantID), key) }

func (c *Cache[V]) peek(s *shelf, key string) (V, bool) {
	known, _ := s.values.Load(key)
	r, ok := known.(remembered[V])
	if !ok || !c.clock.Now().Before(r.until) {
		var none V
		return none, false
	}
	return r.value, true
}

// Put remembers a value that nobody need read.
func (c *Cache[V]) Put(tenantID, key string, value V) {
	c.put(c.shelf(tenantID), tenantID, key, value, c.clock.Now())
}

func (c *Cache[V]) put(s *shelf, tenantID, key string, value V, asOf time.Time) {
	if _, known := s.values.Swap(key, remembered[V]{value, asOf.Add(c.ttl)}); !known && s.count.Add(1) > c.most {
		c.Forget(tenantID)
	}
}

// Drop forgets one value.
func (c *Cache[V]) Drop(tenantID, key string) {
	s := c.shelf(tenantID)
	if _, known := s.values.LoadAndDelete(key); known {
		s.count.Add(-1)
	}
}

// Forget drops all that is remembered of a tenant.
func (c *Cache[V]) Forget(tenantID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.shelves, tenantID)
}

func (c *Cache[V]) shelf(tenantID string) *shelf {
	c.mu.RLock()
	s := c.shelves[tenantID]
	c.mu.RUnlock()
	if s != nil {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s = c.shelves[tenantID]; s == nil {
		s = &shelf{}
		c.shelves[tenantID] = s
	}
	return s
}

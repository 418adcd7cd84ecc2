// Package limit counts events per key in memory, for limits that are per node.
package limit

import (
	"sync"
	"time"
)

// Counter allows so many events per key in a window of time. It remembers a bounded number of
// keys: when it is full, keys whose window is over go first, and then those that were counted
// least, so a flood of new keys can not make it forget one that is at its limit. It is safe for
// concurrent use.
type Counter struct {
	max    int
	window time.Duration
	keys   int

	mu      sync.Mutex
	entries map[string]*entry
}

type entry struct {
	count int
	ends  time.Time
}

// NewCounter returns a counter that allows max events per key and window, and remembers at most
// keys of them.
func NewCounter(max int, window time.Duration, keys int) *Counter {
	return &Counter{max: max, window: window, keys: keys, entries: map[string]*entry{}}
}

// Exceeded reports whether a key has used up its events, and how long until its window is over.
func (c *Counter) Exceeded(key string, now time.Time) (bool, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil || !now.Before(e.ends) || e.count < c.max {
		return false, 0
	}
	return true, e.ends.Sub(now)
}

// Add counts an event of a key, and reports whether it was the last that the key had in its window.
func (c *Counter) Add(key string, now time.Time) (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil || !now.Before(e.ends) {
		if e == nil && len(c.entries) >= c.keys {
			c.makeRoom(now)
		}
		e = &entry{ends: now.Add(c.window)}
		c.entries[key] = e
	}
	e.count++
	return e.count == c.max
}

func (c *Counter) makeRoom(now time.Time) {
	for key, e := range c.entries {
		if !now.Before(e.ends) {
			delete(c.entries, key)
		}
	}
	for below := 2; len(c.entries) >= c.keys; below *= 2 {
		for key, e := range c.entries {
			if e.count < below {
				delete(c.entries, key)
			}
		}
	}
}

package drive

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
)

// Clock is one that a test moves. Houses read it, and so do programs for Node.js that are started with
// its Environment.
type Clock struct {
	*clock.Virtual
	file string // says to Node.js how far this clock is ahead of the machine's, in milliseconds

	t       *testing.T
	mu      sync.Mutex
	ahead   time.Duration
	running bool
}

// NewClock returns a clock that stands, so far ahead of the machine's, or behind it.
func NewClock(t *testing.T, ahead time.Duration) *Clock {
	t.Helper()
	c := &Clock{Virtual: clock.NewVirtual(time.Now()), file: filepath.Join(t.TempDir(), "offset"), t: t}
	c.Advance(ahead)
	return c
}

// Run lets the clock run with the machine's until the test ends. One that stands counts all that happens
// as happening at once.
func (c *Clock) Run() {
	c.mu.Lock()
	c.running = true
	c.mu.Unlock()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticks := time.NewTicker(10 * time.Millisecond)
		defer ticks.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticks.C:
				c.move(0)
			}
		}
	}()
	c.t.Cleanup(func() { close(stop); <-stopped })
}

// Advance moves the clock on by d, for all who read it.
func (c *Clock) Advance(d time.Duration) {
	c.t.Helper()
	ahead, next := c.move(d), c.file+".new"
	if err := os.WriteFile(next, []byte(fmt.Sprint(ahead.Milliseconds())), 0o600); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(next, c.file); err != nil { // a reader sees the one or the other
		c.t.Fatal(err)
	}
}

func (c *Clock) move(d time.Duration) (ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ahead += d; c.running {
		c.Set(time.Now().Add(c.ahead))
	} else {
		c.Virtual.Advance(d)
	}
	return c.ahead
}

// Environment makes a program for Node.js go by this clock.
func (c *Clock) Environment() []string {
	return []string{"NODE_OPTIONS=--import=" + filepath.Join(Root(), "e2e", "drive", "clock.mjs"), "CLOCK_OFFSET=" + c.file}
}

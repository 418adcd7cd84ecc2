// Package clock is where the house reads the time, so that a test can hold it still.
//
// Rules never read a clock: they take the time as an argument. Only the code that gathers facts
// for them holds a Clock.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time of day.
type Clock interface {
	// Now returns the current time in UTC, cut to the microsecond that storage keeps.
	Now() time.Time
}

// System is the clock of the machine.
type System struct{}

// Now implements [Clock].
func (System) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Virtual is a clock that moves only when it is told to. It is safe for concurrent use.
type Virtual struct {
	mu  sync.Mutex
	now time.Time
}

// NewVirtual returns a clock that stands at t.
func NewVirtual(t time.Time) *Virtual {
	return &Virtual{now: t.UTC().Truncate(time.Microsecond)}
}

// Now implements [Clock].
func (v *Virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Advance moves the clock forward by d.
func (v *Virtual) Advance(d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = v.now.Add(d).Truncate(time.Microsecond)
}

// Set moves the clock to t, forward or back.
func (v *Virtual) Set(t time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = t.UTC().Truncate(time.Microsecond)
}

// Package gate bounds how much costly work runs at a time: password hashes, signatures. Each kind
// has a gate of its own, so a flood of one does not starve the other.
package gate

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"
)

// Options say how wide a gate is. Zero values stand for the defaults named.
type Options struct {
	Width int           // how many may be inside: GOMAXPROCS
	Queue int           // how many may wait: 64 for each that may be inside
	Wait  time.Duration // how long one waits at most: 3 s
}

// ErrFull is returned to whoever is turned away: too many are waiting, or waiting took too long.
var ErrFull = errors.New("gate: too many are waiting")

// Gate lets in only so many at a time, first come first served, and turns away whom it cannot let
// in soon: a flood is answered instead of piling up. It is safe for concurrent use.
type Gate struct {
	slots   chan struct{} // a slot is taken by sending; waiting senders are served in order
	leave   func()
	queue   int64
	waiting atomic.Int64
	wait    time.Duration
}

// New returns an empty gate.
func New(o Options) *Gate {
	if o.Width == 0 {
		o.Width = runtime.GOMAXPROCS(0)
	}
	if o.Queue == 0 {
		o.Queue = 64 * o.Width
	}
	if o.Wait == 0 {
		o.Wait = 3 * time.Second
	}
	g := &Gate{slots: make(chan struct{}, o.Width), queue: int64(o.Queue), wait: o.Wait}
	g.leave = func() { <-g.slots }
	return g
}

// Enter waits for its turn, and returns what gives the place back. It fails with ErrFull, or with
// the cause of ctx if that ends first.
func (g *Gate) Enter(ctx context.Context) (leave func(), err error) {
	select {
	case g.slots <- struct{}{}:
		return g.leave, nil
	default:
	}
	if g.waiting.Add(1) > g.queue {
		g.waiting.Add(-1)
		return nil, ErrFull
	}
	defer g.waiting.Add(-1)
	deadline := time.NewTimer(g.wait)
	defer deadline.Stop()
	select {
	case g.slots <- struct{}{}:
		return g.leave, nil
	case <-deadline.C:
		return nil, ErrFull
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Full reports whether the next to come would be turned away.
func (g *Gate) Full() bool { return g.waiting.Load() >= g.queue && len(g.slots) == cap(g.slots) }

// Inside returns how many are inside.
func (g *Gate) Inside() int { return len(g.slots) }

// Waiting returns how many wait.
func (g *Gate) Waiting() int { return int(g.waiting.Load()) }

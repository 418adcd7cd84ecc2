package db

import (
	"context"
	"sync/atomic"
)

// place is a caller's place in a queue. Who gives up before its turn is skipped; after its turn has begun the caller waits
// for the outcome, whatever happens to its context.
type place struct {
	caller context.Context
	taken  atomic.Bool // by the engine, to begin the turn, or by the caller, to give up
	done   chan struct{}
	err    error // settled before done is closed
}

func newPlace(caller context.Context) place { return place{caller: caller, done: make(chan struct{})} }

// take claims the place; only one of engine and caller can.
func (p *place) take() bool { return p.taken.CompareAndSwap(false, true) }

// begins claims the place for the engine, and answers a caller whose context has ended.
func (p *place) begins() bool {
	if p.caller.Err() == nil {
		return p.take()
	}
	if p.take() {
		p.err = gaveUp(p.caller)
		close(p.done)
	}
	return false
}

// wait returns once there is an outcome, or with an error when the caller gave up before its turn.
func (p *place) wait() error {
	select {
	case <-p.done:
	case <-p.caller.Done():
		if p.take() {
			return gaveUp(p.caller)
		}
		<-p.done
	}
	return nil
}

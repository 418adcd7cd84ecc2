package revocation

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

// How long to wait before the next stream: twice as long each time, with jitter, so
// that guards which lost a server together do not come back together.
const (
	minPause = 250 * time.Millisecond
	maxPause = 30 * time.Second
	// healthy is how long a stream lasts at least that was no failure. Proxies that cut
	// or gather streams do so sooner.
	healthy = 10 * time.Second
)

// follow listens for as long as ctx lives. Between two streams it polls, so a proxy
// that lets no stream through costs requests, and nothing else.
func (f *Feed) follow(ctx context.Context) {
	defer close(f.done)
	defer f.end()
	for failures := 0; ctx.Err() == nil; {
		began := f.o.Clock()
		err := f.listen(ctx)
		switch {
		case errors.Is(err, errTooFar):
			// The next turn begins with a snapshot.
		case f.o.Clock().Sub(began) >= healthy:
			failures = 0
		}
		f.note(ctx, err)
		f.pollFor(ctx, jitter(min(minPause<<min(failures, 10), maxPause)))
		failures++
	}
}

// note keeps the cause for Ready while the feed is not trusted.
func (f *Feed) note(ctx context.Context, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil || f.cause == nil || errors.Is(f.cause, ErrTooManyRules) {
		return
	}
	why := ErrSilent
	if !f.known {
		why = ErrNoSnapshot
	}
	f.cause = fmt.Errorf("%w: %w", why, err)
}

// listen brings the rules up to date and takes in what the stream brings, until it
// ends.
func (f *Feed) listen(ctx context.Context) error {
	if err := f.ask(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	after := f.n
	f.mu.Unlock()
	err := f.source.listen(ctx, after, func(e revocation.Event) error { return f.take(e.N, e.Rules, false) })
	if errors.Is(err, errTooFar) {
		f.forgetPlace()
	}
	return err
}

// ask brings the rules up to date, by a snapshot or by a poll.
func (f *Feed) ask(ctx context.Context) error {
	f.mu.Lock()
	after, known := f.n, f.known
	f.mu.Unlock()
	if !known {
		after = -1
	}
	n, rules, snapshot, err := f.source.after(ctx, after)
	if err != nil {
		return err
	}
	return f.take(n, rules, snapshot)
}

// forgetPlace makes the next turn begin with a snapshot. The rules that are known
// stay: none is ever withdrawn.
func (f *Feed) forgetPlace() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = false
}

// pollFor polls until it is time to try for a stream again.
func (f *Feed) pollFor(ctx context.Context, pause time.Duration) {
	over := time.NewTimer(pause)
	defer over.Stop()
	polls := time.NewTicker(f.o.PollEvery)
	defer polls.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-over.C:
			return
		case <-polls.C:
			if err := f.ask(ctx); err != nil {
				f.note(ctx, err)
			}
		}
	}
}

// jitter returns between half of d and d.
func jitter(d time.Duration) time.Duration {
	var random [8]byte
	rand.Read(random[:])
	return d/2 + time.Duration(binary.LittleEndian.Uint64(random[:])%uint64(d/2+1))
}

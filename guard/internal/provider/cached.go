package provider

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of how long a document of the issuer is used.
const (
	minFresh     = time.Minute
	maxFresh     = time.Hour
	defaultFresh = 10 * time.Minute
	// maxHeld is how long after it was last seen at the issuer a document is used
	// while the issuer cannot be reached.
	maxHeld = 24 * time.Hour

	fetchTimeout = 10 * time.Second
	minRetry     = time.Second
	maxRetry     = time.Minute
)

// cached holds one document of the issuer. It is fetched when first asked for.
// Once fresh no longer, it is still used while one fetch runs beside, and on
// until maxHeld if that fails. There is never more than one fetch at a time,
// and after a failure the next waits, longer each time, so an issuer that
// struggles is not pushed.
type cached[T any] struct {
	// fetch gets the document and how long the issuer says it stays fresh, 0 if
	// it does not say.
	fetch func(context.Context) (T, time.Duration, error)
	now   func() time.Time

	held atomic.Pointer[held[T]] // read without the lock, replaced under it

	mu       sync.Mutex
	flight   *flight
	failed   error // of the last fetch, nil if it succeeded
	failures int
	retryAt  time.Time
}

type held[T any] struct {
	value      T
	fetchedAt  time.Time
	freshUntil time.Time
}

// flight is a fetch under way; err is set before done is closed.
type flight struct {
	done chan struct{}
	err  error
}

// landed is a flight that is over already.
func landed(err error) *flight {
	f := &flight{done: make(chan struct{}), err: err}
	close(f.done)
	return f
}

func await(ctx context.Context, f *flight) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// get returns the document, waiting only if there is none that may be used.
func (c *cached[T]) get(ctx context.Context) (*held[T], error) { return c.getAt(ctx, c.now()) }

func (c *cached[T]) getAt(ctx context.Context, now time.Time) (*held[T], error) {
	if h := c.usable(now); h != nil {
		if !now.Before(h.freshUntil) {
			c.start(now, nil)
		}
		return h, nil
	}
	if err := await(ctx, c.start(now, nil)); err != nil {
		return nil, err
	}
	return c.held.Load(), nil
}

func (c *cached[T]) usable(now time.Time) *held[T] {
	h := c.held.Load()
	if h == nil || !now.Before(h.fetchedAt.Add(maxHeld)) {
		return nil
	}
	return h
}

// refetch fetches the document anew if allowed says so, or joins the fetch
// under way, and waits. Where it is not allowed it returns at once: nil, or the
// failure of the last fetch, since what we hold may then be out of date.
func (c *cached[T]) refetch(ctx context.Context, now time.Time, allowed func() bool) error {
	return await(ctx, c.start(now, allowed))
}

// start returns the fetch under way or starts one, if it is not too early to
// try again after a failure and allowed, when given, agrees. It asks allowed
// under the lock, so that a permission is spent on a fetch and on nothing else.
func (c *cached[T]) start(now time.Time, allowed func() bool) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight != nil {
		return c.flight
	}
	if c.failed != nil && now.Before(c.retryAt) || allowed != nil && !allowed() {
		return landed(c.failed)
	}
	f := &flight{done: make(chan struct{})}
	c.flight = f
	// Not with the caller's context: others wait for the same fetch, and the
	// caller may leave.
	go c.run(f)
	return f
}

func (c *cached[T]) run(f *flight) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	value, fresh, err := c.fetch(ctx)

	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.failed = err; err != nil {
		c.retryAt = now.Add(min(minRetry<<min(c.failures, 6), maxRetry))
		c.failures++
	} else {
		c.failures = 0
		if fresh == 0 {
			fresh = defaultFresh
		}
		fresh = min(max(fresh, minFresh), maxFresh)
		c.held.Store(&held[T]{value: value, fetchedAt: now, freshUntil: now.Add(fresh)})
	}
	f.err = err
	c.flight = nil
	close(f.done)
}

package revocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/introspect"
	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

// Feed knows what an issuer has taken back. [Follow] and [Poll] make one. It is
// safe for concurrent use.
type Feed struct {
	o          Options
	log        *slog.Logger
	source     *source
	introspect *introspect.Client // nil if OnStale is Refuse
	rules      *set
	onRequest  bool // of Poll: there is nobody in the background

	// current is the number of the last change while the feed is trusted, and zero
	// while it is not. It is all that Check reads of a credential that was cleared at
	// that number.
	current atomic.Uint64

	mu      sync.Mutex // held while rules and state change
	n       int64      // the number of the issuer's that was reached
	known   bool       // a snapshot is in
	heardAt time.Time
	silence *time.Timer // until the feed is not trusted any more; nil for Poll
	turn    uint64      // of silence: one that was put off does nothing
	cause   error       // why the feed is not trusted; nil while it is
	ready   chan struct{}

	closed bool
	stop   context.CancelFunc
	done   chan struct{}

	asking  sync.Mutex // held by who polls on the way of a request
	askedAt time.Time  // under mu
}

// The errors that Ready wraps while the feed is not trusted.
var (
	// ErrNoSnapshot: the rules have never been read.
	ErrNoSnapshot = errors.New("revocation: the rules have not been read yet")
	// ErrSilent: nothing was heard for longer than StaleAfter.
	ErrSilent = errors.New("revocation: the feed is silent")
	// ErrTooManyRules: there are more than MaxRules.
	ErrTooManyRules = errors.New("revocation: more rules than MaxRules")
	// ErrClosed: the feed is not followed any more.
	ErrClosed = errors.New("revocation: the feed is closed")
)

// Follow checks the options, all of them, and follows the feed until ctx ends or
// [Feed.Close]. It does not wait for the issuer: an application starts while its
// provider is down, and treats tokens by Options.OnStale meanwhile.
func Follow(ctx context.Context, o Options) (*Feed, error) {
	f, err := newFeed(o)
	if err != nil {
		return nil, err
	}
	ctx, f.stop = context.WithCancel(ctx)
	go f.follow(ctx)
	return f, nil
}

// Poll returns a Feed for a function that is frozen between requests: nothing runs
// in the background. A request that comes when the last news is PollEvery old asks
// for more before it is judged, for a second at most; all others are answered from
// memory. What is taken back is heard of within PollEvery, and StaleAfter bounds
// what happens when the issuer does not answer.
func Poll(o Options) (*Feed, error) {
	f, err := newFeed(o)
	if err != nil {
		return nil, err
	}
	f.onRequest = true
	close(f.done)
	return f, nil
}

func newFeed(o Options) (*Feed, error) {
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("revocation: %w", err)
	}
	p, err := provider.New(o.provider())
	if err != nil {
		return nil, fmt.Errorf("revocation: %w", err)
	}
	f := &Feed{
		o: o, log: o.Logger, source: newSource(o, p), rules: newSet(o.MaxRules), cause: ErrNoSnapshot,
		ready: make(chan struct{}), stop: func() {}, done: make(chan struct{}),
	}
	if o.OnStale == Introspect {
		f.introspect = o.introspection(p)
	}
	return f, nil
}

// Close stops following. From then on the feed is not trusted.
func (f *Feed) Close() error {
	f.stop()
	<-f.done
	f.end()
	return nil
}

// end is what becomes of a feed that nobody follows any more.
func (f *Feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.distrust(ErrClosed)
}

// Ready returns nil while the feed is trusted, and why it is not otherwise: one of
// this package's errors with its cause. It is for health checks; Check needs no
// leave.
func (f *Feed) Ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.onRequest && f.cause == nil && !f.fresh() {
		return ErrSilent
	}
	return f.cause
}

// Wait returns as soon as the feed is trusted, or with the cause of ctx and why it
// is not.
func (f *Feed) Wait(ctx context.Context) error {
	for {
		f.mu.Lock()
		cause, ready := f.cause, f.ready
		f.mu.Unlock()
		if cause == nil || f.onRequest {
			return f.Ready()
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), cause)
		}
	}
}

// Check implements guard.Revocations. A credential of another issuer passes. It
// reads memory alone and waits for nobody, unless the feed is not trusted and
// OnStale is Introspect, or the feed is one of [Poll].
func (f *Feed) Check(ctx context.Context, p *guard.Principal, token string, cleared uint64) (uint64, error) {
	current := f.current.Load()
	if current == cleared && cleared != 0 {
		return cleared, nil
	}
	if p.Issuer != f.o.Issuer {
		return 0, nil
	}
	if f.onRequest {
		current = f.askIfDue(ctx)
	}
	if f.rules.dead(p, cleared) {
		return 0, &guard.Error{Code: guard.InvalidToken, Description: "The credential was revoked"}
	}
	if current == 0 {
		return f.stale(ctx, token, cleared)
	}
	return current, nil
}

// retryAfter is what refused clients are told: streams come back within a second
// or two.
const retryAfter = 2 * time.Second

// stale decides about a credential that nothing is known against.
func (f *Feed) stale(ctx context.Context, token string, cleared uint64) (uint64, error) {
	unavailable := &guard.Error{
		Code: guard.Unavailable, Description: "Whether the credential was revoked cannot be known at the moment",
		RetryAfter: retryAfter, Err: f.Ready(),
	}
	if f.introspect == nil || token == "" {
		return 0, unavailable
	}
	_, _, err := f.introspect.Ask(ctx, introspect.Question{Token: token})
	switch {
	case err == nil:
		return cleared, nil
	case errors.Is(err, oauth.ErrInactive):
		return 0, &guard.Error{Code: guard.InvalidToken, Description: "The credential was revoked", Err: err}
	}
	unavailable.Err = errors.Join(unavailable.Err, err)
	return 0, unavailable
}

// take takes in what was heard: new rules, or that there are none beyond n.
func (f *Feed) take(n int64, rules []revocation.Rule, snapshot bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	number, err := f.rules.add(rules, f.o.Clock())
	if err != nil {
		f.known = false
		err = fmt.Errorf("%w (%d): %w", ErrTooManyRules, f.o.MaxRules, err)
		f.distrust(err)
		return err
	}
	f.n, f.known = n, f.known || snapshot
	f.heard(number)
	return nil
}

// heard trusts the feed, for as long as it is not silent again. The caller holds mu.
func (f *Feed) heard(number uint64) {
	f.heardAt = f.wall()
	if !f.onRequest {
		f.current.Store(number)
		f.turn++
		if f.silence != nil {
			f.silence.Stop()
		}
		turn := f.turn
		f.silence = time.AfterFunc(f.o.StaleAfter, func() { f.silent(turn) })
	}
	if f.cause != nil {
		f.log.Info("guard: revocations are followed", "issuer", f.o.Issuer, "number", f.n)
		f.cause = nil
		close(f.ready)
	}
}

// silent is called when nothing was heard for StaleAfter.
func (f *Feed) silent(turn uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if turn != f.turn {
		return // it was heard of meanwhile
	}
	f.distrust(ErrSilent)
}

// distrust stops trusting the feed, and says so once. The caller holds mu.
func (f *Feed) distrust(cause error) {
	f.current.Store(0)
	f.turn++
	if f.silence != nil {
		f.silence.Stop()
	}
	if f.cause == nil {
		f.log.Warn("guard: revocations cannot be followed", "issuer", f.o.Issuer, "error", cause)
		f.ready = make(chan struct{})
	}
	f.cause = cause
}

// wall returns the time of day: the machine may have been asleep, and the
// monotonic clock of a process sleeps along.
func (f *Feed) wall() time.Time { return f.o.Clock().Round(0) }

// fresh reports whether a feed of Poll may be trusted now. The caller holds mu.
func (f *Feed) fresh() bool {
	age := f.wall().Sub(f.heardAt)
	return age < f.o.StaleAfter && age > -f.o.StaleAfter
}

// askIfDue polls on the way of a request, if it is time, and returns the number of
// the last change, or zero if the feed cannot be trusted. Of many requests at once
// one polls; the others wait for it only where they know nothing fresh.
func (f *Feed) askIfDue(ctx context.Context) uint64 {
	number, fresh, due := f.state()
	if fresh && !due {
		return number
	}
	if fresh {
		if !f.asking.TryLock() {
			return number
		}
	} else {
		f.asking.Lock()
	}
	defer f.asking.Unlock()
	if number, fresh, due = f.state(); !due {
		return trusted(number, fresh)
	}
	f.mu.Lock()
	f.askedAt = f.wall()
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), onRequestTimeout) // the news is for others, too
	defer cancel()
	if err := f.ask(ctx); err != nil {
		f.mu.Lock()
		if !f.fresh() && !errors.Is(f.cause, ErrTooManyRules) {
			f.distrust(fmt.Errorf("%w: %w", ErrSilent, err))
		}
		f.mu.Unlock()
	}
	number, fresh, _ = f.state()
	return trusted(number, fresh)
}

func trusted(number uint64, fresh bool) uint64 {
	if fresh {
		return number
	}
	return 0
}

func (f *Feed) state() (number uint64, fresh, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	since := f.wall().Sub(f.askedAt)
	return f.rules.number, f.cause == nil && f.fresh(), !f.closed && (since >= f.o.PollEvery || since < 0)
}

var _ guard.Revocations = (*Feed)(nil)

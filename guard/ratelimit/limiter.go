package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// retryStore is how long a store that failed is left alone.
const retryStore = time.Second

// Options configures a Limiter. Name and Limit are required, and Key for the
// middleware.
type Options struct {
	// Name tells this limit from others in a store and in the RateLimit headers:
	// lower-case letters, digits, hyphens and underscores.
	Name string
	// Limit is how much is allowed for each key.
	Limit Limit
	// Key says whose bucket a request takes from.
	Key KeyFunc

	// FailuresOnly gives a request back when the handler behind Middleware calls
	// Succeeded. Everything counts until then, so that a thousand attempts at once
	// are a thousand attempts.
	FailuresOnly bool
	// Refuse writes the response of a request over the limit, in place of a
	// problem document with the code guard.TooManyRequests. The headers are there
	// already; the status should be 429.
	Refuse func(w http.ResponseWriter, r *http.Request, result Result)

	// Store keeps the buckets; default a MemoryStore of this process's own.
	Store Store
	// Nodes is how many processes share Store; required with one. When the store
	// is lost, each of them allows the Nodes'th part of Limit from its own memory.
	Nodes int

	// Clock tells the time; default time.Now.
	Clock func() time.Time
	// Logger hears of a store that is lost and found again; default
	// slog.Default().
	Logger *slog.Logger
}

// Login fills in what a sign-in form needs: 5 failures in 15 minutes for each
// key. The handler calls Succeeded when the password was right. Limit by the
// account that is being tried as well, with Allow, or a thief with many addresses
// has five guesses from each.
func Login(o Options) Options {
	if o.Name == "" {
		o.Name = "login"
	}
	if o.Limit == (Limit{}) {
		o.Limit = Limit{Requests: 5, Per: 15 * time.Minute}
	}
	o.FailuresOnly = true
	return o
}

// Limiter is one limit. It is safe for concurrent use.
type Limiter struct {
	options Options
	policy  string // the value for RateLimit-Policy
	store   Store
	memory  *MemoryStore
	share   Limit // what memory allows while store is lost
	now     func() time.Time
	log     *slog.Logger

	mu   sync.Mutex
	lost time.Time // when store failed last, zero while it works
}

// New checks the options, all of them, and returns a Limiter.
func New(o Options) (*Limiter, error) {
	var problems []error
	if o.Name == "" || strings.Trim(o.Name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		problems = append(problems, fmt.Errorf("Name %q must be lower-case letters, digits, hyphens and underscores", o.Name))
	}
	limited := o.Limit.Check()
	if limited != nil {
		problems = append(problems, limited)
	}
	const maxNodes = 10_000
	switch {
	case o.Store == nil && o.Nodes > 1:
		problems = append(problems, fmt.Errorf("Nodes %d share no Store", o.Nodes))
	case o.Store != nil && (o.Nodes < 1 || o.Nodes > maxNodes):
		problems = append(problems, fmt.Errorf("Nodes %d must say how many processes share Store, 1 to %d: it is what divides Limit when the store is lost", o.Nodes, maxNodes))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("ratelimit: %w", errors.Join(problems...))
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	l := &Limiter{options: o, store: o.Store, now: o.Clock, log: o.Logger, share: o.Limit}
	l.memory = NewMemoryStoreClock(0, o.Clock)
	if o.Store != nil {
		l.share = o.Limit.share(o.Nodes)
	}
	l.policy = fmt.Sprintf(`"%s";q=%d;w=%d`, o.Name, o.Limit.burst(), seconds(o.Limit.Capacity()))
	return l, nil
}

// Allow takes one request out of key's bucket. For what is no HTTP request, or
// has a key that only the handler knows: the account of a sign-in form, the
// number a message is sent to.
func (l *Limiter) Allow(ctx context.Context, key string) Result { return l.take(ctx, key, 1) }

// AllowN takes n requests at once or none; n below one is one.
func (l *Limiter) AllowN(ctx context.Context, key string, n int) Result {
	return l.take(ctx, key, max(1, n))
}

// Refund gives back a request that Allow took, because it turned out not to be
// what the limit is for: the password was right.
func (l *Limiter) Refund(ctx context.Context, key string) { l.take(ctx, key, -1) }

func (l *Limiter) take(ctx context.Context, key string, n int) Result {
	key = l.options.Name + "\n" + key
	if l.store != nil && !l.resting() {
		// The outcome counts whether or not the caller waits for it.
		r, err := l.store.Take(context.WithoutCancel(ctx), key, l.options.Limit, n)
		l.noteStore(ctx, err)
		if err == nil {
			return r
		}
	}
	r, _ := l.memory.Take(ctx, key, l.share, n) // a MemoryStore has no errors
	return r
}

// resting reports whether the store failed a moment ago: not every request must
// wait until it fails again.
func (l *Limiter) resting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost.IsZero() {
		return false
	}
	now := l.now()
	if now.Sub(l.lost) < retryStore {
		return true
	}
	l.lost = now // this request tries; the others go on resting
	return false
}

// noteStore logs once when the store is lost, and once when it is back.
func (l *Limiter) noteStore(ctx context.Context, err error) {
	l.mu.Lock()
	was := !l.lost.IsZero()
	if err != nil {
		l.lost = l.now()
	} else {
		l.lost = time.Time{}
	}
	l.mu.Unlock()
	switch {
	case err != nil && !was:
		l.log.ErrorContext(ctx, "guard: rate limit store lost; limiting in memory", "limit", l.options.Name, "nodes", l.options.Nodes, "error", err)
	case err == nil && was:
		l.log.InfoContext(ctx, "guard: rate limit store is back", "limit", l.options.Name)
	}
}

// Middleware lets through what is within the limit and answers the rest with 429.
// It panics without Options.Key: a limit without a key would be one bucket for
// everybody.
//
// Every response says how things stand, in the fields RateLimit-Policy and
// RateLimit (draft-ietf-httpapi-ratelimit-headers), and a refusal in Retry-After.
func (l *Limiter) Middleware(next http.Handler) http.Handler {
	if l.options.Key == nil {
		panic("ratelimit: Middleware needs Options.Key, for example ByAddress")
	}
	if next == nil {
		panic("ratelimit: nothing to limit: the handler is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, err := l.options.Key(r)
		if err != nil {
			l.log.WarnContext(r.Context(), "guard: request without a key to limit by", "limit", l.options.Name, "error", err)
			refuse(w, r, http.StatusBadRequest, guard.InvalidRequest, "The address of the client cannot be told")
			return
		}
		result := l.Allow(r.Context(), key)
		l.SetHeader(w.Header(), result)
		if !result.Allowed {
			w.Header().Set("Cache-Control", "no-store")
			if l.options.Refuse != nil {
				l.options.Refuse(w, r, result)
				return
			}
			refuse(w, r, http.StatusTooManyRequests, guard.TooManyRequests, "Too many requests; try again after the time in Retry-After")
			return
		}
		if l.options.FailuresOnly {
			r = r.WithContext(context.WithValue(r.Context(), attemptKey{}, &attempt{limiter: l, key: key, outer: attemptOf(r.Context())}))
		}
		next.ServeHTTP(w, r)
	})
}

// SetHeader puts a result into a response's header, as Middleware does.
func (l *Limiter) SetHeader(h http.Header, r Result) {
	h.Add("Ratelimit-Policy", l.policy)
	now := make([]byte, 0, 64)
	now = append(append(append(now, '"'), l.options.Name...), `";r=`...)
	now = strconv.AppendInt(now, int64(r.Remaining), 10)
	now = strconv.AppendInt(append(now, ";t="...), seconds(r.Reset), 10)
	h.Add("Ratelimit", string(now))
	if !r.Allowed {
		h.Set("Retry-After", strconv.FormatInt(max(1, seconds(r.RetryAfter)), 10))
	}
}

// Succeeded tells the limits with FailuresOnly around this handler that there was
// no failure: each gives the request back, once.
func Succeeded(ctx context.Context) {
	for a := attemptOf(ctx); a != nil; a = a.outer {
		a.refund.Do(func() { a.limiter.Refund(context.WithoutCancel(ctx), a.key) })
	}
}

// attempt is a request that may be given back.
type attempt struct {
	limiter *Limiter
	key     string
	refund  sync.Once
	outer   *attempt
}

type attemptKey struct{}

func attemptOf(ctx context.Context) *attempt {
	a, _ := ctx.Value(attemptKey{}).(*attempt)
	return a
}

func refuse(w http.ResponseWriter, r *http.Request, status int, code guard.Code, description string) {
	refusal := guard.Refusal{Status: status, Err: &guard.Error{Code: code, Description: description}}
	refusal.Write(w, r)
}

// seconds rounds up: who comes back when told to must not be too early.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

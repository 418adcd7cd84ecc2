package ratelimit

import (
	"errors"
	"fmt"
	"time"
)

// maxPeriod bounds Per and the time an empty bucket takes to fill, so that no sum
// of the arithmetic below comes near its end.
const maxPeriod = 366 * 24 * time.Hour

// Limit is how much is allowed: Requests in each Per, in the long run, and at
// most Burst at once.
type Limit struct {
	// Requests and Per are the pace: one request each Per/Requests, which is
	// rounded up to whole microseconds.
	Requests int
	Per      time.Duration
	// Burst is what a full bucket holds; default Requests.
	Burst int
}

// Check says what is wrong with the limit.
func (l Limit) Check() error {
	switch {
	case l.Requests < 1 || l.Per <= 0:
		return errors.New("Limit needs Requests and Per above zero")
	case l.Burst < 0:
		return fmt.Errorf("Limit.Burst %d is below zero", l.Burst)
	case l.Per > maxPeriod:
		return fmt.Errorf("Limit.Per %v is longer than a year", l.Per)
	case l.Per/time.Duration(l.Requests) < time.Microsecond:
		return fmt.Errorf("Limit allows %d in %v; a million a second is the most", l.Requests, l.Per)
	case int64(l.burst()) > int64(maxPeriod/l.Interval()):
		return fmt.Errorf("Limit.Burst %d takes longer than a year to fill up again", l.Burst)
	}
	return nil
}

// Interval is the time in which the bucket gains one request, in whole
// microseconds.
func (l Limit) Interval() time.Duration {
	each := (l.Per + time.Duration(l.Requests) - 1) / time.Duration(l.Requests)
	return (each + time.Microsecond - 1).Truncate(time.Microsecond)
}

// Capacity is the time in which an empty bucket fills up.
func (l Limit) Capacity() time.Duration { return l.Interval() * time.Duration(l.burst()) }

func (l Limit) burst() int {
	if l.Burst == 0 {
		return l.Requests
	}
	return l.Burst
}

// share is one node's part of the limit: a request at once and one a year is the
// least it can be.
func (l Limit) share(nodes int) Limit {
	burst := max(1, l.burst()/nodes)
	each := min(l.Interval(), maxPeriod/time.Duration(nodes*burst)) * time.Duration(nodes)
	return Limit{Requests: 1, Per: each, Burst: burst}
}

// Cost is the time that n requests take out of the bucket, and a refund of -n
// puts back: never more than a bucket holds, whatever n is.
func (l Limit) Cost(n int) time.Duration {
	most := l.burst() + 1 // one more than there can be: refused
	return l.Interval() * time.Duration(max(-most, min(n, most)))
}

// Result says what came of a request.
type Result struct {
	// Allowed: the request was within the limit, and was counted. One that was
	// not is not counted either.
	Allowed bool
	// Remaining is how many requests could follow at once.
	Remaining int
	// RetryAfter is when a request like this one will be allowed, zero if this one
	// was.
	RetryAfter time.Duration
	// Reset is when the bucket will be full again.
	Reset time.Duration
}

// Decide is the algorithm. full is when the bucket will be full again, now the
// present, both in the store's own time; the bucket is that much short of full.
// next is what to keep for full.
func (l Limit) Decide(full, now time.Duration, n int) (next time.Duration, r Result) {
	// A clock that was set back, or a limit that was lowered, leaves an empty
	// bucket at worst.
	full = min(max(full, now), now+l.Capacity())
	next = max(full+l.Cost(n), now)
	if next-now > l.Capacity() {
		return full, l.Result(false, full-now, n)
	}
	return next, l.Result(true, next-now, n)
}

// Result explains a decision: short is what the bucket lacks of full after it.
func (l Limit) Result(allowed bool, short time.Duration, n int) Result {
	r := Result{Allowed: allowed, Reset: short, Remaining: int(max(0, l.Capacity()-short) / l.Interval())}
	if !allowed {
		r.RetryAfter = short + l.Cost(n) - l.Capacity()
	}
	return r
}

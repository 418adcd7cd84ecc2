// Package limittest says what a ratelimit.Store is, whichever clock it goes by.
package limittest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
)

// hourly fills up so slowly that no time passes during a test.
var hourly = ratelimit.Limit{Requests: 5, Per: 5 * time.Hour}

// Run tests the empty store.
func Run(t *testing.T, store ratelimit.Store) {
	t.Run("a full bucket", func(t *testing.T) {
		for left := 4; left >= 0; left-- {
			r := take(t, store, "full", hourly, 1)
			if !r.Allowed || r.Remaining != left || r.RetryAfter != 0 || !near(r.Reset, time.Duration(5-left)*time.Hour) {
				t.Errorf("%d left: %+v", left, r)
			}
		}
		for range 3 { // a refusal costs nothing
			if r := take(t, store, "full", hourly, 1); r.Allowed || r.Remaining != 0 || !near(r.RetryAfter, time.Hour) || !near(r.Reset, 5*time.Hour) {
				t.Errorf("over the limit: %+v", r)
			}
		}
		if r := take(t, store, "other", hourly, 1); !r.Allowed {
			t.Errorf("another key: %+v", r)
		}
	})
	t.Run("several at once", func(t *testing.T) {
		if r := take(t, store, "several", hourly, 4); !r.Allowed || r.Remaining != 1 {
			t.Errorf("4 of 5: %+v", r)
		}
		if r := take(t, store, "several", hourly, 2); r.Allowed || r.Remaining != 1 || !near(r.RetryAfter, time.Hour) {
			t.Errorf("2 of 1: %+v", r)
		}
		if r := take(t, store, "several", hourly, 1); !r.Allowed {
			t.Errorf("1 of 1: %+v", r)
		}
		for _, n := range []int{6, 1 << 31, 1<<63 - 1} {
			if r := take(t, store, "huge", hourly, n); r.Allowed || r.Remaining != 5 {
				t.Errorf("%d of 5: %+v", n, r)
			}
		}
	})
	t.Run("giving back", func(t *testing.T) {
		take(t, store, "back", hourly, 5)
		if r := take(t, store, "back", hourly, -1); !r.Allowed || r.Remaining != 1 {
			t.Errorf("one back: %+v", r)
		}
		for _, n := range []int{-9, -1 << 63} {
			if r := take(t, store, "back", hourly, n); !r.Allowed || r.Remaining != 5 || r.Reset != 0 {
				t.Errorf("%d back: %+v", -n, r)
			}
		}
		if r := take(t, store, "back", hourly, 6); r.Allowed {
			t.Errorf("a bucket over the brim: %+v", r)
		}
	})
	t.Run("a limit that was lowered", func(t *testing.T) {
		take(t, store, "lowered", hourly, 5)
		lower := ratelimit.Limit{Requests: 1, Per: time.Hour}
		if r := take(t, store, "lowered", lower, 1); r.Allowed || r.Remaining != 0 || !near(r.RetryAfter, time.Hour) {
			t.Errorf("%+v", r)
		}
	})
	t.Run("long limits", func(t *testing.T) {
		year := ratelimit.Limit{Requests: 1, Per: 366 * 24 * time.Hour}
		if r := take(t, store, "year", year, 1); !r.Allowed || !near(r.Reset, year.Per) {
			t.Errorf("%+v", r)
		}
		if r := take(t, store, "year", year, 1); r.Allowed || !near(r.RetryAfter, year.Per) {
			t.Errorf("%+v", r)
		}
	})
	t.Run("in parallel", func(t *testing.T) {
		limit := ratelimit.Limit{Requests: 50, Per: 50 * time.Hour}
		var allowed atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 20 {
					if take(t, store, "parallel", limit, 1).Allowed {
						allowed.Add(1)
					}
					take(t, store, fmt.Sprint("noise", i), limit, 1)
				}
			})
		}
		wg.Wait()
		if allowed.Load() != 50 {
			t.Errorf("%d of 50 allowed", allowed.Load())
		}
	})
}

func take(t *testing.T, store ratelimit.Store, key string, limit ratelimit.Limit, n int) ratelimit.Result {
	t.Helper()
	r, err := store.Take(t.Context(), key, limit, n)
	if err != nil {
		t.Error(err)
	}
	return r
}

// near allows for the minutes that a busy machine may take for a test.
func near(got, want time.Duration) bool { return got <= want && got > want-30*time.Minute }

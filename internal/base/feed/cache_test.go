package feed_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
)

func TestCache(t *testing.T) {
	now := clock.NewVirtual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	c := feed.NewCache[int](now, time.Second, 3)
	reads := 0
	get := func(tenant, key string) int {
		v, err := c.Get(tenant, key, func() (int, error) { reads++; return reads, nil })
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	want := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	want("first", get("one", "a"), 1)
	want("again", get("one", "a"), 1)
	want("another key", get("one", "b"), 2)
	want("another tenant", get("two", "a"), 3)
	now.Advance(time.Second)
	want("after its time", get("one", "a"), 4)
	c.Forget("one")
	want("forgotten", get("one", "a"), 5)
	want("of the tenant alone", get("two", "a"), 6) // its time was over, too
	c.Forget("one")
	want("not of others", get("two", "a"), 6)

	// What is full begins anew, and never grows.
	for i := range 4 {
		get("three", strconv.Itoa(i))
	}
	before := reads
	get("three", "0")
	want("reads after it was full", reads, before+1)
}

// A value that was read before a change must not be remembered after it.
func TestThreat_DB14_CacheKeepsNothingReadBeforeAChange(t *testing.T) {
	c := feed.NewCache[string](clock.System{}, time.Hour, 10)
	got, err := c.Get("one", "a", func() (string, error) {
		c.Forget("one") // somebody commits a change while we read
		return "old", nil
	})
	if err != nil || got != "old" {
		t.Fatal(got, err)
	}
	if got, _ := c.Get("one", "a", func() (string, error) { return "new", nil }); got != "new" {
		t.Errorf("%q is remembered", got)
	}
}

// How long a value was read for counts: it is as old as the question.
func TestThreat_DB14_SlowReadsAreNoYounger(t *testing.T) {
	now := clock.NewVirtual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	c := feed.NewCache[int](now, time.Second, 3)
	reads := 0
	for range 2 {
		_, err := c.Get("one", "a", func() (int, error) { reads++; now.Advance(time.Second); return reads, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	if reads != 2 {
		t.Errorf("%d reads, want 2", reads)
	}
}

func TestCacheOfWhatIsPut(t *testing.T) {
	now := clock.NewVirtual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	c := feed.NewCache[int](now, time.Second, 3)
	want := func(what, tenant string, want int, known bool) {
		t.Helper()
		if got, ok := c.Peek(tenant, "a"); got != want || ok != known {
			t.Errorf("%s: %d, %t", what, got, ok)
		}
	}
	want("before", "one", 0, false)
	c.Put("one", "a", 7)
	want("put", "one", 7, true)
	want("another tenant", "two", 0, false)
	c.Drop("one", "a")
	c.Drop("one", "a") // again, and nothing is counted twice
	want("dropped", "one", 0, false)
	c.Put("one", "a", 8)
	now.Advance(time.Second)
	want("after its time", "one", 0, false)
	for range 10 { // what is taken out makes room
		c.Put("one", "b", 1)
		c.Drop("one", "b")
	}
	c.Put("one", "a", 9)
	want("not full", "one", 9, true)
}

func TestCacheRemembersNoError(t *testing.T) {
	c := feed.NewCache[string](clock.System{}, time.Hour, 10)
	bad := errors.New("not now")
	if _, err := c.Get("one", "a", func() (string, error) { return "", bad }); !errors.Is(err, bad) {
		t.Error(err)
	}
	if got, err := c.Get("one", "a", func() (string, error) { return "fine", nil }); got != "fine" || err != nil {
		t.Error(got, err)
	}
}

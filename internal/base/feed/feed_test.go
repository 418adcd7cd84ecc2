package feed_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
)

func bump(t *testing.T, d *db.DB, tenant, name string, by int64) (n int64) {
	t.Helper()
	err := d.Tenant(tenant).Write(t.Context(), func(tx *db.Tx) (err error) {
		n, err = feed.BumpBy(tx, name, by)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestBump(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		var got []int64
		for _, by := range []int64{1, 1, 5, 1} {
			got = append(got, bump(t, d, "one", feed.Revocation, by))
		}
		got = append(got, bump(t, d, "one", feed.Configuration, 1), bump(t, d, "two", feed.Revocation, 1))
		if want := []int64{1, 2, 7, 8, 1, 1}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		undo := errors.New("undo")
		err := d.Tenant("one").Write(t.Context(), func(tx *db.Tx) error {
			_, err := feed.Bump(tx, feed.Revocation)
			return errors.Join(err, undo)
		})
		if n := bump(t, d, "one", feed.Revocation, 1); !errors.Is(err, undo) || n != 9 {
			t.Errorf("%v; the number after an undone verb is %d, want 9", err, n)
		}
	})
}

func TestNumbersAreGivenOnceAmongMany(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) {
		var mu sync.Mutex
		var all sync.WaitGroup
		seen := map[int64]bool{}
		for i := range 64 {
			all.Go(func() {
				n := bump(t, []*db.DB{a, b}[i%2], "one", feed.Revocation, 1)
				mu.Lock()
				defer mu.Unlock()
				seen[n] = true
			})
		}
		all.Wait()
		for n := range int64(64) {
			if !seen[n+1] {
				t.Errorf("%d was not given", n+1)
			}
		}
	})
}

// told is a subscriber that writes down what it is told, and fails while it is made to.
type told struct {
	tenants []string
	fails   error
}

func (s *told) act(_ context.Context, tenantID string) error {
	s.tenants = append(s.tenants, tenantID)
	return s.fails
}

func (s *told) take() []string {
	out := slices.Sorted(slices.Values(s.tenants))
	s.tenants = nil
	return out
}

func TestWatcherTellsOfChanges(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) {
		w, rules, settings := feed.NewWatcher(b), &told{}, &told{}
		w.Subscribe(feed.Revocation, rules.act)
		w.Subscribe(feed.Configuration, settings.act)
		poll := func(wantRules, wantSettings []string) {
			t.Helper()
			if err := w.Poll(t.Context()); err != nil {
				t.Error(err)
			}
			if r, s := rules.take(), settings.take(); !slices.Equal(r, wantRules) || !slices.Equal(s, wantSettings) {
				t.Errorf("told of %v and %v, want %v and %v", r, s, wantRules, wantSettings)
			}
		}
		poll(nil, nil)
		bump(t, a, "one", feed.Revocation, 1)
		bump(t, a, "two", feed.Revocation, 1)
		poll([]string{"one", "two"}, nil)
		poll(nil, nil)
		bump(t, a, "two", feed.Revocation, 3)
		bump(t, a, "one", feed.Configuration, 1)
		poll([]string{"two"}, []string{"one"})

		// One who failed is told again, and only of that.
		rules.fails = errors.New("the rules can not be read")
		bump(t, a, "one", feed.Revocation, 1)
		for range 2 {
			if err := w.Poll(t.Context()); !errors.Is(err, rules.fails) {
				t.Errorf("Poll = %v, want what the subscriber said", err)
			}
			if got := rules.take(); !slices.Equal(got, []string{"one"}) {
				t.Errorf("told of %v", got)
			}
		}
		rules.fails = nil
		poll([]string{"one"}, nil)
		poll(nil, nil)
	})
}

// A database that was not to be seen twice is not trusted: everybody starts afresh, and once more
// when it is back.
func TestThreat_DB14_WatcherThatLostSightTrustsNothing(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		w, s := feed.NewWatcher(d), &told{}
		w.Subscribe(feed.Configuration, s.act)
		bump(t, d, "one", feed.Configuration, 1)
		if err := w.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.take()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for miss, want := range [][]string{nil, {"one"}, nil} {
			if err := w.Poll(gone); err == nil {
				t.Fatal("a poll that could not read succeeded")
			}
			if got := s.take(); !slices.Equal(got, want) {
				t.Errorf("after miss %d told of %v, want %v", miss+1, got, want)
			}
		}
		if err := w.Poll(t.Context()); err != nil || !slices.Equal(s.take(), []string{"one"}) {
			t.Errorf("when the database is back: %v", err)
		}
	})
}

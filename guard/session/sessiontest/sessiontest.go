// Package sessiontest says what a session.Store is, in tests: every store of
// this module passes its [Suite], and so can yours.
//
//	func TestStore(t *testing.T) {
//		sessiontest.Suite{Open: func(t *testing.T, now func() time.Time) session.Store {
//			return mystore.New(now)
//		}}.Run(t)
//	}
package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// Suite tests one kind of store.
type Suite struct {
	// Open returns an empty store that asks now for the time. A store that also
	// implements session.Index or session.Locker is tested as that, too.
	Open func(t *testing.T, now func() time.Time) session.Store
	// Stateless is a store that keeps nothing, such as an encrypted cookie: it
	// cannot end a session nor tell who wrote first, and is not asked to.
	Stateless bool
}

// Run runs every check as a subtest.
func (s Suite) Run(t *testing.T) {
	t.Run("life of a session", s.Life)
	t.Run("every session has a token of its own", s.Tokens)
	t.Run("expiry", s.Expiry)
	t.Run("the application is part of the name", s.OtherApp)
	t.Run("nonsense", s.Nonsense)
	t.Run("data of every kind", s.Data)
	t.Run("one writer wins", s.OneWriterWins)
	t.Run("no update is lost", s.NoUpdateIsLost)
	t.Run("an end is final", s.EndIsFinal)
	t.Run("index", s.Index)
	t.Run("index: nobody", s.IndexOfNobody)
	t.Run("index in parallel", s.IndexInParallel)
	t.Run("lock", s.Lock)
	t.Run("lock in parallel", s.LockInParallel)
}

func (s Suite) open(t *testing.T) (session.Store, *testclock.Clock) {
	t.Helper()
	c := testclock.New()
	return s.Open(t, c.Now), c
}

func record(c *testclock.Clock, subject, data string) session.Record {
	return session.Record{App: "app", Subject: subject, SessionID: "sid-" + subject, Data: []byte(data), Expires: c.Now().Add(time.Hour)}
}

func create(t *testing.T, s session.Store, rec session.Record) string {
	t.Helper()
	token, err := s.Create(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func find(t *testing.T, s session.Store, token string) session.Record {
	t.Helper()
	rec, err := s.Find(t.Context(), "app", token)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func gone(t *testing.T, s session.Store, token string) {
	t.Helper()
	if rec, err := s.Find(t.Context(), "app", token); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("found %+v, %v; want ErrNotFound", rec, err)
	}
}

// Life: created, found, updated, prolonged, ended.
func (s Suite) Life(t *testing.T) {
	store, c := s.open(t)
	token := create(t, store, record(c, "alice", "one"))
	rec := find(t, store, token)
	if string(rec.Data) != "one" || rec.App != "app" || !rec.Expires.Equal(c.Now().Add(time.Hour)) {
		t.Fatalf("found %+v", rec)
	}
	if !s.Stateless && (rec.Subject != "alice" || rec.SessionID != "sid-alice") {
		t.Errorf("found %+v", rec)
	}
	rec.Data = []byte("two")
	rec.Expires = c.Now().Add(2 * time.Hour)
	next, err := store.Update(t.Context(), token, rec)
	if err != nil || s.Stateless == (next == token) {
		t.Fatalf("the same token: %v, %v", next == token, err)
	}
	c.Advance(time.Hour)
	after := find(t, store, next)
	if string(after.Data) != "two" || after.Version != rec.Version+1 {
		t.Fatalf("found %+v", after)
	}
	for range 2 {
		if err := store.Delete(t.Context(), "app", next); err != nil {
			t.Fatal(err)
		}
	}
	if !s.Stateless {
		gone(t, store, next)
	}
}

// Tokens are never given out twice.
func (s Suite) Tokens(t *testing.T) {
	store, c := s.open(t)
	seen := map[string]bool{}
	for range 100 {
		token := create(t, store, record(c, "alice", "same"))
		if seen[token] || len(token) < 40 {
			t.Fatalf("token %q", token)
		}
		seen[token] = true
	}
}

// Expiry ends a session to the microsecond.
func (s Suite) Expiry(t *testing.T) {
	store, c := s.open(t)
	token := create(t, store, record(c, "alice", "x"))
	c.Advance(time.Hour - time.Microsecond)
	rec := find(t, store, token)
	c.Advance(time.Microsecond)
	gone(t, store, token)
	rec.Expires = c.Now().Add(time.Hour)
	if _, err := store.Update(t.Context(), token, rec); !s.Stateless && !errors.Is(err, session.ErrNotFound) {
		t.Errorf("an expired session is updated: %v", err)
	}
	if index, ok := store.(session.Index); ok {
		if list, err := index.List(t.Context(), "app", "alice"); err != nil || len(list) != 0 {
			t.Errorf("an expired session is listed: %+v, %v", list, err)
		}
	}
}

// OtherApp: a token means nothing to another application.
func (s Suite) OtherApp(t *testing.T) {
	store, c := s.open(t)
	token := create(t, store, record(c, "alice", "x"))
	for _, app := range []string{"other", "", "app ", "App", "app\x00"} {
		if _, err := store.Find(t.Context(), app, token); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("found as %q: %v", app, err)
		}
		if err := store.Delete(t.Context(), app, token); err != nil {
			t.Errorf("delete as %q: %v", app, err)
		}
	}
	find(t, store, token)
}

// Nonsense is not found, and is no failure.
func (s Suite) Nonsense(t *testing.T) {
	store, _ := s.open(t)
	for _, token := range []string{"", "x", "====", "\x00", strings.Repeat("A", 10_000), "' OR 1=1 --", "*", "\xff\xfe"} {
		if _, err := store.Find(t.Context(), "app", token); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%.20q: %v", token, err)
		}
	}
}

// Data comes back byte by byte.
func (s Suite) Data(t *testing.T) {
	store, c := s.open(t)
	for _, data := range []string{"", "\x00\xff\r\n", strings.Repeat("ü", 1500)} {
		if got := find(t, store, create(t, store, record(c, "alice", data))); string(got.Data) != data {
			t.Errorf("%d bytes come back as %d", len(data), len(got.Data))
		}
	}
}

// OneWriterWins: of many updates of one version a single one succeeds.
func (s Suite) OneWriterWins(t *testing.T) {
	if s.Stateless {
		return // of two cookies the browser keeps the later one; nobody can tell
	}
	store, c := s.open(t)
	token := create(t, store, record(c, "alice", "x"))
	rec := find(t, store, token)
	var mu sync.Mutex
	outcomes := map[string]int{}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			_, err := store.Update(t.Context(), token, rec)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				outcomes["won"]++
			case errors.Is(err, session.ErrConflict):
				outcomes["lost"]++
			default:
				outcomes[err.Error()]++
			}
		})
	}
	wg.Wait()
	if outcomes["won"] != 1 || outcomes["lost"] != 63 {
		t.Errorf("%v", outcomes)
	}
}

// NoUpdateIsLost: whoever reads again after ErrConflict adds to what the winner
// left.
func (s Suite) NoUpdateIsLost(t *testing.T) {
	if s.Stateless {
		return
	}
	store, c := s.open(t)
	token := create(t, store, record(c, "alice", ""))
	const writers = 8
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for {
				rec, err := store.Find(t.Context(), "app", token)
				if err != nil {
					t.Error(err)
					return
				}
				rec.Data = append(rec.Data, 'x')
				if _, err = store.Update(t.Context(), token, rec); !errors.Is(err, session.ErrConflict) {
					if err != nil {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	if rec := find(t, store, token); len(rec.Data) != writers {
		t.Errorf("%d of %d updates stayed", len(rec.Data), writers)
	}
}

// EndIsFinal: an update under way never brings back a session that ended.
func (s Suite) EndIsFinal(t *testing.T) {
	if s.Stateless {
		return
	}
	store, c := s.open(t)
	token := create(t, store, record(c, "alice", "x"))
	rec := find(t, store, token)
	if err := store.Delete(t.Context(), "app", token); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Update(t.Context(), token, rec); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("update of an ended session: %v", err)
	}
	gone(t, store, token)
}

// Index finds and ends what belongs to one person, and nothing else.
func (s Suite) Index(t *testing.T) {
	store, c := s.open(t)
	index, ok := store.(session.Index)
	if !ok {
		return
	}
	ctx := t.Context()
	var alice []string
	for i := range 4 {
		alice = append(alice, create(t, store, record(c, "alice", fmt.Sprint(i))))
		c.Advance(time.Second)
	}
	bob := create(t, store, record(c, "bob", "bob"))
	foreign := record(c, "alice", "elsewhere")
	foreign.App = "other"
	elsewhere := create(t, store, foreign)

	c.Advance(time.Second)
	used := find(t, store, alice[1])
	used.Data = []byte("used")
	if _, err := store.Update(ctx, alice[1], used); err != nil {
		t.Fatal(err)
	}
	if got := list(t, index, "alice"); !slices.Equal(data(got), []string{"used", "3", "2", "0"}) {
		t.Errorf("listed %v, want the one used last first", data(got))
	}
	for _, e := range list(t, index, "alice") {
		if e.App != "app" || e.Subject != "alice" || e.SessionID != "sid-alice" || e.Version < 1 || e.Expires.IsZero() || e.ID == "" {
			t.Errorf("listed %+v", e)
		}
		if slices.Contains(alice, e.ID) {
			t.Error("the id in the list is the token")
		}
		if _, err := store.Find(ctx, "app", e.ID); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("the id in the list opens the session: %v", err)
		}
	}

	entry := list(t, index, "alice")[3] // alice[0]
	for _, other := range []struct{ app, subject, id string }{
		{"app", "bob", entry.ID}, {"app", "", entry.ID}, {"other", "alice", entry.ID}, {"app", "alice", "nonsense"}, {"app", "alice", ""}, {"app", "alice", "*"},
	} {
		if err := index.DeleteEntry(ctx, other.app, other.subject, other.id); err != nil {
			t.Errorf("%+v: %v", other, err)
		}
	}
	find(t, store, alice[0])
	if err := index.DeleteEntry(ctx, "app", "alice", entry.ID); err != nil {
		t.Fatal(err)
	}
	gone(t, store, alice[0])

	if n, err := index.DeleteSubject(ctx, "app", "alice", alice[2]); n != 2 || err != nil {
		t.Errorf("all others: %d ended, %v; want 2", n, err)
	}
	find(t, store, alice[2])
	gone(t, store, alice[1])
	gone(t, store, alice[3])
	if n, err := index.DeleteSubject(ctx, "app", "alice", ""); n != 1 || err != nil {
		t.Errorf("all: %d ended, %v; want 1", n, err)
	}
	gone(t, store, alice[2])
	if got := list(t, index, "alice"); len(got) != 0 {
		t.Errorf("listed %v after all ended", data(got))
	}

	again := create(t, store, record(c, "alice", "again"))
	if n, err := index.DeleteSession(ctx, "app", "sid-alice"); n != 1 || err != nil {
		t.Errorf("by sid: %d ended, %v; want 1", n, err)
	}
	gone(t, store, again)
	find(t, store, bob)
	if _, err := store.Find(ctx, "other", elsewhere); err != nil {
		t.Errorf("another application's session: %v", err)
	}
}

// IndexOfNobody: sessions without a subject or a sid belong to nobody, not to
// each other.
func (s Suite) IndexOfNobody(t *testing.T) {
	store, c := s.open(t)
	index, ok := store.(session.Index)
	if !ok {
		return
	}
	rec := record(c, "", "x")
	rec.SessionID = ""
	token := create(t, store, rec)
	if got := list(t, index, ""); len(got) != 0 {
		t.Errorf("listed %d of nobody", len(got))
	}
	if n, err := index.DeleteSubject(t.Context(), "app", "", ""); n != 0 || err != nil {
		t.Errorf("%d ended, %v", n, err)
	}
	if n, err := index.DeleteSession(t.Context(), "app", ""); n != 0 || err != nil {
		t.Errorf("%d ended, %v", n, err)
	}
	find(t, store, token)
}

// IndexInParallel: who ends everything of a person while that person's sessions
// are being used ends them for good.
func (s Suite) IndexInParallel(t *testing.T) {
	store, c := s.open(t)
	index, ok := store.(session.Index)
	if !ok {
		return
	}
	var tokens []string
	ended := make(chan struct{})
	for range 8 {
		tokens = append(tokens, create(t, store, record(c, "alice", "x")))
	}
	var wg sync.WaitGroup
	for _, token := range tokens {
		wg.Go(func() {
			for {
				rec, err := store.Find(t.Context(), "app", token)
				if err == nil {
					_, err = store.Update(t.Context(), token, rec)
				}
				if errors.Is(err, session.ErrNotFound) {
					return
				}
				if err != nil && !errors.Is(err, session.ErrConflict) {
					t.Error(err)
					return
				}
				select {
				case <-ended:
					if _, err := store.Find(t.Context(), "app", token); err == nil {
						t.Error("a session is alive after all were ended")
					}
					return
				default:
				}
			}
		})
	}
	if n, err := index.DeleteSubject(t.Context(), "app", "alice", ""); n != len(tokens) || err != nil {
		t.Errorf("%d ended, %v", n, err)
	}
	close(ended)
	wg.Wait()
	if got := list(t, index, "alice"); len(got) != 0 {
		t.Errorf("%d came back", len(got))
	}
}

// Lock is held by one at a time, ends by itself, and is given back by its
// holder alone.
func (s Suite) Lock(t *testing.T) {
	store, c := s.open(t)
	locker, ok := store.(session.Locker)
	if !ok {
		return
	}
	ctx := t.Context()
	try := func(key string, want bool) func(context.Context) error {
		t.Helper()
		unlock, got, err := locker.TryLock(ctx, key, time.Minute)
		if err != nil || got != want || (unlock != nil) != want {
			t.Fatalf("lock %q: %v, %v; want %v", key, got, err, want)
		}
		return unlock
	}
	first := try("a", true)
	try("a", false)
	try("b", true)
	for range 2 {
		if err := first(ctx); err != nil {
			t.Fatal(err)
		}
	}
	late := try("a", true)
	c.Advance(time.Minute)
	s.passTime(t, store, time.Minute)
	next := try("a", true)
	if err := late(ctx); err != nil {
		t.Fatal(err)
	}
	try("a", false)
	if err := next(ctx); err != nil {
		t.Fatal(err)
	}
	try("a", true)
}

// Passer is implemented by a store whose server keeps time by itself, for this
// suite: PassTime makes it as if d had passed there.
type Passer interface {
	PassTime(t *testing.T, d time.Duration)
}

func (s Suite) passTime(t *testing.T, store session.Store, d time.Duration) {
	if p, ok := store.(Passer); ok {
		p.PassTime(t, d)
	}
}

// LockInParallel: among many that ask at once one gets the lock.
func (s Suite) LockInParallel(t *testing.T) {
	store, _ := s.open(t)
	locker, ok := store.(session.Locker)
	if !ok {
		return
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	won := 0
	for range 32 {
		wg.Go(func() {
			_, ok, err := locker.TryLock(t.Context(), "key", time.Minute)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if ok {
				won++
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d got the lock", won)
	}
}

func list(t *testing.T, index session.Index, subject string) []session.Entry {
	t.Helper()
	entries, err := index.List(t.Context(), "app", subject)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func data(entries []session.Entry) (all []string) {
	for _, e := range entries {
		all = append(all, string(e.Data))
	}
	return all
}

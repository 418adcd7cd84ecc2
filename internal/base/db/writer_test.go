package db

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func openTestFile(t *testing.T) *sqliteEngine {
	t.Helper()
	e, err := openSQLite(t.Context(), filepath.Join(t.TempDir(), "test.db"), Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.close() })
	return e
}

// queued hands n verbs to a writer that is busy, lets it go on, and returns the place each had in its group.
func queued(t *testing.T, w *writer, n int, step func()) (places []int) {
	t.Helper()
	running, proceed := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	enqueue := func(verb func(*Tx) error) {
		turn := &turn{place: newPlace(t.Context()), verb: verb}
		turn.tx = Tx{ctx: w.ctx, scope: scope{kind: scopeSystem}, session: w}
		if err := w.enqueue(turn); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { <-turn.done })
	}
	enqueue(func(*Tx) error {
		close(running)
		<-proceed
		return nil
	})
	<-running
	for range n {
		enqueue(func(*Tx) error {
			places = append(places, len(w.group)) // on the writer's goroutine
			step()
			return nil
		})
	}
	close(proceed)
	wg.Wait()
	return places
}

func TestWaitingVerbsShareOneCommitOfAtMost256(t *testing.T) {
	w := openTestFile(t).writer
	w.now = func() time.Time { return time.Time{} } // time stands still: only the count ends a group
	places := queued(t, w, 600, func() {})
	for i, place := range places {
		// The verb that kept the writer busy was the first of the first group.
		if want := (i+1)%maxGroup + 1; place != want {
			t.Fatalf("verb %d had place %d in its group, want %d", i, place, want)
		}
	}
}

func TestGroupLastsAtMost2Milliseconds(t *testing.T) {
	w := openTestFile(t).writer
	now := time.Time{}
	w.now = func() time.Time { return now }
	places := queued(t, w, 40, func() { now = now.Add(500 * time.Microsecond) })
	longest := 0
	for _, place := range places {
		longest = max(longest, place)
	}
	if longest != 5 { // the one that kept the writer busy in no time, and four of half a millisecond
		t.Errorf("a group of %d half-millisecond verbs", longest)
	}
}

func TestLoneVerbCommitsAtOnce(t *testing.T) {
	w := openTestFile(t).writer
	w.now = func() time.Time { return time.Time{} } // a writer that waited for company would wait for ever
	err := w.write(t.Context(), write{scope: scope{kind: scopeSystem}, verb: func(tx *Tx) error {
		_, err := tx.Exec(`CREATE TABLE t (id BIGINT)`)
		return err
	}})
	if err != nil {
		t.Error(err)
	}
}

// Once verbs have come side by side a group stays open for company, which is bounded. The first that
// comes alone again waits for the last time.
func TestVerbsSideBySideWaitForCompany(t *testing.T) {
	w := openTestFile(t).writer
	w.now = func() time.Time { return time.Time{} }
	asked, closing := make(chan time.Duration), make(chan time.Time)
	w.after = func(d time.Duration) <-chan time.Time {
		asked <- d
		return closing
	}
	submit := func() (place chan int, answered chan error) {
		place, answered = make(chan int, 1), make(chan error, 1)
		go func() {
			answered <- w.write(t.Context(), write{scope: scope{kind: scopeSystem}, verb: func(*Tx) error {
				place <- len(w.group)
				return nil
			}})
		}()
		return place, answered
	}
	places := queued(t, w, 1, func() {}) // two in a group
	if places[0] != 2 {
		t.Fatalf("the second had place %d", places[0])
	}

	_, first := submit()
	if d := <-asked; d != company {
		t.Errorf("a group waits for %v", d)
	}
	place, second := submit()
	if got := <-place; got != 2 {
		t.Errorf("who came while the group was open had place %d in a group of its own", got)
	}
	<-asked
	select {
	case <-first:
		t.Error("answered before the group was closed")
	default:
	}
	closing <- time.Time{}
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}

	_, alone := submit()
	<-asked
	closing <- time.Time{}
	_, again := submit()
	if err := errors.Join(<-alone, <-again); err != nil { // nothing closes this group but that it waits for nobody
		t.Error(err)
	}
}

func TestThreat_DB07_FullQueueIsBusy(t *testing.T) {
	w := openTestFile(t).writer
	running, proceed := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		w.write(t.Context(), write{verb: func(*Tx) error {
			close(running)
			<-proceed
			return nil
		}})
	})
	<-running
	for range maxQueue {
		if err := w.enqueue(&turn{place: newPlace(t.Context()), verb: func(*Tx) error { return nil }}); err != nil {
			t.Fatal(err)
		}
	}
	one := &turn{place: newPlace(t.Context()), verb: func(*Tx) error { return nil }}
	if err := w.enqueue(one); !errors.Is(err, ErrBusy) {
		t.Errorf("one more verb: %v", err)
	}
	close(proceed)
	wg.Wait()
}

func TestThreat_DB07_TooManyWaitForAConnection(t *testing.T) {
	var p postgres
	p.waiting.Store(maxQueue)
	if _, err := p.acquire(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("one more caller: %v", err)
	}
	if p.waiting.Load() != maxQueue {
		t.Error("the one that was refused still counts")
	}
}

func TestVerbWhoseCallerGaveUpNeverRuns(t *testing.T) {
	w := openTestFile(t).writer
	running, proceed := make(chan struct{}), make(chan struct{})
	go w.write(t.Context(), write{verb: func(*Tx) error {
		close(running)
		<-proceed
		return nil
	}})
	<-running
	// The caller's context has ended, but the caller has not noticed: the writer decides.
	ctx, cancel := context.WithCancel(t.Context())
	unnoticed := &turn{place: newPlace(ctx), verb: func(*Tx) error { t.Error("the verb ran"); return nil }}
	if err := w.enqueue(unnoticed); err != nil {
		t.Fatal(err)
	}
	cancel()
	close(proceed)
	<-unnoticed.done
	if !errors.Is(unnoticed.err, context.Canceled) {
		t.Errorf("outcome %v", unnoticed.err)
	}
}

func TestThreat_DB02_WriteAheadLogIsSynced(t *testing.T) {
	e := openTestFile(t)
	for pragma, want := range map[string]string{
		"PRAGMA journal_mode": "wal", "PRAGMA synchronous": "2", "PRAGMA foreign_keys": "1", "PRAGMA temp_store": "2", "PRAGMA query_only": "0",
	} {
		var got string
		rows, err := e.writer.conn.query(t.Context(), pragma, nil)
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := (&Row{rows: rows}).Scan(&value); err != nil {
			t.Fatal(err)
		}
		switch v := value.(type) {
		case string:
			got = v
		case int64:
			got = string(rune('0' + v))
		}
		if got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
}

func TestOlderVersion(t *testing.T) {
	for version, old := range map[string]bool{
		"3.51.3": false, "3.51.10": false, "3.52.0": false, "4.0": false,
		"3.51.2": true, "3.9.9": true, "3.51": true, "2.99.99": true, "": true, "unknown": true,
	} {
		if got := olderVersion(version, oldestSQLite); got != old {
			t.Errorf("olderVersion(%q) = %t", version, got)
		}
	}
}

func TestThreat_DB07_TooManyWaitForTheCourier(t *testing.T) {
	c := courier{journeys: maxJourneys, queue: make([]*parcel, maxQueue)}
	if _, err := c.enqueue(&parcel{}); !errors.Is(err, ErrBusy) {
		t.Errorf("one more caller: %v", err)
	}
}

package db_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
)

// keep inserts a row that nobody else sees, or can insert, before release was called and the returned channel has the outcome.
func keep(t *testing.T, d *db.DB, id int) (release func(), outcome <-chan error) {
	t.Helper()
	kept, go_, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- d.System().Write(t.Context(), func(tx *db.Tx) error {
			err := mark(id)(tx)
			close(kept)
			<-go_
			return err
		})
	}()
	<-kept
	release = sync.OnceFunc(func() { close(go_) })
	t.Cleanup(release)
	return release, done
}

// outcome is what Exec returned, or panicked with.
type outcome struct {
	rows     int64
	err      error
	panicked any
}

// gather has n statements wait for a courier that is under way, calls meanwhile, and lets them go: as one group, or as many as it
// takes.
func gather(t *testing.T, d *db.DB, n int, exec func(i int) (int64, error), meanwhile func()) []outcome {
	t.Helper()
	release := d.OccupyCourier()
	var wg sync.WaitGroup
	outcomes := make([]outcome, n)
	for i := range n {
		wg.Go(func() {
			o := &outcomes[i]
			defer func() { o.panicked = recover() }()
			o.rows, o.err = exec(i)
		})
		until(func() bool { queued, _ := d.Courier(); return queued == i+1 }) // in this order
	}
	meanwhile()
	release()
	wg.Wait()
	return outcomes
}

func until(what func() bool) {
	for !what() {
		runtime.Gosched()
	}
}

// markRow inserts a row with the statement of its own.
func markRow(ctx context.Context, d *db.DB, id int) (int64, error) {
	return d.System().Exec(ctx, insertMark, func() []any { return []any{id, "text"} })
}

func wantMarked(t *testing.T, outcomes []outcome, except ...int) {
	t.Helper()
	for i, o := range outcomes {
		skip := false
		for _, e := range except {
			skip = skip || e == i
		}
		if !skip && (o.rows != 1 || o.err != nil || o.panicked != nil) {
			t.Errorf("statement %d: %+v", i, o)
		}
	}
}

func TestStatementsThatWaitShareATransaction(t *testing.T) {
	d := dbtest.PostgreSQL(t, testSchema)
	n := db.MaxGroup + 20
	wantMarked(t, gather(t, d, n, func(i int) (int64, error) { return markRow(t.Context(), d, i) }, func() {}))
	var there, transactions int
	err := d.System().QueryRow(t.Context(), `SELECT count(*), count(DISTINCT xmin::text) FROM marks`).Scan(&there, &transactions)
	if err != nil || there != n || transactions != 2 {
		t.Errorf("%d rows by %d transactions, %v; want %d by 2", there, transactions, err, n)
	}
}

func TestStatementThatFailsInAGroupFailsAlone(t *testing.T) {
	d := dbtest.PostgreSQL(t, testSchema)
	if _, err := markRow(t.Context(), d, 9); err != nil {
		t.Fatal(err)
	}
	asked := 0
	outcomes := gather(t, d, 5, func(i int) (int64, error) {
		switch i {
		case 1:
			return markRow(t.Context(), d, 9)
		case 2:
			return d.System().Exec(t.Context(), insertMark, func() []any { return []any{2, "\xff"} })
		case 3:
			return d.System().Exec(t.Context(), `UPDATE marks SET text = 'none' WHERE id = $1`, func() []any { asked++; return []any{77} })
		}
		return markRow(t.Context(), d, i)
	}, func() {})
	wantMarked(t, outcomes, 1, 2, 3)
	if o := outcomes[1]; o.rows != 0 || !db.IsUnique(o.err) {
		t.Errorf("a row that is there: %+v", o)
	}
	if o := outcomes[2]; !errors.Is(o.err, db.ErrText) {
		t.Errorf("text that is none: %+v", o)
	}
	if o := outcomes[3]; o.rows != 0 || o.err != nil || asked == 0 {
		t.Errorf("a statement that finds nothing: %+v, asked %d times", o, asked)
	}
	if there := marks(t, d); len(there) != 3 || !there[0] || !there[4] {
		t.Errorf("there are %v", there)
	}
}

func TestPanicOfArgumentsGoesOnInTheCallerAlone(t *testing.T) {
	d := dbtest.PostgreSQL(t, testSchema)
	outcomes := gather(t, d, 3, func(i int) (int64, error) {
		if i == 1 {
			return d.System().Exec(t.Context(), insertMark, func() []any { panic("no arguments") })
		}
		return markRow(t.Context(), d, i)
	}, func() {})
	wantMarked(t, outcomes, 1)
	if o := outcomes[1]; o.panicked != "no arguments" {
		t.Errorf("%+v", o)
	}
	if _, err := markRow(t.Context(), d, 5); err != nil {
		t.Errorf("the next: %v", err)
	}
}

func TestCallerThatGivesUpIsLeftBehind(t *testing.T) {
	d := dbtest.PostgreSQL(t, testSchema)
	gone, cancel := context.WithCancel(t.Context())
	outcomes := gather(t, d, 3, func(i int) (int64, error) {
		if i == 1 {
			return markRow(gone, d, i)
		}
		return markRow(t.Context(), d, i)
	}, cancel)
	wantMarked(t, outcomes, 1)
	if o := outcomes[1]; !errors.Is(o.err, context.Canceled) || marks(t, d)[1] {
		t.Errorf("%+v, and it is there: %t", o, marks(t, d)[1])
	}
}

// A row that somebody keeps for long holds up those who want it, and nobody who came along with them.
func TestThreat_DB07_GroupWaitsForNoLock(t *testing.T) {
	d := dbtest.PostgreSQL(t, testSchema)
	const kept = 1000
	release, held := keep(t, d, kept)
	others := make(chan struct{})
	var othersLeft sync.WaitGroup
	othersLeft.Add(4)
	go func() { othersLeft.Wait(); close(others) }()
	go func() { <-others; release() }()
	outcomes := gather(t, d, 5, func(i int) (int64, error) {
		if i == 2 {
			return markRow(t.Context(), d, kept)
		}
		defer othersLeft.Done()
		return markRow(t.Context(), d, i)
	}, func() {})
	wantMarked(t, outcomes, 2)
	if o := outcomes[2]; !db.IsUnique(o.err) {
		t.Errorf("the one that waited: %+v", o)
	}
	if err := <-held; err != nil {
		t.Error(err)
	}
}

// When the connection breaks once COMMIT may have left, nobody in the group is told of a success, and nobody is run again.
func TestThreat_DB05_CutConnectionOfAGroup(t *testing.T) {
	for _, test := range []struct {
		name  string
		cut   cut
		there bool
	}{
		{"before the statements", cut{"\x00\x04last", false}, false},
		{"after COMMIT", cut{"\x00\x04last", true}, true},
	} {
		dsn := dbtest.TemplatePostgreSQL(t, testSchema)
		direct, err := db.Open(t.Context(), dsn, db.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer direct.Close()
		w := newWire(t, dsn)
		d, err := db.Open(t.Context(), w.dsn, db.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for i, o := range gather(t, d, 3, func(i int) (int64, error) {
			return d.System().Exec(t.Context(), insertMark, func() []any { return []any{i, []string{"first", "next", "last"}[i]} })
		}, func() { w.cutAt.Store(&test.cut) }) {
			if o.rows != 0 || !errors.Is(o.err, db.ErrUnknownOutcome) {
				t.Errorf("cut %s: statement %d: %+v", test.name, i, o)
			}
			if there := marks(t, direct)[i]; there != test.there {
				t.Errorf("cut %s: row %d is there: %t", test.name, i, there)
			}
		}
		if n, err := markRow(t.Context(), d, 7); n != 1 || err != nil {
			t.Errorf("the next: %d, %v", n, err)
		}
	}
}

func TestCloseWaitsForThoseInTheQueue(t *testing.T) {
	d := dbtest.PostgreSQL(t, testSchema)
	direct := make(chan error, 1)
	outcomes := gather(t, d, 3, func(i int) (int64, error) { return markRow(t.Context(), d, i) }, func() {
		go func() { direct <- d.Close() }()
		until(func() bool { _, closed := d.Courier(); return closed })
		if _, err := markRow(t.Context(), d, 7); !errors.Is(err, db.ErrClosed) {
			t.Errorf("one more: %v", err)
		}
	})
	wantMarked(t, outcomes)
	if err := <-direct; err != nil {
		t.Error(err)
	}
}

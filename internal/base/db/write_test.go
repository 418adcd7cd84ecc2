package db_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
)

// mark returns a verb that inserts one row.
func mark(id int) func(*db.Tx) error {
	return func(tx *db.Tx) error {
		_, err := tx.Exec(insertMark, id, "text")
		return err
	}
}

// marks returns the ids that are there.
func marks(t *testing.T, d *db.DB) map[int]bool {
	t.Helper()
	rows, err := d.System().Query(t.Context(), `SELECT id FROM marks`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	ids := make(map[int]bool)
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids[id] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// hold starts a verb that inserts the row id and then waits. The engine is occupied when hold returns; outcome gives what
// Write said after release was called.
func hold(t *testing.T, d *db.DB, ctx context.Context, id int) (release func(), outcome <-chan error) {
	t.Helper()
	running, go_, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- d.System().Write(ctx, func(tx *db.Tx) error {
			close(running)
			<-go_
			return mark(id)(tx)
		})
	}()
	<-running
	release = sync.OnceFunc(func() { close(go_) })
	t.Cleanup(release)
	return release, done
}

// A verb of one statement is durable when Exec returns, says how many rows it touched, and leaves
// nothing of a statement that fails; the connection is good for the next.
func TestExecIsAVerb(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		exec := func(id int) (int64, error) {
			return d.System().Exec(t.Context(), insertMark, func() []any { return []any{id, "text"} })
		}
		for id := range 3 {
			if n, err := exec(id); n != 1 || err != nil {
				t.Fatalf("Exec = %d, %v", n, err)
			}
		}
		if n, err := exec(1); n != 0 || !db.IsUnique(err) || errors.Is(err, db.ErrUnknownOutcome) {
			t.Errorf("a row that is there: %d, %v", n, err)
		}
		if n, err := exec(3); n != 1 || err != nil {
			t.Errorf("after a failure: %d, %v", n, err)
		}
		if got := marks(t, d); len(got) != 4 {
			t.Errorf("%v", got)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.System().Exec(gone, insertMark, func() []any { t.Error("it had its turn"); return nil }); err == nil {
			t.Error("a caller that gave up was served")
		}
	})
}

func TestErrorUndoesTheVerbAlone(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		refused := errors.New("refused")
		var wg sync.WaitGroup
		for id := range 64 {
			wg.Go(func() {
				var committed bool
				err := d.System().Write(t.Context(), func(tx *db.Tx) error {
					tx.OnCommit(func() { committed = true })
					if err := mark(id)(tx); err != nil || id%3 != 0 {
						return err
					}
					return refused
				})
				if failed := id%3 == 0; failed != errors.Is(err, refused) || failed == committed {
					t.Errorf("verb %d: %v, OnCommit ran: %t", id, err, committed)
				}
			})
		}
		wg.Wait()
		there := marks(t, d)
		for id := range 64 {
			if there[id] != (id%3 != 0) {
				t.Errorf("row %d is there: %t", id, there[id])
			}
		}
	})
}

func TestPanicUndoesTheVerbAloneAndGoesOnInTheCaller(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		var wg sync.WaitGroup
		for id := range 64 {
			wg.Go(func() {
				defer func() {
					if p := recover(); (p != nil) != (id%3 == 0) || p != nil && p != any(id) {
						t.Errorf("verb %d panicked with %v", id, p)
					}
				}()
				if err := d.System().Write(t.Context(), func(tx *db.Tx) error {
					err := mark(id)(tx)
					if id%3 == 0 {
						panic(id)
					}
					return err
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if there := marks(t, d); len(there) != 42 || there[0] {
			t.Errorf("%d rows are there, the first: %t", len(there), there[0])
		}
	})
}

func TestGoexitUndoesTheVerbAloneAndEndsTheCaller(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		var wg sync.WaitGroup
		for id := range 64 {
			wg.Go(func() {
				err := d.System().Write(t.Context(), func(tx *db.Tx) error {
					err := mark(id)(tx)
					if id%3 == 0 {
						runtime.Goexit()
					}
					return err
				})
				if err != nil || id%3 == 0 {
					t.Errorf("verb %d returned %v", id, err)
				}
			})
		}
		wg.Wait()
		if there := marks(t, d); len(there) != 42 || there[0] {
			t.Errorf("%d rows are there, the first: %t", len(there), there[0])
		}
	})
}

func TestFailedStatementDoomsTheVerb(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		if err := d.System().Write(t.Context(), mark(1)); err != nil {
			t.Fatal(err)
		}
		err := d.System().Write(t.Context(), func(tx *db.Tx) error {
			if err := mark(2)(tx); err != nil {
				return err
			}
			if err := mark(1)(tx); !db.IsUnique(err) {
				t.Errorf("a second row with the same key: %v", err)
			}
			if err := mark(3)(tx); !db.IsUnique(err) {
				t.Errorf("the next statement: %v", err)
			}
			return nil // passes over the failure
		})
		if !db.IsUnique(err) || errors.Is(err, db.ErrBusy) {
			t.Errorf("Write: %v", err)
		}
		if there := marks(t, d); len(there) != 1 {
			t.Errorf("rows %v", there)
		}
	})
}

func TestVerbRunsWithTheWritersContext(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := d.System().Write(ctx, func(tx *db.Tx) error {
			cancel()
			if err := tx.Context().Err(); err != nil {
				t.Errorf("the verb's context ended with its caller's: %v", err)
			}
			return mark(1)(tx)
		})
		if err != nil {
			t.Errorf("Write: %v", err)
		}
		if !marks(t, d)[1] {
			t.Error("the verb was undone by its caller")
		}
	})
}

func TestCallerThatGivesUpBeforeItsTurnIsSkipped(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.System().Write(ended, mark(1)); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that had given up before: %v", err)
		}
		if there := marks(t, d); len(there) != 0 {
			t.Errorf("rows %v", there)
		}
	})
	t.Run("SQLite queue", func(t *testing.T) {
		d := dbtest.SQLite(t, testSchema)
		release, held := hold(t, d, t.Context(), 1)
		ctx, cancel := context.WithCancelCause(t.Context())
		bored := errors.New("bored")
		waiting := make(chan error)
		go func() { waiting <- d.System().Write(ctx, mark(2)) }()
		cancel(bored)
		// It answers while the verb before it still runs.
		if err := <-waiting; !errors.Is(err, bored) {
			t.Errorf("Write: %v", err)
		}
		release()
		if err := <-held; err != nil {
			t.Error(err)
		}
		if err := d.System().Write(t.Context(), mark(3)); err != nil {
			t.Error(err)
		}
		if there := marks(t, d); !there[1] || there[2] || !there[3] {
			t.Errorf("rows %v", there)
		}
	})
}

func TestAfterItsTurnTheOutcomeStands(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		release, outcome := hold(t, d, ctx, 1)
		cancel()
		select {
		case err := <-outcome:
			t.Fatalf("Write answered %v before the verb had ended", err)
		default:
		}
		release()
		if err := <-outcome; err != nil {
			t.Errorf("Write: %v", err)
		}
		if !marks(t, d)[1] {
			t.Error("the row is not there")
		}
	})
}

func TestConstraintsAreImmediate(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		err := d.System().Write(t.Context(), func(tx *db.Tx) error {
			if _, err := tx.Exec(`INSERT INTO leaves (id, mark) VALUES ($1, $2)`, 1, 99); err == nil {
				t.Error("an orphan was accepted")
			}
			return nil
		})
		if err == nil || db.IsUnique(err) {
			t.Errorf("Write: %v", err)
		}
	})
}

func TestNobodyIsAnsweredBeforeCommit(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		var wg sync.WaitGroup
		for id := range 64 {
			wg.Go(func() {
				err := d.System().Write(t.Context(), func(tx *db.Tx) error {
					tx.OnCommit(func() { // earlier than Write's own return
						if !exists(t, d, id) {
							t.Errorf("row %d was promised before others could see it", id)
						}
					})
					return mark(id)(tx)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func exists(t *testing.T, d *db.DB, id int) bool {
	var n int
	if err := d.System().QueryRow(t.Context(), `SELECT count(*) FROM marks WHERE id = $1`, id).Scan(&n); err != nil {
		t.Error(err)
	}
	return n == 1
}

func TestFailedCommitIsToldToAll(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		d := dbtest.SQLite(t, testSchema)
		release, held := hold(t, d, t.Context(), 1)
		outcomes := make(chan error)
		for id := 2; id < 10; id++ {
			go func() {
				outcomes <- d.System().Write(t.Context(), func(tx *db.Tx) error {
					if id == 5 { // let one verb do what Migrate refuses: leave a constraint to COMMIT
						if _, err := tx.Exec(`PRAGMA defer_foreign_keys = ON`); err != nil {
							return err
						}
						_, err := tx.Exec(`INSERT INTO leaves (id, mark) VALUES ($1, $2)`, 1, 99)
						return err
					}
					return mark(id)(tx)
				})
			}()
		}
		release()
		if promised := promisesKept(t, d, held, outcomes, 8); promised > 8 {
			t.Error("nobody was told")
		}
		if err := d.System().Write(t.Context(), mark(20)); err != nil {
			t.Errorf("the next verb: %v", err)
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		d := dbtest.PostgreSQL(t, testSchema)
		err := d.System().Write(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`ALTER TABLE leaves ADD CONSTRAINT late FOREIGN KEY (mark) REFERENCES marks (id) DEFERRABLE INITIALLY DEFERRED`)
			if err == nil {
				_, err = tx.Exec(`ALTER TABLE leaves DROP CONSTRAINT leaves_mark_fkey`)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = d.System().Write(t.Context(), func(tx *db.Tx) error {
			tx.OnCommit(func() { t.Error("OnCommit ran") })
			_, err := tx.Exec(`INSERT INTO leaves (id, mark) VALUES ($1, $2)`, 1, 99)
			return err
		})
		if err == nil || errors.Is(err, db.ErrUnknownOutcome) {
			t.Errorf("Write: %v", err)
		}
	})
}

// promisesKept collects the outcomes of hold and of n others, checks that exactly as many rows are there as were promised,
// and returns how many.
func promisesKept(t *testing.T, d *db.DB, held <-chan error, outcomes <-chan error, n int) (promised int) {
	t.Helper()
	if err := <-held; err == nil {
		promised++
	}
	for range n {
		if err := <-outcomes; err == nil {
			promised++
		}
	}
	if there := marks(t, d); len(there) != promised {
		t.Errorf("%d rows promised, %d there", promised, len(there))
	}
	return promised
}

func TestVerbThatLosesTheTransactionFailsItsGroup(t *testing.T) {
	// OR ROLLBACK does what SQLite does by itself on some errors of the disk: it undoes the whole transaction.
	const again = `INSERT OR ROLLBACK INTO marks (id, text) VALUES ($1, $2)`
	for name, write := range map[string]func(d *db.DB, sql string, args ...any) error{
		"Write": func(d *db.DB, sql string, args ...any) error {
			return d.System().Write(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec(sql, args...)
				return err
			})
		},
		"Exec": func(d *db.DB, sql string, args ...any) error {
			_, err := d.System().Exec(t.Context(), sql, func() []any { return args })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := dbtest.SQLite(t, testSchema)
			release, held := hold(t, d, t.Context(), 1)
			outcomes := make(chan error)
			for id := 2; id < 34; id++ {
				go func() {
					if id%8 == 0 {
						outcomes <- write(d, again, 1, "again")
					} else {
						outcomes <- write(d, insertMark, id, "text")
					}
				}()
			}
			release()
			promisesKept(t, d, held, outcomes, 32)
			if err := write(d, insertMark, 40, "text"); err != nil {
				t.Errorf("the next verb: %v", err)
			}
		})
	}
}

// One statement has no savepoint: it is undone alone all the same.
func TestStatementThatFailsIsUndoneAlone(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		if err := d.System().Write(t.Context(), mark(0)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for id := 1; id < 64; id++ {
			wg.Go(func() {
				// Two rows: where the second is refused the first is undone.
				second := id + 100
				if id%3 == 0 {
					second = 0
				}
				n, err := d.System().Exec(t.Context(), `INSERT INTO marks (id, text) VALUES ($1, 'first'), ($2, 'second')`, func() []any { return []any{id, second} })
				if refused := id%3 == 0; refused != db.IsUnique(err) || refused == (n == 2) {
					t.Errorf("statement %d: %d, %v", id, n, err)
				}
			})
		}
		wg.Wait()
		there := marks(t, d)
		for id := 1; id < 64; id++ {
			if there[id] != (id%3 != 0) {
				t.Errorf("row %d is there: %t", id, there[id])
			}
		}
	})
}

func TestThreat_DB03_FullDisk(t *testing.T) {
	d := dbtest.SQLite(t, testSchema)
	limit := func(pages int) {
		t.Helper()
		if err := d.System().Write(t.Context(), func(tx *db.Tx) error {
			return tx.QueryRow(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)).Scan(&pages)
		}); err != nil {
			t.Fatal(err)
		}
	}
	large := func(tx *db.Tx) error {
		_, err := tx.Exec(insertMark, 2, strings.Repeat("x", 1<<20))
		return err
	}
	if err := d.System().Write(t.Context(), mark(1)); err != nil {
		t.Fatal(err)
	}
	limit(1) // which SQLite raises to what the file has
	if err := d.System().Write(t.Context(), large); !errors.Is(err, db.ErrBusy) {
		t.Errorf("a write to a full disk: %v", err)
	}
	if there := marks(t, d); !there[1] || there[2] {
		t.Errorf("rows %v", there)
	}
	limit(1 << 20)
	if err := d.System().Write(t.Context(), large); err != nil {
		t.Errorf("a write after space returned: %v", err)
	}
}

func TestThreat_DB07_WaitingPastTheDeadlineIsBusy(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		if err := d.System().Write(late, mark(1)); !errors.Is(err, db.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Write: %v", err)
		}
		if err := d.System().QueryRow(late, countMarks).Scan(new(int)); !errors.Is(err, db.ErrBusy) {
			t.Errorf("QueryRow: %v", err)
		}
	})
}

func TestWriteInsideAVerbIsRefused(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		err := d.System().Write(t.Context(), func(tx *db.Tx) error {
			return d.System().Write(tx.Context(), mark(1))
		})
		if err == nil {
			t.Error("a verb waited for itself")
		}
	})
}

func TestTransactionEndsWithItsVerb(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		var kept *db.Tx
		if err := d.System().Write(t.Context(), func(tx *db.Tx) error { kept = tx; return mark(1)(tx) }); err != nil {
			t.Fatal(err)
		}
		if err := mark(2)(kept); err == nil {
			t.Error("a transaction outlived its verb")
		}
	})
}

func TestOneResultIsOpenAtATime(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		err := d.System().Write(t.Context(), func(tx *db.Tx) error {
			if _, err := tx.Query(countMarks); err != nil {
				return err
			}
			if err := mark(1)(tx); err == nil {
				t.Error("a statement ran while rows were open")
			}
			return nil
		})
		if err == nil {
			t.Error("the verb was committed")
		}
		// What a verb leaves open is closed for it.
		err = d.System().Write(t.Context(), func(tx *db.Tx) error {
			if err := mark(1)(tx); err != nil {
				return err
			}
			_, err := tx.Query(countMarks)
			return err
		})
		if err != nil || !marks(t, d)[1] {
			t.Errorf("rows left open at the end: %v", err)
		}
	})
}

func TestCloseDrains(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		release, held := hold(t, d, t.Context(), 1)
		closed := make(chan error, 1)
		go func() { closed <- d.Close() }()
		release()
		if err := <-held; err != nil {
			t.Errorf("a verb that had its turn: %v", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if err := d.System().Write(t.Context(), mark(2)); !errors.Is(err, db.ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
		if err := d.System().QueryRow(t.Context(), countMarks).Scan(new(int)); !errors.Is(err, db.ErrClosed) {
			t.Errorf("Query after Close: %v", err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("Close again: %v", err)
		}
	})
}

func TestThreat_DB09_NoIncrementIsLost(t *testing.T) {
	dbtest.Two(t, testSchema, func(t *testing.T, a, b *db.DB) {
		if err := a.System().Write(t.Context(), mark(0)); err != nil {
			t.Fatal(err)
		}
		var done, busy atomic.Int64
		var wg sync.WaitGroup
		for i := range 64 {
			d := a
			if i%2 == 1 {
				d = b
			}
			wg.Go(func() {
				err := d.System().WriteSerializable(t.Context(), func(tx *db.Tx) error {
					var n int
					var text string
					if err := tx.QueryRow(`SELECT text FROM marks WHERE id = $1`, 0).Scan(&text); err != nil {
						return err
					}
					if text != "text" {
						if _, err := fmt.Sscan(text, &n); err != nil {
							return err
						}
					}
					_, err := tx.Exec(`UPDATE marks SET text = $2 WHERE id = $1`, 0, fmt.Sprint(n+1))
					return err
				})
				switch {
				case err == nil:
					done.Add(1)
				case errors.Is(err, db.ErrBusy) && d.Dialect() == db.PostgreSQL:
					busy.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var text string
		if err := a.System().QueryRow(t.Context(), `SELECT text FROM marks WHERE id = $1`, 0).Scan(&text); err != nil {
			t.Fatal(err)
		}
		if text != fmt.Sprint(done.Load()) {
			t.Errorf("%d increments were acknowledged, the row says %s (%d were told to come again)", done.Load(), text, busy.Load())
		}
	})
}

func TestThreat_DB09_ConflictIsTriedThreeTimes(t *testing.T) {
	d := dbtest.PostgreSQL(t, testSchema)
	if err := d.System().Write(t.Context(), mark(0)); err != nil {
		t.Fatal(err)
	}
	for name, outcome := range map[string]func(error) error{
		"told":   func(err error) error { return err },
		"masked": func(error) error { return errors.New("another error") },
	} {
		tries := 0
		err := d.System().WriteSerializable(t.Context(), func(tx *db.Tx) error {
			tries++
			if err := tx.QueryRow(countMarks).Scan(new(int)); err != nil {
				return err
			}
			// Someone else changes what was read, each time.
			if err := d.System().Write(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec(`UPDATE marks SET text = $1`, fmt.Sprint(tries))
				return err
			}); err != nil {
				return err
			}
			_, err := tx.Exec(`UPDATE marks SET text = $1`, "mine")
			return outcome(err)
		})
		if tries != 3 || !errors.Is(err, db.ErrBusy) {
			t.Errorf("%s: %d tries, %v", name, tries, err)
		}
	}
}

func TestStatementsBehaveAlike(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		for _, test := range []struct {
			name, sql string
			args      []any
		}{
			{"too few arguments", insertMark, []any{1}},
			{"too many arguments", insertMark, []any{1, "a", "b"}},
			{"two statements", `INSERT INTO marks (id, text) VALUES (1, 'a'); DELETE FROM marks`, nil},
			{"NUL in text", insertMark, []any{1, "a\x00b"}},
			{"broken UTF-8", insertMark, []any{1, "a\xffb"}},
			{"a text in double quotes", `INSERT INTO marks (id, text) VALUES (1, "text")`, nil},
		} {
			err := d.System().Write(ctx, func(tx *db.Tx) error {
				_, err := tx.Exec(test.sql, test.args...)
				return err
			})
			if err == nil {
				t.Errorf("%s was accepted", test.name)
			}
		}
		for _, sql := range []string{`DELETE FROM marks`, `INSERT INTO marks (id, text) VALUES (1, 'a') RETURNING id`} {
			if err := d.System().QueryRow(ctx, sql).Scan(new(int)); err == nil || errors.Is(err, db.ErrNoRows) {
				t.Errorf("a read wrote: %s: %v", sql, err)
			}
		}
		if there := marks(t, d); len(there) != 0 {
			t.Errorf("rows %v", there)
		}
	})
}

func TestTenantIsBound(t *testing.T) {
	dbtest.Each(t, testSchema, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		for i, id := range []string{"t1", "t2"} {
			err := d.Tenant(id).Write(ctx, func(tx *db.Tx) error {
				_, err := tx.Exec(insertFamily, "f", i+1, nil, false)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for i, id := range []string{"t1", "t2"} {
			var generation int
			var digest []byte
			if err := d.Tenant(id).QueryRow(ctx, selectFamily, "f").Scan(&generation, &digest, new(bool)); err != nil {
				t.Fatal(err)
			}
			if generation != i+1 || digest != nil {
				t.Errorf("%s reads generation %d, digest %x", id, generation, digest)
			}
		}

		var zero db.Tenant
		for name, tn := range map[string]db.Tenant{"the zero handle": zero, "an empty id": d.Tenant("")} {
			if _, err := tn.Query(ctx, selectFamily, "f"); err == nil {
				t.Errorf("%s reads", name)
			}
			if err := tn.Write(ctx, func(tx *db.Tx) error { _, err := tx.Exec(insertFamily, "g", 1, nil, false); return err }); err == nil {
				t.Errorf("%s writes", name)
			}
		}
		for _, sql := range []string{`SELECT count(*) FROM families`, `SELECT count(*) FROM families WHERE generation < $10`} {
			if err := d.Tenant("t1").QueryRow(ctx, sql).Scan(new(int)); err == nil || !strings.Contains(err.Error(), "$1") {
				t.Errorf("%s: %v", sql, err)
			}
		}
	})
}

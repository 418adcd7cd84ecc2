//go:build unix

package session_test

import (
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/digest"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// What the memories of this package are to the schemes.
var (
	_ bearer.Replays    = (*session.SQLReplays)(nil)
	_ oidclogin.Replays = (*session.SQLReplays)(nil)
	_ digest.Counts     = (*session.SQLCounts)(nil)
)

// nodes runs the test with two stores in one database.
func nodes(t *testing.T, test func(t *testing.T, db *sql.DB, clock *testclock.Clock, stores [2]*session.SQLStore)) {
	t.Run("sqlite", func(t *testing.T) {
		clock, db := testclock.New(), openSQLite(t)
		s := newSQLStore(t, db).WithClock(clock.Now)
		test(t, db, clock, [2]*session.SQLStore{s, s})
	})
	t.Run("postgres", func(t *testing.T) {
		clock, db := testclock.New(), openPostgreSQL(t)
		test(t, db, clock, [2]*session.SQLStore{newSQLStore(t, db).WithClock(clock.Now), newSQLStore(t, alongside(t, db)).WithClock(clock.Now)})
	})
}

// alongside opens the same schema of PostgreSQL with a few connections of its own.
func alongside(t *testing.T, db *sql.DB) *sql.DB {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var config *pgx.ConnConfig
	if err := conn.Raw(func(c any) error { config = c.(*stdlib.Conn).Conn().Config(); return nil }); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	config.RuntimeParams["search_path"] = "guard_session_test"
	other := stdlib.OpenDB(*config)
	other.SetMaxOpenConns(8)
	t.Cleanup(func() { _ = other.Close() })
	return other
}

// atOnce has 64 callers use something at the same time, every other at the second
// node, and returns how many of them were let through.
func atOnce(t *testing.T, use func(node, caller int) (bool, error)) int {
	t.Helper()
	var through atomic.Int64
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for caller := range 64 {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			ok, err := use(caller%2, caller)
			if err != nil {
				t.Error(err)
			}
			if ok {
				through.Add(1)
			}
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return int(through.Load())
}

func TestThreat_TK16_OnceAtAllNodes(t *testing.T) {
	nodes(t, func(t *testing.T, db *sql.DB, clock *testclock.Clock, stores [2]*session.SQLStore) {
		memories := [2]*session.SQLReplays{stores[0].Replays(), stores[1].Replays()}
		until := clock.Now().Add(time.Minute)
		for round := range 3 {
			id := fmt.Sprint("proof ", round)
			if n := atOnce(t, func(node, _ int) (bool, error) { return memories[node].Use(t.Context(), id, until) }); n != 1 {
				t.Fatalf("round %d: one proof let %d requests in", round, n)
			}
		}
		if err := memories[0].Forget(t.Context(), "proof 0"); err != nil {
			t.Error(err)
		}
		if fresh, err := memories[1].Use(t.Context(), "proof 0", until); !fresh || err != nil {
			t.Errorf("what was taken back: %v, %v", fresh, err)
		}

		// A node whose clock is ahead removes nothing that another still takes.
		clock.Advance(2 * time.Minute)
		if _, err := stores[0].DeleteExpired(t.Context(), 100); err != nil {
			t.Error(err)
		}
		if fresh, err := memories[1].Use(t.Context(), "proof 1", until); fresh || err != nil {
			t.Errorf("by a clock a minute behind: %v, %v", fresh, err)
		}
		clock.Advance(time.Minute)
		// Uses alone, without sessions and their housekeeping, keep the table small.
		for n := range 64 {
			if _, err := memories[0].Use(t.Context(), fmt.Sprint("later ", n), clock.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		var rows int
		var id string
		if err := db.QueryRow(`SELECT count(*), max(id) FROM guard_replays`).Scan(&rows, &id); err != nil || rows != 64 || strings.Contains(id, "later") {
			t.Errorf("%d rows, %q, %v", rows, id, err)
		}
		_ = db.Close()
		if fresh, err := memories[0].Use(t.Context(), "new", clock.Now().Add(time.Minute)); fresh || err == nil {
			t.Errorf("without its database: %v, %v", fresh, err)
		}
	})
}

func TestThreat_AK08_OneCountAtAllNodes(t *testing.T) {
	nodes(t, func(t *testing.T, db *sql.DB, clock *testclock.Clock, stores [2]*session.SQLStore) {
		memories := [2]*session.SQLCounts{stores[0].Counts(), stores[1].Counts()}
		until := clock.Now().Add(digest.NonceLife)
		for round := range uint32(3) {
			if n := atOnce(t, func(node, _ int) (bool, error) { return memories[node].Use(t.Context(), "nonce", round+1, until) }); n != 1 {
				t.Fatalf("round %d: one count let %d requests in", round, n)
			}
		}
		// Of many counts at once some may be overtaken; none is good afterwards.
		for _, some := range []bool{true, false} {
			n := atOnce(t, func(node, caller int) (bool, error) {
				return memories[node].Use(t.Context(), "another", uint32(caller+1), until)
			})
			if (n > 0) != some {
				t.Errorf("%d of 64 counts were good", n)
			}
		}
		for _, tt := range []struct {
			nonce string
			count uint32
			want  bool
		}{
			{"third", 0, false}, {"third", 9, true}, {"third", 10, true}, {"third", 9, false}, {"third", 1<<32 - 1, true}, {"third", 1<<32 - 1, false}, {"fourth", 1, true},
		} {
			if ok, err := memories[tt.count%2].Use(t.Context(), tt.nonce, tt.count, until); ok != tt.want || err != nil {
				t.Errorf("%s, %d: %v, %v", tt.nonce, tt.count, ok, err)
			}
		}
		_ = db.Close()
		if ok, err := memories[0].Use(t.Context(), "new", 1, until); ok || err == nil {
			t.Errorf("without its database: %v, %v", ok, err)
		}
	})
}

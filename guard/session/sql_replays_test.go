//go:build unix

package session_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/digest"
	"github.com/gatehouse-dev/gatehouse/guard/internal/replaytest"
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

func TestThreat_TK16_OnceAtAllNodes(t *testing.T) {
	nodes(t, func(t *testing.T, db *sql.DB, clock *testclock.Clock, stores [2]*session.SQLStore) {
		memories := [2]oidclogin.Replays{stores[0].Replays(), stores[1].Replays()}
		until := clock.Now().Add(time.Minute)
		replaytest.Replays(t, memories, until)

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
		memories := [2]digest.Counts{stores[0].Counts(), stores[1].Counts()}
		until := clock.Now().Add(digest.NonceLife)
		replaytest.Counts(t, memories, until)
		_ = db.Close()
		if ok, err := memories[0].Use(t.Context(), "new", 1, until); ok || err == nil {
			t.Errorf("without its database: %v, %v", ok, err)
		}
	})
}

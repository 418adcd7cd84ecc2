package apikey_test

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/apikey"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	format "github.com/gatehouse-dev/gatehouse/protocol/apikey"
)

// each runs a test on every store.
func each(t *testing.T, test func(t *testing.T, store apikey.Store)) {
	t.Run("memory", func(t *testing.T) { test(t, apikey.NewMemoryStore()) })
	t.Run("SQLite", func(t *testing.T) {
		db := open(t, "sqlite", "file:"+dbtest.TemplateSQLite(t, schema.Files)+"?_pragma=busy_timeout(5000)")
		db.SetMaxOpenConns(1)
		test(t, sqlStore(t, db))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		test(t, sqlStore(t, open(t, "pgx", dbtest.TemplatePostgreSQL(t, schema.Files))))
	})
}

func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func sqlStore(t testing.TB, db *sql.DB) apikey.Store {
	t.Helper()
	s, err := apikey.NewSQLStore(db)
	must(t, err)
	must(t, s.CreateTable(t.Context()))
	must(t, s.CreateTable(t.Context()))
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	each(t, func(t *testing.T, store apikey.Store) {
		ctx, clock := t.Context(), testclock.New()
		keys := apikey.NewKeys(store).WithClock(clock.Now)
		full := apikey.Spec{
			Name: "Deploy", Kind: format.Restricted, Environment: format.Test, Owner: guard.Client, Subject: "job", Organization: "org-1",
			Scopes: []string{"read", "write"}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
			ExpiresAt: clock.Now().Add(time.Hour), Rate: 60, Quota: 1000,
		}
		made, key, err := keys.Issue(ctx, full)
		must(t, err)
		if !reflect.DeepEqual(made.Spec, full) || made.Hint != key.Hint() || made.Hash != key.Hash() {
			t.Errorf("%+v", made)
		}
		for name, find := range map[string]func() (apikey.Record, error){
			"by hash": func() (apikey.Record, error) { return store.Find(ctx, key.Hash()) },
			"by id":   func() (apikey.Record, error) { return store.Get(ctx, made.ID) },
		} {
			got, err := find()
			must(t, err)
			if !reflect.DeepEqual(got, made) {
				t.Errorf("%s:\n%+v\n%+v", name, got, made)
			}
		}
		if _, err := store.Find(ctx, [32]byte{1}); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		clock.Advance(time.Second)
		plain, _, err := keys.Issue(ctx, apikey.Spec{Name: "x", Subject: "alice"})
		must(t, err)
		list, err := store.List(ctx, "")
		must(t, err)
		mine, err := store.List(ctx, "alice")
		must(t, err)
		if len(list) != 2 || list[0].ID != made.ID || len(mine) != 1 || mine[0].ID != plain.ID || !mine[0].ExpiresAt.IsZero() || mine[0].Owner != guard.User {
			t.Errorf("%+v\n%+v", list, mine)
		}

		must(t, store.Used(ctx, []apikey.Use{{ID: made.ID, At: clock.Now(), Count: 3}, {ID: "gone", At: clock.Now(), Count: 1}}))
		must(t, store.Used(ctx, []apikey.Use{{ID: made.ID, At: clock.Now().Add(-time.Hour), Count: 1}}))
		if got, err := store.Get(ctx, made.ID); err != nil || got.Uses != 4 || !got.LastUsedAt.Equal(clock.Now()) {
			t.Errorf("%+v %v", got, err)
		}

		next, fresh, err := keys.Rotate(ctx, made.ID, time.Minute)
		must(t, err)
		old, err := store.Get(ctx, made.ID)
		must(t, err)
		if old.Successor != next.ID || !old.ExpiresAt.Equal(clock.Now().Add(time.Minute)) || !next.ExpiresAt.Equal(clock.Now().Add(time.Hour)) ||
			next.Name != "Deploy" || next.Hash != fresh.Hash() || fresh.Kind() != format.Restricted || next.Uses != 0 {
			t.Errorf("%+v\n%+v", old, next)
		}
		if _, _, err := keys.Rotate(ctx, made.ID, 0); !errors.Is(err, apikey.ErrRotated) {
			t.Errorf("twice: %v", err)
		}
		clock.Advance(time.Minute)
		if _, _, err := keys.Rotate(ctx, made.ID, 0); !errors.Is(err, apikey.ErrEnded) {
			t.Errorf("after its end: %v", err)
		}
		for _, err := range []error{keys.Revoke(ctx, "nobody"), second(keys.Rotate(ctx, "nobody", 0))} {
			if !errors.Is(err, apikey.ErrNotFound) {
				t.Errorf("nobody's: %v", err)
			}
		}
		must(t, keys.Revoke(ctx, next.ID))
		at := clock.Now()
		clock.Advance(time.Minute)
		must(t, keys.Revoke(ctx, next.ID))
		if got, err := store.Get(ctx, next.ID); err != nil || !got.RevokedAt.Equal(at) || !got.Ended(at) {
			t.Errorf("%+v %v", got, err)
		}
		must(t, keys.RevokeAll(ctx, "alice"))
		if got, err := store.Get(ctx, plain.ID); err != nil || got.RevokedAt.IsZero() {
			t.Errorf("%+v %v", got, err)
		}
		if n, err := store.DeleteEnded(ctx, clock.Now().Add(time.Hour), 2); err != nil || n != 2 {
			t.Errorf("%d %v", n, err)
		}
		if n, err := store.DeleteEnded(ctx, clock.Now().Add(time.Hour), 10); err != nil || n != 1 {
			t.Errorf("%d %v", n, err)
		}
		live, _, err := keys.Issue(ctx, apikey.Spec{Name: "x", Subject: "alice"})
		must(t, err)
		if n, err := store.DeleteEnded(ctx, clock.Now().Add(time.Hour), 10); err != nil || n != 0 {
			t.Errorf("%d %v", n, err)
		}
		if _, err := store.Get(ctx, live.ID); err != nil {
			t.Error(err)
		}
	})
}

// A row that somebody damaged is an error of its own, and takes nobody along.
func TestDamagedRow(t *testing.T) {
	db, err := sql.Open("sqlite", "file:"+t.TempDir()+"/keys.db")
	must(t, err)
	defer db.Close()
	store, err := apikey.NewSQLStore(db)
	must(t, err)
	must(t, store.CreateTable(t.Context()))
	r, _, err := apikey.NewKeys(store).Issue(t.Context(), apikey.Spec{Name: "x", Subject: "alice"})
	must(t, err)
	for _, hash := range []string{"", "00", "x", strings.Repeat("0", 66), strings.Repeat("z", 64)} {
		_, err := db.Exec(`UPDATE guard_api_keys SET hash = $1`, hash)
		must(t, err)
		if _, err := store.Get(t.Context(), r.ID); err == nil || !strings.Contains(err.Error(), r.ID) {
			t.Errorf("%q: %v", hash, err)
		}
	}
}

func second(_ apikey.Record, _ format.Key, err error) error { return err }

// Of any number who rotate and revoke one key, one rotation wins, and none after the revocation.
func TestThreat_AK04_OneRotationWins(t *testing.T) {
	each(t, func(t *testing.T, store apikey.Store) {
		ctx, clock := context.Background(), testclock.New()
		keys := apikey.NewKeys(store).WithClock(clock.Now)
		for round := range 5 {
			made, _, err := keys.Issue(ctx, apikey.Spec{Name: "x", Subject: "alice"})
			must(t, err)
			var mu sync.Mutex
			won := 0
			var all sync.WaitGroup
			start := make(chan struct{})
			for i := range 32 {
				all.Go(func() {
					<-start
					if i == 7 && round%2 == 0 {
						if err := keys.Revoke(ctx, made.ID); err != nil {
							t.Errorf("revoke: %v", err)
						}
						return
					}
					_, _, err := keys.Rotate(ctx, made.ID, time.Hour)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						won++
					case !errors.Is(err, apikey.ErrRotated) && !errors.Is(err, apikey.ErrEnded):
						t.Errorf("rotate: %v", err)
					}
				})
			}
			close(start)
			all.Wait()
			got, err := store.Get(ctx, made.ID)
			must(t, err)
			if won > 1 || (got.Successor != "") != (won == 1) || (round%2 == 0) != !got.RevokedAt.IsZero() {
				t.Errorf("%d won: %+v", won, got)
			}
			if _, _, err := keys.Rotate(ctx, made.ID, 0); err == nil {
				t.Error("and one more")
			}
		}
	})
}

func TestIssueNamesAllThatIsWrong(t *testing.T) {
	keys := apikey.NewKeys(apikey.NewMemoryStore())
	_, _, err := keys.Issue(t.Context(), apikey.Spec{
		Kind: "ak", Environment: "prod", Owner: "robot", Scopes: []string{"a b"}, Networks: []netip.Prefix{{}}, ExpiresAt: time.Unix(1, 0), Rate: -1,
	})
	for _, want := range []string{"Name", "Subject", "Kind", "Environment", "Owner", "Scopes", "Networks", "ExpiresAt", "Rate"} {
		if err == nil || !slices.ContainsFunc(lines(err), func(l string) bool { return len(l) >= len(want) && l[:len(want)] == want }) {
			t.Errorf("%s is passed over: %v", want, err)
		}
	}
	if _, _, err := keys.Issue(t.Context(), apikey.Spec{Name: "x", Subject: "x", Kind: format.Restricted}); err == nil {
		t.Error("a restricted key without scopes")
	}
	if err := keys.RevokeAll(t.Context(), ""); err == nil {
		t.Error("the keys of nobody are everybody's")
	}
}

func TestReportLeak(t *testing.T) {
	ctx := t.Context()
	store := apikey.NewMemoryStore()
	keys := apikey.NewKeys(store)
	_, key, err := keys.Issue(ctx, apikey.Spec{Name: "x", Subject: "alice"})
	must(t, err)
	_, public, err := keys.Issue(ctx, apikey.Spec{Name: "x", Subject: "alice", Kind: format.Publishable})
	must(t, err)
	if r, err := keys.ReportLeak(ctx, key.Reveal()); err != nil || r.Subject != "alice" {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := store.Find(ctx, key.Hash()); err != nil || r.RevokedAt.IsZero() {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := keys.ReportLeak(ctx, public.Reveal()); err != nil {
		t.Error(err)
	}
	if r, err := store.Find(ctx, public.Hash()); err != nil || !r.RevokedAt.IsZero() {
		t.Errorf("a publishable key is ended: %+v %v", r, err)
	}
	if _, err := keys.ReportLeak(ctx, "hunter2"); !errors.Is(err, apikey.ErrNotFound) {
		t.Error(err)
	}
}

// Whoever manages their own keys reaches nobody else's, by whatever id they send.
func TestThreat_AK04_NobodyRevokesTheKeysOfOthers(t *testing.T) {
	each(t, func(t *testing.T, store apikey.Store) {
		ctx := t.Context()
		keys := apikey.NewKeys(store)
		made, _, err := keys.Issue(ctx, apikey.Spec{Name: "x", Subject: "alice"})
		must(t, err)
		for subject, id := range map[string]string{"bob": made.ID, "": made.ID, "alice": "nobody's"} {
			if err := keys.RevokeOf(ctx, subject, id); !errors.Is(err, apikey.ErrNotFound) {
				t.Errorf("%q: %v", subject, err)
			}
		}
		if got, err := store.Get(ctx, made.ID); err != nil || !got.RevokedAt.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
		must(t, keys.RevokeOf(ctx, "alice", made.ID))
		if got, err := store.Get(ctx, made.ID); err != nil || got.RevokedAt.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// A key that is being rotated while all keys of its owner are revoked leaves no successor behind.
func TestThreat_AK04_RevokeAllReachesSuccessors(t *testing.T) {
	db := open(t, "pgx", dbtest.TemplatePostgreSQL(t, schema.Files))
	store := sqlStore(t, db)
	ctx, now := t.Context(), time.Now()
	keys := apikey.NewKeys(store)
	old, _, err := keys.Issue(ctx, apikey.Spec{Name: "job", Subject: "alice"})
	must(t, err)

	// What Rotate does, stopped before its COMMIT.
	tx, err := db.BeginTx(ctx, nil)
	must(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(ctx, `UPDATE guard_api_keys SET successor = 'next', expires_at = $1 WHERE id = $2`, now.Add(time.Hour).UnixMicro(), old.ID)
	must(t, err)
	_, err = tx.ExecContext(ctx, `INSERT INTO guard_api_keys SELECT 'next', repeat('0', 64), hint, name, kind, environment, owner, subject, organization,
		scopes, networks, rate, quota, created_at, 0, 0, '', 0, 0 FROM guard_api_keys WHERE id = $1`, old.ID)
	must(t, err)

	done := make(chan error, 1)
	go func() { done <- keys.RevokeAll(ctx, "alice") }()
	for waiting := 0; waiting == 0; {
		must(t, db.QueryRowContext(ctx, `SELECT count(*) FROM pg_locks WHERE NOT granted`).Scan(&waiting))
	}
	must(t, tx.Commit())
	must(t, <-done)
	left, err := store.List(ctx, "alice")
	must(t, err)
	for _, k := range left {
		if !k.Ended(time.Now()) {
			t.Errorf("%s is alive", k.ID)
		}
	}
	if len(left) != 2 {
		t.Errorf("%d keys", len(left))
	}
}

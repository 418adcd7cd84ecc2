//go:build unix

package session_test

import (
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/session"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

const secret = "a-secret-for-tests-a-secret-for-tests"

// each runs the test on every store. memory tells whether the store remembers:
// an encrypted cookie does not.
func each(t *testing.T, test func(t *testing.T, s session.Store, clock *testclock.Clock, memory bool)) {
	t.Run("cookie", func(t *testing.T) {
		clock := testclock.New()
		s, err := session.NewCookieStore(secret)
		if err != nil {
			t.Fatal(err)
		}
		test(t, s.WithClock(clock.Now), clock, false)
	})
	t.Run("memory", func(t *testing.T) {
		clock := testclock.New()
		test(t, session.NewMemoryStoreClock(clock.Now), clock, true)
	})
	for name, open := range map[string]func(*testing.T) *sql.DB{"sqlite": openSQLite, "postgres": openPostgreSQL} {
		t.Run(name, func(t *testing.T) {
			clock := testclock.New()
			test(t, newSQLStore(t, open(t)).WithClock(clock.Now), clock, true)
		})
	}
}

func newSQLStore(t *testing.T, db *sql.DB) *session.SQLStore {
	t.Helper()
	s, err := session.NewSQLStore(db, secret)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice: every start of an application does it
		if err := s.CreateTable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func openSQLite(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+t.TempDir()+"/sessions.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func record(clock *testclock.Clock, data string) session.Record {
	return session.Record{App: "app", Subject: "alice", SessionID: "sid", Data: []byte(data), Expires: clock.Now().Add(time.Hour)}
}

func create(t *testing.T, s session.Store, rec session.Record) string {
	t.Helper()
	token, err := s.Create(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestStore(t *testing.T) {
	each(t, func(t *testing.T, s session.Store, clock *testclock.Clock, memory bool) {
		ctx := t.Context()
		token := create(t, s, record(clock, "one"))
		if again := create(t, s, record(clock, "one")); again == token {
			t.Fatal("two sessions have one token")
		}
		rec, err := s.Find(ctx, "app", token)
		if err != nil || string(rec.Data) != "one" || rec.App != "app" || !rec.Expires.Equal(clock.Now().Add(time.Hour)) {
			t.Fatalf("%+v, %v", rec, err)
		}
		rec.Data = []byte("two")
		rec.Expires = clock.Now().Add(2 * time.Hour)
		next, err := s.Update(ctx, token, rec)
		if err != nil || memory != (next == token) {
			t.Fatalf("same token: %v, %v", next == token, err)
		}
		clock.Advance(time.Hour)
		if rec, err = s.Find(ctx, "app", next); err != nil || string(rec.Data) != "two" {
			t.Fatalf("%+v, %v", rec, err)
		}
		if err := s.Delete(ctx, "app", next); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(ctx, "app", next); err != nil {
			t.Errorf("deleting twice: %v", err)
		}
		if !memory {
			return
		}
		if _, err := s.Find(ctx, "app", next); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("an ended session is found: %v", err)
		}
		if _, err := s.Update(ctx, next, rec); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("an update brings an ended session back: %v", err)
		}
	})
}

func TestExpiry(t *testing.T) {
	each(t, func(t *testing.T, s session.Store, clock *testclock.Clock, memory bool) {
		token := create(t, s, record(clock, "x"))
		clock.Advance(time.Hour - time.Microsecond)
		rec, err := s.Find(t.Context(), "app", token)
		if err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Microsecond)
		if _, err := s.Find(t.Context(), "app", token); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("an expired session is found: %v", err)
		}
		if _, err := s.Update(t.Context(), token, rec); memory && !errors.Is(err, session.ErrNotFound) {
			t.Errorf("an expired session is updated: %v", err)
		}
	})
}

func TestThreat_RP06_TokenOfAnotherApp(t *testing.T) {
	each(t, func(t *testing.T, s session.Store, clock *testclock.Clock, _ bool) {
		token := create(t, s, record(clock, "x"))
		for _, app := range []string{"other", "", "app ", "App"} {
			if _, err := s.Find(t.Context(), app, token); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("found as %q: %v", app, err)
			}
		}
	})
}

func TestNonsenseTokens(t *testing.T) {
	each(t, func(t *testing.T, s session.Store, _ *testclock.Clock, _ bool) {
		for _, token := range []string{"", "x", "====", "\x00", strings.Repeat("A", 10_000), "' OR 1=1 --"} {
			if _, err := s.Find(t.Context(), "app", token); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("%.20q: %v", token, err)
			}
		}
	})
}

func TestThreat_RP12_OneWriterWins(t *testing.T) {
	each(t, func(t *testing.T, s session.Store, clock *testclock.Clock, memory bool) {
		if !memory {
			return // of two cookies the browser keeps the later one; nobody can tell
		}
		token := create(t, s, record(clock, "x"))
		rec, err := s.Find(t.Context(), "app", token)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		outcomes := map[string]int{}
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				_, err := s.Update(t.Context(), token, rec)
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
	})
}

// A stolen copy of the database opens no session and shows no token.
func TestSQLStoreAtRest(t *testing.T) {
	db := openSQLite(t)
	clock := testclock.New()
	s := newSQLStore(t, db).WithClock(clock.Now)
	token := create(t, s, record(clock, "refresh-token-in-the-data"))
	var id, data string
	if err := db.QueryRow(`SELECT id, data FROM guard_sessions`).Scan(&id, &data); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(id, token) || strings.Contains(data, "refresh-token") {
		t.Error("a secret stands in the row")
	}
	// A row moved under another id does not open: data is bound to its place.
	other := create(t, s, record(clock, "mine"))
	if _, err := db.Exec(`UPDATE guard_sessions SET data = (SELECT data FROM guard_sessions WHERE id = $1) WHERE id <> $1`, id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), "app", other); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a row with another's data opens: %v", err)
	}
}

func TestSQLStoreForgetsTheExpired(t *testing.T) {
	db := openSQLite(t)
	clock := testclock.New()
	s := newSQLStore(t, db).WithClock(clock.Now)
	for range 10 {
		create(t, s, record(clock, "x"))
	}
	clock.Advance(2 * time.Hour)
	create(t, s, record(clock, "y"))
	var n int
	if err := db.QueryRow(`SELECT count(*) FROM guard_sessions`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func FuzzThreat_RP06_CookieToken(f *testing.F) {
	clock := testclock.New()
	store, err := session.NewCookieStore(secret)
	if err != nil {
		f.Fatal(err)
	}
	store = store.WithClock(clock.Now)
	good, err := store.Create(f.Context(), record(clock, "data"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", good, good[:len(good)-1], good + "A", good[4:] + good[:4], "AQ", "AAAAAAAAAAAAAAAAAAAA"} {
		f.Add(seed)
	}
	for i := 8; i < len(good); i += 8 {
		f.Add(good[:i] + strings.Map(func(r rune) rune { return map[bool]rune{true: 'B', false: 'A'}[r == 'A'] }, good[i:i+1]) + good[i+1:])
	}
	f.Fuzz(func(t *testing.T, token string) {
		rec, err := store.Find(t.Context(), "app", token)
		// Fuzzing runs in several processes, each with a good token of its own; what
		// opens must be what one of them sealed.
		if token == good && err != nil || err == nil && string(rec.Data) != "data" {
			t.Errorf("%q: %+v, %v", token, rec, err)
		}
		if err != nil && !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%q: %v", token, err)
		}
	})
}

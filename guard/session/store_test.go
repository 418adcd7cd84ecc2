//go:build unix

package session_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/guard/session/sessiontest"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

const secret = "a-secret-for-tests-a-secret-for-tests"

// each runs the test on every store of this package.
func each(t *testing.T, test func(t *testing.T, suite sessiontest.Suite)) {
	t.Run("cookie", func(t *testing.T) {
		test(t, sessiontest.Suite{Stateless: true, Open: func(t *testing.T, now func() time.Time) session.Store {
			s, err := session.NewCookieStore(secret)
			if err != nil {
				t.Fatal(err)
			}
			return s.WithClock(now)
		}})
	})
	t.Run("memory", func(t *testing.T) {
		test(t, sessiontest.Suite{Open: func(_ *testing.T, now func() time.Time) session.Store {
			return session.NewMemoryStoreClock(now)
		}})
	})
	for name, open := range map[string]func(testing.TB) *sql.DB{"sqlite": openSQLite, "postgres": openPostgreSQL} {
		t.Run(name, func(t *testing.T) {
			test(t, sessiontest.Suite{Open: func(t *testing.T, now func() time.Time) session.Store {
				return newSQLStore(t, open(t)).WithClock(now)
			}})
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

func openSQLite(t testing.TB) *sql.DB {
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
	each(t, func(t *testing.T, suite sessiontest.Suite) { suite.Run(t) })
}

func TestThreat_RP06_TokenOfAnotherApp(t *testing.T) {
	each(t, func(t *testing.T, suite sessiontest.Suite) { suite.OtherApp(t) })
}

func TestThreat_RP12_OneWriterWins(t *testing.T) {
	each(t, func(t *testing.T, suite sessiontest.Suite) { suite.OneWriterWins(t) })
}

// Everything of a person can be found and ended, one by one or at once.
func TestThreat_BR12_SessionsAreListedAndEnded(t *testing.T) {
	each(t, func(t *testing.T, suite sessiontest.Suite) {
		suite.Index(t)
		suite.IndexOfNobody(t)
		suite.IndexInParallel(t)
		suite.EndIsFinal(t)
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

// A new secret in front, the old one behind: what it sealed opens still. Without
// the old one it is gone.
func TestRotation(t *testing.T) {
	const newer = "a-newer-secret-a-newer-secret-a-newer"
	clock := testclock.New()
	db := openSQLite(t)
	newSQLStore(t, db)
	for name, open := range map[string]func(...string) (session.Store, error){
		"cookie": func(secrets ...string) (session.Store, error) {
			s, err := session.NewCookieStore(secrets...)
			if err != nil {
				return nil, err
			}
			return s.WithClock(clock.Now), nil
		},
		"sqlite": func(secrets ...string) (session.Store, error) {
			s, err := session.NewSQLStore(db, secrets...)
			if err != nil {
				return nil, err
			}
			return s.WithClock(clock.Now), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			var stores []session.Store
			for _, secrets := range [][]string{{secret}, {newer, secret}, {newer}} {
				s, err := open(secrets...)
				if err != nil {
					t.Fatal(err)
				}
				stores = append(stores, s)
			}
			before, both, after := stores[0], stores[1], stores[2]
			token := create(t, before, record(clock, "x"))
			rec, err := both.Find(t.Context(), "app", token)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := after.Find(t.Context(), "app", token); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("a secret that was dropped opens: %v", err)
			}
			if token, err = both.Update(t.Context(), token, rec); err != nil {
				t.Fatal(err)
			}
			if _, err := after.Find(t.Context(), "app", token); err != nil {
				t.Errorf("written anew, and not by the new secret: %v", err)
			}
			if _, err := open("short"); err == nil {
				t.Error("a short secret is accepted")
			}
		})
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

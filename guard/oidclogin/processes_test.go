package oidclogin_test

import (
	"database/sql"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"

	_ "github.com/jackc/pgx/v5/stdlib"
)

// databases gives a test two handles on one database of either engine, as two
// processes have.
func databases(t *testing.T, test func(t *testing.T, open func() *sql.DB)) {
	open := func(t *testing.T, driver, dsn string) func() *sql.DB {
		return func() *sql.DB {
			db, err := sql.Open(driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			return db
		}
	}
	t.Run("SQLite", func(t *testing.T) {
		test(t, open(t, "sqlite", "file:"+t.TempDir()+"/sessions.db?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate"))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		files := fstest.MapFS{"0001_sessions.sql": {Data: []byte(strings.Join(session.SQLSchema(), ";\n") + ";\n")}}
		test(t, open(t, "pgx", dbtest.TemplatePostgreSQL(t, files)))
	})
}

// processes starts an application several times over one database. Nothing else
// is shared: each has its own connections and its own memory.
func processes(t *testing.T, n int, open func() *sql.DB, change func(*oidclogin.Options)) []*app {
	clock := testclock.New()
	issuer := testissuer.New(t)
	issuer.Now = clock.Now
	var apps []*app
	for range n {
		apps = append(apps, newAppAt(t, issuer, clock, false, func(o *oidclogin.Options) {
			store, err := session.NewSQLStore(open(), secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.CreateTable(t.Context()); err != nil {
				t.Fatal(err)
			}
			offline(o)
			o.Store = store.WithClock(o.Clock)
			if change != nil {
				change(o)
			}
		}))
	}
	return apps
}

// Two processes, 32 requests each, all at once, at a provider that ends the
// sign-in when a refresh token comes twice: it is used once.
func TestThreat_RP12_TwoProcessesRefreshOnce(t *testing.T) {
	databases(t, func(t *testing.T, open func() *sql.DB) {
		apps := processes(t, 2, open, nil)
		b := apps[0].browser(t)
		b.signIn()
		cookies := b.cookies("_session")
		for round := 1; round <= 3; round++ {
			apps[0].clock.Advance(10 * time.Minute)
			var wg sync.WaitGroup
			var mu sync.Mutex
			start := make(chan struct{})
			seen := map[string]int{}
			for i := range 64 {
				wg.Go(func() {
					<-start
					r, _ := http.NewRequest(http.MethodGet, apps[i%2].server.URL+"/token", nil)
					for _, c := range cookies {
						r.AddCookie(c)
					}
					body := send(t, apps[i%2], r)
					mu.Lock()
					defer mu.Unlock()
					seen[body]++
				})
			}
			close(start)
			wg.Wait()
			if len(seen) != 1 || apps[0].renewals() != round {
				t.Errorf("round %d: %d different answers, %d renewals: %.300v", round, len(seen), apps[0].renewals(), seen)
			}
		}
		if !b.signedIn() {
			t.Error("the race ended the session")
		}
	})
}

// A process that dies while it holds the lock holds nobody up for long, and a
// session that is signed out in one process is over in the other, refresh or not.
func TestThreat_RP12_EndedElsewhere(t *testing.T) {
	databases(t, func(t *testing.T, open func() *sql.DB) {
		apps := processes(t, 2, open, nil)
		b := apps[0].browser(t)
		b.signIn()
		apps[0].clock.Advance(10 * time.Minute)
		s := apps[1].session(t, b) // a request that is under way there
		if p := b.send(http.MethodPost, "/auth/logout", nil); p.StatusCode != http.StatusOK {
			t.Fatal(p.StatusCode)
		}
		before := apps[0].renewals()
		if _, err := s.AccessToken(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "signed out") || apps[0].renewals() != before {
			t.Errorf("%v, %d renewals", err, apps[0].renewals()-before)
		}
	})
}

func send(t *testing.T, a *app, r *http.Request) string {
	res, err := a.server.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer res.Body.Close()
	return res.Status + " " + read(t, res)
}

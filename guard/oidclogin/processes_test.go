package oidclogin_test

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"

	_ "github.com/jackc/pgx/v5/stdlib"
)

// database is one that several processes can open.
type database struct{ driver, dsn string }

func (d database) open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open(d.driver, d.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// keep makes a Login keep its sessions there, over connections of its own.
func (d database) keep(t *testing.T, o *oidclogin.Options) {
	t.Helper()
	store, err := session.NewSQLStore(d.open(t), secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.CreateTable(t.Context()); err != nil {
		t.Fatal(err)
	}
	offline(o)
	o.Store = store.WithClock(o.Clock)
}

// databases gives a test an empty database of either engine.
func databases(t *testing.T, test func(t *testing.T, d database)) {
	t.Run("SQLite", func(t *testing.T) {
		test(t, database{"sqlite", "file:" + t.TempDir() + "/sessions.db?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate"})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		files := fstest.MapFS{"0001_sessions.sql": {Data: []byte(strings.Join(session.SQLSchema(), ";\n") + ";\n")}}
		test(t, database{"pgx", dbtest.TemplatePostgreSQL(t, files)})
	})
}

// processes starts an application several times over one database. Nothing else
// is shared: each has its own connections and its own memory.
func processes(t *testing.T, n int, d database, change func(*oidclogin.Options)) []*app {
	clock := testclock.New()
	issuer := testissuer.New(t)
	issuer.Now = clock.Now
	var apps []*app
	for range n {
		apps = append(apps, newAppAt(t, issuer, clock, false, func(o *oidclogin.Options) {
			d.keep(t, o)
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
	databases(t, func(t *testing.T, d database) {
		apps := processes(t, 2, d, nil)
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

// A session that is signed out in one process is over in the other, and its refresh
// token is not used any more.
func TestThreat_RP12_EndedElsewhere(t *testing.T) {
	databases(t, func(t *testing.T, d database) {
		apps := processes(t, 2, d, nil)
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

// plainStore has no locks and no index, as somebody's own may have none.
type plainStore struct{ session.Store }

// Without locks two processes may use one refresh token at once. The slower is
// refused, and finds in the store why.
func TestThreat_RP12_StoreWithoutLocks(t *testing.T) {
	a := newApp(t, false, nil)
	var shared session.Store
	one := newAppAt(t, a.issuer, a.clock, false, func(o *oidclogin.Options) {
		offline(o)
		o.CookieName = "app"
		shared = plainStore{session.NewMemoryStoreClock(o.Clock)}
		o.Store = shared
	})
	two := newAppAt(t, a.issuer, a.clock, false, func(o *oidclogin.Options) { offline(o); o.CookieName, o.Store = "app", shared })
	b := one.browser(t)
	b.signIn()
	a.clock.Advance(10 * time.Minute)
	var first sync.Once
	var faster string
	a.issuer.Lock(func() {
		a.issuer.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/token" {
				first.Do(func() { // the request of two waits while one does it all
					a.issuer.Lock(func() { a.issuer.Before = nil })
					faster = b.token()
				})
			}
			return false
		}
	})
	got, err := two.session(t, b).AccessToken(t.Context(), "")
	if err != nil || got.AccessToken != faster || faster == "" || !b.signedIn() {
		t.Errorf("%v: the slower process did not find the other's token", err)
	}
}

// A process of its own, not one of our making believe.
func TestThreat_RP12_RealProcesses(t *testing.T) {
	databases(t, func(t *testing.T, d database) {
		here := processes(t, 1, d, func(o *oidclogin.Options) { o.CookieName = "app" })[0]
		b := here.browser(t)
		b.signIn()
		cookies := b.cookies("_session")
		here.clock.Advance(10 * time.Minute)
		addresses := []string{here.server.URL, startProcess(t, d, here), startProcess(t, d, here)}
		var wg sync.WaitGroup
		var mu sync.Mutex
		start := make(chan struct{})
		seen := map[string]int{}
		for i := range 48 {
			wg.Go(func() {
				<-start
				r, _ := http.NewRequest(http.MethodGet, addresses[i%3]+"/token", nil)
				for _, c := range cookies {
					r.AddCookie(c)
				}
				body := send(t, here, r)
				mu.Lock()
				defer mu.Unlock()
				seen[body]++
			})
		}
		close(start)
		wg.Wait()
		if len(seen) != 1 || here.renewals() != 1 || !b.signedIn() {
			t.Errorf("%d different answers, %d renewals: %.300v", len(seen), here.renewals(), seen)
		}
	})
}

// elsewhere is what a process needs to know to be one more of an application.
type elsewhere struct {
	Driver, DSN, Issuer, BaseURL string
	Now                          time.Time
}

const elsewhereEnv = "GUARD_TEST_ELSEWHERE"

// startProcess runs this test binary once more, as one more process of the
// application, and returns its address. It ends with the test.
func startProcess(t *testing.T, d database, a *app) string {
	t.Helper()
	order, err := json.Marshal(elsewhere{d.driver, d.dsn, a.issuer.URL, a.server.URL, a.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestElsewhere$", "-test.v")
	cmd.Env = append(os.Environ(), elsewhereEnv+"="+string(order))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "serving at "); ok {
			return address
		}
	}
	t.Fatal("the other process did not start")
	return ""
}

// TestElsewhere is the other process; on its own it has nothing to do.
func TestElsewhere(t *testing.T) {
	order := os.Getenv(elsewhereEnv)
	if order == "" {
		return
	}
	var e elsewhere
	if err := json.Unmarshal([]byte(order), &e); err != nil {
		t.Fatal(err)
	}
	o := oidclogin.Options{
		Issuer: e.Issuer, ClientID: testissuer.ClientID, ClientSecret: testissuer.ClientSecret, BaseURL: e.BaseURL, Secrets: []string{secret},
		CookieName: "app", Clock: func() time.Time { return e.Now },
	}
	database{e.Driver, e.DSN}.keep(t, &o)
	login, err := oidclogin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(guard.Optional(login)(http.HandlerFunc(accessToken)))
	defer server.Close()
	fmt.Println("serving at " + server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test is over
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

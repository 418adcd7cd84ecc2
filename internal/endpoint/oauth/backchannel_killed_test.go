package oauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// A house is killed, twice, while people sign out and their application is told of it: of what it was about
// to tell, some is being sent, some was refused, some has not begun. Whoever was answered that they are
// signed out asks no more; once the house is back, the application hears of every one of them.
func TestThreat_LO07_DeliveriesSurviveKill(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { killedWhileTelling(t, "sqlite:"+dbtest.TemplateSQLite(t, schema.Files)) })
	t.Run("PostgreSQL", func(t *testing.T) { killedWhileTelling(t, dbtest.TemplatePostgreSQL(t, schema.Files)) })
}

func killedWhileTelling(t *testing.T, database string) {
	const people, aDay = 24, 24 * time.Hour
	random := proof.Rand(t)
	at := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	for round := range proof.Times(1, 100) {
		app := newListener(t)
		m := newMortal(t, database)
		m.told = app.URL + "/backchannel-logout"

		m.start(at)
		signedIn := map[string]*servertest.Browser{} // by sid
		awaited := map[string]bool{}                 // sids
		for range people {
			b := m.NewBrowser(t)
			b.SignIn(demo.Reader, m.Password(t, demo.Reader))
			sid := claims(t, m.TokensIn(t, b, toldClient, "scope", "openid").IDToken)["sid"].(string)
			signedIn[sid], awaited[sid] = b, true
		}

		for range 2 {
			enough := app.after(1 + random.IntN(people/3))
			ctx, giveUp := context.WithCancel(t.Context())
			ended := make(chan []string, 1)
			go func() { ended <- m.signOut(ctx, signedIn) }()
			app.await(enough)
			m.kill()
			giveUp()
			for _, sid := range <-ended {
				delete(signedIn, sid)
			}
			at = at.Add(2 * time.Minute) // what the dead house had claimed is anybody's again
			m.start(at)
		}
		app.after(0)
		if left := len(signedIn) - len(m.signOut(t.Context(), signedIn)); left > 0 {
			t.Fatalf("round %d: %d people could not sign out of a house that lives", round, left)
		}
		m.kill()
		at = at.Add(2 * time.Minute) // what was refused is due again
		m.start(at)
		heard := app.heard(t, awaited)
		m.kill()
		if heard != people {
			t.Fatalf("round %d: of %d people who signed out the application has heard of %d", round, people, heard)
		}
		at = at.Add(aDay)
	}
}

// signOut signs everybody out and returns the sids of those who were told that they are.
func (m *mortal) signOut(ctx context.Context, people map[string]*servertest.Browser) (done []string) {
	var sids []string
	for sid := range people {
		sids = append(sids, sid)
	}
	target := m.URL + "/v2/logout?" + logoutQuery("client_id", m.Content.Client(toldClient).ClientID, "returnTo", "http://localhost:3000")
	var mu sync.Mutex
	atOnce(len(sids), func(n int) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return
		}
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		resp, err := people[sids[n]].HTTP.Do(r)
		if err != nil {
			return
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusFound || resp.StatusCode == http.StatusSeeOther {
			mu.Lock()
			defer mu.Unlock()
			done = append(done, sids[n])
		}
	})
	return done
}

// listener is an application that is told of sign-outs, and listens as badly as it is asked to.
type listener struct {
	*httptest.Server
	mu       sync.Mutex
	arrivals int
	enough   int           // arrivals until reached is closed; meanwhile it takes a third of what comes
	reached  chan struct{} // nil once it takes all
	tokens   []string      // what it took
	took     chan struct{} // receives when it took something
}

func newListener(t *testing.T) *listener {
	l := &listener{took: make(chan struct{}, 1)}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := r.PostFormValue("logout_token") // the whole body: from here on it is noticed when the caller dies
	l.mu.Lock()
	l.arrivals++
	n, picky := l.arrivals, l.reached != nil
	if picky && n == l.enough {
		close(l.reached)
	}
	if !picky || n%3 == 0 {
		l.tokens = append(l.tokens, token)
	}
	l.mu.Unlock()
	switch {
	case !picky || n%3 == 0:
		select {
		case l.took <- struct{}{}:
		default:
		}
	case n%3 == 1:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		<-r.Context().Done() // until the house dies, or has waited for long enough
	}
}

// after makes it take a third of what comes, and returns a channel that is closed after so many arrivals;
// with zero it takes everything.
func (l *listener) after(arrivals int) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrivals, l.enough, l.reached = 0, arrivals, nil
	if arrivals > 0 {
		l.reached = make(chan struct{})
	}
	return l.reached
}

// aLongTime is more than a loaded machine needs.
const aLongTime = time.Minute

func (l *listener) await(enough <-chan struct{}) {
	select {
	case <-enough:
	case <-time.After(aLongTime):
	}
}

// heard waits until it has heard of these sessions, and returns of how many it has. It hears of others, too: what
// was told just before a house died is told again by the next.
func (l *listener) heard(t *testing.T, awaited map[string]bool) int {
	late := time.After(aLongTime)
	for {
		l.mu.Lock()
		sids := map[string]bool{}
		for _, token := range l.tokens {
			if sid := claims(t, token)["sid"].(string); awaited[sid] {
				sids[sid] = true
			}
		}
		l.mu.Unlock()
		if len(sids) == len(awaited) {
			return len(sids)
		}
		select {
		case <-l.took:
		case <-late:
			return len(sids)
		}
	}
}

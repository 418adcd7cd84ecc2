package backend

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

// The race that signs honest people out: a token has expired, and two tabs ask for pages and data at once.
// Each request has the SDK renew with the same refresh token, and an answer of the house is lost on the
// way. Nobody loses the session. A cookie that was stolen before, and comes back when the overlap is over,
// ends it.
func TestRefreshRace(t *testing.T) {
	t.Parallel()
	const lifetime = 3 * time.Second // of a token until its SDK has it renewed; longer than a round
	h := drive.OpenClockHouse(t)
	// The race is between the SDKs and the house. This API lets everybody in, so it needs no clock.
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"shows": [{"title": "`+aShow+`", "year": 2023}]}`)
	}))
	t.Cleanup(api.Close)

	var racers []*racer
	for _, e := range []example{nextjsAuth0V4, nextjsAuth0V3, nextAuthV4, nextAuthV5} {
		a := start(t, h.House, e, api.URL)
		a.setTokenLifetime(e.margin + int(lifetime.Seconds()))
		me := drive.NewProfile(t)
		r := &racer{app: a, tabs: []*drive.Tab{me.Tab(), me.Tab()}}
		r.tabs[0].Open(a.origin)
		r.tabs[0].Press("Sign in")
		me.SignIn(r.tabs[0], h.User(drive.Alice))
		r.tabs[0].See("Hello, Alice Archer")
		r.tabs[1].Open(a.origin)
		r.tabs[1].See("Hello, Alice Archer")
		r.stolen = r.cookieHeader()
		racers = append(racers, r)
	}

	rounds := proof.Times(20, 1000)
	for round := range rounds {
		expire(t, lifetime)
		h.Proxy.Lose("/oauth/token", slices.Repeat([]drive.Fault{[]drive.Fault{drive.NoAnswer, drive.HalfAnswer}[round%2]}, len(racers))...)
		each(racers, (*racer).race)
		each(racers, (*racer).judge)
		if t.Failed() {
			break
		}
		h.Clock.Advance(time.Minute) // the overlap of this round is over
	}
	for _, r := range racers {
		t.Logf("%s: %d rounds, %d sessions lost; answers in the race: %v", r.name, rounds, r.lost, r.answers)
	}
	t.Logf("%d answers of the house lost on the way", h.Proxy.Lost())

	expire(t, lifetime)
	for _, r := range racers {
		if status := r.replay(); status == http.StatusOK {
			t.Errorf("%s: a stolen cookie of %d rounds ago was good", r.name, rounds)
		}
		if answer := ask(r.tabs[0], "/api/shows"); answer[0] == "/api/shows 200" {
			t.Errorf("%s: after a stolen cookie came back, the session lives on", r.name)
		}
	}
}

// racer is a person with two tabs of one application.
type racer struct {
	*app
	tabs    []*drive.Tab
	stolen  string         // the cookies of the beginning
	answers map[string]int // how often the application answered how
	lost    int
}

// race asks for three things in each tab, all at once.
func (r *racer) race() {
	var mu sync.Mutex
	var work sync.WaitGroup
	for _, b := range r.tabs {
		work.Go(func() {
			answers := ask(b, "/api/shows", "/profile", "/api/shows")
			mu.Lock()
			defer mu.Unlock()
			for _, answer := range answers {
				if r.answers == nil {
					r.answers = map[string]int{}
				}
				r.answers[answer]++
			}
		})
	}
	work.Wait()
}

// judge looks whether the person is still there, now that the house answers again.
func (r *racer) judge() {
	for _, b := range r.tabs {
		if answer := ask(b, "/api/shows"); answer[0] != "/api/shows 200" {
			r.lost++
			r.t.Errorf("%s lost a session: %q", r.name, answer)
			return
		}
	}
}

// replay is what a thief does from another machine, with cookies that were good once.
func (r *racer) replay() int {
	r.t.Helper()
	request := drive.Must[*http.Request](r.t)(http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.origin+"/api/shows", nil))
	request.Header.Set("Cookie", r.stolen)
	client := &http.Client{Timeout: drive.Patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response := drive.Must[*http.Response](r.t)(client.Do(request))
	response.Body.Close()
	return response.StatusCode
}

// cookies returns the cookies of the application's session.
func (r *app) sessionCookies(b *drive.Tab) []*network.Cookie {
	r.t.Helper()
	result, err := chromedp.Call(b.Ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{r.origin}})
	if err != nil {
		r.t.Fatal(err)
	}
	return slices.DeleteFunc(result.Cookies, func(c *network.Cookie) bool { return !strings.HasPrefix(c.Name, r.cookies) })
}

func (r *racer) cookieHeader() string {
	var out []string
	for _, c := range r.sessionCookies(r.tabs[0]) {
		out = append(out, c.Name+"="+c.Value)
	}
	return strings.Join(out, "; ")
}

// ask fetches paths of the application from one of its pages, all at once, and returns the statuses. A
// redirect, which scripts are not told of, is status 0.
func ask(b *drive.Tab, paths ...string) []string {
	list, _ := json.Marshal(paths)
	answers, err := drive.Evaluate[[]string](b, fmt.Sprintf(`Promise.all(%s.map(async (path) =>
		path + " " + (await fetch(path, {redirect: "manual", cache: "no-store"})).status))`, list))
	if err != nil {
		return []string{err.Error()}
	}
	return answers
}

// expire waits until the newest token has to be renewed.
func expire(t *testing.T, lifetime time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(lifetime + 200*time.Millisecond): // the SDKs have no clock that a test could move
	}
}

func each(racers []*racer, do func(*racer)) {
	var work sync.WaitGroup
	for _, r := range racers {
		work.Go(func() { do(r) })
	}
	work.Wait()
}

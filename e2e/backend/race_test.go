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
	h := drive.OpenClockHouse(t)
	// The race is between the SDKs and the house. This API lets everybody in, so it needs no clock.
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"shows": [{"title": "`+aShow+`", "year": 2023}]}`)
	}))
	t.Cleanup(api.Close)

	var racers []*racer
	for _, e := range []example{nextjsAuth0V4, nextjsAuth0V3, nextAuthV4, nextAuthV5} {
		me := drive.NewProfile(t)
		r := &racer{app: start(t, h.House, e, api.URL), tabs: []*drive.Tab{me.Tab(), me.Tab()}, answers: map[string]int{}}
		r.demand(r.tabs[0], "/profile")
		me.SignIn(r.tabs[0], h.User(drive.Alice))
		r.tabs[0].See("Your profile")
		r.tabs[1].Open(r.origin)
		r.tabs[1].See("Hello, Alice")
		racers = append(racers, r)
	}

	rounds := proof.Times(20, 1000)
	for round := 0; round < rounds && !t.Failed(); round++ {
		for _, r := range racers {
			r.begin(round)
		}
		expire(t)
		racers[0].setTokenLifetime(600) // however long this round takes, nobody has to renew twice
		for i, r := range racers {
			h.Proxy.Lose("/oauth/token", []drive.Fault{drive.NoAnswer, drive.HalfAnswer}[round%2])
			r.race()
			if lost := round*len(racers) + i + 1; h.Proxy.Lost() != lost {
				t.Errorf("%s: %d answers were lost in all, not %d: nothing had to be renewed", r.name, h.Proxy.Lost(), lost)
			}
			r.judge()
		}
		h.Clock.Advance(time.Minute) // the overlap of this round is over
		if (round+1)%100 == 0 {
			t.Logf("%d rounds", round+1)
		}
	}
	for _, r := range racers {
		t.Logf("%s: %d rounds, %d sessions lost; answers in the race: %v", r.name, rounds, r.lost, r.answers)
	}
	t.Logf("%d answers of the house lost on the way", h.Proxy.Lost())

	for _, r := range racers {
		r.begin(rounds)
		stolen := r.cookieHeader()
		expire(t)
		if answer := ask(r.tabs[0], "/api/shows"); answer[0] != ok {
			t.Errorf("%s: the token was not renewed: %q", r.name, answer)
		}
		h.Clock.Advance(time.Minute)
		if status := r.replay(stolen); status == http.StatusOK {
			t.Errorf("%s: a stolen cookie was good when the overlap was over", r.name)
		}
		expire(t)
		if answer := ask(r.tabs[0], "/api/shows"); answer[0] == ok {
			t.Errorf("%s: after a stolen cookie came back, the session lives on", r.name)
		}
	}
}

const ok = "/api/shows 200"

// racer is a person with two tabs of one application.
type racer struct {
	*app
	tabs    []*drive.Tab
	answers map[string]int // how often the application answered how
	lost    int
}

// begin gives the person a new session, with a token that soon has to be renewed.
func (r *racer) begin(round int) {
	r.t.Helper()
	r.setTokenLifetime(r.margin + 1)
	r.signInAgain(r.tabs[0], fmt.Sprint("/client?round=", round))
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
				r.answers[answer]++
			}
		})
	}
	work.Wait()
}

// judge looks whether the person is still there, now that the house answers again.
func (r *racer) judge() {
	if answer := ask(r.tabs[1], "/api/shows"); answer[0] != ok {
		r.lost++
		r.t.Errorf("%s lost a session: %q", r.name, answer)
	}
}

// replay is what a thief does from another machine, with cookies that were good once.
func (r *racer) replay(cookies string) int {
	r.t.Helper()
	request := drive.Must[*http.Request](r.t)(http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.origin+"/api/shows", nil))
	request.Header.Set("Cookie", cookies)
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

// expire waits until the tokens of begin have to be renewed: the SDKs have no clock that a test
// could move.
func expire(t *testing.T) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(1200 * time.Millisecond):
	}
}

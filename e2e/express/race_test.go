package express

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

// Two tabs of one person, each with several requests at once that renew the tokens in the cookie, and
// answers of the house that get lost on the way: nobody loses the session. A cookie that was stolen before,
// and comes back when the overlap is over, ends it.
func TestOpenIDConnectRefreshRace(t *testing.T) {
	t.Parallel()
	h := drive.OpenClockHouse(t)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"shows":[],"caller":{"scopes":[],"token_id":"–","expires":"–"}}`)
	}))
	t.Cleanup(api.Close)
	for i := range h.APIs {
		h.APIs[i].URL = api.URL
	}
	s := startOpenIDConnect(t, h.House, byCode)
	me := drive.NewProfile(t)
	tabs := []*drive.Tab{me.Tab(), me.Tab()}
	tabs[0].Open(s.origin + "/shows")
	me.SignIn(tabs[0], h.User(drive.Alice))
	tabs[0].At(s.origin + "/shows")
	tabs[1].Open(s.origin)
	stolen := cookiesOf(tabs[0], s.origin)

	rounds, lost := proof.Times(20, 1000), 0
	seen := map[string]int{}
	for round := range rounds {
		h.Proxy.Lose("/oauth/token", []drive.Fault{drive.NoAnswer, drive.HalfAnswer}[round%2])
		for _, how := range renewInAll(tabs, 3) {
			seen[how]++
		}
		// Long after, each of them goes on.
		h.Clock.Advance(time.Minute)
		for _, b := range tabs {
			if how := renew(b, 1); !slices.Equal(how, []string{"200"}) {
				lost++
				t.Errorf("round %d: %q", round, how)
			}
		}
		if t.Failed() {
			break
		}
		h.Clock.Advance(time.Minute)
	}
	t.Logf("express-openid-connect: %d rounds, %d answers lost on the way, %d sessions lost; answers in the race: %v", rounds, h.Proxy.Lost(), lost, seen)

	if status := as(t, stolen, s.origin+"/shows?renew"); status != http.StatusFound {
		t.Errorf("a stolen cookie got %d", status)
	}
	if how := renew(tabs[0], 1); !slices.Equal(how, []string{"signed out"}) {
		t.Errorf("after a stolen cookie came back, the family lives on: %q", how)
	}
}

// renew asks n times at once for a page that renews the tokens, and returns how each went.
func renew(b *drive.Tab, n int) []string {
	how, err := drive.Evaluate[[]string](b, fmt.Sprintf(`Promise.all(Array.from({length: %d}, async () => {
		const answer = await fetch("/shows?renew");
		return new URL(answer.url).pathname === "/shows" ? String(answer.status) : "signed out";
	}))`, n))
	if err != nil {
		return []string{err.Error()}
	}
	return how
}

func renewInAll(tabs []*drive.Tab, n int) []string {
	var all []string
	var mu sync.Mutex
	var work sync.WaitGroup
	for _, b := range tabs {
		work.Go(func() {
			how := renew(b, n)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, how...)
		})
	}
	work.Wait()
	return all
}

// as sends a request with somebody's cookies, and returns the status.
func as(t *testing.T, cookies []*network.Cookie, address string) int {
	t.Helper()
	r := drive.Must[*http.Request](t)(http.NewRequest(http.MethodGet, address, nil))
	for _, c := range cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res := drive.Must[*http.Response](t)(client.Do(r))
	res.Body.Close()
	return res.StatusCode
}

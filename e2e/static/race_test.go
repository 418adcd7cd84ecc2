package static

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

// The SDKs that refresh in a browser; auth0-react is on spa-js 2.
var sdks = []string{"spa-js-2", "spa-js-1", "oidc-client-ts"}

// Two tabs of one person, whose access token has run out for both, and several requests in each at once;
// the house's answer gets lost on the way. Nobody loses the session. A refresh token that was stolen
// before, and comes back when the overlap is over, ends it.
func TestThreat_TK07_RefreshRaceInBrowsers(t *testing.T) {
	for _, sdk := range sdks {
		t.Run(sdk, func(t *testing.T) {
			t.Parallel()
			r := startRace(t, sdk)
			stolen := r.kept(0)
			rounds, lost := proof.Times(20, 1000), 0
			went := map[string]int{}
			for round := range rounds {
				r.later(accessTokenLifetime)
				r.house.Proxy.Lose("/oauth/token", []drive.Fault{drive.NoAnswer, drive.HalfAnswer}[round%2])
				for _, how := range r.callInAll(3) {
					went[how]++
				}
				r.later(accessTokenLifetime)
				for tab := range r.tabs {
					if how := r.call(tab, 1); !slices.Equal(how, []string{"200"}) {
						lost++
						t.Errorf("round %d: the session is lost: %q", round, how)
					}
				}
				if t.Failed() {
					break
				}
			}
			t.Logf("%s: %d rounds, %d answers lost on the way, %d sessions lost; calls in the race: %v", sdk, rounds, r.house.Proxy.Lost(), lost, went)

			honest := r.kept(0)
			for _, token := range []string{stolen, honest} { // in this order: the first is what ends the second
				if status, said := redeem(t, r.house.House, token); status/100 != 4 || !strings.Contains(said, "invalid_grant") {
					t.Errorf("a token of a family that a stolen one came back to got %d: %s", status, said)
				}
			}
			for tab := range r.tabs {
				if how := r.call(tab, 1); !slices.Equal(how, []string{"401"}) {
					t.Errorf("a stolen token came back, and the access tokens live on: %q", how)
				}
			}
			r.later(accessTokenLifetime)
			for tab := range r.tabs {
				if how := r.call(tab, 1); !slices.Equal(how, []string{"invalid_grant"}) {
					t.Errorf("a stolen token came back, and the family lives on: %q", how)
				}
			}
		})
	}
}

// accessTokenLifetime is longer than an access token lives, and than the overlap of refresh tokens.
const accessTokenLifetime = 11 * time.Minute

// race is one person's two tabs at a house.
type race struct {
	t     *testing.T
	house *drive.ClockHouse
	tabs  []*drive.Tab
}

func startRace(t *testing.T, sdk string) *race {
	t.Helper()
	r := &race{t: t, house: drive.OpenClockHouse(t)}
	home := r.serve(sdk)
	me := drive.NewProfile(t)
	r.tabs = []*drive.Tab{me.Tab(), me.Tab()}
	first, second := r.tabs[0], r.tabs[1]
	first.Open(home)
	first.See("Signed out")
	drive.Script[any](first, "void race.signIn()")
	me.SignIn(first, r.house.User(drive.Alice))
	first.See("Signed in")
	second.Open(home)
	second.See("Signed in")
	return r
}

// later lets time pass. What one tab has stored has reached the other by then: browsers take some
// milliseconds, for which these clocks do not wait.
func (r *race) later(d time.Duration) {
	r.t.Helper()
	r.tabs[0].Wait("both tabs have the same token", func() bool { return r.kept(0) == r.kept(1) })
	r.house.Clock.Advance(d)
	for _, b := range r.tabs {
		drive.Script[any](b, fmt.Sprintf("void race.later(%d)", d.Milliseconds()))
	}
}

// kept is the refresh token that a tab finds in the browser's storage.
func (r *race) kept(tab int) string {
	r.t.Helper()
	return drive.Script[string](r.tabs[tab], "race.keptRefreshToken()")
}

// call calls the house from a tab, n times at once.
func (r *race) call(tab, n int) []string {
	r.t.Helper()
	return drive.Script[[]string](r.tabs[tab], fmt.Sprintf("race.call(%d)", n))
}

// callInAll calls n times from each tab, all at once, and returns how each call went.
func (r *race) callInAll(n int) []string {
	went := make([][]string, len(r.tabs))
	var work sync.WaitGroup
	for i, b := range r.tabs {
		work.Go(func() {
			how, err := drive.Evaluate[[]string](b, fmt.Sprintf("race.call(%d)", n))
			if err != nil {
				how = []string{err.Error()}
			}
			went[i] = how
		})
	}
	work.Wait()
	return slices.Concat(went...)
}

// serve bundles the page of the race with an SDK, and serves it.
func (r *race) serve(sdk string) string {
	r.t.Helper()
	modules, out := filepath.Join(drive.Root(), "examples", "node_modules"), filepath.Join(r.t.TempDir(), "race.js")
	cmd := exec.Command(filepath.Join(modules, ".bin", "esbuild"), "race.js", "--bundle", "--format=esm", "--alias:sdk=./"+sdk+".js", "--outfile="+out)
	cmd.Dir, cmd.Env = "testdata", append(os.Environ(), "NODE_PATH="+modules)
	if said, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("bundling the race with %s: %v\n%s", sdk, err, said)
	}
	script := drive.Must[[]byte](r.t)(os.ReadFile(out))
	return r.house.Serve(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/config.json":
			_ = json.NewEncoder(w).Encode(map[string]any{"domain": r.house.Origin(), "clientId": r.house.Client(drive.SPAClient).ClientID})
		case "/race.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(script)
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, `<!doctype html><title>Race</title><link rel="icon" href="data:,"><body>…</body><script type="module" src="/race.js"></script>`)
		}
	}))
}

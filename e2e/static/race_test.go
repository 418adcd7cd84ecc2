package static

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
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

// Two tabs of one person, each with several requests at once, and answers that get lost on the way:
// nobody loses the session. A token that was stolen before, and comes back when the overlap is over,
// ends it.
func TestRefreshRace(t *testing.T) {
	for _, sdk := range sdks {
		t.Run(sdk, func(t *testing.T) {
			t.Parallel()
			h := drive.OpenClockHouse(t)
			home := serveRace(t, h.House, sdk)
			me := drive.NewProfile(t)
			tabs := []*drive.Tab{me.Tab(), me.Tab()}
			tabs[0].Open(home)
			tabs[0].See("Signed out")
			drive.Script[any](tabs[0], "void race.signIn()")
			me.SignIn(tabs[0], h.User(drive.Alice))
			tabs[0].See("Signed in")
			tabs[1].Open(home)
			tabs[1].See("Signed in")
			stolen := drive.Script[string](tabs[0], "race.keptRefreshToken()")

			rounds, lost := proof.Times(20, 1000), 0
			inTheRace := map[string]int{}
			for round := range rounds {
				h.Proxy.Lose("/oauth/token", []drive.Fault{drive.NoAnswer, drive.HalfAnswer}[round%2])
				for _, how := range renewInAll(tabs, 3) {
					inTheRace[how]++
				}
				later(h, tabs)
				for _, b := range tabs {
					if how := renew(b, 1); !slices.Equal(how, []string{"ok"}) {
						lost++
						t.Errorf("round %d: the session is lost: %q", round, how)
					}
				}
				if t.Failed() {
					break
				}
				later(h, tabs)
			}
			t.Logf("%s: %d rounds, %d answers lost on the way, %d sessions lost; renewals in the race: %v", sdk, rounds, h.Proxy.Lost(), lost, inTheRace)

			honest := drive.Script[string](tabs[0], "race.keptRefreshToken()")
			for _, token := range []string{stolen, honest} { // in this order: the first is what ends the second
				if status, said := replay(t, h.House, token); status/100 != 4 || !strings.Contains(said, "invalid_grant") {
					t.Errorf("a token of a family that a stolen one came back to got %d: %s", status, said)
				}
			}
			for _, b := range tabs {
				if how := renew(b, 1); !slices.Equal(how, []string{"invalid_grant"}) {
					t.Errorf("a stolen token came back, and the family lives on: %q", how)
				}
			}
		})
	}
}

// later lets a minute pass, in which the overlap ends. What one tab has stored has reached the other by
// then: browsers take some milliseconds, for which the clock of the house does not wait.
func later(h *drive.ClockHouse, tabs []*drive.Tab) {
	tabs[0].Wait("both tabs have the same token", func() bool {
		const kept = "race.keptRefreshToken()"
		return drive.Script[string](tabs[0], kept) == drive.Script[string](tabs[1], kept)
	})
	h.Clock.Advance(time.Minute)
}

func renew(b *drive.Tab, n int) []string {
	return drive.Script[[]string](b, fmt.Sprintf("race.renew(%d)", n))
}

// renewInAll renews n times in each tab, all at once, and returns how each went.
func renewInAll(tabs []*drive.Tab, n int) []string {
	var all []string
	var mu sync.Mutex
	var work sync.WaitGroup
	for _, b := range tabs {
		work.Go(func() {
			how, err := drive.Evaluate[[]string](b, fmt.Sprintf("race.renew(%d)", n))
			if err != nil {
				how = []string{err.Error()}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, how...)
		})
	}
	work.Wait()
	return all
}

// replay presents a refresh token as a thief would, from anywhere.
func replay(t *testing.T, h *drive.House, token string) (int, string) {
	t.Helper()
	response, err := http.PostForm(h.Issuer+"oauth/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {h.Client(drive.SPAClient).ClientID},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(said)
}

// serveRace bundles the page of the race with an SDK, and serves it.
func serveRace(t *testing.T, h *drive.House, sdk string) string {
	t.Helper()
	modules, out := filepath.Join(drive.Root(), "examples", "node_modules"), filepath.Join(t.TempDir(), "race.js")
	cmd := exec.Command(filepath.Join(modules, ".bin", "esbuild"), "race.js", "--bundle", "--format=esm", "--alias:sdk=./"+sdk+".js", "--outfile="+out)
	cmd.Dir, cmd.Env = "testdata", append(os.Environ(), "NODE_PATH="+modules)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("bundling the race with %s: %v\n%s", sdk, err, said)
	}
	script := drive.Must[[]byte](t)(os.ReadFile(out))
	return h.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/config.json":
			_ = json.NewEncoder(w).Encode(map[string]string{"domain": h.Origin(), "clientId": h.Client(drive.SPAClient).ClientID})
		case "/race.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(script)
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, `<!doctype html><title>Race</title><link rel="icon" href="data:,"><body>…</body><script type="module" src="/race.js"></script>`)
		}
	}))
}

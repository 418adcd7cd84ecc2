package oauth_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// The test binary starts itself again as a house of its own, to be killed. These say with which
// database, at which address, and at what time by its clock, which stands still.
const (
	envDatabase = "GATEHOUSE_TEST_HOUSE_DATABASE"
	envIssuer   = "GATEHOUSE_TEST_HOUSE_ISSUER"
	envTime     = "GATEHOUSE_TEST_HOUSE_TIME"
	// envTold is the back-channel logout URI of a client named toldClient. With it the house does its
	// background work, too.
	envTold = "GATEHOUSE_TEST_HOUSE_TOLD"
)

const toldClient = "Told"

// TestServeUntilKilled is the child, and nothing in an ordinary run.
func TestServeUntilKilled(t *testing.T) {
	database := os.Getenv(envDatabase)
	if database == "" {
		return
	}
	at, err := time.Parse(time.RFC3339Nano, os.Getenv(envTime))
	must(t, err)
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	must(t, err)
	ctx := context.Background()
	house, err := server.Open(ctx, server.Options{
		Config: servertest.Config(database, os.Getenv(envIssuer)), Clock: clock.NewVirtual(at), Hash: servertest.CheapHashes(), Dev: &server.Dev{},
	})
	must(t, err)
	var extras []demo.Extra
	told := os.Getenv(envTold)
	if told != "" {
		extras = []demo.Extra{{
			Name: toldClient, Type: apps.RegularWeb, RedirectURIs: []string{"http://localhost:3000/cb"}, LogoutURLs: []string{"http://localhost:3000"},
			BackchannelLogoutURI: told,
		}}
	}
	content, err := demo.Seed(ctx, house, extras)
	must(t, err)
	handler, err := house.Handler()
	must(t, err)
	if told != "" {
		go house.Run(ctx)
	}
	raw, err := json.Marshal(content)
	must(t, err)
	fmt.Printf("serving %s\n", raw)
	t.Fatal(http.Serve(listener, handler))
}

// mortal is a house in a process of its own. Its address stays when it dies.
type mortal struct {
	servertest.Instance
	t        *testing.T
	database string
	told     string // back-channel logout URI of toldClient; empty: there is no such client
	listener *os.File
	child    *exec.Cmd
}

func newMortal(t *testing.T, database string) *mortal {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	file, err := listener.File()
	must(t, err)
	t.Cleanup(func() {
		file.Close()
		listener.Close()
	})
	m := &mortal{t: t, database: database, listener: file}
	m.URL = "http://localhost:" + fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)
	t.Cleanup(func() {
		if m.child != nil {
			m.kill()
		}
	})
	return m
}

// start begins a process whose clock shows the time.
func (m *mortal) start(at time.Time) {
	m.t.Helper()
	self, err := os.Executable()
	must(m.t, err)
	m.child = exec.Command(self, "-test.run=^TestServeUntilKilled$")
	m.child.Env = append(os.Environ(), envDatabase+"="+m.database, envIssuer+"="+m.URL, envTime+"="+at.Format(time.RFC3339Nano), envTold+"="+m.told)
	m.child.ExtraFiles = []*os.File{m.listener}
	m.child.Stderr = os.Stderr
	out, err := m.child.StdoutPipe()
	must(m.t, err)
	must(m.t, m.child.Start())
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "serving ") {
		m.t.Fatalf("the house did not start: %s", lines.Text())
	}
	m.Content = &demo.Content{}
	must(m.t, json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "serving ")), m.Content))
}

// kill ends the process as kill -9 does.
func (m *mortal) kill() {
	m.child.Process.Kill()
	m.child.Wait()
	m.child = nil
}

// refresh returns the successor, or the error code, or that nobody answered.
func (m *mortal) refresh(client *http.Client, token string) (successor, refused string, err error) {
	resp, err := client.PostForm(m.URL+"/oauth/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {m.Content.Client(demo.SPA).ClientID},
	})
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	var answer struct {
		RefreshToken string `json:"refresh_token"`
		Error        string `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", "", err // the answer was cut off
	}
	return answer.RefreshToken, answer.Error, nil
}

// A house is killed while 64 callers refresh one token. Whatever was answered before is what
// everybody gets after it has come back, as long as the overlap lasts; then the family is dead, and
// dead it stays.
func TestThreat_TK11_RotationSurvivesKill(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { killedWhileRefreshing(t, "sqlite:"+dbtest.TemplateSQLite(t, schema.Files)) })
	t.Run("PostgreSQL", func(t *testing.T) { killedWhileRefreshing(t, dbtest.TemplatePostgreSQL(t, schema.Files)) })
}

func killedWhileRefreshing(t *testing.T, database string) {
	random, rounds := proof.Rand(t), proof.Times(4, 350) // of three kills each
	m := newMortal(t, database)
	at := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	acknowledged := 0
	for round := range rounds {
		m.start(at)
		b := m.NewBrowser(t)
		b.SignIn(demo.Reader, m.Password(t, demo.Reader))
		token := m.TokensIn(t, b, demo.SPA, "scope", offlineShows).RefreshToken

		before, refused := m.all(token, 1+random.IntN(32))
		if len(refused) != 0 || len(before) > 1 {
			t.Fatalf("round %d: before the kill: successors %v, refusals %v", round, before, refused)
		}
		acknowledged += total(before)

		at = at.Add(overlap / 2)
		m.start(at)
		after, refused := m.all(token, 0)
		if len(after) != 1 || total(after) != 64 || len(refused) != 0 {
			t.Fatalf("round %d: after the kill: successors %v, refusals %v", round, after, refused)
		}
		for successor := range before {
			if after[successor] == 0 {
				t.Fatalf("round %d: %s was acknowledged, and then %v", round, successor, after)
			}
		}
		m.kill()

		at = at.Add(2 * overlap)
		m.start(at)
		late, refused := m.all(token, 0)
		if len(late) != 0 || refused["invalid_grant"] != 64 {
			t.Fatalf("round %d: after the overlap: successors %v, refusals %v", round, late, refused)
		}
		m.kill()
		m.start(at)
		for successor := range after {
			if got, refused, err := m.refresh(http.DefaultClient, successor); refused != "invalid_grant" {
				t.Fatalf("round %d: the successor after another kill: %s %s %v", round, got, refused, err)
			}
		}
		m.kill()
		http.DefaultClient.CloseIdleConnections()
	}
	t.Logf("%d refreshes were acknowledged over %d kills under load", acknowledged, 3*rounds)
}

// all lets 64 callers refresh at once and counts what they get. The house is killed after so many
// answers, never if that is 0; callers that are left alone then give up.
func (m *mortal) all(token string, answers int) (successors, refusals map[string]int) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ctx, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	successors, refusals = map[string]int{}, map[string]int{}
	var mu sync.Mutex
	n := 0
	atOnce(64, func(int) {
		successor, refused, err := m.refresh(withContext(client, ctx), token)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			return
		case refused != "":
			refusals[refused]++
		default:
			successors[successor]++
		}
		if n++; n == answers {
			m.kill()
			giveUp()
		}
	})
	return successors, refusals
}

// withContext returns a client whose requests end with ctx.
func withContext(c *http.Client, ctx context.Context) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) { return c.Transport.RoundTrip(r.WithContext(ctx)) })}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func total(m map[string]int) (n int) {
	for _, k := range m {
		n += k
	}
	return n
}

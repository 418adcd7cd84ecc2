package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// patience is what anything in the proof is waited for. What it really took is measured and told.
const patience = 60 * time.Second

// link is a proxy that a test moves, and cuts in silence: connections stay and bring nothing.
type link struct {
	listener net.Listener

	mu    sync.Mutex
	to    string
	conns []net.Conn
	hold  chan struct{} // closed while bytes may pass
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	open := make(chan struct{})
	close(open)
	k := &link{listener: l, to: to, hold: open}
	t.Cleanup(func() { l.Close(); k.cut() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go k.serve(conn)
		}
	}()
	return k
}

func (k *link) addr() string { return k.listener.Addr().String() }

func (k *link) serve(near net.Conn) {
	k.mu.Lock()
	to := k.to
	k.mu.Unlock()
	far, err := net.Dial("tcp", to)
	if err != nil {
		near.Close()
		return
	}
	k.mu.Lock()
	k.conns = append(k.conns, near, far)
	k.mu.Unlock()
	pass := func(dst, src net.Conn) {
		defer dst.Close()
		defer src.Close()
		buffer := make([]byte, 32<<10)
		for {
			n, err := src.Read(buffer)
			k.mu.Lock()
			hold := k.hold
			k.mu.Unlock()
			<-hold
			if n > 0 {
				if _, err := dst.Write(buffer[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	go pass(far, near)
	pass(near, far)
}

// part lets nothing through, and says nothing about it; heal ends that.
func (k *link) part() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hold = make(chan struct{})
}

func (k *link) heal() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.hold)
}

// move sends new connections elsewhere, as a load balancer does, and cuts the old ones.
func (k *link) move(to string) {
	k.mu.Lock()
	k.to = to
	k.mu.Unlock()
	k.cut()
}

func (k *link) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.conns {
		c.Close()
	}
	k.conns = nil
}

// process is a command of this test binary.
type process struct {
	*exec.Cmd
	url string
}

func start(t *testing.T, env []string, name string, args ...string) (*process, *bufio.Scanner) {
	t.Helper()
	p := &process{Cmd: exec.Command(name, args...)}
	p.Env = append(os.Environ(), env...)
	p.Stderr = &tail{}
	out, err := p.StdoutPipe()
	must(t, err)
	must(t, p.Start())
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	return p, bufio.NewScanner(out)
}

func (p *process) end(s os.Signal) {
	if p.Process != nil && p.ProcessState == nil {
		p.Process.Signal(s)
		p.Wait()
	}
}

// tail keeps the end of what a process says.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (w *tail) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, b...)
	if len(w.text) > 4096 {
		w.text = w.text[len(w.text)-4096:]
	}
	return len(b), nil
}

func (w *tail) has(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Contains(w.text, []byte(text))
}

// town is two houses on one PostgreSQL, three guarded APIs, and the wires between them.
type town struct {
	t       *testing.T
	issuer  string
	config  []string // of each house
	listen  []string
	houses  []*process
	front   *link // what browsers use
	links   []*link
	guards  []*process
	env     []string
	node    *servertest.Instance
	house   *server.House // beside the servers, as a command
	figures []string
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, front: newLink(t, "")}
	w.issuer = "http://" + w.front.addr() + "/"
	dir, database := t.TempDir(), dbtest.TemplatePostgreSQL(t, schema.Files)
	key := randomKey()
	must(t, os.WriteFile(filepath.Join(dir, "master.key"), []byte(key), 0o600))
	for i := range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		w.listen = append(w.listen, l.Addr().String())
		l.Close()
		path := filepath.Join(dir, fmt.Sprintf("house-%d.yaml", i))
		must(t, os.WriteFile(path, fmt.Appendf(nil, `issuer: %s
listen: %s
database: {url: %q}
insecure_database_plaintext: true
master_keys: [file:%s]
operations: {listen: ""}
mail: {host: localhost, tls: none, from: login@example.com}
`, w.issuer, w.listen[i], database, filepath.Join(dir, "master.key")), 0o600))
		w.config = append(w.config, path)
		w.houses = append(w.houses, nil)
	}
	w.serve(0)
	w.serve(1)
	w.front.move(w.listen[0])

	c := config.Default()
	c.Issuer, c.Database.URL, c.MasterKeys = w.issuer, config.NewSecret(database), []config.Secret{config.NewSecret(key)}
	house, err := server.Open(t.Context(), server.Options{Config: c, Hash: servertest.CheapHashes(), Guest: true})
	must(t, err)
	t.Cleanup(func() { house.Close() })
	content, err := demo.Seed(t.Context(), house, nil)
	must(t, err)
	w.house, w.node = house, &servertest.Instance{House: house, URL: strings.TrimSuffix(w.issuer, "/"), Content: content}

	worker := content.Client(demo.Machine)
	w.env = []string{envIssuer + "=" + w.issuer, envClient + "=" + worker.ClientID, envSecret + "=" + worker.ClientSecret, envAudience + "=" + demo.Audience}
	for i := range 3 {
		w.links = append(w.links, newLink(t, w.listen[i%2]))
		w.guards = append(w.guards, nil)
		w.guard(i)
	}
	return w
}

// serve starts a house and waits until it answers.
func (w *town) serve(i int) {
	w.t.Helper()
	w.houses[i], _ = start(w.t, nil, "gatehouse", "serve", "--config", w.config[i])
	host := strings.TrimSuffix(strings.TrimPrefix(w.issuer, "http://"), "/")
	w.await("a house to answer", func() bool {
		if said := w.houses[i].Stderr.(*tail); said.has("gatehouse: ") {
			w.t.Fatalf("the house did not start: %s", said.text)
		}
		r, err := http.NewRequest(http.MethodGet, "http://"+w.listen[i]+"/.well-known/jwks.json", nil)
		must(w.t, err)
		r.Host = host
		resp, err := (&http.Client{}).Do(r)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// guard starts a guarded API and waits until it follows the feed.
func (w *town) guard(i int) {
	w.t.Helper()
	p, out := start(w.t, append(w.env, envVia+"="+w.links[i].addr()), "guarded")
	if !out.Scan() {
		w.t.Fatalf("guard %d did not start: %s", i, p.Stderr.(*tail).text)
	}
	p.url = "http://" + strings.TrimPrefix(out.Text(), "guarding ")
	w.guards[i] = p
	w.ready(i)
}

func (w *town) ready(i int) {
	w.t.Helper()
	w.await(fmt.Sprintf("guard %d to follow", i), func() bool {
		resp, err := (&http.Client{}).Get(w.guards[i].url + "/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func (w *town) await(what string, ok func() bool) {
	w.t.Helper()
	deadline, again := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-deadline:
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// post asks a guard one of the questions of tests.
func (w *town) post(i int, path string, tokens []string, into any) {
	w.t.Helper()
	body, err := json.Marshal(tokens)
	must(w.t, err)
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.guards[i].url+path, bytes.NewReader(body))
	must(w.t, err)
	resp, err := (&http.Client{}).Do(r)
	if err != nil {
		w.t.Errorf("guard %d %s: %v", i, path, err)
		return
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		w.t.Errorf("guard %d %s: %s %v", i, path, raw, err)
	}
}

// all demands one status of every token at these guards.
func (w *town) all(what string, tokens []string, status int, guards ...int) {
	w.t.Helper()
	for _, i := range guards {
		got := map[int]int{}
		w.post(i, "/status", tokens, &got)
		if got[status] != len(tokens) {
			w.t.Errorf("%s: guard %d answers %v to %d tokens, want %d", what, i, got, len(tokens), status)
		}
	}
}

// dies does something, and measures until the last of the tokens is refused by every one of these guards.
func (w *town) dies(what string, tokens []string, do func(), guards ...int) {
	w.t.Helper()
	var all sync.WaitGroup
	last := make([]int64, len(guards))
	for n, i := range guards {
		all.Go(func() { w.post(i, "/until", tokens, &last[n]) })
	}
	began := time.Now()
	do()
	ended := time.Now()
	all.Wait()
	var worst int64
	for n, at := range last {
		if at == 0 {
			w.t.Errorf("%s: guard %d goes on", what, guards[n])
		}
		worst = max(worst, at)
	}
	w.figure("| %s | %d × %d | %v | %v |", what, len(guards), len(tokens), since(began, worst), max(0, since(ended, worst)))
}

func since(from time.Time, at int64) time.Duration {
	return time.Unix(0, at).Sub(from).Round(time.Millisecond)
}

func (w *town) figure(format string, args ...any) {
	w.figures = append(w.figures, fmt.Sprintf(format, args...))
	w.t.Log(w.figures[len(w.figures)-1])
}

func (w *town) command(args ...string) {
	w.t.Helper()
	out, err := exec.Command("gatehouse", append(args, "--config", w.config[1])...).CombinedOutput()
	if err != nil {
		w.t.Errorf("gatehouse %v: %v\n%s", args, err, out)
	}
}

// person signs in once and gets so many access tokens, by refreshing.
func (w *town) person(name string, tokens int) (email string, all []string, browser *servertest.Browser) {
	w.t.Helper()
	email = name + "@example.com"
	w.node.AddUser(w.t, email, "the-password-of-"+name, demo.ReadShows)
	got, browser := w.node.TokensFor(w.t, email, demo.SPA, "audience", demo.Audience, "scope", "openid offline_access "+demo.ReadShows)
	for {
		if got.AccessToken == "" {
			w.t.Fatalf("no token: %s %s", got.Error, got.Description)
		}
		if all = append(all, got.AccessToken); len(all) == tokens {
			return email, all, browser
		}
		got = w.node.Refresh(w.t, demo.SPA, got.RefreshToken)
	}
}

// Two houses over PostgreSQL, three guards in processes of their own, live tokens of many people.
// Whatever ends tokens ends them at every guard, through a partition and restarts of either side,
// and nobody else's. No time is asserted here; the proof tells what it took.
func TestThreat_JW14_DeadEverywhere(t *testing.T) {
	w := newTown(t)
	each := proof.Times(25, 1250)
	banned, ofBanned, _ := w.person("banned", each)
	_, ofLeaver, leaver := w.person("leaver", each)
	changer, ofChanger, _ := w.person("changer", each)
	parted, ofParted, _ := w.person("parted", each)
	restarted, ofRestarted, _ := w.person("restarted", each)
	moved, ofMoved, _ := w.person("moved", each)
	_, ofOthers, _ := w.person("other", 2*each)
	live := [][]string{ofBanned, ofLeaver, ofChanger, ofParted, ofRestarted, ofMoved, ofOthers}
	total := 0
	for _, tokens := range live {
		w.all("before", tokens, http.StatusNoContent, 0, 1, 2)
		total += len(tokens)
	}
	w.figure("Two houses over PostgreSQL, three guards, %d live tokens.", total)
	w.figure("")
	w.figure("| what | guards × tokens | from the start of it | from its end |")
	w.figure("|---|---|---|---|")

	w.dies("`gatehouse user ban`", ofBanned, func() { w.command("user", "ban", banned) }, 0, 1, 2)
	w.dies("sign-out in the browser", ofLeaver, func() {
		leaver.Get("/v2/logout?returnTo=http://localhost:3000&client_id=" + w.node.Content.Client(demo.SPA).ClientID)
	}, 0, 1, 2)
	w.dies("a new password", ofChanger, func() {
		link, err := w.house.PasswordLink(t.Context(), w.node.UserID(t, changer), time.Hour, false, operator())
		must(t, err)
		b := w.node.NewBrowser(t)
		b.Submit(b.Get(strings.TrimPrefix(link, w.node.URL)), "password", "another-password-altogether")
	}, 0, 1, 2)
	w.all("after", ofOthers, http.StatusNoContent, 0, 1, 2)

	// A partition: guard 2 hears nothing, and is not told so.
	w.links[2].part()
	w.dies("`gatehouse user ban`, one guard parted", ofParted, func() { w.command("user", "ban", parted) }, 0, 1)
	began, silent := time.Now(), int64(0)
	w.post(2, "/until?status=503", ofOthers, &silent)
	w.figure("| the parted guard refuses everybody (503) | 1 × %d | %v | |", len(ofOthers), since(began, silent))
	w.all("parted", ofBanned, http.StatusUnauthorized, 2)
	began = time.Now()
	w.links[2].heal()
	w.ready(2)
	w.figure("| the partition heals: the feed is caught up | 1 | %v | |", time.Since(began).Round(time.Millisecond))
	w.all("healed", ofParted, http.StatusUnauthorized, 2)
	w.all("healed", ofOthers, http.StatusNoContent, 2)

	// A guard is killed and comes back: it knows what was taken back before and meanwhile.
	w.guards[1].end(syscall.SIGKILL)
	w.command("user", "ban", restarted)
	began = time.Now()
	w.guard(1)
	w.figure("| a guard starts: from its process to a snapshot taken in | 1 | %v | |", time.Since(began).Round(time.Millisecond))
	w.all("restarted", append(ofRestarted, ofBanned...), http.StatusUnauthorized, 1)
	w.all("restarted", ofOthers, http.StatusNoContent, 1)

	// A house is killed, the load balancer sends its guards to the other, and it comes back.
	w.houses[0].end(syscall.SIGKILL)
	for _, k := range []*link{w.front, w.links[0], w.links[2]} {
		k.move(w.listen[1])
	}
	w.dies("`gatehouse user ban`, right after one house was killed", ofMoved, func() { w.command("user", "ban", moved) }, 0, 1, 2)
	w.serve(0)
	w.links[0].move(w.listen[0])
	for i := range w.guards {
		w.ready(i)
	}
	for _, tokens := range live[:6] {
		w.all("in the end", tokens, http.StatusUnauthorized, 0, 1, 2)
	}
	w.all("in the end", ofOthers, http.StatusNoContent, 0, 1, 2)

	if proof.Wanted() {
		var cost struct{ With, Without float64 }
		w.post(0, "/cost", ofOthers, &cost)
		w.figure("| a request with a known token, with the feed (and without) | 1 × %d | %.0f ns (%.0f ns) | |", len(ofOthers), cost.With, cost.Without)
	}
	keys, err := w.house.Keys.List(t.Context(), w.house.Tenant)
	must(t, err)
	for _, k := range keys {
		if k.Alg == "ES256" {
			w.dies("`gatehouse key revoke`", ofOthers, func() { w.command("key", "revoke", k.KeyID) }, 0, 1, 2)
		}
	}

	// Streams do not hold up a house that leaves.
	began = time.Now()
	w.houses[0].end(syscall.SIGTERM)
	if !w.houses[0].ProcessState.Success() {
		t.Errorf("the house left with %v: %s", w.houses[0].ProcessState, w.houses[0].Stderr.(*tail).text)
	}
	w.figure("| SIGTERM to a house with open streams: until it has left | 1 | %v | |", time.Since(began).Round(time.Millisecond))
	if proof.Wanted() {
		w.evidence()
	}
}

// evidence writes the figures down.
func (w *town) evidence() {
	path := filepath.Join("..", "..", "docs", "evidence", "revocation-"+time.Now().UTC().Format("2006-01-02")+".md")
	text := "# Taking back, measured on " + time.Now().UTC().Format("2006-01-02 15:04 UTC") + "\n\nWritten by `make proof`; docs/guard/revocation.md says what it means.\n\n" + strings.Join(w.figures, "\n") + "\n"
	must(w.t, os.WriteFile(path, []byte(text), 0o644))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

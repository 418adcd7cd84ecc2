package resource

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// behind is how far the clock of the house starts behind the machine's. Its keys change by that clock, minutes
// after they are published, and its tokens are good for an hour by that of everybody else.
const behind = 45 * time.Minute

// lead is more than a new key is published for before it signs.
const lead = 12 * time.Minute

// Keys change twice, first by themselves and then by command, while people sign in, applications renew their
// tokens, and APIs in four languages check tokens old and new. Nobody's request fails.
func TestKeysRotateUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.writeDevJSON()
	apis := []server{w.startGuard(), startSpring(t, file), startPython(t, file)}
	express := w.startExpress()

	first := worker(t, w.node)
	load := &traffic{ctx: t.Context()}
	for _, api := range apis {
		load.add(api.name, func(ctx context.Context) error {
			if err := api.expect(http.StatusOK, "/shows", first); err != nil {
				return fmt.Errorf("the first token: %w", err)
			}
			now, err := w.token(ctx, url.Values{"grant_type": {"client_credentials"}, "audience": {demo.Audience}}, demo.Machine)
			if err != nil {
				return err
			}
			return api.expect(http.StatusOK, "/shows", now.AccessToken)
		})
	}
	load.add("Express, for an application that renews", w.renews(express))
	load.add("people who sign in at the guard", w.signsIn())
	load.add("people who sign in at express-openid-connect", w.postsIDTokens(file))

	load.flow(t)
	if err := w.node.House.Sweep(t.Context()); err != nil { // which it does by itself every ten minutes
		t.Fatal(err)
	}
	w.expectWaiting()
	load.flow(t)
	load.between(func() { w.clock.Advance(lead) })
	load.flow(t)
	w.node.RotateKeys(t)
	w.expectWaiting()
	load.flow(t)
	load.between(func() { w.clock.Advance(lead) })
	load.flow(t)
	load.end(t)

	if n := len(w.kids()); n != 6 {
		t.Errorf("%d keys have been published, want three of each of two algorithms", n)
	}
	if last := worker(t, w.node); header(t, last, "kid") == header(t, first, "kid") {
		t.Error("the first key signs still")
	}
	w.expire(apis[1:])
}

// expire demands that servers whose clock is the machine's refuse a token that is minutes old for them and new to
// the house.
func (w *world) expire(apis []server) {
	w.t.Helper()
	api := drive.Must[*apps.API](w.t)(w.node.House.Apps.API(w.t.Context(), w.node.House.Tenant, demo.Audience))
	short := *api
	short.TokenLifetime = time.Minute
	w.change(func(tx *db.Tx) error { return w.node.House.Apps.UpdateAPI(tx, &short) })
	expired := worker(w.t, w.node)
	for _, s := range apis {
		a, err := s.get("/shows", expired)
		if err != nil || a.status != http.StatusUnauthorized || !strings.Contains(a.challenge, "invalid_token") {
			w.t.Errorf("%s answers a token that has expired with %d %q %s, %v", s.name, a.status, a.challenge, a.body, err)
		}
	}
}

// world is a house whose clock the test holds, and what stands around it.
type world struct {
	t     *testing.T
	node  *servertest.Instance
	clock *drive.Clock
	site  *httptest.Server
}

// siteClient is the client that the site of signsIn is.
const siteClient = "Site"

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: drive.NewClock(t, -behind), site: httptest.NewUnstartedServer(nil)}
	t.Cleanup(w.site.Close)
	w.clock.Run()
	origin := "http://" + w.site.Listener.Addr().String()
	w.node = servertest.New(t, servertest.Options{
		Clock:     w.clock.Virtual,
		Configure: func(c *config.Config) { c.Tokens.Access = time.Hour },
		Extras:    []demo.Extra{{Name: siteClient, Type: apps.RegularWeb, RedirectURIs: []string{origin + "/auth/callback"}, LogoutURLs: []string{origin}}},
	})
	return w
}

// writeDevJSON writes what `gatehouse dev` would, and returns where.
func (w *world) writeDevJSON() string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "dev.json")
	raw := drive.Must[[]byte](w.t)(json.Marshal(struct {
		Issuer string `json:"issuer"`
		*demo.Content
	}{w.node.URL + "/", w.node.Content}))
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// startGuard serves an API that the guard protects. Its clock is that of the house, as its keys are kept for
// minutes and tokens of unknown keys ask for them once a minute.
func (w *world) startGuard() server {
	tokens := drive.Must[*bearer.Scheme](w.t)(bearer.New(bearer.Options{Issuer: w.node.URL + "/", Audience: demo.Audience, Clock: w.node.Clock.Now}))
	mux := http.NewServeMux()
	mux.Handle("GET /shows", guard.Require(tokens, guard.Permissions(demo.ReadShows))(http.HandlerFunc(ok)))
	api := httptest.NewServer(mux)
	w.t.Cleanup(api.Close)
	return server{"the guard", api.URL, api.Client()}
}

func ok(http.ResponseWriter, *http.Request) {}

// startExpress serves the API route of examples/nextjs-bearer.
func (w *world) startExpress() server {
	address := drive.FreeAddress(w.t)
	_, port, _ := strings.Cut(address, ":")
	serve := drive.Must[string](w.t)(filepath.Abs("testdata/serve.mjs"))
	cmd := w.nodeJS(serve, filepath.Join(drive.Root(), "examples", "nextjs-bearer", "pages", "api", "billing-info.js"), port)
	cmd.Env = append(cmd.Env, "DOMAIN="+w.node.URL, "AUDIENCE="+demo.Billing)
	return start(w.t, "Express", address, "", cmd)
}

// nodeJS returns a program for Node.js in the time of the house, as what it knows of keys has an age, too.
func (w *world) nodeJS(args ...string) *exec.Cmd {
	cmd := exec.Command("node", args...)
	cmd.Env = append(os.Environ(), w.clock.Environment()...)
	return cmd
}

// renews returns what an application does that holds a refresh token: it uses it, and calls
// its API with what it got.
func (w *world) renews(api server) func(context.Context) error {
	tokens, _ := w.node.TokensFor(w.t, demo.Reader, "nextjs-bearer", "audience", demo.Billing, "scope", "openid offline_access "+demo.ReadBilling)
	refresh, first := tokens.RefreshToken, tokens.AccessToken
	return func(ctx context.Context) error {
		now, err := w.token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}, "nextjs-bearer")
		if err != nil {
			return err
		}
		refresh = now.RefreshToken
		return errors.Join(api.expect(http.StatusOK, "/", first), api.expect(http.StatusOK, "/", now.AccessToken))
	}
}

// signsIn returns what somebody does who signs in at a site again and again, being known at the house. The site
// checks the ID token.
func (w *world) signsIn() func(context.Context) error {
	c := w.node.Content.Client(siteClient)
	origin := "http://" + w.site.Listener.Addr().String()
	secret := make([]byte, 32)
	rand.Read(secret)
	login := drive.Must[*oidclogin.Login](w.t)(oidclogin.New(oidclogin.Options{
		Issuer: w.node.URL + "/", ClientID: c.ClientID, ClientSecret: c.ClientSecret, BaseURL: origin,
		Secrets: []string{base64.StdEncoding.EncodeToString(secret)}, Clock: w.node.Clock.Now,
	}))
	mux := http.NewServeMux()
	mux.Handle("/auth/", login)
	mux.Handle("GET /home", guard.Require(login)(http.HandlerFunc(ok)))
	w.site.Config.Handler = mux
	w.site.Start()
	browser := w.browser()
	return func(ctx context.Context) error {
		page, err := visit(ctx, browser, http.MethodGet, origin+"/auth/login?returnTo=/home", nil)
		if err == nil && page.Request.URL.Path != "/home" {
			err = fmt.Errorf("signing in ends at %s", page.Request.URL)
		}
		return err
	}
}

// postsIDTokens returns what somebody does who signs in again and again at examples/express-openid-connect, where
// the house sends an ID token through the browser.
func (w *world) postsIDTokens(devJSON string) func(context.Context) error {
	_, port, _ := strings.Cut(drive.FreeAddress(w.t), ":")
	origin := "http://localhost:" + port
	w.change(func(tx *db.Tx) error {
		apps, tn := w.node.House.Apps, w.node.House.Tenant
		c, err := apps.Client(w.t.Context(), tn, w.node.Content.Client("express-openid-connect").ClientID)
		if err != nil {
			return err
		}
		moved := *c
		moved.RedirectURIs = append(slices.Clone(c.RedirectURIs), origin+"/callback")
		return apps.UpdateClient(tx, &moved)
	})
	cmd := w.nodeJS("server.js")
	cmd.Dir = filepath.Join(drive.Root(), "examples", "express-openid-connect")
	cmd.Env = append(cmd.Env, "PORT="+port, "BASE_URL="+origin)
	start(w.t, "express-openid-connect", "localhost:"+port, devJSON, cmd)

	browser := w.browser()
	return func(ctx context.Context) error {
		post, err := visit(ctx, browser, http.MethodGet, origin+"/login", nil)
		if err != nil {
			return err
		}
		page, err := visit(ctx, browser, http.MethodPost, post.Target(), post.Hidden())
		if err != nil {
			return err
		}
		if page, err = visit(ctx, browser, http.MethodGet, origin+"/profile", nil); err != nil {
			return err
		}
		if at := page.Request.URL; at.Path != "/profile" || !strings.Contains(page.Body, demo.Reader) {
			return fmt.Errorf("signing in ends at %s with %s", at, page.Body)
		}
		return nil
	}
}

// browser returns one in which somebody is known at the house.
func (w *world) browser() *http.Client {
	person := w.node.NewBrowser(w.t)
	person.SignIn(demo.Reader, w.node.Password(w.t, demo.Reader))
	return &http.Client{Jar: person.HTTP.Jar, Timeout: drive.Patience}
}

// visit follows a link or sends a form, and goes wherever that leads.
func visit(ctx context.Context, browser *http.Client, method, address string, form url.Values) (*servertest.Page, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := browser.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s ends at %s: %s\n%s", method, address, res.Request.URL, res.Status, body)
	}
	return &servertest.Page{Response: res, Body: string(body)}, err
}

// change writes to the house.
func (w *world) change(write func(*db.Tx) error) {
	w.t.Helper()
	if err := w.node.House.Tenant.DB.Write(w.t.Context(), write); err != nil {
		w.t.Fatal(err)
	}
}

// token asks for tokens.
func (w *world) token(ctx context.Context, form url.Values, clientName string) (servertest.Tokens, error) {
	c := w.node.Content.Client(clientName)
	form.Set("client_id", c.ClientID)
	if c.ClientSecret != "" {
		form.Set("client_secret", c.ClientSecret)
	}
	var out servertest.Tokens
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.node.URL+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return out, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := w.node.Client().Do(r)
	if err != nil {
		return out, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		return out, err
	}
	if out.Error != "" {
		return out, fmt.Errorf("%s: %s: %s", form.Get("grant_type"), out.Error, out.Description)
	}
	return out, nil
}

func (w *world) kids() map[string]keys.State {
	w.t.Helper()
	out := map[string]keys.State{}
	for _, k := range drive.Must[[]keys.Info](w.t)(w.node.House.Keys.List(w.t.Context(), w.node.House.Tenant)) {
		out[k.KeyID] = k.State
	}
	return out
}

// expectWaiting demands that new keys are published which do not sign yet.
func (w *world) expectWaiting() {
	w.t.Helper()
	waiting := 0
	for _, state := range w.kids() {
		if state == keys.Waiting {
			waiting++
		}
	}
	if waiting != 2 {
		w.t.Errorf("%d keys are waiting, want one of each of two algorithms: %v", waiting, w.kids())
	}
}

// traffic is what goes on all the time.
type traffic struct {
	ctx     context.Context
	callers []*caller
	work    sync.WaitGroup
	stop    context.CancelFunc
	calls   sync.RWMutex // held for reading by each that is under way
}

type caller struct {
	name string
	call func(context.Context) error
	done atomic.Int64

	mu     sync.Mutex
	failed []error
}

func (l *traffic) add(name string, call func(context.Context) error) {
	l.callers = append(l.callers, &caller{name: name, call: call})
}

// pace is the time from one call of a caller to its next, and phase how many each makes before something else
// happens. Two phases lie between one change of keys and the next: longer than the Python example waits before it
// asks for keys again, five seconds.
const (
	pace  = 50 * time.Millisecond
	phase = 60
	step  = 10 // calls that must not take longer than everybody's patience
)

// flow lets a phase go by, starting the traffic if need be.
func (l *traffic) flow(t *testing.T) {
	t.Helper()
	if l.stop == nil {
		var ctx context.Context
		ctx, l.stop = context.WithCancel(l.ctx)
		t.Cleanup(l.work.Wait)
		t.Cleanup(l.stop)
		for _, c := range l.callers {
			l.work.Go(func() { c.run(ctx, &l.calls) })
		}
	}
	before := map[*caller]int64{}
	for _, c := range l.callers {
		before[c] = c.done.Load()
	}
	for n := int64(step); n <= phase; n += step {
		if err := drive.WaitFor(t.Context(), func() error {
			for _, c := range l.callers {
				if made := c.done.Load() - before[c]; made < n {
					return fmt.Errorf("%s: %d calls of %d", c.name, made, phase)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// between does something while no call is under way. When a clock jumps, a call would seem to have taken minutes, and
// what it was given would have expired on the way.
func (l *traffic) between(do func()) {
	l.calls.Lock()
	defer l.calls.Unlock()
	do()
}

func (c *caller) run(ctx context.Context, calls *sync.RWMutex) {
	ticks := time.NewTicker(pace)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		calls.RLock()
		err := c.call(ctx)
		calls.RUnlock()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.mu.Lock()
			c.failed = append(c.failed, err)
			c.mu.Unlock()
		}
		c.done.Add(1)
	}
}

// end stops the traffic and tells of all that failed.
func (l *traffic) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.work.Wait()
	for _, c := range l.callers {
		t.Logf("%s: %d calls, %d failed", c.name, c.done.Load(), len(c.failed))
		if len(c.failed) > 0 {
			t.Errorf("%s: %d of %d calls failed, the first with: %v", c.name, len(c.failed), c.done.Load(), c.failed[0])
		}
	}
}

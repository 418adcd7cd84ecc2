package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gatehouse-dev/gatehouse/gatehousetest"
	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

// watchlist is the application on a port of its own, before a house whose clock the test turns.
type watchlist struct {
	*testing.T
	house *gatehousetest.House
	wire  *wire
	url   string
}

func start(t *testing.T) *watchlist {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	w := &watchlist{T: t, wire: &wire{}, url: "http://" + server.Listener.Addr().String()}
	w.house = gatehousetest.New(t, gatehousetest.WithWeb("watchlist", w.url+"/auth/callback"))
	db, err := openDatabase(filepath.Join(t.TempDir(), "watchlist.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	client := w.house.Client("watchlist")
	a, err := newApp(t.Context(), options{
		BaseURL: w.url, Issuer: w.house.Issuer(), Client: credentials{client.ID, client.Secret},
		Audience: gatehousetest.Audience, APIURL: startAPI(t, w.house), Secret: strings.Repeat("s", 32),
		DB: db, HTTPClient: &http.Client{Transport: w.wire}, Clock: w.house.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = a.handler()
	server.Start()
	t.Cleanup(server.Close)
	return w
}

// startAPI is as much of the TV Shows API as the application needs.
func startAPI(t *testing.T, house *gatehousetest.House) string {
	t.Helper()
	tokens, err := bearer.New(bearer.Options{Issuer: house.Issuer(), Audience: gatehousetest.Audience, Clock: house.Now})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /shows", guard.Require(tokens, guard.Scopes(readShows))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"shows":[{"title":"Saltgrass Radio","genre":"Drama","year":2023}]}`)
	})))
	mux.Handle("POST /shows", guard.Require(tokens, guard.Scopes(writeShows))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// visitor is a browser in which somebody is signed in at the house.
type visitor struct {
	*watchlist
	client *http.Client
	field  string // of the last page that had a form
}

func (w *watchlist) visitor(email string) *visitor {
	return &visitor{watchlist: w, client: w.house.SignIn(email)}
}

type page struct {
	status int
	at     string
	body   string
}

var field = regexp.MustCompile(`name="([^"]+)" value="([^"]+)"`)

func (v *visitor) do(r *http.Request) page {
	v.Helper()
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := v.client.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.Fatal(err)
	}
	if m := field.FindStringSubmatch(string(body)); m != nil {
		v.field = m[2]
	}
	return page{res.StatusCode, res.Request.URL.String(), string(body)}
}

func (v *visitor) visit(path string) page {
	v.Helper()
	r, err := http.NewRequest(http.MethodGet, v.url+path, nil)
	if err != nil {
		v.Fatal(err)
	}
	return v.do(r)
}

// send posts a form with the token of the last page.
func (v *visitor) send(path string, values ...string) page {
	v.Helper()
	form := url.Values{"csrf_token": {v.field}}
	for i := 0; i < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	r, err := http.NewRequest(http.MethodPost, v.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(r)
}

func (v *visitor) want(p page, status int, words ...string) {
	v.Helper()
	if p.status != status {
		v.Errorf("%s: status %d, want %d\n%s", p.at, p.status, status, p.body)
	}
	for _, word := range words {
		if !strings.Contains(p.body, word) {
			v.Errorf("%s does not say %q:\n%s", p.at, word, p.body)
		}
	}
}

func TestWatchlistOfOnesOwn(t *testing.T) {
	w := start(t)
	alice, admin := w.visitor(gatehousetest.Alice), w.visitor(gatehousetest.Admin)
	alice.want(alice.visit("/"), http.StatusOK, "Everything you mean to watch")
	alice.want(alice.visit("/shows"), http.StatusOK, "Saltgrass Radio", "Alice Archer")
	alice.want(alice.send("/watch", "title", "Saltgrass Radio", "genre", "Drama", "year", "2023"), http.StatusOK, "on your list")
	alice.want(alice.visit("/"), http.StatusOK, "Saltgrass Radio", "1 show")
	admin.want(admin.visit("/shows"), http.StatusOK, "Ada Keeper")
	admin.want(admin.visit("/"), http.StatusOK, "Nothing to watch yet.")
	admin.visit("/shows")
	admin.send("/unwatch", "title", "Saltgrass Radio")
	alice.want(alice.visit("/"), http.StatusOK, "Saltgrass Radio")
}

func TestRolesAndPermissions(t *testing.T) {
	w := start(t)
	alice, admin, bob := w.visitor(gatehousetest.Alice), w.visitor(gatehousetest.Admin), w.visitor(gatehousetest.Bob)
	alice.want(alice.visit("/members"), http.StatusOK, gatehousetest.Alice, "admin") // the first to come
	admin.want(admin.visit("/members"), http.StatusForbidden, "This page is not for you", "Ada Keeper")

	alice.visit("/shows")
	alice.want(alice.send("/shows", "title", "Soup"), http.StatusForbidden, "This is for editors", writeShows)
	admin.visit("/shows")
	admin.want(admin.send("/shows", "title", "<i>Soup</i>"), http.StatusOK, "“&lt;i&gt;Soup&lt;/i&gt;” is in the library.")
	bob.want(bob.visit("/shows"), http.StatusForbidden, "The library is closed to you")
}

func TestFormsAreOursAndFew(t *testing.T) {
	w := start(t)
	alice := w.visitor(gatehousetest.Alice)
	alice.visit("/shows")
	good := alice.field
	alice.field = "forged"
	alice.want(alice.send("/watch", "title", "x"), http.StatusForbidden, "Nothing was changed")
	admin := w.visitor(gatehousetest.Admin)
	admin.visit("/shows")
	admin.field = good // hers is no use to anybody else
	admin.want(admin.send("/watch", "title", "x"), http.StatusForbidden, "Nothing was changed")
	alice.want(alice.visit("/"), http.StatusOK, "Nothing to watch yet.")

	alice.field = good
	for range 30 {
		alice.send("/watch", "title", "x")
		alice.field = good
	}
	alice.want(alice.send("/watch", "title", "x"), http.StatusTooManyRequests, "Slow down")
	w.house.Advance(time.Minute)
	alice.field = good
	alice.want(alice.send("/watch", "title", "y"), http.StatusOK, "on your list")
}

// What cannot be undone asks for a sign-in of the last five minutes: page visits go by the house.
func TestLeavingAsksAgain(t *testing.T) {
	w := start(t)
	alice := w.visitor(gatehousetest.Alice)
	alice.want(alice.visit("/account/leave"), http.StatusOK, "Leave Watchlist?")
	stale := alice.field
	w.house.Advance(6 * time.Minute)
	alice.want(alice.send("/account/leave"), http.StatusUnauthorized, "That took a while")
	p := alice.visit("/account/leave")
	if !strings.HasPrefix(p.at, w.house.Issuer()) || !strings.Contains(p.at, "max_age=300") {
		t.Errorf("the browser was led to %s", p.at)
	}
	alice.want(p, http.StatusOK, "Password")
	alice.client = w.house.SignIn(gatehousetest.Alice)
	alice.want(alice.visit("/account/leave"), http.StatusOK, "Leave Watchlist?")
	if alice.field == stale {
		t.Error("a new sign-in left the form as it was")
	}
	alice.want(alice.send("/account/leave"), http.StatusOK, "Everything you mean to watch")
}

// wire is the network between application and house. It loses answers: the house has done what it was
// asked, and the application never hears of it.
type wire struct {
	mu                   sync.Mutex
	lose, lost, renewals int
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || r.URL.Path != "/oauth/token" {
		return res, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.renewals++
	if w.lose == 0 {
		return res, nil
	}
	w.lose--
	w.lost++
	if w.lost%2 == 0 { // in the middle
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(res.Body, 40), iotest.ErrReader(io.ErrUnexpectedEOF)), res.Body}
		return res, nil
	}
	res.Body.Close()
	return nil, io.ErrUnexpectedEOF
}

// session is the name of the visitor's session.
func (v *visitor) session() string {
	v.Helper()
	home, err := url.Parse(v.url)
	if err != nil {
		v.Fatal(err)
	}
	for _, c := range v.client.Jar.Cookies(home) {
		if c.Name == "watchlist_session" {
			return c.Value
		}
	}
	v.Fatal("no session")
	return ""
}

// Two tabs, several requests at once, an access token that has run out, and an answer of the house that
// gets lost: the tokens are renewed once, and nobody loses the session, however long they rest then.
func TestThreat_TK07_AnswerLostOnTheWay(t *testing.T) {
	w := start(t)
	alice := w.visitor(gatehousetest.Alice)
	alice.want(alice.visit("/shows"), http.StatusOK, "Saltgrass Radio")
	session, before, rounds := alice.session(), w.wire.renewals, proof.Times(20, 1000)
	for round := range rounds {
		w.house.Advance(9*time.Minute + 55*time.Second) // a token has ten
		w.wire.lose = 1
		var all sync.WaitGroup
		statuses := make([]int, 6)
		for i := range statuses {
			all.Go(func() {
				res, err := alice.client.Get(w.url + "/shows")
				if err != nil {
					t.Error(err)
					return
				}
				_ = res.Body.Close()
				statuses[i] = res.StatusCode
			})
		}
		all.Wait()
		for _, status := range statuses {
			if status != http.StatusOK {
				t.Fatalf("round %d: %v", round, statuses)
			}
		}
	}
	if now := alice.session(); now != session {
		t.Error("she was signed in anew")
	}
	if renewals := w.wire.renewals - before; w.wire.lost != rounds || renewals != 2*rounds {
		t.Errorf("%d rounds, %d answers lost, the house was asked %d times", rounds, w.wire.lost, renewals)
	}
	t.Logf("go-oidc-server: %d rounds of 6 requests, %d answers lost on the way, 0 sessions lost", rounds, w.wire.lost)
}

// The house changes its signing keys while people use the application: somebody is signed in all along and has
// tokens renewed, somebody signs in anew before and after each change, and nobody notices.
func TestKeysChange(t *testing.T) {
	w := start(t)
	resident, changes, looks := w.visitor(gatehousetest.Alice), proof.Times(2, 25), 0
	resident.visit("/shows")
	session, before := resident.session(), w.wire.renewals
	look := func() {
		looks++
		for _, v := range []*visitor{resident, w.visitor(gatehousetest.Alice)} {
			v.want(v.visit("/shows"), http.StatusOK, "Saltgrass Radio", "Alice Archer")
		}
	}
	look()
	for range changes {
		w.house.RotateKeys()
		look()
		w.house.Advance(gatehousetest.KeyLead) // an access token has run out by then
		look()
	}
	if resident.session() != session {
		t.Error("she was signed in anew")
	}
	if renewals := w.wire.renewals - before - looks; renewals != changes {
		t.Errorf("her tokens were renewed %d times over %d changes", renewals, changes)
	}
	t.Logf("go-oidc-server: keys changed %d times: looked %d times, with %d calls of the API", changes, looks, 2*looks)
}

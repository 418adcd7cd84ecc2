package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const password = "correct horse battery"

// notebook is the application on a port of its own, with a clock that the test turns.
type notebook struct {
	*testing.T
	url string
	app *app

	mu  sync.Mutex
	now time.Time
}

func start(t *testing.T) *notebook {
	n := &notebook{T: t, now: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}
	db, err := openDatabase(filepath.Join(t.TempDir(), "notebook.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	server := httptest.NewUnstartedServer(nil)
	n.url = "http://" + server.Listener.Addr().String()
	a, err := newApp(context.Background(), options{
		BaseURL: n.url, Secret: strings.Repeat("s", 32), DB: db, HashCost: bcrypt.MinCost,
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, // so that a test can come from anywhere
		Clock:   n.clock, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	n.app = a
	server.Config.Handler = a.handler()
	server.Start()
	t.Cleanup(server.Close)
	return n
}

func (n *notebook) clock() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

func (n *notebook) pass(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = n.now.Add(d)
}

// visitor is a browser.
type visitor struct {
	*notebook
	client  *http.Client
	address string
}

type page struct {
	status int
	path   string // where the browser ended up
	body   string
	header http.Header
}

func (n *notebook) browser(address string) *visitor {
	jar, _ := cookiejar.New(nil)
	return &visitor{notebook: n, client: &http.Client{Jar: jar}, address: address}
}

// member is a browser whose person has just signed up.
func (n *notebook) member(name, address string) *visitor {
	n.Helper()
	b := n.browser(address)
	if p := b.send("/signup", url.Values{"name": {name}, "password": {password}}); p.path != "/" || !strings.Contains(p.body, "Welcome to your notebook, "+name) {
		n.Fatalf("sign-up of %s: %d %s", name, p.status, p.path)
	}
	return b
}

func (b *visitor) do(r *http.Request) page {
	b.Helper()
	r.Header.Set("X-Forwarded-For", b.address)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0")
	res, err := b.client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	return page{res.StatusCode, res.Request.URL.RequestURI(), string(body), res.Header}
}

func (b *visitor) get(path string) page {
	b.Helper()
	r, _ := http.NewRequest(http.MethodGet, b.url+path, nil)
	r.Header.Set("Accept", "text/html")
	return b.do(r)
}

// post sends a form, as the page from it would.
func (b *visitor) post(path string, form url.Values, header ...string) page {
	b.Helper()
	r, _ := http.NewRequest(http.MethodPost, b.url+path, strings.NewReader(form.Encode()))
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", b.url)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return b.do(r)
}

// send opens the page at path and sends its form.
func (b *visitor) send(path string, form url.Values) page {
	b.Helper()
	return b.post(path, with(form, b.get(path)))
}

func (b *visitor) signIn(name, password string) page {
	b.Helper()
	return b.send("/login", url.Values{"name": {name}, "password": {password}})
}

// with adds the token of a page's forms.
func with(form url.Values, from page) url.Values {
	all := url.Values{"csrf_token": {first(from.body, `name="csrf_token" value="([^"]+)"`)}}
	for name, values := range form {
		all[name] = values
	}
	return all
}

// first is what the first match of an expression has in its brackets, or nothing.
func first(text, expression string) string {
	if m := regexp.MustCompile(expression).FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

func (p page) want(t testing.TB, status int, path, text string) page {
	t.Helper()
	if p.status != status || p.path != path || !strings.Contains(p.body, text) {
		t.Errorf("%d at %s, want %d at %s with %q:\n%s", p.status, p.path, status, path, text, first(p.body, `(?s)<main id="main">\s*(.*)</main>`))
	}
	return p
}

func TestSignUpSignOutSignIn(t *testing.T) {
	n := start(t)
	ada := n.member("ada", "192.0.2.1")
	ada.post("/notes", with(url.Values{"text": {"<b>brass gears</b>"}}, ada.get("/"))).want(t, 200, "/", "&lt;b&gt;brass gears")

	ada.post("/logout", with(nil, ada.get("/"))).want(t, 200, "/", "You are signed out.")
	ada.get("/").want(t, 200, "/", "A notebook of your own")
	ada.get("/account").want(t, 200, "/login?returnTo=%2Faccount", "Sign in")

	ada.signIn("Ada", "wrong horse battery").want(t, 403, "/login", "Name or password is wrong.")
	ada.send("/login?returnTo=%2Faccount", url.Values{"name": {" ADA "}, "password": {password}}).want(t, 200, "/account", "Firefox on Linux")
	ada.post("/logout", with(nil, ada.get("/")))
	ada.send("/login?returnTo=https%3A%2F%2Fevil.example%2F", url.Values{"name": {"ada"}, "password": {password}}).want(t, 200, "/", "brass gears")

	n.browser("192.0.2.9").send("/signup", url.Values{"name": {"ADA"}, "password": {password}}).want(t, 422, "/signup", "Somebody has that name")
	n.browser("192.0.2.9").send("/signup", url.Values{"name": {"a b"}, "password": {password}}).want(t, 422, "/signup", "A name has")
	n.browser("192.0.2.9").send("/signup", url.Values{"name": {"bea"}, "password": {"short"}}).want(t, 422, "/signup", "A password has")
}

func TestRememberMeOutlivesTheBrowser(t *testing.T) {
	n := start(t)
	n.member("ada", "192.0.2.1")
	for _, tc := range []struct {
		remember url.Values
		lives    bool
		later    int // status of /account, eight days later
	}{
		{url.Values{}, false, http.StatusSeeOther},
		{url.Values{"remember": {"yes"}}, true, http.StatusOK},
	} {
		b := n.browser("192.0.2.2")
		b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		tc.remember.Set("name", "ada")
		tc.remember.Set("password", password)
		p := b.send("/login", tc.remember)
		if got := strings.Contains(p.header.Get("Set-Cookie"), "Max-Age="); got != tc.lives {
			t.Errorf("%v: the cookie outlives the browser: %v", tc.remember, got)
		}
		n.pass(8 * 24 * time.Hour)
		if p := b.get("/account"); p.status != tc.later {
			t.Errorf("%v: eight days later: %d, want %d", tc.remember, p.status, tc.later)
		}
	}
}

func TestTheSixthGuessIsRefused(t *testing.T) {
	t.Run("from one address", func(t *testing.T) {
		n := start(t)
		n.member("ada", "192.0.2.1")
		thief := n.browser("198.51.100.7")
		for i := range 5 {
			thief.signIn("ada"+string(rune('a'+i)), "a guess").want(t, 403, "/login", "wrong")
		}
		p := thief.signIn("ada", password).want(t, 429, "/login", "Too many attempts. Try again in 3 minutes.")
		if p.header.Get("Retry-After") != "180" {
			t.Errorf("Retry-After: %q", p.header.Get("Retry-After"))
		}
		n.browser("192.0.2.1").signIn("ada", password).want(t, 200, "/", "Notes") // others are not held up
		n.pass(3 * time.Minute)
		thief.signIn("ada", password).want(t, 200, "/", "Notes")
	})
	t.Run("at one account", func(t *testing.T) {
		n := start(t)
		n.member("ada", "192.0.2.1")
		for i := range 5 {
			n.browser("198.51.100."+string(rune('1'+i))).signIn("aDa", "a guess").want(t, 403, "/login", "wrong")
		}
		n.browser("198.51.100.6").signIn("ada", password).want(t, 429, "/login", "Too many attempts")
	})
	t.Run("right ones do not count", func(t *testing.T) {
		n := start(t)
		n.member("ada", "192.0.2.1")
		for range 8 {
			n.browser("192.0.2.1").signIn("ada", password).want(t, 200, "/", "Notes")
		}
	})
	t.Run("also where the password is asked for again", func(t *testing.T) {
		n := start(t)
		ada := n.member("ada", "192.0.2.1")
		for range 5 {
			ada.send("/login?max_age=300", url.Values{"password": {"a guess"}}).want(t, 403, "/login?max_age=300", "wrong")
		}
		ada.send("/login?max_age=300", url.Values{"password": {password}}).want(t, 429, "/login?max_age=300", "Too many")
	})
}

func TestForgedFormsChangeNothing(t *testing.T) {
	n := start(t)
	ada := n.member("ada", "192.0.2.1")
	own := with(url.Values{"text": {"forged"}}, ada.get("/"))
	theirs := with(url.Values{"text": {"forged"}}, n.member("mallory", "192.0.2.2").get("/"))
	for what, p := range map[string]page{
		"without a token":            ada.post("/notes", url.Values{"text": {"forged"}}),
		"with another's token":       ada.post("/notes", theirs),
		"from another origin":        ada.post("/notes", own, "Origin", "https://evil.example"),
		"from another site":          ada.post("/notes", own, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"),
		"from nowhere":               ada.post("/notes", own, "Origin", "null"),
		"signing somebody else in":   n.browser("192.0.2.3").post("/login", url.Values{"name": {"ada"}, "password": {password}}),
		"signing up from evil sites": n.browser("192.0.2.3").post("/signup", own, "Origin", "https://evil.example"),
	} {
		if p.status != http.StatusForbidden || !strings.Contains(p.body, "Nothing was changed") {
			t.Errorf("%s: %d %s", what, p.status, p.body)
		}
	}
	if strings.Contains(ada.get("/").body, "forged") {
		t.Error("a forged note was written down")
	}
	ada.post("/notes", own).want(t, 200, "/", "forged") // its own form still works
}

func TestAdministration(t *testing.T) {
	n := start(t)
	ada, bob := n.member("ada", "192.0.2.1"), n.member("bob", "192.0.2.2")
	ada.get("/").want(t, 200, "/", `href="/admin"`)
	list := ada.get("/admin").want(t, 200, "/admin", "bob")
	bob.get("/admin").want(t, 403, "/admin", "This page is not for you")
	id := first(list.body, `name="id" value="([^"]+)"`)
	bob.post("/admin/lock", with(url.Values{"id": {id}}, bob.get("/"))).want(t, 403, "/admin/lock", "not for you")

	_, key := bob.newKey("job")
	bob.program(key).want(t, 200, "/api/notes", `"notes":[]`)
	ada.post("/admin/lock", with(url.Values{"id": {id}, "lock": {"yes"}}, list)).want(t, 200, "/admin", "locked out")
	bob.get("/").want(t, 200, "/", "A notebook of your own") // at once
	bob.signIn("bob", password).want(t, 403, "/login", "wrong")
	bob.program(key).want(t, 401, "/api/notes", "invalid_token")

	ada.post("/admin/lock", with(url.Values{"id": {id}}, list)).want(t, 200, "/admin", "Lock out")
	bob.signIn("bob", password).want(t, 200, "/", "Notes")

	// A key that was made while its owner was being locked out opens nothing either.
	_, key = bob.newKey("late")
	if err := n.app.people.setLocked(t.Context(), id, true); err != nil {
		t.Fatal(err)
	}
	bob.program(key).want(t, 403, "/api/notes", "access_denied")

	// A role that is taken away is gone at the next request.
	if _, err := n.app.people.db.ExecContext(t.Context(), `UPDATE people SET role = ''`); err != nil {
		t.Fatal(err)
	}
	ada.get("/admin").want(t, 403, "/admin", "This page is not for you")
}

func TestWhatCannotBeUndoneAsksForThePassword(t *testing.T) {
	n := start(t)
	ada := n.member("ada", "192.0.2.1")
	ada.get("/account/delete").want(t, 200, "/account/delete", "Delete the notebook?") // just signed up

	n.pass(6 * time.Minute)
	ada.get("/account").want(t, 200, "/account", "Firefox") // what is harmless goes on
	const confirm = "/login?max_age=300&returnTo=%2Faccount%2Fdelete"
	form := ada.get("/account/delete").want(t, 200, confirm, "Is it you?")
	ada.post("/account/delete", with(nil, form)).want(t, 401, "/account/delete", "That took a while")
	ada.post(confirm, with(url.Values{"password": {"a guess"}}, form)).want(t, 403, confirm, "wrong")
	// Whose password it is, is not the form's to say.
	n.member("mallory", "192.0.2.2")
	ada.post(confirm, with(url.Values{"name": {"mallory"}, "password": {"mallory's password"}}, form)).want(t, 403, confirm, "wrong")
	asked := ada.post(confirm, with(url.Values{"password": {password}}, form)).want(t, 200, "/account/delete", "Delete the notebook?")

	ada.post("/account/delete", with(nil, asked)).want(t, 200, "/", "Your account is deleted")
	ada.signIn("ada", password).want(t, 403, "/login", "wrong")
}

func TestTabsInParallel(t *testing.T) {
	n := start(t)
	n.member("ada", "192.0.2.1")

	// Two tabs show the form; the one that comes second is signed in already, and goes on.
	b := n.browser("192.0.2.1")
	one, two := b.get("/login?returnTo=%2Fkeys"), b.get("/login?returnTo=%2Faccount")
	b.post(one.path, with(url.Values{"name": {"ada"}, "password": {password}}, one)).want(t, 200, "/keys", "API keys")
	b.post(two.path, with(url.Values{"name": {"ada"}, "password": {password}}, two)).want(t, 200, "/account", "Firefox")

	// Ten tabs write at once, each leaving a message besides: nothing is lost.
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	home := b.get("/")
	id := first(home.body, `name="id" value="([^"]+)"`)
	var tabs sync.WaitGroup
	for i := range 10 {
		tabs.Go(func() {
			b.post("/notes", with(url.Values{"text": {"note " + string(rune('a'+i))}}, home))
			b.post("/notes/delete", with(url.Values{"id": {id}}, home))
		})
	}
	tabs.Wait()
	after := b.get("/").want(t, 200, "/", "Sign out")
	if notes, flashes := strings.Count(after.body, `class="text"`), strings.Count(after.body, `class="flash"`); notes != 10 || flashes != 10 {
		t.Errorf("%d notes and %d messages, want 10 of each", notes, flashes)
	}
	if strings.Contains(b.get("/").body, `class="flash"`) {
		t.Error("a message is shown twice")
	}
}

func TestEndingOtherSessions(t *testing.T) {
	n := start(t)
	laptop, phone, library := n.member("ada", "192.0.2.1"), n.browser("192.0.2.2"), n.browser("192.0.2.3")
	phone.signIn("ada", password)
	library.signIn("ada", password)

	list := laptop.get("/account")
	if got := strings.Count(list.body, "Firefox on Linux</strong>") + strings.Count(list.body, "this browser"); got != 3 {
		t.Errorf("%d sessions, want 3", got)
	}
	// Somebody else cannot end them, whatever id they send.
	id := first(list.body, `name="id" value="([^"]+)"`)
	mallory := n.member("mallory", "192.0.2.4")
	mallory.post("/account/end", with(url.Values{"id": {id}}, mallory.get("/")))
	phone.get("/").want(t, 200, "/", "Notes")
	library.get("/").want(t, 200, "/", "Notes")

	laptop.post("/account/end", with(url.Values{"id": {id}}, list)).want(t, 200, "/account", "That browser is signed out.")
	signedIn := 0
	for _, b := range []*visitor{phone, library} {
		if strings.Contains(b.get("/").body, "Sign out") {
			signedIn++
		}
	}
	if signedIn != 1 {
		t.Errorf("%d of the two others are signed in, want 1", signedIn)
	}
	laptop.post("/account/end-others", with(nil, laptop.get("/account"))).want(t, 200, "/account", "One other browser is signed out.")
	phone.get("/").want(t, 200, "/", "A notebook of your own")
	library.get("/").want(t, 200, "/", "A notebook of your own")

	phone.signIn("ada", password)
	changed := laptop.send("/account/password", url.Values{"password": {"a better password"}})
	changed.want(t, 200, "/account", "One other browser is signed out.")
	phone.get("/").want(t, 200, "/", "A notebook of your own")
	phone.signIn("ada", password).want(t, 403, "/login", "wrong")
	phone.signIn("ada", "a better password").want(t, 200, "/", "Notes")
}

// newKey issues a key and returns the page of keys, and the key.
func (b *visitor) newKey(name string) (page, string) {
	b.Helper()
	p := b.send("/keys/new", url.Values{"name": {name}}).want(b, 200, "/keys/new", "Copy it now.")
	return b.get("/keys"), first(p.body, `(sk_live_\w+)`)
}

// program asks for the notes as a program does: no cookies, a key.
func (b *visitor) program(key string) page {
	b.Helper()
	r, _ := http.NewRequest(http.MethodGet, b.url+"/api/notes", nil)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return b.notebook.browser("203.0.113.5").do(r)
}

func TestAPIKeys(t *testing.T) {
	n := start(t)
	ada := n.member("ada", "192.0.2.1")
	ada.post("/notes", with(url.Values{"text": {"brass gears"}}, ada.get("/")))
	list, key := ada.newKey("The e-reader")
	if strings.Contains(list.body, key) || !strings.Contains(list.body, "sk_live_…"+key[len(key)-4:]) {
		t.Error("the list shows the key, or not its end")
	}

	var got struct{ Notes []note }
	if err := json.Unmarshal([]byte(ada.program(key).want(t, 200, "/api/notes", "").body), &got); err != nil || len(got.Notes) != 1 || got.Notes[0].Text != "brass gears" {
		t.Errorf("notes: %v %v", got, err)
	}
	ada.get("/api/notes").want(t, 200, "/api/notes", "brass gears") // the session is as good
	if p := n.browser("203.0.113.5").program(""); p.status != 401 || len(p.header.Values("WWW-Authenticate")) != 2 {
		t.Errorf("without anything: %d %q", p.status, p.header.Values("WWW-Authenticate"))
	}
	ada.program(key[:len(key)-1]+"0").want(t, 401, "/api/notes", "invalid_token")
	if p := ada.get("/api/notes?key=" + key); p.status != 400 {
		t.Errorf("a key in the address: %d", p.status)
	}

	// A key opens the one route and no page.
	r, _ := http.NewRequest(http.MethodGet, n.url+"/account", nil)
	r.Header.Set("X-API-Key", key)
	if p := n.browser("203.0.113.5").do(r); p.status != 401 {
		t.Errorf("/account by key: %d", p.status)
	}

	id := first(list.body, `name="id" value="([^"]+)"`)
	mallory := n.member("mallory", "192.0.2.2")
	mallory.post("/keys/revoke", with(url.Values{"id": {id}}, mallory.get("/"))).want(t, 404, "/keys/revoke", "nothing here")
	ada.program(key).want(t, 200, "/api/notes", "")
	ada.post("/keys/revoke", with(url.Values{"id": {id}}, list)).want(t, 200, "/keys", "works no more")
	ada.program(key).want(t, 401, "/api/notes", "invalid_token")

	n.pass(6 * time.Minute)
	ada.get("/keys/new").want(t, 200, "/login?max_age=300&returnTo=%2Fkeys%2Fnew", "Is it you?")
}

// A key does not outlive its account.
func TestDeletingTheAccountEndsItsKeys(t *testing.T) {
	n := start(t)
	ada, phone := n.member("ada", "192.0.2.1"), n.browser("192.0.2.2")
	phone.signIn("ada", password)
	_, key := ada.newKey("job")
	ada.send("/account/delete", nil).want(t, 200, "/", "Your account is deleted")
	ada.program(key).want(t, 401, "/api/notes", "invalid_token")
	phone.get("/").want(t, 200, "/", "A notebook of your own")
	// Whoever takes the name next gets an empty notebook.
	n.member("ada", "192.0.2.3").get("/").want(t, 200, "/", "The first page is empty.")
}

func TestPagesBringNothingForeignAlong(t *testing.T) {
	n := start(t)
	for _, path := range []string{"/", "/login", "/signup", "/nothing", "/style.css"} {
		p := n.browser("192.0.2.1").get(path)
		if csp := p.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: %q", path, csp)
		}
		if strings.Contains(p.body, "<script") || strings.Contains(p.body, " style=") {
			t.Errorf("%s has a script or a style that its policy forbids", path)
		}
	}
	if p := n.browser("192.0.2.1").get("/"); p.header.Get("Set-Cookie") != "" {
		t.Errorf("a stranger gets a cookie: %q", p.header.Get("Set-Cookie"))
	}
}

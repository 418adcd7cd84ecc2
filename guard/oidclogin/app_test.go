package oidclogin_test

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/session"

	_ "modernc.org/sqlite"
)

const secret = "a-secret-for-tests-a-secret-for-tests"

// app is an application that signs people in at a test issuer, and the log it
// wrote.
type app struct {
	issuer *testissuer.Issuer
	login  *oidclogin.Login
	mux    *http.ServeMux
	server *httptest.Server
	clock  *testclock.Clock
	log    *syncBuffer
	store  session.Store // nil for cookies
}

// newApp starts an application over http, or over https if tls. change sets
// further options.
func newApp(t testing.TB, tls bool, change func(*oidclogin.Options)) *app {
	t.Helper()
	clock := testclock.New()
	issuer := testissuer.New(t)
	issuer.Now = clock.Now
	return newAppAt(t, issuer, clock, tls, change)
}

func newAppAt(t testing.TB, issuer *testissuer.Issuer, clock *testclock.Clock, tls bool, change func(*oidclogin.Options)) *app {
	t.Helper()
	a := &app{issuer: issuer, clock: clock, log: &syncBuffer{}}
	mux := http.NewServeMux()
	a.server = httptest.NewUnstartedServer(mux)
	base := "http://" + a.server.Listener.Addr().String()
	if tls {
		a.server.StartTLS()
		base = a.server.URL
	} else {
		a.server.Start()
	}
	t.Cleanup(a.server.Close)
	o := oidclogin.Options{
		Issuer: issuer.URL, ClientID: testissuer.ClientID, ClientSecret: testissuer.ClientSecret, BaseURL: base, Secrets: []string{secret},
		Clock: clock.Now, Logger: slog.New(slog.NewTextHandler(a.log, nil)),
	}
	if change != nil {
		change(&o)
	}
	var err error
	if a.login, err = oidclogin.New(o); err != nil {
		t.Fatal(err)
	}
	mux.Handle("/auth/", a.login)
	mux.Handle("/", guard.Require(a.login)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := guard.From(r.Context())
		_, _ = io.WriteString(w, "hello "+p.Subject+" at "+r.URL.RequestURI())
	})))
	mux.Handle("/token", guard.Optional(a.login)(http.HandlerFunc(accessToken)))
	mux.Handle("/tokens", guard.Optional(a.login)(http.HandlerFunc(tokens)))
	mux.Handle("/refresh", guard.Optional(a.login)(http.HandlerFunc(refresh)))
	a.store, a.mux = o.Store, mux
	return a
}

// accessToken answers with the token of the sign-in.
func accessToken(w http.ResponseWriter, r *http.Request) {
	token, err := oidclogin.AccessToken(r.Context(), "")
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	_, _ = io.WriteString(w, token.AccessToken)
}

// request is one with the browser's cookies, not sent yet.
func (a *app) request(b *browser) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range b.cookies("") {
		r.AddCookie(c)
	}
	return r
}

// session is the browser's, as a handler would see it.
func (a *app) session(t testing.TB, b *browser) *oidclogin.Session {
	t.Helper()
	res, err := a.login.Authenticate(a.request(b))
	if err != nil || res.Principal == nil {
		t.Fatalf("nobody is signed in: %v", err)
	}
	return res.Principal.Credential.(*oidclogin.Session)
}

// browser is a client with cookies that remembers where it was.
type browser struct {
	t       testing.TB
	a       *app
	client  *http.Client
	visited []string
}

func (a *app) browser(t testing.TB) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, a: a}
	b.client = &http.Client{Jar: jar, Transport: a.server.Client().Transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		b.visited = append(b.visited, r.URL.String())
		if len(via) > 10 {
			t.Fatal("redirected round and round")
		}
		return nil
	}}
	return b
}

// page is what a browser got.
type page struct {
	*http.Response
	body string
}

// visit goes to a page as browsers do.
func (b *browser) visit(address string) page {
	b.t.Helper()
	return b.send(http.MethodGet, address, nil, "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none")
}

// fetch asks as scripts do.
func (b *browser) fetch(address string) page {
	b.t.Helper()
	return b.send(http.MethodGet, address, nil, "Accept", "*/*", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin")
}

func (b *browser) send(method, address string, form url.Values, header ...string) page {
	b.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.a.server.URL + address
	}
	b.visited = append(b.visited, address)
	req, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{res, string(body)}
}

// stop makes the browser halt before the callback and returns its address.
func (b *browser) stopAtCallback(start string) string {
	b.t.Helper()
	follow := b.client.CheckRedirect
	defer func() { b.client.CheckRedirect = follow }()
	callback := ""
	b.client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/callback") {
			callback = r.URL.String()
			return http.ErrUseLastResponse
		}
		return follow(r, via)
	}
	b.visit(start)
	if callback == "" {
		b.t.Fatal("never sent to the callback")
	}
	return callback
}

func (b *browser) signIn() {
	b.t.Helper()
	if p := b.visit("/auth/login"); p.StatusCode != http.StatusOK {
		b.t.Fatalf("sign-in: %d %s\n%s", p.StatusCode, p.body, b.a.log)
	}
	if !b.signedIn() {
		b.t.Fatal("not signed in")
	}
}

func (b *browser) signedIn() bool {
	b.t.Helper()
	switch p := b.fetch("/auth/me"); p.StatusCode {
	case http.StatusOK:
		return true
	case http.StatusUnauthorized:
		return false
	default:
		b.t.Fatalf("me: %d %s", p.StatusCode, p.body)
		return false
	}
}

// cookies returns the application's cookies with this in their name.
func (b *browser) cookies(part string) (found []*http.Cookie) {
	u, _ := url.Parse(b.a.server.URL)
	for _, c := range b.client.Jar.Cookies(u) {
		if strings.Contains(c.Name, part) {
			found = append(found, c)
		}
	}
	return found
}

func (b *browser) setCookie(name, value string) {
	u, _ := url.Parse(b.a.server.URL)
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: u.Scheme == "https"}})
}

// stores are the places a session may be kept in.
func stores(t *testing.T, test func(t *testing.T, change func(*oidclogin.Options))) {
	t.Run("cookie", func(t *testing.T) { test(t, func(*oidclogin.Options) {}) })
	t.Run("memory", func(t *testing.T) {
		test(t, func(o *oidclogin.Options) { o.Store = session.NewMemoryStoreClock(o.Clock) })
	})
	t.Run("sql", func(t *testing.T) {
		test(t, func(o *oidclogin.Options) {
			db, err := sql.Open("sqlite", "file:"+t.TempDir()+"/sessions.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			store, err := session.NewSQLStore(db, secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.CreateTable(t.Context()); err != nil {
				t.Fatal(err)
			}
			o.Store = store.WithClock(o.Clock)
		})
	})
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func rand32() string { return rand.Text() + rand.Text() }

func read(t testing.TB, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

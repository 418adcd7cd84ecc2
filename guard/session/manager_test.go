//go:build unix

package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/guard/session/sessiontest"
)

// Values of the application under test.
const (
	cart        session.Key[[]string] = "cart"
	secretThing session.Key[string]   = "secret"
	notice      session.Key[string]   = "notice"
	visits      session.Key[int]      = "visits"
)

// app is an application with its own users, on a real server.
type app struct {
	t       *testing.T
	clock   *testclock.Clock
	store   session.Store
	manager *session.Manager
	server  *httptest.Server
	mux     *http.ServeMux
}

// stores runs the test with each store of this package.
func stores(t *testing.T, test func(t *testing.T, open func(*testclock.Clock) session.Store, stateless bool)) {
	t.Run("memory", func(t *testing.T) {
		test(t, func(c *testclock.Clock) session.Store { return session.NewMemoryStoreClock(c.Now) }, false)
	})
	t.Run("sqlite", func(t *testing.T) {
		test(t, func(c *testclock.Clock) session.Store { return newSQLStore(t, openSQLite(t)).WithClock(c.Now) }, false)
	})
	t.Run("postgres", func(t *testing.T) {
		db := openPostgreSQL(t)
		test(t, func(c *testclock.Clock) session.Store { return newSQLStore(t, db).WithClock(c.Now) }, false)
	})
	t.Run("cookie", func(t *testing.T) {
		test(t, func(c *testclock.Clock) session.Store {
			s, err := session.NewCookieStore(secret)
			if err != nil {
				t.Fatal(err)
			}
			return s.WithClock(c.Now)
		}, true)
	})
}

func newApp(t *testing.T, open func(*testclock.Clock) session.Store, spoil func(*session.Options)) *app {
	t.Helper()
	a := &app{t: t, clock: testclock.New(), mux: http.NewServeMux()}
	a.store = open(a.clock)
	o := session.Options{
		BaseURL: "http://127.0.0.1", Store: a.store, LoginPath: "/login", Keep: []string{"cart"},
		Clock: a.clock.Now, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if spoil != nil {
		spoil(&o)
	}
	var err error
	if a.manager, err = session.New(o); err != nil {
		t.Fatal(err)
	}
	a.server = httptest.NewServer(a.manager.Middleware(a.mux))
	t.Cleanup(a.server.Close)

	a.handle("/", func(context.Context, *session.Session, url.Values) (string, error) { return "home", nil })
	a.handle("/login", func(ctx context.Context, s *session.Session, q url.Values) (string, error) {
		return "", s.SignIn(ctx, session.Identity{
			Subject: q.Get("as"), Remember: q.Get("remember") != "", Label: q.Get("label"), AMR: []string{"pwd"}, ACR: "1",
			Roles: []string{"editor"}, Permissions: []string{"write"}, Scopes: []string{"read"}, Organization: "org", Issuer: "https://id.example/", SessionID: q.Get("sid"),
		})
	})
	a.handle("/logout", func(ctx context.Context, s *session.Session, _ url.Values) (string, error) { return "", s.SignOut(ctx) })
	a.handle("/again", func(ctx context.Context, s *session.Session, _ url.Values) (string, error) {
		return "", s.Reauthenticate(ctx, "2", "otp")
	})
	a.handle("/put", func(ctx context.Context, _ *session.Session, q url.Values) (string, error) {
		if q.Has("cart") {
			return "", cart.Update(ctx, func(items []string) ([]string, error) { return append(items, q.Get("cart")), nil })
		}
		return "", secretThing.Put(ctx, q.Get("secret"))
	})
	a.handle("/show", func(ctx context.Context, s *session.Session, _ url.Values) (string, error) {
		items, _ := cart.Get(ctx)
		thing, _ := secretThing.Get(ctx)
		who := "nobody"
		if p := s.Principal(); p != nil {
			who = p.Subject
		}
		return fmt.Sprint(who, " ", items, " ", thing), nil
	})
	a.handle("/visit", func(ctx context.Context, _ *session.Session, _ url.Values) (string, error) {
		return "", visits.Update(ctx, func(n int) (int, error) { return n + 1, nil })
	})
	a.handle("/visits", func(ctx context.Context, _ *session.Session, _ url.Values) (string, error) {
		n, ok := visits.Get(ctx)
		return fmt.Sprintf("%d%v", n, ok), nil
	})
	a.handle("/notice", func(ctx context.Context, _ *session.Session, q url.Values) (string, error) {
		if q.Has("put") {
			return "", notice.Put(ctx, q.Get("put"))
		}
		text, ok, err := notice.Take(ctx)
		return fmt.Sprint(text, ok), err
	})
	a.mux.Handle("/mine", guard.Require(a.manager)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := guard.From(r.Context())
		fmt.Fprintf(w, "%s %s %v %v %v %v %s %s %s %d", p.Kind, p.Subject, p.Roles, p.Permissions, p.Scopes, p.AMR, p.ACR, p.Organization, p.Method, p.AuthTime.Unix())
	})))
	return a
}

// handle serves fn: 500 with an error, its text otherwise.
func (a *app) handle(path string, fn func(context.Context, *session.Session, url.Values) (string, error)) {
	a.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		s, ok := session.FromContext(r.Context())
		if !ok {
			a.t.Error("no session behind the middleware")
		}
		text, err := fn(r.Context(), s, r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, text)
	})
}

// browser keeps cookies.
type browser struct {
	*app
	client *http.Client
	jar    *cookiejar.Jar
}

func (a *app) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	return &browser{a, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, jar}
}

func (b *browser) get(path string, header ...string) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodGet, b.server.URL+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(body)
}

func (b *browser) want(path, text string) {
	b.t.Helper()
	if res, body := b.get(path); res.StatusCode != http.StatusOK || body != text {
		b.t.Errorf("%s: %d %q, want %q", path, res.StatusCode, body, text)
	}
}

func (b *browser) status(path string, want int) {
	b.t.Helper()
	if res, body := b.get(path); res.StatusCode != want {
		b.t.Errorf("%s: %d %q, want %d", path, res.StatusCode, body, want)
	}
}

// cookie returns the value of the session's cookie.
func (b *browser) cookie() string {
	u, _ := url.Parse(b.server.URL)
	var parts []string
	for _, c := range b.jar.Cookies(u) {
		parts = append(parts, c.Name+"="+c.Value)
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// with is a browser that holds this cookie.
func (a *app) with(cookie string) *browser {
	b := a.browser()
	u, _ := url.Parse(a.server.URL)
	for pair := range strings.SplitSeq(cookie, "; ") {
		name, value, _ := strings.Cut(pair, "=")
		b.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
	}
	return b
}

func TestSignInAndOut(t *testing.T) {
	stores(t, func(t *testing.T, open func(*testclock.Clock) session.Store, stateless bool) {
		a := newApp(t, open, nil)
		b := a.browser()
		b.want("/show", "nobody [] ")
		if b.cookie() != "" {
			t.Error("a stranger has a cookie")
		}
		b.status("/mine", http.StatusUnauthorized)
		b.status("/login?as=alice", http.StatusOK)
		b.want("/mine", fmt.Sprintf("user alice [editor] [write] [read] [pwd] 1 org session %d", a.clock.Now().Unix()))
		b.want("/show", "alice [] ")
		copied := b.cookie()
		b.status("/logout", http.StatusOK)
		if b.cookie() != "" {
			t.Errorf("the cookie stays: %s", b.cookie())
		}
		b.status("/mine", http.StatusUnauthorized)
		if !stateless {
			a.with(copied).status("/mine", http.StatusUnauthorized)
		}
		b.status("/logout", http.StatusOK)
	})
}

func TestThreat_BR01_SignInGivesANewID(t *testing.T) {
	stores(t, func(t *testing.T, open func(*testclock.Clock) session.Store, stateless bool) {
		a := newApp(t, open, nil)
		victim := a.browser()
		victim.status("/put?cart=tea", http.StatusOK)
		victim.status("/put?secret=planted", http.StatusOK)
		planted := victim.cookie()
		if planted == "" {
			t.Fatal("nothing to plant")
		}
		victim.status("/login?as=alice", http.StatusOK)
		victim.want("/show", "alice [tea] ") // what Keep names, and nothing else
		first := victim.cookie()
		if first == planted {
			t.Error("the id of before signing in is the id of after")
		}
		a.with(planted).status("/mine", http.StatusUnauthorized)
		if !stateless {
			a.with(planted).want("/show", "nobody [] ")
		}

		victim.status("/again", http.StatusOK)
		second := victim.cookie()
		if second == first {
			t.Error("the id survives a step up")
		}
		if !stateless {
			a.with(first).status("/mine", http.StatusUnauthorized)
		}
		victim.want("/mine", fmt.Sprintf("user alice [editor] [write] [read] [pwd otp] 2 org session %d", a.clock.Now().Unix()))
		victim.want("/show", "alice [tea] ")

		victim.status("/login?as=bob", http.StatusOK)
		if !stateless {
			a.with(second).status("/mine", http.StatusUnauthorized)
		}
		victim.want("/show", "bob [tea] ")
	})
}

// failingDelete cannot end sessions.
type failingDelete struct{ session.Store }

func (failingDelete) Delete(context.Context, string, string) error { return errors.New("disk on fire") }

// When the old id cannot be killed nobody is signed in.
func TestThreat_BR01_NoSignInBesideALiveOldID(t *testing.T) {
	a := newApp(t, func(c *testclock.Clock) session.Store { return failingDelete{session.NewMemoryStoreClock(c.Now)} }, nil)
	b := a.browser()
	b.status("/put?cart=tea", http.StatusOK)
	b.status("/login?as=alice", http.StatusInternalServerError)
	b.status("/mine", http.StatusUnauthorized)
}

func TestThreat_BR02_Cookie(t *testing.T) {
	tests := []struct {
		base, name string
		want       string
	}{
		{"https://app.example", "", "__Host-session=1…; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{"https://app.example", "sid", "__Host-sid=1…; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{"http://localhost:3000", "", "session=1…; Path=/; HttpOnly; SameSite=Lax"},
	}
	for _, test := range tests {
		m, err := session.New(session.Options{BaseURL: test.base, CookieName: test.name, Store: session.NewMemoryStore()})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, _ := session.FromContext(r.Context())
			if err := s.SignIn(r.Context(), session.Identity{Subject: "alice"}); err != nil {
				t.Error(err)
			}
			w.Header().Set("Cache-Control", "public, max-age=600")
			w.WriteHeader(http.StatusNotFound)
		})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		line := w.Header().Get("Set-Cookie")
		from, to := strings.IndexByte(line, '=')+2, strings.IndexByte(line, ';')
		if got := line[:from] + "…" + line[to:]; got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
}

// A neighbouring host can plant a cookie beside ours: of two, neither counts.
func TestThreat_BR02_DuplicatesAreIgnoredAndCleared(t *testing.T) {
	a := newApp(t, func(c *testclock.Clock) session.Store { return session.NewMemoryStoreClock(c.Now) }, nil)
	b := a.browser()
	b.status("/login?as=alice", http.StatusOK)
	thief := a.browser()
	thief.status("/login?as=mallory", http.StatusOK)
	for _, header := range []string{b.cookie() + "; " + thief.cookie(), thief.cookie() + "; " + b.cookie(), b.cookie() + "; " + b.cookie()} {
		res, body := a.browser().get("/show", "Cookie", header, "Sec-Fetch-Mode", "cors")
		if body != "nobody [] " || !strings.Contains(res.Header.Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("%s: %q, %v", header, body, res.Header)
		}
	}
}

// Names are compared byte by byte: whatever a browser or a library would take for
// the same name is another cookie.
func TestThreat_BR03_OtherSpellingsAreOtherCookies(t *testing.T) {
	store := session.NewMemoryStore()
	m, err := session.New(session.Options{BaseURL: "https://app.example", Store: store})
	if err != nil {
		t.Fatal(err)
	}
	serve := func(cookie, path string) (*httptest.ResponseRecorder, string) {
		who := "nobody"
		r := httptest.NewRequest(http.MethodGet, path, nil)
		if cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		w := httptest.NewRecorder()
		m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s, _ := session.FromContext(r.Context())
			if path == "/login" {
				if err := s.SignIn(r.Context(), session.Identity{Subject: "alice"}); err != nil {
					t.Error(err)
				}
			}
			if p, ok := guard.From(r.Context()); ok {
				who = p.Subject
			}
		})).ServeHTTP(w, r)
		return w, who
	}
	w, _ := serve("", "/login")
	pair, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	_, value, _ := strings.Cut(pair, "=")
	if _, who := serve(pair, "/"); who != "alice" {
		t.Fatalf("the right cookie is %s", who)
	}
	for _, cookie := range []string{
		"\u2000__Host-session=" + value, "\u00a0__Host-session=" + value, "\x85__Host-session=" + value, "__host-session=" + value, "__HOST-SESSION=" + value,
		"session=" + value, "__Secure-session=" + value, "$Version=1; __Host-session\u2003=" + value, "=__Host-session=" + value, "=" + pair,
		`__Host-session="` + value, "__Host-session%3d" + value, "__Host-session_1=" + value, "x; =__Host-session; y=" + value,
	} {
		if _, who := serve(cookie, "/"); who != "nobody" {
			t.Errorf("%q is %s", cookie, who)
		}
	}
}

func TestThreat_BR09_SizeIsNamedAndNothingIsLost(t *testing.T) {
	a := newApp(t, func(c *testclock.Clock) session.Store {
		s, err := session.NewCookieStore(secret)
		if err != nil {
			t.Fatal(err)
		}
		return s.WithClock(c.Now)
	}, nil)
	b := a.browser()
	b.status("/login?as=alice", http.StatusOK)
	b.status("/put?secret="+strings.Repeat("x", 4000), http.StatusOK) // two cookies
	if parts := strings.Count(b.cookie(), "="); parts != 2 {
		t.Errorf("%d cookies", parts)
	}
	for range 3 {
		res, body := b.get("/put?cart=" + strings.Repeat("y", 2000))
		if res.StatusCode != http.StatusInternalServerError || !strings.Contains(body, "6999") || len(res.Header["Set-Cookie"]) != 0 {
			t.Errorf("%d %q %v", res.StatusCode, body, res.Header)
		}
	}
	b.want("/show", "alice [] "+strings.Repeat("x", 4000))
	var tooLarge *session.TooLargeError
	_, err := a.store.Create(t.Context(), session.Record{App: "app", Data: make([]byte, 6000), Expires: a.clock.Now().Add(time.Hour)})
	if !errors.As(err, &tooLarge) || tooLarge.Size <= tooLarge.Max {
		t.Errorf("%v", err)
	}
}

// A cookie that was copied, and then signed out, ends by its limits at least.
func TestThreat_BR09_CookieSessionsExpire(t *testing.T) {
	each(t, func(t *testing.T, suite sessiontest.Suite) {
		if suite.Stateless {
			suite.Expiry(t)
		}
	})
	a := newApp(t, func(c *testclock.Clock) session.Store {
		s, err := session.NewCookieStore(secret)
		if err != nil {
			t.Fatal(err)
		}
		return s.WithClock(c.Now)
	}, nil)
	b := a.browser()
	b.status("/login?as=alice", http.StatusOK)
	copied := b.cookie()
	a.clock.Advance(24 * time.Hour)
	a.with(copied).status("/mine", http.StatusUnauthorized)
}

// A value sealed or stored for one purpose is nothing for another: a session of
// another application, a record that is no session of a Manager, a session nobody
// has signed in to.
func TestThreat_BR10_OtherSessionsAreNobody(t *testing.T) {
	stores(t, func(t *testing.T, open func(*testclock.Clock) session.Store, _ bool) {
		a := newApp(t, open, nil)
		b := a.browser()
		b.status("/put?cart=tea", http.StatusOK)
		b.status("/mine", http.StatusUnauthorized)
		b.status("/login?as=alice", http.StatusOK)
		others := []func(*session.Options){
			func(o *session.Options) { o.BaseURL = "http://127.0.0.1:8080" },
			func(o *session.Options) { o.CookieName = "other" },
		}
		for i, other := range others {
			o := session.Options{BaseURL: "http://127.0.0.1", Store: a.store, Clock: a.clock.Now}
			other(&o)
			m, err := session.New(o)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Cookie", b.cookie()+"; "+strings.Replace(b.cookie(), "session", "other", 1))
			if res, err := m.Authenticate(r); err != nil || res.Principal != nil {
				t.Errorf("application %d takes another's session: %+v, %v", i, res.Principal, err)
			}
		}
		for _, data := range []string{"", "{}", "null", "[]", `"alice"`, `{"id":{"sub":"alice"},"t":9999999999,"s":9999999999}`, `{"b":"x","id":{"sub":""},"t":9999999999,"s":9999999999}`, `{"b":"x","id":{"sub":"alice"}}`, `{"sub":"alice","iss":"https://issuer"}`} {
			token, err := a.store.Create(t.Context(), session.Record{App: "session\nsession\nhttp://127.0.0.1", Subject: "alice", Data: []byte(data), Expires: a.clock.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			a.with("session=1"+token).status("/mine", http.StatusUnauthorized)
		}
	})
}

func TestThreat_BR12_Limits(t *testing.T) {
	stores(t, func(t *testing.T, open func(*testclock.Clock) session.Store, _ bool) {
		const day = 24 * time.Hour
		tests := []struct {
			remember       string
			idle, absolute time.Duration
		}{{"", day, 7 * day}, {"&remember=1", 14 * day, 30 * day}}
		for _, test := range tests {
			a := newApp(t, open, nil)
			idle, busy := a.browser(), a.browser()
			for _, b := range []*browser{idle, busy} {
				res, _ := b.get("/login?as=alice" + test.remember)
				if persistent := strings.Contains(res.Header.Get("Set-Cookie"), "Max-Age"); persistent != (test.remember != "") {
					t.Errorf("%q: %v", test.remember, res.Header)
				}
			}
			step := test.idle / 8
			for passed := step; passed < test.absolute; passed += step {
				a.clock.Advance(step)
				busy.status("/mine", http.StatusOK)
				if passed == test.idle {
					idle.status("/mine", http.StatusUnauthorized)
				}
			}
			a.clock.Advance(step)
			busy.status("/mine", http.StatusUnauthorized)
		}
	})
}

// principal is who the cookie belongs to, without using the session.
func (a *app) principal(cookie string) (*guard.Principal, error) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", cookie)
	res, err := a.manager.Authenticate(r)
	return res.Principal, err
}

func TestThreat_BR12_IdleLimit(t *testing.T) {
	stores(t, func(t *testing.T, open func(*testclock.Clock) session.Store, _ bool) {
		a := newApp(t, open, nil)
		b := a.browser()
		b.status("/login?as=alice", http.StatusOK)
		a.clock.Advance(24*time.Hour - time.Second)
		if p, err := a.principal(b.cookie()); p == nil || err != nil {
			t.Errorf("ended early: %v", err)
		}
		a.clock.Advance(time.Second)
		if p, err := a.principal(b.cookie()); p != nil || err != nil {
			t.Errorf("not ended: %v, %v", p, err)
		}
	})
}

func TestThreat_BR12_ListsAndEnds(t *testing.T) {
	for name, open := range map[string]func(*testclock.Clock) session.Store{
		"memory": func(c *testclock.Clock) session.Store { return session.NewMemoryStoreClock(c.Now) },
		"sqlite": func(c *testclock.Clock) session.Store { return newSQLStore(t, openSQLite(t)).WithClock(c.Now) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, open, nil)
			var others []session.Info
			a.handle("/list", func(ctx context.Context, s *session.Session, _ url.Values) (string, error) {
				list, err := s.List(ctx)
				var text []string
				others = nil
				for _, i := range list {
					text = append(text, fmt.Sprint(i.Label, i.Current))
					if !i.Current {
						others = append(others, i)
					}
				}
				return strings.Join(text, " "), err
			})
			a.handle("/end", func(ctx context.Context, s *session.Session, q url.Values) (string, error) {
				return "", s.End(ctx, q.Get("id"))
			})
			a.handle("/others", func(ctx context.Context, s *session.Session, _ url.Values) (string, error) {
				n, err := s.EndOthers(ctx)
				return fmt.Sprint(n), err
			})
			phone, laptop, desk, bob := a.browser(), a.browser(), a.browser(), a.browser()
			for i, b := range []*browser{phone, laptop, desk} {
				b.status("/login?as=alice&label="+[]string{"phone", "laptop", "desk"}[i], http.StatusOK)
				a.clock.Advance(time.Minute)
			}
			bob.status("/login?as=bob&sid=upstream", http.StatusOK)
			a.browser().status("/list", http.StatusInternalServerError)

			phone.want("/list", "deskfalse laptopfalse phonetrue")
			id := others[0].ID
			bob.status("/end?id="+id, http.StatusOK)
			desk.status("/mine", http.StatusOK)
			phone.status("/end?id="+id, http.StatusOK)
			desk.status("/mine", http.StatusUnauthorized)
			phone.want("/list", "laptopfalse phonetrue")
			phone.want("/others", "1")
			laptop.status("/mine", http.StatusUnauthorized)
			phone.status("/mine", http.StatusOK)
			if n, err := a.manager.EndAll(t.Context(), "alice"); n != 1 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			phone.status("/mine", http.StatusUnauthorized)
			bob.status("/mine", http.StatusOK)
			for _, other := range [][2]string{{"https://other.example/", "upstream"}, {"", "upstream"}, {"https://id.example/", "another"}, {"https://id.example/", ""}, {"", ""}} {
				if n, err := a.manager.EndUpstream(t.Context(), other[0], other[1]); n != 0 || err != nil {
					t.Errorf("%q: %d, %v", other, n, err)
				}
			}
			bob.status("/mine", http.StatusOK)
			if n, err := a.manager.EndUpstream(t.Context(), "https://id.example/", "upstream"); n != 1 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			bob.status("/mine", http.StatusUnauthorized)
		})
	}
	m, err := session.New(session.Options{BaseURL: "https://app.example", Store: failingDelete{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.EndAll(t.Context(), "alice"); !errors.Is(err, session.ErrNoIndex) {
		t.Errorf("a store without lists: %v", err)
	}
}

// Requests of one session run side by side and lose nothing.
func TestParallelRequests(t *testing.T) {
	stores(t, func(t *testing.T, open func(*testclock.Clock) session.Store, stateless bool) {
		if stateless {
			return // of two cookies the later one stays; the documentation says so
		}
		a := newApp(t, open, nil)
		b := a.browser()
		b.status("/login?as=alice", http.StatusOK)
		b.status("/notice?put=hello", http.StatusOK)
		var wg sync.WaitGroup
		var mu sync.Mutex
		shown := 0
		for range 8 {
			wg.Go(func() {
				for range 3 {
					b.status("/visit", http.StatusOK)
				}
				if _, body := b.get("/notice"); body == "hellotrue" {
					mu.Lock()
					shown++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		b.want("/visits", "24true")
		if shown != 1 {
			t.Errorf("the notice was shown %d times", shown)
		}
	})
}

// A session that ends while a request uses it stays ended, and the late answer
// does not take away the cookie of the next sign-in.
func TestEndWhileInUse(t *testing.T) {
	a := newApp(t, func(c *testclock.Clock) session.Store { return session.NewMemoryStoreClock(c.Now) }, nil)
	inside, proceed := make(chan struct{}), make(chan struct{})
	a.handle("/slow", func(ctx context.Context, s *session.Session, _ url.Values) (string, error) {
		close(inside)
		<-proceed
		err := visits.Put(ctx, 1)
		if !errors.Is(err, session.ErrEnded) || s.Principal() != nil {
			t.Errorf("%v, %v", err, s.Principal())
		}
		return "", nil
	})
	b := a.browser()
	b.status("/login?as=alice", http.StatusOK)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, _ := a.with(b.cookie()).get("/slow"); len(res.Header["Set-Cookie"]) != 0 {
			t.Errorf("%v", res.Header)
		}
	}()
	<-inside
	if _, err := a.manager.EndAll(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	close(proceed)
	<-done
	b.status("/mine", http.StatusUnauthorized)
	// A script's request with a dead cookie leaves it alone, a page's does not.
	if res, _ := a.with("session=1dead").get("/", "Sec-Fetch-Mode", "cors"); len(res.Header["Set-Cookie"]) != 0 {
		t.Errorf("%v", res.Header)
	}
	if res, _ := a.with("session=1dead").get("/", "Sec-Fetch-Mode", "navigate"); len(res.Header["Set-Cookie"]) != 1 {
		t.Errorf("%v", res.Header)
	}
}

func TestAfterTheHeader(t *testing.T) {
	stores(t, func(t *testing.T, open func(*testclock.Clock) session.Store, stateless bool) {
		a := newApp(t, open, nil)
		late := make(chan error, 4)
		a.mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
			s, _ := session.FromContext(r.Context())
			_, _ = io.WriteString(w, "begun")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			late <- visits.Put(r.Context(), 7)
			late <- s.SignIn(r.Context(), session.Identity{Subject: "mallory"})
		})
		stranger, alice := a.browser(), a.browser()
		stranger.want("/late", "begun")
		if err := <-late; !errors.Is(err, session.ErrAnswered) {
			t.Errorf("a stranger's value after the header: %v", err)
		}
		if err := <-late; !errors.Is(err, session.ErrAnswered) {
			t.Errorf("signing in after the header: %v", err)
		}
		alice.status("/login?as=alice", http.StatusOK)
		alice.want("/late", "begun")
		if err := <-late; stateless != errors.Is(err, session.ErrAnswered) || !stateless && err != nil {
			t.Errorf("a value after the header: %v", err)
		}
		<-late
		alice.want("/visits", map[bool]string{true: "0false", false: "7true"}[stateless])
		alice.want("/show", "alice [] ")
	})
}

// failing cannot be read.
type failing struct{ session.Store }

func (failing) Find(context.Context, string, string) (session.Record, error) {
	return session.Record{}, errors.New("connection refused")
}

func TestAStoreThatFailsSignsNobodyOut(t *testing.T) {
	m, err := session.New(session.Options{BaseURL: "http://localhost", Store: failing{session.NewMemoryStore()}, LoginPath: "/login"})
	if err != nil {
		t.Fatal(err)
	}
	h := m.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", "session=1x")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || len(w.Header()["Set-Cookie"]) != 0 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// An application's own page for the moment when nobody can tell who is signed in.
func TestOwnPageForAStoreThatFails(t *testing.T) {
	m, err := session.New(session.Options{
		BaseURL: "http://localhost", Store: failing{session.NewMemoryStore()},
		Refuse: func(w http.ResponseWriter, _ *http.Request, refusal *guard.Refusal) {
			w.WriteHeader(refusal.Status)
			fmt.Fprint(w, "our page: ", refusal.Err.Code)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := m.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", "session=1x")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Body.String() != "our page: temporarily_unavailable" || w.Header().Get("Retry-After") != "5" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestThreat_RP13_ResponsesOfASessionStayOutOfCaches(t *testing.T) {
	stores(t, func(t *testing.T, open func(*testclock.Clock) session.Store, _ bool) {
		a := newApp(t, open, nil)
		for _, path := range []string{"/public", "/error"} {
			a.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "public, max-age=3600")
				if r.URL.Query().Has("put") {
					if err := visits.Put(r.Context(), 1); err != nil {
						t.Error(err)
					}
				}
				if path == "/error" {
					w.WriteHeader(http.StatusInternalServerError)
				}
			})
		}
		for _, path := range []string{"/public", "/error"} {
			b := a.browser()
			res, _ := b.get(path)
			if len(res.Header["Set-Cookie"]) != 0 || res.Header.Get("Cache-Control") != "public, max-age=3600" || res.Header.Get("Vary") != "Cookie" {
				t.Errorf("%s for a stranger: %v", path, res.Header)
			}
			res, _ = b.get(path + "?put")
			if len(res.Header["Set-Cookie"]) == 0 || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s with a cookie: %v", path, res.Header)
			}
			if res, _ = b.get("/show"); res.Header.Get("Cache-Control") != "private" || res.Header.Get("Vary") != "Cookie" {
				t.Errorf("a page of a session: %v", res.Header)
			}
		}
	})
}

func TestRedirectToLogin(t *testing.T) {
	a := newApp(t, func(c *testclock.Clock) session.Store { return session.NewMemoryStoreClock(c.Now) }, nil)
	res, _ := a.browser().get("/mine?tab=2", "Accept", "text/html")
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/login?returnTo=%2Fmine%3Ftab%3D2" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	res, _ = a.browser().get("/mine")
	if res.StatusCode != http.StatusUnauthorized || !strings.Contains(res.Header.Get("WWW-Authenticate"), `login_url="/login"`) {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/data", nil)
	r.Header.Set("Accept", "text/html")
	guard.Require(a.manager.API())(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || w.Header().Get("Location") != "" {
		t.Errorf("an API leads to a page: %d %v", w.Code, w.Header())
	}
	for asked, want := range map[string]string{
		"/mine?tab=2": "/mine?tab=2", "": "/", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", "/login": "/", "/login?x=1": "/", "javascript:alert(1)": "/",
	} {
		r := httptest.NewRequest(http.MethodPost, "/login?"+url.Values{"returnTo": {asked}}.Encode(), nil)
		if got := a.manager.ReturnPath(r); got != want {
			t.Errorf("%q: %q, want %q", asked, got, want)
		}
	}
	why := &guard.Error{Code: guard.InsufficientUserAuthentication, ACRValues: []string{"2"}, MaxAge: time.Minute}
	if got := a.manager.StepUpURL(httptest.NewRequest(http.MethodGet, "/pay", nil), why); got != "/login?acr_values=2&max_age=60&returnTo=%2Fpay" {
		t.Error(got)
	}
}

// revoked takes back what it names.
type revoked struct {
	subject string
	err     error
}

func (v *revoked) Check(_ context.Context, p *guard.Principal, _ string, _ uint64) (uint64, error) {
	if v.err != nil {
		return 0, v.err
	}
	if p.Subject == v.subject {
		return 0, &guard.Error{Code: guard.InvalidToken}
	}
	return 1, nil
}

func TestRevocationsAndLoad(t *testing.T) {
	taken := &revoked{}
	locked := false
	a := newApp(t, func(c *testclock.Clock) session.Store { return session.NewMemoryStoreClock(c.Now) }, func(o *session.Options) {
		o.Revocations = taken
		o.Load = func(_ context.Context, p *guard.Principal) error {
			if locked {
				return session.ErrEnded
			}
			p.Roles = []string{"admin"}
			return nil
		}
	})
	alice, bob := a.browser(), a.browser()
	alice.status("/login?as=alice", http.StatusOK)
	bob.status("/login?as=bob", http.StatusOK)
	if p, err := a.principal(alice.cookie()); err != nil || !p.HasRole("admin") {
		t.Errorf("%+v, %v", p, err)
	}
	copied := alice.cookie()
	taken.subject = "alice"
	alice.status("/mine", http.StatusUnauthorized)
	alice.want("/show", "nobody [] ")
	bob.status("/mine", http.StatusOK)
	taken.subject = ""
	a.with(copied).status("/mine", http.StatusUnauthorized) // ended is ended

	taken.err = &guard.Error{Code: guard.Unavailable, RetryAfter: time.Second}
	bob.status("/mine", http.StatusServiceUnavailable)
	taken.err = nil
	bob.status("/mine", http.StatusOK)
	locked = true
	bob.status("/mine", http.StatusUnauthorized)
	bob.status("/login?as=bob", http.StatusInternalServerError)
	locked = false
	bob.status("/mine", http.StatusUnauthorized)
}

// interrupted is a store in which something happens just before a session is created.
type interrupted struct {
	session.Store
	session.Index
	before func()
}

func (i *interrupted) Create(ctx context.Context, rec session.Record) (string, error) {
	if before := i.before; before != nil {
		i.before = nil
		before()
	}
	return i.Store.Create(ctx, rec)
}

// Who steps up in the moment in which all their sessions are ended does not escape with a new one.
func TestThreat_BR12_NoSuccessorOfAnEndedSession(t *testing.T) {
	stores(t, func(t *testing.T, open func(*testclock.Clock) session.Store, stateless bool) {
		if stateless {
			return // nobody can end those
		}
		store := &interrupted{}
		a := newApp(t, func(c *testclock.Clock) session.Store {
			store.Store = open(c)
			store.Index = store.Store.(session.Index)
			return store
		}, nil)
		b := a.browser()
		b.status("/login?as=alice", http.StatusOK)
		store.before = func() {
			if n, err := a.manager.EndAll(t.Context(), "alice"); n != 1 || err != nil {
				t.Errorf("ended %d, %v", n, err)
			}
		}
		b.status("/again", http.StatusInternalServerError)
		b.status("/mine", http.StatusUnauthorized)
		if left, err := a.manager.List(t.Context(), "alice"); len(left) != 0 || err != nil {
			t.Errorf("%d are left, %v", len(left), err)
		}
		// Signing in is a proof of its own.
		b.status("/login?as=alice", http.StatusOK)
		store.before = func() { _, _ = a.manager.EndAll(t.Context(), "alice") }
		b.status("/login?as=alice", http.StatusOK)
		b.status("/mine", http.StatusOK)

		// What another request puts into the session meanwhile comes along.
		store.before = func() { b.status("/put?cart=tea", http.StatusOK) }
		b.status("/again", http.StatusOK)
		b.want("/show", "alice [tea] ")
	})
}

// What was taken back is remembered for an hour. A session that sleeps through that hour must not
// wake up after it.
func TestThreat_BR12_NoSessionOutlivesItsRevocation(t *testing.T) {
	stores(t, func(t *testing.T, open func(*testclock.Clock) session.Store, stateless bool) {
		a := newApp(t, open, func(o *session.Options) { o.Revocations = &revoked{} })
		for _, login := range []string{"/login?as=alice", "/login?as=alice&remember=1"} {
			b := a.browser()
			b.status(login, http.StatusOK)
			a.clock.Advance(50 * time.Minute)
			b.status("/mine", http.StatusOK)
			a.clock.Advance(50 * time.Minute)
			b.status("/mine", http.StatusOK)
			a.clock.Advance(guard.RevocationsKept) // taken back meanwhile, and forgotten by now
			b.status("/mine", http.StatusUnauthorized)
		}
		for _, long := range []session.Options{{IdleTimeout: 2 * time.Hour}, {RememberIdleTimeout: 2 * time.Hour}} {
			long.BaseURL, long.Store, long.Revocations = "https://app.example", a.store, &revoked{}
			if _, err := session.New(long); (err != nil) != stateless {
				t.Errorf("idle %v, remembered %v: %v", long.IdleTimeout, long.RememberIdleTimeout, err)
			}
		}
	})
}

func TestManagerOptions(t *testing.T) {
	good := session.Options{BaseURL: "https://app.example", Store: session.NewMemoryStore()}
	for name, spoil := range map[string]func(*session.Options){
		"no base":            func(o *session.Options) { o.BaseURL = "" },
		"http":               func(o *session.Options) { o.BaseURL = "http://app.example" },
		"a path":             func(o *session.Options) { o.BaseURL = "https://app.example/x" },
		"no store":           func(o *session.Options) { o.Store = nil },
		"idle > absolute":    func(o *session.Options) { o.IdleTimeout, o.AbsoluteTimeout = 2*time.Hour, time.Hour },
		"seconds":            func(o *session.Options) { o.IdleTimeout = time.Second },
		"remember":           func(o *session.Options) { o.RememberIdleTimeout, o.RememberAbsoluteTimeout = 2*time.Hour, time.Hour },
		"login elsewhere":    func(o *session.Options) { o.LoginPath = "//evil.example" },
		"login without /":    func(o *session.Options) { o.LoginPath = "login" },
		"a cookie's name":    func(o *session.Options) { o.CookieName = "a b" },
		"a prefix":           func(o *session.Options) { o.CookieName = "a;b" },
		"SameSite=None":      func(o *session.Options) { o.SameSite = http.SameSiteNoneMode },
		"a user in the base": func(o *session.Options) { o.BaseURL = "https://a@app.example" },
	} {
		o := good
		spoil(&o)
		if _, err := session.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := session.New(session.Options{}); err == nil || !strings.Contains(err.Error(), "BaseURL") || !strings.Contains(err.Error(), "Store") {
		t.Errorf("not all problems at once: %v", err)
	}
	for _, base := range []string{"http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080", "http://app.localhost", "https://app.example/"} {
		o := good
		o.BaseURL = base
		if _, err := session.New(o); err != nil {
			t.Errorf("%s: %v", base, err)
		}
	}
}

func TestKeys(t *testing.T) {
	a := newApp(t, func(c *testclock.Clock) session.Store { return session.NewMemoryStoreClock(c.Now) }, nil)
	const asNumber session.Key[int] = "cart"
	const function session.Key[func()] = "function"
	a.handle("/types", func(ctx context.Context, s *session.Session, _ url.Values) (string, error) {
		if err := cart.Put(ctx, []string{"tea"}); err != nil {
			return "", err
		}
		if _, ok := asNumber.Get(ctx); ok {
			t.Error("a list is a number")
		}
		if err := function.Put(ctx, func() {}); err == nil {
			t.Error("a function is stored")
		}
		if err := cart.Update(ctx, func([]string) ([]string, error) { return nil, errors.New("no") }); err == nil {
			t.Error("an error is lost")
		}
		items, ok := cart.Get(ctx)
		if !ok || len(items) != 1 {
			t.Errorf("%v", items)
		}
		if strings.Contains(fmt.Sprint(s)+fmt.Sprintf("%+v", s), "tea") {
			t.Error("the session prints what is in it")
		}
		return "", cart.Delete(ctx)
	})
	b := a.browser()
	b.status("/types", http.StatusOK)
	b.want("/show", "nobody [] ")
	defer func() {
		if recover() == nil {
			t.Error("no session, and no panic")
		}
	}()
	_, _ = cart.Get(t.Context())
}

package tvshows_test

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/examples/tvshows"
)

// form is a form of the application, with a house and an API to talk to.
type form struct {
	t        *testing.T
	house    *house
	url, api string
	client   *http.Client
	data     string // the custom server's database
}

func newForm(t *testing.T, name string) *form {
	t.Helper()
	h := newHouse(t)
	f := &form{t: t, house: h, api: newAPI(t, h), data: filepath.Join(t.TempDir(), "sessions #1?.db")}
	server := httptest.NewUnstartedServer(nil)
	f.url = "http://" + server.Listener.Addr().String()
	o := tvshows.Options{
		Issuer: h.URL, Audience: audience, BaseURL: f.url, APIURL: f.api, Client: tvshows.Client{ClientID: clientID, ClientSecret: "secret of the client"},
		Secret: secret, DataFile: f.data, InboxURL: h.URL + "inbox", Others: []tvshows.Link{{Name: "Start page", URL: h.URL}},
	}
	var err error
	switch name {
	case "static":
		server.Config.Handler, err = tvshows.NewStatic(o)
	case "rendered":
		server.Config.Handler, err = tvshows.NewRendered(o)
	case "server":
		var db io.Closer
		server.Config.Handler, db, err = tvshows.NewServer(o)
		if err == nil {
			t.Cleanup(func() { db.Close() })
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	f.client = &http.Client{Jar: jar}
	return f
}

// withServer runs a test on both forms that have one.
func withServer(t *testing.T, test func(t *testing.T, f *form)) {
	for _, name := range []string{"rendered", "server"} {
		t.Run(name, func(t *testing.T) { test(t, newForm(t, name)) })
	}
}

// visit goes to a page as a browser does.
func (f *form) visit(path string) (status int, page string) {
	return f.send("GET", path, "", "Sec-Fetch-Site", "none")
}

// post sends a form from a page of the site named by Sec-Fetch-Site.
func (f *form) post(path, body, site string) (status int, page string) {
	return f.send("POST", path, body, "Sec-Fetch-Site", site, "Content-Type", "application/x-www-form-urlencoded")
}

func (f *form) send(method, path, body string, header ...string) (int, string) {
	f.t.Helper()
	header = append(header, "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	res := do(f.t, f.client, method, f.url+path, body, header...)
	page, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return res.StatusCode, string(page)
}

func (f *form) wants(status int, page string, wantStatus int, parts ...string) {
	f.t.Helper()
	if status != wantStatus {
		f.t.Errorf("status %d, want %d", status, wantStatus)
	}
	for _, part := range parts {
		if !strings.Contains(page, part) {
			f.t.Errorf("%q is missing in\n%s", part, page)
		}
	}
}

func (f *form) cookies() (names []string) {
	u, _ := url.Parse(f.url)
	for _, c := range f.client.Jar.Cookies(u) {
		names = append(names, c.Name)
	}
	return names
}

func TestSignInLoadSignOut(t *testing.T) {
	withServer(t, func(t *testing.T, f *form) {
		status, page := f.visit("/")
		f.wants(status, page, 200, "You are signed out here", "/auth/login?screen_hint=signup")

		status, page = f.visit("/auth/login")
		f.wants(status, page, 200, "Alice &lt;Archer&gt;", "alice@example.com", "How you were signed in")

		status, page = f.visit("/shows")
		f.wants(status, page, 200, "Nine Minutes to Marrowgate", "It saw <code>alice</code>", "data-countdown")

		status, page = f.post("/auth/logout", "", "same-origin")
		f.wants(status, page, 200, "You are signed out here")
		if left := f.cookies(); len(left) > 0 {
			t.Errorf("cookies left behind: %v", left)
		}
	})
}

// A page that needs somebody leads to sign-in and back to itself.
func TestShowsLeadToSignInAndBack(t *testing.T) {
	withServer(t, func(t *testing.T, f *form) {
		status, page := f.visit("/shows")
		f.wants(status, page, 200, "Saltgrass Radio")
	})
}

func TestSignUpIsAskedFor(t *testing.T) {
	withServer(t, func(t *testing.T, f *form) {
		f.visit("/auth/login?screen_hint=signup")
		asked := f.house.asked[0]
		if asked.Get("screen_hint") != "signup" || asked.Get("audience") != audience || !strings.Contains(asked.Get("scope"), "read:shows") {
			t.Errorf("%v", asked)
		}
	})
}

func TestRefusalsAreExplained(t *testing.T) {
	withServer(t, func(t *testing.T, f *form) {
		f.house.set(func() { f.house.granted = "openid profile email" })
		f.visit("/auth/login")
		status, page := f.visit("/shows")
		f.wants(status, page, 403, "403: you may not do this", "lacks <code>read:shows</code>", "insufficient_scope")
		status, page = f.post("/shows", "title=Mine", "same-origin")
		f.wants(status, page, 403, "lacks <code>write:shows</code>")
	})
}

func TestFormSentTooLate(t *testing.T) {
	withServer(t, func(t *testing.T, f *form) {
		status, page := f.post("/shows", "title=Mine", "same-origin")
		f.wants(status, page, 401, "Please sign in first", "/auth/login")
	})
}

func TestAddingShowsIt(t *testing.T) {
	withServer(t, func(t *testing.T, f *form) {
		f.house.set(func() { f.house.granted += " write:shows" })
		f.visit("/auth/login")
		status, page := f.post("/shows", "title=Brick+%3Cby%3E+Brick", "same-origin")
		f.wants(status, page, 200, "Brick &lt;by&gt; Brick")
		status, page = f.post("/shows", "title=", "same-origin")
		f.wants(status, page, 400, "400: the API would not")
	})
}

func TestOtherSitesCannotPost(t *testing.T) {
	withServer(t, func(t *testing.T, f *form) {
		f.house.set(func() { f.house.granted += " write:shows" })
		f.visit("/auth/login")
		for _, path := range []string{"/shows", "/auth/logout"} {
			if status, _ := f.post(path, "title=Theirs", "cross-site"); status != http.StatusForbidden {
				t.Errorf("%s: %d", path, status)
			}
		}
		status, page := f.visit("/shows")
		f.wants(status, page, 200)
		if strings.Contains(page, "Theirs") {
			t.Error("another site added a show")
		}
	})
}

// An access token that is about to end is renewed on the way to the API.
func TestAccessTokenIsRenewedByItself(t *testing.T) {
	withServer(t, func(t *testing.T, f *form) {
		f.house.set(func() { f.house.life = 10 * time.Second }) // less than the margin: due at once
		f.visit("/auth/login")
		f.house.set(func() { f.house.life = 10 * time.Minute })
		status, page := f.visit("/shows")
		f.wants(status, page, 200, "Saltgrass Radio")
	})
}

func TestSignInEndedAtTheHouse(t *testing.T) {
	withServer(t, func(t *testing.T, f *form) {
		f.house.set(func() { f.house.life = 10 * time.Second })
		f.visit("/auth/login")
		f.house.set(func() { f.house.ended = true })
		status, page := f.visit("/shows")
		f.wants(status, page, 401, "Your sign-in has ended", "You are signed out here", "would not renew it")
		if left := f.cookies(); len(left) > 0 {
			t.Errorf("cookies left behind: %v", left)
		}
	})
}

func TestRenewalWithoutSessionAtTheHouse(t *testing.T) {
	withServer(t, func(t *testing.T, f *form) {
		f.visit("/auth/login")
		f.house.set(func() { f.house.refuse = "login_required" })
		_, page := f.visit("/auth/login?prompt=none")
		f.wants(400, page, 400, "does not know this browser any more", "login_required", "Sign in again")
	})
}

// Neither page nor database shows what would let anybody in.
func TestNoSecretIsShown(t *testing.T) {
	withServer(t, func(t *testing.T, f *form) {
		var seen strings.Builder
		for _, path := range []string{"/", "/auth/login", "/shows", "/auth/me"} {
			_, page := f.visit(path)
			seen.WriteString(page)
		}
		for _, suffix := range []string{"", "-wal"} {
			b, err := os.ReadFile(f.data + suffix)
			if err == nil {
				seen.Write(b)
			}
		}
		if found := regexp.MustCompile(`eyJ[\w-]+\.eyJ|refresh-|secret of the client|` + secret).FindString(seen.String()); found != "" {
			t.Errorf("%q is shown", found)
		}
		u, _ := url.Parse(f.url)
		for _, c := range f.client.Jar.Cookies(u) {
			if strings.Contains(seen.String(), c.Value) {
				t.Errorf("the content of cookie %s is shown", c.Name)
			}
		}
	})
}

// Ports do not separate cookies: the forms live on one host.
func TestFormsDoNotShareCookies(t *testing.T) {
	all := map[string]string{}
	withServer(t, func(t *testing.T, f *form) {
		f.visit("/auth/login")
		for _, name := range f.cookies() {
			if other := all[name]; other != "" {
				t.Errorf("%s is a cookie of %s, too", name, other)
			}
			all[name] = t.Name()
		}
	})
	if len(all) < 2 {
		t.Errorf("cookies: %v", all)
	}
}

func TestDatabaseIsPrivate(t *testing.T) {
	f := newForm(t, "server")
	f.visit("/auth/login")
	info, err := os.Stat(f.data)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%v", info.Mode())
	}
}

func TestHeaders(t *testing.T) {
	for _, name := range []string{"static", "rendered", "server"} {
		t.Run(name, func(t *testing.T) {
			f := newForm(t, name)
			res := do(t, f.client, "GET", f.url+"/", "")
			csp := res.Header.Get("Content-Security-Policy")
			want := []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"}
			if name == "static" {
				want = append(want, "connect-src 'self' "+strings.TrimSuffix(f.house.URL, "/")+" "+f.api, "frame-src "+strings.TrimSuffix(f.house.URL, "/"), "form-action 'none'")
			} else {
				want = append(want, "connect-src 'none'", "frame-src 'none'", "form-action 'self' "+strings.TrimSuffix(f.house.URL, "/"))
			}
			directives := strings.Split(csp, "; ")
			for _, w := range want {
				if !slices.Contains(directives, w) {
					t.Errorf("%q is missing in %q", w, csp)
				}
			}
			if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
				t.Error(csp)
			}
			if res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%v", res.Header)
			}
		})
	}
}

// The policy forbids what is inline, so there must be none of it.
func TestNothingIsInline(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son\w+=|="javascript:|<script[^>]*>[^<]`)
	err := fs.WalkDir(os.DirFS("web"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".html" {
			return err
		}
		b, err := os.ReadFile(filepath.Join("web", path))
		if at := inline.Find(b); at != nil {
			t.Errorf("%s: %q", path, at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStaticIsFilesAndConfiguration(t *testing.T) {
	f := newForm(t, "static")
	for path, kind := range map[string]string{
		"/": "text/html", "/app.js": "text/javascript", "/oidc.js": "text/javascript", "/config.json": "application/json",
		"/shared/style.css": "text/css", "/shared/static.svg": "image/svg+xml",
	} {
		res := do(t, f.client, "GET", f.url+path, "")
		if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), kind) {
			t.Errorf("%s: %d %s", path, res.StatusCode, res.Header.Get("Content-Type"))
		}
	}
	var config map[string]any
	if err := json.NewDecoder(do(t, f.client, "GET", f.url+"/config.json", "").Body).Decode(&config); err != nil {
		t.Fatal(err)
	}
	if config["issuer"] != f.house.URL || config["clientId"] != clientID || config["apiUrl"] != f.api {
		t.Errorf("%v", config)
	}
	for name, value := range config {
		if s, ok := value.(string); ok && strings.Contains(s, "secret") {
			t.Errorf("%s: %s", name, s)
		}
	}
}

func TestCallbacks(t *testing.T) {
	for form, want := range map[string][3][]string{
		"static":   {{"http://localhost:1/"}, {"http://localhost:1/"}, {"http://localhost:1"}},
		"rendered": {{"http://localhost:1/auth/callback"}, {"http://localhost:1"}, nil},
		"server":   {{"http://localhost:1/auth/callback"}, {"http://localhost:1"}, nil},
	} {
		redirects, logouts, origins := tvshows.Callbacks(form, "http://localhost:1/")
		if got := [3][]string{redirects, logouts, origins}; !slices.EqualFunc(got[:], want[:], slices.Equal) {
			t.Errorf("%s: %v", form, got)
		}
	}
	for form, want := range map[string]string{"static": "", "rendered": "", "server": "http://localhost:1/auth/backchannel-logout"} {
		if got := tvshows.BackchannelLogout(form, "http://localhost:1/"); got != want {
			t.Errorf("%s: %q", form, got)
		}
	}
}

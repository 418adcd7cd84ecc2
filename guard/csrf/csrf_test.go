package csrf_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/csrf"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

const (
	base   = "https://app.example"
	secret = "a-secret-for-tests-a-secret-for-tests"
)

func protection(t testing.TB, change func(*csrf.Options)) *csrf.Protection {
	t.Helper()
	o := csrf.Options{BaseURL: base, Secrets: []string{secret}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if change != nil {
		change(&o)
	}
	p, err := csrf.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func post(path string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, base+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func status(h http.Handler, r *http.Request) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

var ok = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

func TestThreat_RP09_CrossOriginRequestsAreRefused(t *testing.T) {
	h := protection(t, func(o *csrf.Options) { o.TrustedOrigins = []string{"https://admin.example:8443"} }).Middleware(ok)
	tests := []struct {
		name   string
		header []string
		want   int
	}{
		{"own page", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"typed by the user", []string{"Sec-Fetch-Site", "none"}, 200},
		{"another site", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a sibling", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"nonsense", []string{"Sec-Fetch-Site", "SAME-ORIGIN"}, 403},
		{"twice", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site"}, 403},
		{"another site, own Origin first", []string{"Sec-Fetch-Site", "cross-site", "Origin", base, "Origin", "https://evil.example"}, 403},
		{"trusted", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://admin.example:8443"}, 200},
		{"trusted but for the port", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://admin.example"}, 403},
		{"own Origin", []string{"Origin", base}, 200},
		{"own Origin over http", []string{"Origin", "http://app.example"}, 403},
		{"Origin that begins like ours", []string{"Origin", base + ".evil.example"}, 403},
		{"Origin with a path", []string{"Origin", base + "/"}, 403},
		{"Origin null", []string{"Origin", "null"}, 403},
		{"empty Origin", []string{"Origin", ""}, 403},
		{"no word of it", nil, 403},
		{"no word of it, JSON", []string{"Content-Type", "application/json"}, 403},
		{"no word of it, multipart", []string{"Content-Type", "multipart/form-data; boundary=x"}, 403},
		{"another site, JSON", []string{"Sec-Fetch-Site", "cross-site", "Content-Type", "application/json"}, 403},
		{"another site with a token of ours", []string{"Sec-Fetch-Site", "cross-site", "Authorization", "Bearer x"}, 403},
		{"a program with a token", []string{"Authorization", "Bearer x"}, 200},
		{"a program with a key", []string{"X-API-Key", "x"}, 200},
		{"credentials a browser adds", []string{"Authorization", "Basic YTpi"}, 403},
	}
	for _, test := range tests {
		if got := status(h, post("/", test.header...)); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
	strict := protection(t, func(o *csrf.Options) { o.RequireToken = true }).Middleware(ok)
	if got := status(strict, post("/", "Authorization", "Bearer x")); got != 200 {
		t.Errorf("a program, where pages need the token: %d", got)
	}
	if got := status(strict, post("/", "Authorization", "Bearer x", "Sec-Fetch-Site", "same-origin")); got != 403 {
		t.Errorf("a page that shows a token of another kind: %d", got)
	}
	for _, method := range []string{"PUT", "PATCH", "DELETE", "CONNECT", "TRACE", "get", "PROPFIND", ""} {
		r := post("/", "Sec-Fetch-Site", "cross-site")
		r.Method = method
		if got := status(h, r); got != 403 {
			t.Errorf("%q: %d", method, got)
		}
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		r := post("/", "Sec-Fetch-Site", "cross-site")
		r.Method = method
		if got := status(h, r); got != 200 {
			t.Errorf("%s: %d", method, got)
		}
	}
}

func TestThreat_RP09_ExemptionsAreExactAndLogged(t *testing.T) {
	var log strings.Builder
	h := protection(t, func(o *csrf.Options) {
		o.InsecureExempt = []string{"POST /hooks/payments"}
		o.RequireToken = true
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	}).Middleware(ok)
	if !strings.Contains(log.String(), "insecure_csrf_exempt") || !strings.Contains(log.String(), "POST /hooks/payments") {
		t.Errorf("not logged: %s", log.String())
	}
	if got := status(h, post("/hooks/payments", "Sec-Fetch-Site", "cross-site")); got != 200 {
		t.Errorf("exempt: %d", got)
	}
	for _, path := range []string{"/hooks/payments/", "/hooks/payments/x", "/hooks/Payments", "/hooks/paymentsx", "/hooks", "//hooks/payments", "/x/../hooks/payments", "/hooks%2fpayments/", "/hooks%2Fpayments", "/%68ooks/payments"} {
		if got := status(h, post(path, "Sec-Fetch-Site", "cross-site")); got != 403 {
			t.Errorf("%s: %d", path, got)
		}
	}
	r := post("/hooks/payments", "Sec-Fetch-Site", "cross-site")
	r.Method = http.MethodDelete
	if got := status(h, r); got != 403 {
		t.Errorf("another method: %d", got)
	}
}

// site is an application with sessions and forms, and the browsers that use it.
type site struct {
	t       *testing.T
	handler http.Handler
}

func newSite(t *testing.T) *site {
	sessions, err := session.New(session.Options{BaseURL: base, Store: session.NewMemoryStore()})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /form", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, csrf.Token(r.Context()))
	})
	mux.HandleFunc("POST /login", func(_ http.ResponseWriter, r *http.Request) {
		s, _ := session.FromContext(r.Context())
		if err := s.SignIn(r.Context(), session.Identity{Subject: r.URL.Query().Get("as")}); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /visit", func(_ http.ResponseWriter, r *http.Request) {
		if err := session.Key[int]("visits").Put(r.Context(), 1); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("POST /change", func(http.ResponseWriter, *http.Request) {})
	return &site{t, sessions.Middleware(protection(t, func(o *csrf.Options) { o.RequireToken = true }).Middleware(mux))}
}

// browser holds cookies, by name.
type browser struct {
	*site
	cookies map[string]string
}

func (s *site) browser() *browser { return &browser{s, map[string]string{}} }

func (b *browser) send(method, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, base+path, nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if token != "" {
		r.Header.Set(csrf.HeaderName, token)
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		b.cookies[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return w
}

func (b *browser) token() string { return b.send(http.MethodGet, "/form", "").Body.String() }

func (b *browser) want(path, token string, status int) {
	b.t.Helper()
	if got := b.send(http.MethodPost, path, token).Code; got != status {
		b.t.Errorf("%s: %d, want %d", path, got, status)
	}
}

func TestThreat_RP09_TokenIsBoundToTheSession(t *testing.T) {
	s := newSite(t)
	alice, mallory := s.browser(), s.browser()
	alice.want("/login?as=alice", "", 403) // the login form is protected, before there is a session
	alice.want("/login?as=alice", mallory.token(), 403)
	before := alice.token()
	if len(alice.cookies) != 1 || alice.cookies["__Host-csrf"] == "" {
		t.Fatalf("cookies: %v", alice.cookies)
	}
	alice.want("/login?as=alice", mallory.token(), 403)
	alice.want("/login?as=alice", before, 200)
	alice.want("/change", before, 403) // made for a stranger
	mine := alice.token()
	alice.want("/change", mine, 200)
	alice.want("/change", mine, 200) // a form may be sent again
	alice.want("/change", "", 403)

	mallory.want("/login?as=mallory", mallory.token(), 200)
	theirs := mallory.token()
	alice.want("/change", theirs, 403)
	mallory.want("/change", mine, 403)

	// A neighbouring host plants the stranger's cookie of an attacker, who knows the
	// token that belongs to it.
	stranger := s.browser()
	known := stranger.token()
	alice.cookies["__Host-csrf"] = stranger.cookies["__Host-csrf"]
	alice.want("/change", known, 403)

	alice.want("/login?as=alice", mine, 200) // a new id
	alice.want("/change", mine, 403)
	alice.want("/change", alice.token(), 200)
}

// A stranger who gets a session between the form and its sending is still let in.
func TestStrangerGetsASession(t *testing.T) {
	b := newSite(t).browser()
	token := b.token()
	b.send(http.MethodGet, "/visit", "")
	if b.cookies["__Host-session"] == "" {
		t.Fatal("no session")
	}
	b.want("/change", token, 200)
	b.want("/change", b.token(), 200)
}

func TestThreat_RP09_TokensDifferInEveryResponse(t *testing.T) {
	b := newSite(t).browser()
	first, second := b.token(), b.token()
	if first == second || first[:20] == second[:20] || len(first) != 86 {
		t.Errorf("%s\n%s", first, second)
	}
	b.want("/change", first, 200)
	b.want("/change", second, 200)
	w := b.send(http.MethodGet, "/form", "")
	if w.Header().Get("Cache-Control") != "private, no-cache" || len(w.Header()["Set-Cookie"]) != 0 {
		t.Errorf("%v", w.Header())
	}
	w = newSite(t).browser().send(http.MethodGet, "/form", "")
	if line := w.Header().Get("Set-Cookie"); !strings.HasSuffix(line, "; Path=/; HttpOnly; Secure; SameSite=Lax") || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v", w.Header())
	}
}

func FuzzThreat_RP09_ForgedTokens(f *testing.F) {
	p := protection(f, func(o *csrf.Options) {
		o.RequireToken = true
		o.Binding = func(*http.Request) string { return "session" }
	})
	var good string
	p.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { good = csrf.Token(r.Context()) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	for _, seed := range []string{"", good, good[1:], good + "A", good[:85] + "B", strings.Repeat("A", 86), strings.Repeat("A", 10_000), good + "=", good[:8] + "\n" + good[8:], "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		r := post("/", "Sec-Fetch-Site", "same-origin")
		r.Header[csrf.HeaderName] = []string{token} // as it would be if HTTP let it through
		r.Header[http.CanonicalHeaderKey(csrf.HeaderName)] = []string{token}
		if why := p.Check(r); (why == nil) != (token == good) {
			// Fuzzing runs in several processes, each with a good token of its own.
			if len(token) != 86 {
				t.Errorf("%q: %v", token, why)
			}
		}
	})
}

func TestThreat_RP09_WhereTheTokenIs(t *testing.T) {
	p := protection(t, func(o *csrf.Options) {
		o.RequireToken = true
		o.Binding = func(*http.Request) string { return "session" }
	})
	var token, field string
	p.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		token, field = csrf.Token(r.Context()), string(csrf.Field(r.Context()))
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if !strings.HasPrefix(field, `<input type="hidden" name="csrf_token" value="`) {
		t.Error(field)
	}
	file := strings.Repeat("file content ", 20_000)
	form := func(names ...string) (string, string) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for _, name := range names {
			if name == "file" {
				part, _ := w.CreateFormFile("file", "a.txt")
				_, _ = io.WriteString(part, file)
			} else {
				_ = w.WriteField(name, token)
			}
		}
		_ = w.Close()
		return b.String(), w.FormDataContentType()
	}
	good, kind := form("csrf_token", "file")
	late, lateKind := form("file", "csrf_token")
	urlencoded := url.Values{"csrf_token": {token}, "x": {"y"}}.Encode()
	tests := []struct {
		name, kind, body, query string
		want                    int
	}{
		{"form", "application/x-www-form-urlencoded", urlencoded, "", 200},
		{"form with charset", "application/x-www-form-urlencoded; charset=utf-8", urlencoded, "", 200},
		{"multipart", kind, good, "", 200},
		{"multipart, not first", lateKind, late, "", 403},
		{"multipart, cut off", kind, good[:60], "", 403},
		{"multipart without boundary", "multipart/form-data", good, "", 403},
		{"query", "application/x-www-form-urlencoded", "x=y", "?" + urlencoded, 403},
		{"JSON", "application/json", `{"csrf_token":"` + token + `"}`, "", 403},
		{"form that says it is text", "text/plain", urlencoded, "", 403},
		{"no type", "", urlencoded, "", 403},
	}
	for _, test := range tests {
		var seen string
		h := p.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(test.name, "multipart") {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				seen = string(body)
			} else {
				seen = r.PostFormValue("x")
			}
		}))
		r := httptest.NewRequest(http.MethodPost, base+"/"+test.query, strings.NewReader(test.body))
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Content-Type", test.kind)
		if got := status(h, r); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
		if test.want == 200 && seen != test.body && seen != "y" {
			t.Errorf("%s: the handler reads %d bytes of %d", test.name, len(seen), len(test.body))
		}
	}
}

// fake is a scheme whose principal is who the header names.
type fake struct{}

func (fake) Authenticate(r *http.Request) (guard.Result, error) {
	return guard.Result{Principal: &guard.Principal{Kind: guard.User, Subject: r.Header.Get("X-Who"), Method: "fake"}}, nil
}
func (fake) Challenge(*http.Request, *guard.Error) []string { return nil }

// Behind a scheme without sessions the token is bound to who is signed in.
func TestBoundToThePrincipal(t *testing.T) {
	var token string
	h := guard.Require(fake{})(protection(t, func(o *csrf.Options) { o.RequireToken = true }).Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		token = csrf.Token(r.Context())
	})))
	r := httptest.NewRequest(http.MethodGet, base, nil)
	r.Header.Set("X-Who", "alice")
	status(h, r)
	mine := token
	if got := status(h, post("/", "X-Who", "alice", csrf.HeaderName, mine, "Sec-Fetch-Site", "same-origin")); got != 200 {
		t.Errorf("alice: %d", got)
	}
	if got := status(h, post("/", "X-Who", "bob", csrf.HeaderName, mine, "Sec-Fetch-Site", "same-origin")); got != 403 {
		t.Errorf("bob: %d", got)
	}
}

func TestRotation(t *testing.T) {
	bound := func(o *csrf.Options) {
		o.RequireToken = true
		o.Binding = func(*http.Request) string { return "session" }
	}
	var token string
	status(protection(t, bound).Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { token = csrf.Token(r.Context()) })), httptest.NewRequest(http.MethodGet, base, nil))
	for secrets, want := range map[string]int{"new-secret-new-secret-new-secret-1 " + secret: 200, "new-secret-new-secret-new-secret-1": 403} {
		p := protection(t, func(o *csrf.Options) { bound(o); o.Secrets = strings.Fields(secrets) })
		if got := status(p.Middleware(ok), post("/", csrf.HeaderName, token)); got != want {
			t.Errorf("%s: %d", secrets, got)
		}
	}
}

func TestOptions(t *testing.T) {
	good := csrf.Options{BaseURL: base, Secrets: []string{secret}}
	for name, spoil := range map[string]func(*csrf.Options){
		"no base":       func(o *csrf.Options) { o.BaseURL = "" },
		"http":          func(o *csrf.Options) { o.BaseURL = "http://app.example" },
		"no secret":     func(o *csrf.Options) { o.Secrets = nil },
		"short secret":  func(o *csrf.Options) { o.Secrets = []string{"x"} },
		"a wildcard":    func(o *csrf.Options) { o.InsecureExempt = []string{"POST /hooks/*"} },
		"a pattern":     func(o *csrf.Options) { o.InsecureExempt = []string{"POST /hooks/{id}"} },
		"no method":     func(o *csrf.Options) { o.InsecureExempt = []string{"/hooks"} },
		"any method":    func(o *csrf.Options) { o.InsecureExempt = []string{"* /hooks"} },
		"trusted path":  func(o *csrf.Options) { o.TrustedOrigins = []string{"https://a.example/x"} },
		"trusted null":  func(o *csrf.Options) { o.TrustedOrigins = []string{"null"} },
		"trusted http":  func(o *csrf.Options) { o.TrustedOrigins = []string{"http://a.example"} },
		"a cookie name": func(o *csrf.Options) { o.CookieName = "a=b" },
	} {
		o := good
		spoil(&o)
		if _, err := csrf.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, base := range []string{"https://APP.example:443/", "http://localhost:80"} {
		p := protection(t, func(o *csrf.Options) { o.BaseURL = base })
		want := map[string]string{"https://APP.example:443/": "https://app.example", "http://localhost:80": "http://localhost"}[base]
		if got := status(p.Middleware(ok), post("/", "Origin", want)); got != 200 {
			t.Errorf("%s: %d", base, got)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("no middleware, and no panic")
		}
	}()
	csrf.Token(context.Background())
}

func Example() {
	sessions, err := session.New(session.Options{BaseURL: base, Store: session.NewMemoryStore()})
	if err != nil {
		panic(err)
	}
	protection, err := csrf.New(csrf.Options{BaseURL: base, Secrets: []string{secret}})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /transfer", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "done") })
	h := sessions.Middleware(protection.Middleware(mux))

	for _, site := range []string{"same-origin", "cross-site"} {
		r := httptest.NewRequest(http.MethodPost, "/transfer", nil)
		r.Header.Set("Sec-Fetch-Site", site) // the browser's word
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(site, w.Code)
	}
	// Output:
	// same-origin 200
	// cross-site 403
}

// The page of an application's own that says no may have a form: to sign out, to try again.
func TestRefusalMayHaveAForm(t *testing.T) {
	p := protection(t, func(o *csrf.Options) {
		o.Refuse = func(w http.ResponseWriter, r *http.Request, _ *guard.Error) {
			field := csrf.Field(r.Context())
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, string(field))
		}
	})
	r := httptest.NewRequest("POST", "https://app.example/", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	p.Middleware(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), csrf.FieldName) || w.Header().Get("Set-Cookie") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

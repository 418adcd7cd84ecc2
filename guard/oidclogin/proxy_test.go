package oidclogin_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

// upstream is an API that tells what it was sent.
type upstream struct {
	*httptest.Server
	last *http.Request
	body string
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		u.last, u.body = r, string(body)
		h := w.Header()
		h.Add("Set-Cookie", "guard_session=stolen; Path=/")
		h.Add("Set-Cookie", "other=1")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Clear-Site-Data", `"*"`)
		h.Set("WWW-Authenticate", "Basic")
		h.Set("Content-Security-Policy", "default-src *")
		h.Set("Cache-Control", "public, max-age=600")
		h.Set("ETag", `"7"`)
		h.Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "<script>alert(1)</script>")
	}))
	t.Cleanup(u.Close)
	return u
}

// proxied mounts a proxy to target at /api/.
func (a *app) proxied(t *testing.T, target, audience string, scopes ...string) {
	t.Helper()
	p, err := a.login.Proxy(target, audience, scopes...)
	if err != nil {
		t.Fatal(err)
	}
	a.mux.Handle("/api/", http.StripPrefix("/api", p))
}

func TestProxy(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		api := newUpstream(t)
		a := newApp(t, false, func(o *oidclogin.Options) { offline(o); change(o) })
		a.proxied(t, api.URL+"/v1", "")
		b := a.browser(t)
		if p := b.fetch("/api/shows"); p.StatusCode != http.StatusUnauthorized || api.last != nil {
			t.Fatalf("nobody signed in: %d", p.StatusCode)
		}
		if p := b.visit("/api/shows"); p.StatusCode != http.StatusUnauthorized {
			t.Errorf("a page visit is led to sign in: %d", p.StatusCode)
		}
		b.signIn()
		p := b.send(http.MethodPost, "/api/shows/7?page=2&q=a%2Fb", map[string][]string{"title": {"Dark"}},
			"Sec-Fetch-Site", "same-origin", "Authorization", "Basic ZXZpbA==", "Referer", a.server.URL+"/secret", "Origin", a.server.URL,
			"X-Forwarded-For", "203.0.113.7", "Forwarded", "for=203.0.113.7", "Connection", "Authorization, X-Mine", "X-Mine", "hop", "X-Kept", "yes")
		if p.StatusCode != http.StatusTeapot {
			t.Fatalf("%d %s\n%s", p.StatusCode, p.body, a.log)
		}
		r := api.last
		if r.Method != http.MethodPost || r.RequestURI != "/v1/shows/7?page=2&q=a%2Fb" || api.body != "title=Dark" || r.Host != strings.TrimPrefix(api.URL, "http://") {
			t.Errorf("%s %s %q to %s", r.Method, r.RequestURI, api.body, r.Host)
		}
		if got := r.Header["Authorization"]; len(got) != 1 || got[0] != "Bearer "+b.token() {
			t.Errorf("Authorization: %v", got)
		}
		if r.Header.Get("X-Kept") != "yes" {
			t.Error("a harmless header was lost")
		}
	})
}

func TestThreat_BR02_ProxyKeepsBothSidesApart(t *testing.T) {
	api := newUpstream(t)
	a := newApp(t, false, offline)
	a.proxied(t, api.URL, "")
	b := a.browser(t)
	b.signIn()
	before := len(b.cookies(""))
	p := b.send(http.MethodGet, "/api/x", nil, "Sec-Fetch-Site", "same-origin", "Cookie", "other=1", "DPoP", "proof", "Referer", a.server.URL, "Origin", a.server.URL)
	for _, name := range []string{"Cookie", "Dpop", "Referer", "Origin", "Sec-Fetch-Site", "X-Forwarded-For"} {
		if v := api.last.Header.Get(name); v != "" {
			t.Errorf("the API sees %s: %s", name, v)
		}
	}
	for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Clear-Site-Data", "Www-Authenticate"} {
		if v := p.Header.Get(name); v != "" {
			t.Errorf("the browser sees %s: %s", name, v)
		}
	}
	if len(b.cookies("")) != before {
		t.Error("the API has set a cookie here")
	}
	for name, want := range map[string]string{"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff", "Cache-Control": "private", "Etag": `"7"`, "Vary": "Cookie"} {
		if v := p.Header.Get(name); !strings.Contains(v, want) {
			t.Errorf("%s: %q", name, v)
		}
	}
	// A renewal on the way: our own cookie passes, and nothing of it is cacheable.
	a.clock.Advance(10 * time.Minute)
	if p := b.fetch("/api/x"); len(p.Header["Set-Cookie"]) != 1 || p.Header.Get("Cache-Control") == "public, max-age=600" || a.renewals() != 1 {
		t.Errorf("%v, %d renewals", p.Header, a.renewals())
	}
	if got := api.last.Header.Get("Authorization"); got != "Bearer "+b.token() || a.renewals() != 1 {
		t.Error("the renewed token was not kept")
	}
}

// What comes ahead of an answer, and what speaks to caches and web servers, is held back as well.
func TestThreat_BR02_ProxyHoldsBackHints(t *testing.T) {
	withheld := []string{
		"Cdn-Cache-Control", "Cloudflare-Cdn-Cache-Control", "Surrogate-Control", "Edge-Control", "Nel", "Report-To", "Reporting-Endpoints",
		"X-Accel-Redirect", "X-Accel-Expires", "X-Sendfile", "X-Lighttpd-Send-File", "X-Reproxy-Url",
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "early=1; Path=/")
		w.Header().Set("Link", "</x>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Set-Cookie")
		for _, name := range withheld {
			w.Header().Set(name, "max-age=600")
		}
		w.WriteHeader(http.StatusOK)
	}))
	defer api.Close()
	a := newApp(t, false, nil)
	p, err := a.login.Proxy(api.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	a.mux.Handle("/api/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Ours", "kept")
		http.StripPrefix("/api", p).ServeHTTP(w, r)
	}))
	b := a.browser(t)
	b.signIn()
	early := http.Header{}
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		early = http.Header(h)
		return nil
	}})
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, a.server.URL+"/api/x", nil)
	for _, c := range b.cookies("_session") {
		r.AddCookie(c)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || len(early) != 0 || res.Header.Get("X-Ours") != "kept" {
		t.Errorf("%d, ahead of it %v, then %v", res.StatusCode, early, res.Header)
	}
	for _, name := range withheld {
		if v := res.Header.Get(name); v != "" {
			t.Errorf("%s: %s", name, v)
		}
	}
}

func TestThreat_BR04_ProxyRefusesOtherSites(t *testing.T) {
	api := newUpstream(t)
	a := newApp(t, false, nil)
	a.proxied(t, api.URL, "")
	b := a.browser(t)
	b.signIn()
	websocket := []string{"Connection", "Upgrade", "Upgrade", "websocket"}
	for _, tt := range []struct {
		name   string
		method string
		header []string
		ok     bool
	}{
		{"script of ours", "POST", []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"script of ours, old browser", "POST", []string{"Origin", a.server.URL}, true},
		{"form elsewhere", "POST", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"neighbouring host", "DELETE", []string{"Sec-Fetch-Site", "same-site"}, false},
		{"form elsewhere, old browser", "PUT", []string{"Origin", "https://evil.example"}, false},
		{"in a sandbox", "POST", []string{"Origin", "null"}, false},
		{"method of another name", "PATCH", []string{"Sec-Fetch-Site", "cross-site", "X-Http-Method-Override", "GET"}, false},
		{"websocket of ours", "GET", append(websocket, "Origin", a.server.URL), true},
		{"websocket elsewhere", "GET", append(websocket, "Origin", "https://evil.example"), false},
		{"websocket elsewhere, told by the browser", "GET", append(websocket, "Sec-Fetch-Site", "cross-site", "Origin", a.server.URL), false},
		{"websocket of nobody", "GET", websocket, false},
		{"reading", "GET", []string{"Sec-Fetch-Site", "same-origin"}, true},
	} {
		api.last = nil
		p := b.send(tt.method, "/api/x", nil, tt.header...)
		if (api.last != nil) != tt.ok || !tt.ok && p.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d, reached the API: %v", tt.name, p.StatusCode, api.last != nil)
		}
	}
}

// http://app is anybody's on the path to https://app: a page that was put there is of another site, whatever the
// host. A browser that knows Sec-Fetch-Site says so itself.
func TestThreat_BR04_SameHostByHTTPIsAnotherSite(t *testing.T) {
	api := newUpstream(t)
	a := newApp(t, true, nil)
	a.proxied(t, api.URL, "")
	b := a.browser(t)
	b.signIn()
	planted := strings.Replace(a.server.URL, "https://", "http://", 1)
	for _, path := range []string{"/api/x", "/auth/logout"} {
		if p := b.send(http.MethodPost, path, nil, "Origin", planted); p.StatusCode != http.StatusForbidden || api.last != nil {
			t.Errorf("%s: %d, reached the API: %v", path, p.StatusCode, api.last != nil)
		}
	}
	if !b.signedIn() {
		t.Error("signed out")
	}
	if p := b.send(http.MethodPost, "/api/x", nil, "Origin", a.server.URL); api.last == nil {
		t.Errorf("a page of ours: %d", p.StatusCode)
	}
}

func TestThreat_HT04_ProxyPathStaysBelowTheTarget(t *testing.T) {
	api := newUpstream(t)
	a := newApp(t, false, nil)
	p, err := a.login.Proxy(api.URL+"/v1/public", "")
	if err != nil {
		t.Fatal(err)
	}
	b := a.browser(t)
	b.signIn()
	for path, want := range map[string]string{
		"/shows":                  "/v1/public/shows",
		"":                        "/v1/public/",
		"/":                       "/v1/public/",
		"/a%2Fb":                  "/v1/public/a%2Fb",
		"/a%20b":                  "/v1/public/a%20b",
		"/...":                    "/v1/public/...",
		"/a..b/.c":                "/v1/public/a..b/.c",
		"//evil.example/x":        "/v1/public//evil.example/x",
		"/http://evil.example":    "/v1/public/http://evil.example",
		"/../admin":               "",
		"/..":                     "",
		"/a/../../admin":          "",
		"/./a":                    "",
		"/%2e%2e/admin":           "",
		"/%2E%2E%2Fadmin":         "",
		"/..%2fadmin":             "",
		"/%252e%252e/admin":       "",
		"/%25252e%25252e/admin":   "",
		"/..;x/admin":             "",
		"/..%3bx/admin":           "",
		`/..\admin`:               "",
		"/..%5cadmin":             "",
		"/a%5c..%5cadmin":         "",
		"/a%00b":                  "",
		"/a%0d%0aX-Injected:%20b": "",
	} {
		api.last = nil
		r := a.request(b)
		u, err := url.Parse("http://app" + path)
		if err != nil {
			t.Fatal(path, err)
		}
		r.URL = u
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		got := ""
		if api.last != nil {
			got = api.last.RequestURI
		}
		if got != want || want == "" && w.Code != http.StatusBadRequest {
			t.Errorf("%q becomes %q (%d), want %q", path, got, w.Code, want)
		}
	}
}

// Headers by which servers are told of another path, another method, another sender than there are.
func TestThreat_HT01_ProxyHeadersSpeakForNobodyElse(t *testing.T) {
	api := newUpstream(t)
	a := newApp(t, false, nil)
	a.proxied(t, api.URL+"/v1/public", "")
	b := a.browser(t)
	b.signIn()
	names := []string{
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-User", "X-Forwarded-Client-Cert", "Forwarded",
		"X-Real-Ip", "Client-Cert", "Remote-User", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
		"X_Forwarded_For", "X_Original_URL", "Proxy",
	}
	header := []string{"Sec-Fetch-Site", "same-origin", "X-Kept", "yes"}
	for _, name := range names {
		header = append(header, name, "/admin")
	}
	if p := b.send(http.MethodGet, "/api/shows", nil, header...); p.StatusCode != http.StatusTeapot {
		t.Fatal(p.StatusCode, p.body)
	}
	for _, name := range names {
		if v := api.last.Header.Values(name); len(v) > 0 {
			t.Errorf("the API sees %s: %s", name, v)
		}
	}
	if api.last.Header.Get("X-Kept") != "yes" {
		t.Error("a harmless header was lost")
	}
}

// "GET x:http://elsewhere/ HTTP/1.1" has no path at all; what stands there would be sent as it is.
func TestThreat_HT04_ProxyNeedsAPath(t *testing.T) {
	api := newUpstream(t)
	a := newApp(t, false, nil)
	p, err := a.login.Proxy(api.URL+"/v1/public", "")
	if err != nil {
		t.Fatal(err)
	}
	b := a.browser(t)
	b.signIn()
	r := a.request(b)
	if r.URL, err = url.ParseRequestURI("x:" + api.URL + "/admin"); err != nil || r.URL.Opaque == "" {
		t.Fatal(r.URL, err)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || api.last != nil {
		t.Errorf("%d, and the API was asked: %v", w.Code, api.last != nil)
	}
}

// A tunnel in another protocol would lead past every rule above.
func TestThreat_HT03_ProxyIsNoTunnel(t *testing.T) {
	api := newUpstream(t)
	a := newApp(t, false, nil)
	p, err := a.login.Proxy(api.URL+"/v1", "")
	if err != nil {
		t.Fatal(err)
	}
	b := a.browser(t)
	b.signIn()
	for _, tt := range []struct {
		method, upgrade string
		status          int
	}{
		{"GET", "h2c", 400},
		{"GET", "HTTP/2.0", 400},
		{"POST", "h2c", 400},
		{"GET", "websocket, h2c", 400},
		{"GET", "TLS/1.0", 400},
		{"CONNECT", "", 405},
		{"TRACE", "", 405},
		{"GET", "WebSocket", 418},
		{"OPTIONS", "", 418},
		{"PURGE", "", 418},
	} {
		api.last = nil
		r := a.request(b)
		r.Method = tt.method
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if tt.upgrade != "" {
			r.Header.Set("Connection", "Upgrade, HTTP2-Settings")
			r.Header.Set("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")
			r.Header.Set("Upgrade", tt.upgrade)
		}
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != tt.status || (api.last != nil) != (tt.status == 418) {
			t.Errorf("%s %s: %d, reached the API: %v", tt.method, tt.upgrade, w.Code, api.last != nil)
		}
	}
}

// sink is a transport that answers nothing and remembers what it was asked.
type sink struct{ last *http.Request }

func (s *sink) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "api.example.com" {
		return http.DefaultTransport.RoundTrip(r) // the issuer
	}
	s.last = r
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// Whatever is written after the prefix, it stays below the target, however often
// somebody decodes it.
func FuzzThreat_HT04_ProxyPath(f *testing.F) {
	for _, seed := range []string{"shows", "../admin", "%2e%2e/admin", "..%2fadmin", "%252e%252e%252fadmin", "..;/admin", `..\admin`, "a//b", "//evil.example", "@evil.example", "?x=1", "#f", "%00", "a%2Fb", "http://evil.example/", ".%2e", "%c0%ae%c0%ae/", "\u2025/"} {
		f.Add(seed)
	}
	out := &sink{}
	a := newApp(f, false, func(o *oidclogin.Options) { o.HTTPClient = &http.Client{Transport: out} })
	p, err := a.login.Proxy("https://api.example.com/v1/public", "")
	if err != nil {
		f.Fatal(err)
	}
	b := a.browser(f)
	b.signIn()
	f.Fuzz(func(t *testing.T, rest string) {
		u, err := url.ParseRequestURI("/" + rest)
		if err != nil || u.Host != "" {
			return
		}
		out.last = nil
		r := a.request(b)
		r.URL = u
		p.ServeHTTP(httptest.NewRecorder(), r)
		if out.last == nil {
			return
		}
		got := out.last.URL
		if got.Host != "api.example.com" || got.Scheme != "https" || got.User != nil {
			t.Fatalf("%q leads to %s", rest, got)
		}
		for name := got.EscapedPath(); ; {
			if clean := path.Clean(strings.ReplaceAll(name, `\`, "/")); clean != "/v1/public" && !strings.HasPrefix(clean, "/v1/public/") {
				t.Fatalf("%q leads to %s, which some read as %s", rest, got, clean)
			}
			decoded, err := url.PathUnescape(name)
			if err != nil || decoded == name {
				return
			}
			name = decoded
		}
	})
}

func TestProxyStreamsAndUpgrades(t *testing.T) {
	goOn := make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: one\n\n")
			_ = http.NewResponseController(w).Flush()
			<-goOn
			_, _ = io.WriteString(w, "data: two\n\n")
		case "/echo":
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: a=b\r\nX-Auth: %s\r\n\r\n", r.Header.Get("Authorization")[:6])
			_ = rw.Flush()
			_, _ = io.Copy(conn, rw)
		}
	}))
	defer api.Close()
	a := newApp(t, false, offline)
	a.proxied(t, api.URL, "")
	b := a.browser(t)
	b.signIn()
	a.clock.Advance(10 * time.Minute) // both renew, ahead of the header

	request := func(path string, header ...string) *http.Request {
		r, _ := http.NewRequest(http.MethodGet, a.server.URL+"/api"+path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		for _, c := range b.cookies("_session") {
			r.AddCookie(c)
		}
		return r
	}
	res, err := http.DefaultTransport.RoundTrip(request("/events"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(res.Body)
	if lines.Scan(); lines.Text() != "data: one" {
		t.Fatalf("%d %q: the first event waits for the second", res.StatusCode, lines.Text())
	}
	close(goOn)
	rest, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if len(res.Header["Set-Cookie"]) == 0 {
		t.Error("the renewed session was not sent ahead of the stream")
	}
	_ = rest

	res, err = http.DefaultTransport.RoundTrip(request("/echo", "Connection", "Upgrade", "Upgrade", "websocket", "Origin", a.server.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	conn, ok := res.Body.(io.ReadWriter)
	if res.StatusCode != http.StatusSwitchingProtocols || !ok {
		t.Fatalf("%d", res.StatusCode)
	}
	_, _ = io.WriteString(conn, "hello\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if line != "hello\n" || res.Header.Get("X-Auth") != "Bearer" {
		t.Errorf("%q %v %v", line, err, res.Header)
	}
	for _, c := range res.Header["Set-Cookie"] {
		if strings.HasPrefix(c, "a=") {
			t.Error("the API has set a cookie here")
		}
	}
}

func TestProxyFailures(t *testing.T) {
	api := newUpstream(t)
	a := newApp(t, false, offline)
	a.proxied(t, api.URL, "")
	b := a.browser(t)
	b.signIn()
	api.Close()
	if p := b.fetch("/api/x"); p.StatusCode != http.StatusBadGateway || strings.Contains(p.body, "refused") || p.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("API down: %d %s", p.StatusCode, p.body)
	}
	a.clock.Advance(10 * time.Minute)
	a.issuer.Down(true)
	if p := b.fetch("/api/x"); p.StatusCode != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" {
		t.Errorf("provider down: %d %s", p.StatusCode, p.body)
	}
	a.issuer.Down(false)
	a.issuer.RevokeRefreshTokens()
	if p := b.fetch("/api/x"); p.StatusCode != http.StatusUnauthorized || b.signedIn() {
		t.Errorf("signed out: %d %s", p.StatusCode, p.body)
	}
	if log := a.log.String(); strings.Contains(log, "Bearer") {
		t.Error(log)
	}
	for _, target := range []string{"", "/v1", "ftp://api.example.com", "http://api.example.com", "https://api.example.com/?key=1", "https://api.example.com/../x", "https://user:pw@api.example.com"} {
		if _, err := a.login.Proxy(target, ""); err == nil {
			t.Errorf("%q is accepted", target)
		}
	}
	if _, err := a.login.Proxy("https://api.example.com", "", `a"b`); err == nil {
		t.Error("a scope that is none is accepted")
	}
}

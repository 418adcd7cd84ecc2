package guard_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// pass is a scheme for tests: the header X-Pass names the principal, "bad" is a
// bad credential, "broken" a scheme that fails.
type pass struct {
	header string
	login  string
	hook   func(http.Header)
	extra  []string // makes the type one that cannot be compared
}

func (s pass) Authenticate(r *http.Request) (guard.Result, error) {
	switch v := r.Header.Get(s.header); v {
	case "":
		return guard.Result{BeforeHeader: s.hook}, nil
	case "bad":
		return guard.Result{BeforeHeader: s.hook}, &guard.Error{Code: guard.InvalidToken, Description: "It is bad"}
	case "twice":
		return guard.Result{}, &guard.Error{Code: guard.InvalidRequest, Description: "It came twice"}
	case "down":
		return guard.Result{}, &guard.Error{Code: guard.Unavailable, RetryAfter: 1500 * time.Millisecond}
	case "broken":
		return guard.Result{}, errors.New("password of the database is hunter2")
	default:
		return guard.Result{Principal: &guard.Principal{
			Kind: guard.User, Subject: v, Method: s.header, Scopes: []string{"read"}, Permissions: []string{"shows:read"},
		}, BeforeHeader: s.hook}, nil
	}
}

func (s pass) Challenge(_ *http.Request, why *guard.Error) []string {
	if why == nil {
		return []string{s.header}
	}
	return []string{fmt.Sprintf("%s error=%q", s.header, why.Code)}
}

type pagePass struct{ pass }

func (s pagePass) LoginURL(r *http.Request) string { return s.login + "?returnTo=" + r.URL.Path }

func whoami(w http.ResponseWriter, r *http.Request) {
	p, ok := guard.From(r.Context())
	if !ok {
		_, _ = io.WriteString(w, "nobody")
		return
	}
	_, _ = io.WriteString(w, p.Subject)
}

func get(h http.Handler, header ...string) *httptest.ResponseRecorder {
	return do(h, http.MethodGet, "/", header...)
}

func do(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRequire(t *testing.T) {
	api, session := pass{header: "X-Api"}, pagePass{pass{header: "X-Session", login: "/auth/login"}}
	h := guard.Require(guard.AnyOf(api, session), guard.Scopes("read"), guard.Permissions("shows:read"))(http.HandlerFunc(whoami))
	page := []string{"Accept", "text/html,application/xhtml+xml"}

	tests := []struct {
		name       string
		header     []string
		status     int
		body       string
		challenges []string
		location   string
		retryAfter string
	}{
		{name: "first scheme", header: []string{"X-Api", "alice"}, status: 200, body: "alice"},
		{name: "second scheme", header: []string{"X-Session", "bob"}, status: 200, body: "bob"},
		{name: "both: order decides", header: []string{"X-Session", "bob", "X-Api", "alice"}, status: 200, body: "alice"},
		{name: "nothing", status: 401, challenges: []string{"X-Api", "X-Session"}},
		{name: "bad", header: []string{"X-Api", "bad"}, status: 401, challenges: []string{`X-Api error="invalid_token"`, "X-Session"}, body: "It is bad"},
		{name: "malformed", header: []string{"X-Api", "twice"}, status: 400, challenges: []string{`X-Api error="invalid_request"`, "X-Session"}},
		{name: "unavailable", header: []string{"X-Api", "down"}, status: 503, retryAfter: "2"},
		{name: "broken", header: []string{"X-Api", "broken"}, status: 500},
		{name: "page visit", header: page, status: 303, location: "/auth/login?returnTo=/"},
		{name: "page visit, said so", header: append(page, "Sec-Fetch-Mode", "navigate"), status: 303, location: "/auth/login?returnTo=/"},
		{name: "script", header: append(page, "Sec-Fetch-Mode", "cors"), status: 401, challenges: []string{"X-Api", "X-Session"}},
		{name: "page visit with a credential", header: append(page, "Authorization", "Whatever"), status: 401, challenges: []string{"X-Api", "X-Session"}},
		{name: "page visit with a bad session", header: append(page, "X-Session", "bad"), status: 401, challenges: []string{"X-Api", `X-Session error="invalid_token"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := get(h, tt.header...)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("body %q, want %q in it", w.Body, tt.body)
			}
			if got := w.Header().Values("WWW-Authenticate"); !slices.Equal(got, tt.challenges) {
				t.Errorf("challenges %q, want %q", got, tt.challenges)
			}
			if got := w.Header().Get("Location"); got != tt.location {
				t.Errorf("location %q, want %q", got, tt.location)
			}
			if got := w.Header().Get("Retry-After"); got != tt.retryAfter {
				t.Errorf("Retry-After %q, want %q", got, tt.retryAfter)
			}
			if w.Code != 200 && w.Header().Get("Cache-Control") != "no-store" {
				t.Error("a refusal may be cached")
			}
			if strings.Contains(w.Body.String(), "hunter2") {
				t.Error("the cause of an error reached the client")
			}
		})
	}
}

func TestRequirements(t *testing.T) {
	scheme := pass{header: "X-Api"}
	known := []string{"X-Api", "alice"}
	tests := []struct {
		name      string
		option    guard.Option
		status    int
		challenge string
	}{
		{"scope held", guard.Scopes("read"), 200, ""},
		{"scope missing", guard.Scopes("read", "write"), 403, `X-Api error="insufficient_scope"`},
		{"permission held", guard.Permissions("shows:read"), 200, ""},
		{"permission missing", guard.Permissions("shows:write"), 403, `X-Api error="insufficient_scope"`},
		{"a person", guard.Users(), 200, ""},
		{"not an application", guard.Clients(), 403, `X-Api error="access_denied"`},
		{"own rule met", guard.Where(func(*http.Request, *guard.Principal) error { return nil }), 200, ""},
		{"own rule not met", guard.Where(func(*http.Request, *guard.Principal) error { return errors.New("hunter2") }), 403, `X-Api error="access_denied"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := get(guard.Require(guard.AnyOf(scheme, pass{header: "X-Other"}), tt.option)(http.HandlerFunc(whoami)), known...)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d", w.Code, tt.status)
			}
			if got := strings.Join(w.Header().Values("WWW-Authenticate"), "|"); got != tt.challenge {
				t.Errorf("challenges %q, want %q: only the principal's own scheme can ask for more", got, tt.challenge)
			}
			if strings.Contains(w.Body.String(), "hunter2") {
				t.Error("the cause reached the client")
			}
		})
	}
}

func TestOptional(t *testing.T) {
	h := guard.Optional(pass{header: "X-Api"})(http.HandlerFunc(whoami))
	for header, want := range map[string]string{"": "200 nobody", "alice": "200 alice", "bad": "401"} {
		w := get(h, "X-Api", header)
		if got := fmt.Sprintf("%d %s", w.Code, w.Body); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestProblemDocument(t *testing.T) {
	h := guard.Require(pass{header: "X-Api"}, guard.Scopes("write"))(http.HandlerFunc(whoami))
	w := get(h, "X-Api", "alice")
	var problem map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
		t.Fatal(err)
	}
	if w.Header().Get("Content-Type") != "application/problem+json" || problem["status"] != 403.0 ||
		problem["code"] != "insufficient_scope" || problem["scope"] != "write" {
		t.Errorf("%s: %v", w.Header().Get("Content-Type"), problem)
	}
	if w = get(h, "X-Api", "alice", "Accept", "text/html"); !strings.Contains(w.Body.String(), "<h1>Forbidden</h1>") {
		t.Errorf("no page for a browser: %s", w.Body)
	}
}

func TestRefuse(t *testing.T) {
	h := guard.Require(pass{header: "X-Api"}, guard.Refuse(func(w http.ResponseWriter, _ *http.Request, f *guard.Refusal) {
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, "my own words")
	}))(http.HandlerFunc(whoami))
	w := get(h)
	if w.Code != 401 || w.Body.String() != "my own words" || w.Header().Get("WWW-Authenticate") != "X-Api" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
}

// Every way around the middleware ends at a handler that must not have run.
func TestThreat_RP07_MiddlewareBypass(t *testing.T) {
	ran := false
	secret := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ran = true
		if _, ok := guard.From(r.Context()); !ok {
			t.Error("the handler runs without a principal")
		}
		whoami(w, r)
	})
	protect := guard.Require(pagePass{pass{header: "X-Pass", login: "/login"}})
	sub := http.NewServeMux()
	sub.Handle("/inner/", secret)
	sub.Handle("GET /inner/{id}", secret)
	routes := http.NewServeMux()
	routes.Handle("/admin", protect(secret))
	routes.Handle("/admin/", protect(secret))
	routes.Handle("/stripped/", http.StripPrefix("/stripped", protect(sub)))
	routes.Handle("/outside/", protect(http.StripPrefix("/outside", sub)))
	routes.Handle("/twice/", protect(protect(secret)))
	routes.Handle("/optional/", guard.Optional(pass{header: "X-Pass"})(protect(secret)))

	paths := []string{
		"/admin", "/admin/", "/admin//", "/admin/x", "/admin/%2e", "/admin/..;/x", "/ADMIN/../admin/", "/admin?x=1", "/admin/x.css",
		"/stripped/inner/", "/stripped/inner/7", "/outside/inner/", "/outside/inner/7", "/twice/", "/optional/",
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND"}
	disguises := map[string][]string{
		"plain":              nil,
		"websocket":          {"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version", "13"},
		"page":               {"Accept", "text/html", "Sec-Fetch-Mode", "navigate"},
		"internal redirect":  {"X-Middleware-Subrequest", "middleware", "X-Original-URL", "/public", "X-Rewrite-URL", "/public"},
		"remote user":        {"X-Remote-User", "admin", "Remote-User", "admin", "X-Forwarded-User", "admin", "X-Principal", "admin", "Principal", "admin"},
		"method override":    {"X-HTTP-Method-Override", "OPTIONS"},
		"prefetch":           {"Sec-Purpose", "prefetch", "Purpose", "prefetch"},
		"forwarded loopback": {"X-Forwarded-For", "127.0.0.1", "Forwarded", "for=127.0.0.1"},
	}
	for name, header := range disguises {
		for _, method := range methods {
			for _, path := range paths {
				ran = false
				w := do(routes, method, path, header...)
				if ran || w.Code < 300 {
					t.Errorf("%s: %s %s: %d, handler ran: %v", name, method, path, w.Code, ran)
				}
			}
		}
	}
	for _, path := range []string{"/admin", "/admin/x", "/stripped/inner/7", "/outside/inner/7", "/twice/", "/optional/"} {
		if w := do(routes, "GET", path, "X-Pass", "alice"); w.Body.String() != "alice" {
			t.Errorf("%s: the rightful caller gets %d %s", path, w.Code, w.Body)
		}
	}
}

func TestThreat_RP07_PanicRenewsNothing(t *testing.T) {
	hooks := 0
	scheme := pass{header: "X-Pass", hook: func(h http.Header) { hooks++; h.Set("Set-Cookie", "a=b") }}
	h := guard.Require(scheme)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("the panic was swallowed")
			}
		}()
		get(h, "X-Pass", "alice")
	}()
	if hooks != 0 {
		t.Error("a handler that panicked had its session renewed")
	}
	if w := get(h); w.Code != 401 {
		t.Errorf("after a panic anonymous callers get %d", w.Code)
	}
}

func TestThreat_RP08_CombinedSchemes(t *testing.T) {
	a, b := pass{header: "X-A", extra: []string{"not comparable"}}, pass{header: "X-B", extra: []string{"not comparable"}}
	for name, chain := range map[string]guard.Authenticator{
		"a, b":   guard.AnyOf(a, b),
		"b, a":   guard.AnyOf(b, a),
		"nested": guard.AnyOf(guard.AnyOf(a), guard.AnyOf(b)),
	} {
		h := guard.Require(chain)(http.HandlerFunc(whoami))
		for _, header := range [][]string{
			{"X-A", "bad", "X-B", "bob"},
			{"X-A", "alice", "X-B", "bad"},
			{"X-A", "broken", "X-B", "bob"},
			{"X-A", "alice", "X-B", "down"},
		} {
			if w := get(h, header...); w.Code < 400 {
				t.Errorf("%s: %v: %d: a bad credential hides behind a good one", name, header, w.Code)
			}
		}
	}
}

func TestThreat_RP08_EmptyChainIsAPanic(t *testing.T) {
	var none guard.Authenticator
	ok := pass{header: "X"}
	for name, build := range map[string]func(){
		"AnyOf of nothing":       func() { guard.AnyOf() },
		"AnyOf of nil":           func() { guard.AnyOf(ok, none) },
		"Require nil":            func() { guard.Require(none) },
		"Optional nil":           func() { guard.Optional(none) },
		"Optional with a scope":  func() { guard.Optional(ok, guard.Scopes("read")) },
		"Scopes of nothing":      func() { guard.Scopes() },
		"Scopes of two in one":   func() { guard.Scopes("read write") },
		"Permissions of nothing": func() { guard.Permissions() },
		"Where nil":              func() { guard.Where(nil) },
		"nil option":             func() { guard.Require(ok, nil) },
		"nil handler":            func() { guard.Require(ok)(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s builds", name)
				}
			}()
			build()
		}()
	}
}

// once is a scheme whose credentials are good once.
type once struct {
	seen map[string]bool
}

func (s *once) Authenticate(r *http.Request) (guard.Result, error) {
	v := r.Header.Get("X-Once")
	if v == "" {
		return guard.Result{}, nil
	}
	if s.seen[v] {
		return guard.Result{}, &guard.Error{Code: guard.InvalidToken, Description: "It was used"}
	}
	s.seen[v] = true
	return guard.Result{
		Principal: &guard.Principal{Kind: guard.User, Subject: v},
		Again:     func(later *http.Request) bool { return later.Header.Get("X-Once") == v },
	}, nil
}

func (*once) Challenge(*http.Request, *guard.Error) []string { return []string{"Once"} }

// Guards stand around groups of routes and around routes: what is good once is good for all of them.
func TestGuardsInsideOfOneAnother(t *testing.T) {
	a, b, other := &once{map[string]bool{}}, &once{map[string]bool{}}, pass{header: "X-Other"}
	change := func(value string) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r = r.Clone(r.Context())
				r.Header.Set("X-Once", value)
				next.ServeHTTP(w, r)
			})
		}
	}
	tests := []struct {
		name   string
		guards []func(http.Handler) http.Handler
		status int
	}{
		{"the same scheme", []func(http.Handler) http.Handler{guard.Optional(a), guard.Require(a), guard.Require(a, guard.Users())}, 200},
		{"among others", []func(http.Handler) http.Handler{guard.Require(guard.AnyOf(other, a)), guard.Require(guard.AnyOf(a, other)), guard.Require(a)}, 200},
		{"two at a time", []func(http.Handler) http.Handler{guard.Require(guard.AllOf(a, b)), guard.Require(guard.AnyOf(b, other)), guard.Require(guard.AllOf(b, a))}, 200},
		{"a scheme of its own", []func(http.Handler) http.Handler{guard.Require(a), guard.Require(b), guard.Require(a)}, 200},
		{"another credential", []func(http.Handler) http.Handler{guard.Require(a), change("fresh"), guard.Require(a)}, 200},
		{"another credential that was used", []func(http.Handler) http.Handler{guard.Require(a), change("used"), guard.Require(a)}, 401},
		{"none any more", []func(http.Handler) http.Handler{guard.Require(a), change(""), guard.Require(a)}, 401},
	}
	a.seen["used"] = true
	for _, tt := range tests {
		var h http.Handler = http.HandlerFunc(whoami)
		for _, g := range slices.Backward(tt.guards) {
			h = g(h)
		}
		if w := get(h, "X-Once", tt.name); w.Code != tt.status {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
		if w := get(h, "X-Once", tt.name); w.Code != 401 {
			t.Errorf("%s, in a second request: %d", tt.name, w.Code)
		}
	}
}

func TestBeforeHeader(t *testing.T) {
	scheme := pass{header: "X-Pass", hook: func(h http.Header) { h.Add("X-Hook", "ran") }}
	handlers := map[string]http.HandlerFunc{
		"writes nothing": func(http.ResponseWriter, *http.Request) {},
		"writes":         func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "body") },
		"status, body":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); _, _ = io.WriteString(w, "body") },
		"flushes":        func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		"controls":       func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() },
		"copies":         func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("body")) },
		"early hints":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(200) },
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(guard.Optional(scheme)(handler))
			defer server.Close()
			for _, who := range []string{"", "alice", "bad"} {
				req, _ := http.NewRequest(http.MethodGet, server.URL, nil)
				req.Header.Set("X-Pass", who)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if got := res.Header.Values("X-Hook"); len(got) != 1 {
					t.Errorf("%q: the hook ran %d times", who, len(got))
				}
			}
		})
	}
}

// A websocket library takes the connection over; a session may still be renewed
// in the header it sends itself.
func TestHijack(t *testing.T) {
	scheme := pass{header: "X-Pass", hook: func(h http.Header) { h.Set("X-Hook", "ran") }}
	server := httptest.NewServer(guard.Require(scheme)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(buf, "HTTP/1.1 101 Switching Protocols\r\nX-Hook: %s\r\n\r\n", w.Header().Get("X-Hook"))
		_ = buf.Flush()
	})))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Pass: alice\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 101 || res.Header.Get("X-Hook") != "ran" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
}

// Over HTTP/2 a handler answers bit by bit while it still reads, with deadlines of its own; the hook has run before
// the first of them.
func TestStreamsOverHTTP2(t *testing.T) {
	scheme := pass{header: "X-Pass", hook: func(h http.Header) { h.Set("X-Hook", "ran") }}
	server := httptest.NewUnstartedServer(guard.Require(scheme)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if err := errors.Join(control.EnableFullDuplex(), control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})); err != nil {
			t.Error(err)
		}
		w.Header().Set("Trailer", "X-Sum")
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			_, _ = fmt.Fprintln(w, "got", lines.Text())
			if err := control.Flush(); err != nil {
				t.Error(err)
			}
		}
		w.Header().Set("X-Sum", "done")
	})))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	body, send := io.Pipe()
	req, _ := http.NewRequest(http.MethodPost, server.URL, body)
	req.Header.Set("X-Pass", "alice")
	begun := make(chan *http.Response, 1)
	go func() {
		res, err := server.Client().Do(req)
		if err != nil {
			t.Error(err)
		}
		begun <- res
	}()
	_, _ = io.WriteString(send, "one\n")
	res := <-begun
	if res == nil {
		return
	}
	defer res.Body.Close()
	if res.ProtoMajor != 2 || res.Header.Get("X-Hook") != "ran" {
		t.Errorf("%s, %v", res.Proto, res.Header)
	}
	answers := bufio.NewReader(res.Body)
	for _, word := range []string{"one", "two"} {
		if word == "two" {
			_, _ = io.WriteString(send, "two\n")
		}
		if line, err := answers.ReadString('\n'); line != "got "+word+"\n" || err != nil {
			t.Errorf("%q, %v", line, err)
		}
	}
	_ = send.Close()
	if rest, err := io.ReadAll(answers); len(rest) > 0 || err != nil || res.Trailer.Get("X-Sum") != "done" {
		t.Errorf("%q, %v, %v", rest, err, res.Trailer)
	}
}

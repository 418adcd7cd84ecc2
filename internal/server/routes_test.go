package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// answer is one answer of the crawl, with what was asked.
type answer struct {
	*servertest.Page
	asked string
	who   string
}

// routes returns the table, with a path for each row that something answers at.
func routes(t testing.TB, i *servertest.Instance) []server.Route {
	t.Helper()
	table, err := i.House.Routes()
	if err != nil {
		t.Fatal(err)
	}
	asset := regexp.MustCompile(`/u/assets/[\w.]+`).FindString(i.NewBrowser(t).Get("/u/sign-in").Body)
	for n, r := range table {
		switch {
		case !r.Prefix:
		case r.Path == "/u/assets/":
			table[n].Path = asset
		case strings.HasPrefix(r.Path, "/api/v2/"):
			table[n].Path += "clients"
		default:
			table[n].Path += "nothing"
		}
	}
	return table
}

func methods() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "FOO"}
}

// crawl asks every row of the table by every method, bare and with what is usual there, as a
// stranger and as somebody who is signed in.
func crawl(t testing.TB, i *servertest.Instance) (out []answer) {
	t.Helper()
	tokens, b := i.TokensFor(t, demo.Reader, demo.SPA, "scope", "openid profile offline_access read:shows")
	spa, web, worker := i.Content.Client(demo.SPA), i.Content.Client(demo.RegularWeb), i.Content.Client(demo.Machine)
	queries := map[string][]string{
		"/authorize": {
			i.AuthorizeQuery(demo.SPA).Encode(), i.AuthorizeQuery(demo.SPA, "prompt", "none").Encode(), i.AuthorizeQuery(demo.SPA, "prompt", "login").Encode(), i.AuthorizeQuery(demo.ThirdParty).Encode(),
			i.AuthorizeQuery(demo.SPA, "prompt", "select_account").Encode(), i.AuthorizeQuery(demo.SPA, "response_mode", "web_message").Encode(), i.AuthorizeQuery(demo.RegularWeb, "response_mode", "form_post").Encode(),
			i.AuthorizeQuery(demo.SPA, "redirect_uri", "https://evil.test/").Encode(), i.AuthorizeQuery(demo.SPA, "scope", "nothing").Encode(), "a=%zz",
		},
		"/v2/logout":   {"client_id=" + spa.ClientID + "&returnTo=https://evil.test/", "client_id=" + spa.ClientID},
		"/oidc/logout": {"id_token_hint=x", "post_logout_redirect_uri=https://evil.test/"},
		"/userinfo":    {"access_token=" + tokens.AccessToken},
		"/u/password":  {"ticket=x"},
	}
	secret := "client_id=" + web.ClientID + "&client_secret=" + web.ClientSecret
	bodies := map[string][]string{
		"/oauth/token": {
			"grant_type=client_credentials&client_id=" + worker.ClientID + "&client_secret=" + worker.ClientSecret + "&audience=" + demo.Audience, "grant_type=refresh_token&client_id=" + spa.ClientID + "&refresh_token=" + tokens.RefreshToken,
			"grant_type=password", secret,
		},
		"/oauth/introspect": {"client_id=" + worker.ClientID + "&client_secret=" + worker.ClientSecret + "&token=" + tokens.AccessToken, secret},
		"/oauth/revoke":     {"client_id=" + spa.ClientID + "&token=unknown"},
		"/userinfo":         {"access_token=" + tokens.AccessToken},
	}
	form := func(b *servertest.Browser, path string) []string {
		if !strings.HasPrefix(path, "/u/") {
			return nil
		}
		flow := b.Authorize(demo.ThirdParty).Hidden().Encode()
		return []string{flow + "&action=sign_in&email=x&password=y", flow + "&action=forgot", flow + "&action=allow", flow + "&action=sign_up&email=" + demo.Reader + "&password=a-long-enough-one"}
	}
	for who, browser := range map[string]*servertest.Browser{"stranger": i.NewBrowser(t), "signed in": b} {
		for _, r := range append(routes(t, i), server.Route{Path: "/nowhere"}, server.Route{Path: "/.well-known/nothing"}) {
			for _, method := range methods() {
				ask := func(query, body string, headers ...string) {
					path := r.Path
					if query != "" {
						path += "?" + query
					}
					p := browser.Send(browser.Request(method, path, body, headers...))
					out = append(out, answer{p, method + " " + path, who})
				}
				ask("", "")
				ask("", "", "Accept", "application/json", "Authorization", "Bearer "+tokens.AccessToken, "Origin", "http://localhost:3000")
				for _, query := range queries[r.Path] {
					ask(query, "")
				}
				if method == http.MethodPost {
					for _, body := range append(bodies[r.Path], form(browser, r.Path)...) {
						ask("", body)
					}
				}
			}
		}
	}
	if len(out) < 500 {
		t.Fatalf("the crawl saw %d answers only", len(out))
	}
	return out
}

// A 307 or 308 would post a password on to an application. After a form there is 303 alone.
func TestThreat_AZ21_NoRedirectKeepsTheMethod(t *testing.T) {
	redirects := 0
	for _, a := range crawl(t, servertest.New(t, servertest.Options{})) {
		switch a.StatusCode {
		case http.StatusTemporaryRedirect, http.StatusPermanentRedirect, http.StatusMovedPermanently, http.StatusFound:
			t.Errorf("%s as %s: %s to %s", a.asked, a.who, a.Status, a.Header.Get("Location"))
		case http.StatusSeeOther:
			redirects++
		}
	}
	if redirects < 10 {
		t.Errorf("the crawl met %d redirects only", redirects)
	}
}

// What carries a credential, or depends on one, is kept by nobody.
func TestThreat_TK19_NothingSecretIsCached(t *testing.T) {
	cacheable := 0
	for _, i := range []*servertest.Instance{servertest.New(t, servertest.Options{}), servertest.New(t, servertest.Options{TLS: true})} {
		for _, a := range crawl(t, i) {
			cache, body := a.Header.Get("Cache-Control"), a.Body
			switch {
			case strings.HasPrefix(cache, "public"):
				cacheable++
				if a.Header.Get("Set-Cookie") != "" || strings.Contains(a.Header.Get("Vary"), "Cookie") || a.StatusCode != http.StatusOK || strings.Contains(body, "name=\"flow\"") {
					t.Errorf("%s as %s can be cached: %v", a.asked, a.who, a.Header)
				}
			case cache == "private, no-cache": // an empty form that answered another, to which somebody may go back
				form := strings.HasPrefix(a.asked, "POST ") && strings.Contains(body, `name="flow"`) && !strings.Contains(body, `name="code" value`) && !strings.Contains(body, `value="allow"`)
				if !form || a.Header.Get("Set-Cookie") != "" || a.Header.Get("Location") != "" {
					t.Errorf("%s as %s is kept: %s %v", a.asked, a.who, a.Status, a.Header)
				}
			case cache == "" && a.StatusCode == http.StatusNoContent && strings.HasPrefix(a.asked, "OPTIONS"): // a preflight
			case cache != "no-store":
				t.Errorf("%s as %s: %s with Cache-Control %q", a.asked, a.who, a.Status, cache)
			}
			if a.Header.Get("Set-Cookie") != "" && cache != "no-store" {
				t.Errorf("%s as %s: a cookie on an answer with %q", a.asked, a.who, cache)
			}
			page := strings.HasPrefix(a.Header.Get("Content-Type"), "text/html")
			if page && a.StatusCode < 400 && !strings.Contains(a.Header.Get("Vary"), "Cookie") && !strings.HasPrefix(a.asked, "POST ") && !strings.Contains(a.asked, " /dev/") && !strings.HasSuffix(a.asked, " /") {
				t.Errorf("%s as %s: a page without Vary: Cookie", a.asked, a.who)
			}
		}
	}
	if cacheable < 10 {
		t.Errorf("the crawl met %d public answers only", cacheable)
	}
}

func TestThreat_BR05_NoPageCanBeFramed(t *testing.T) {
	pages := 0
	for _, a := range crawl(t, servertest.New(t, servertest.Options{})) {
		if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			if a.Body != "" && a.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: no nosniff", a.asked)
			}
			continue
		}
		pages++
		policy := a.Header.Get("Content-Security-Policy")
		message := strings.Contains(a.Body, "postMessage")
		switch {
		case message && (!strings.HasSuffix(policy, "frame-ancestors http://localhost:3000") || a.Header.Get("X-Frame-Options") != "" || strings.Contains(a.Body, "<form") || strings.Contains(a.Body, "<button")):
			t.Errorf("%s: a message framed by %q, or with something to press", a.asked, policy)
		case !message && (!strings.HasSuffix(policy, "frame-ancestors 'none'") || a.Header.Get("X-Frame-Options") != "DENY"):
			t.Errorf("%s as %s: %q, X-Frame-Options %q", a.asked, a.who, policy, a.Header.Get("X-Frame-Options"))
		}
		if a.Header.Get("Cross-Origin-Opener-Policy") != "" || a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", a.asked, a.Header)
		}
	}
	if pages < 50 {
		t.Errorf("the crawl met %d pages only", pages)
	}
}

// No other origin reads what belongs to a person: CORS is for endpoints that know no cookies.
func TestThreat_BR13_OriginsOnAllRoutes(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	public := []string{"/.well-known/openid-configuration", "//.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/jwks.json", "/userinfo"}
	registered := []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"}
	for _, r := range routes(t, i) {
		for _, origin := range []string{"http://localhost:3000", "https://evil.test", "null", i.URL} {
			for _, method := range []string{"OPTIONS", "GET", "POST"} {
				p := b.Send(b.Request(method, r.Path, "", "Origin", origin, "Access-Control-Request-Method", "GET"))
				got := p.Header.Get("Access-Control-Allow-Origin")
				want := ""
				switch {
				case slices.Contains(public, r.Path):
					want = "*"
				case slices.Contains(registered, r.Path) && origin == "http://localhost:3000":
					want = origin
				}
				refused := p.StatusCode == http.StatusMethodNotAllowed && got == ""
				if got != want && !refused || p.Header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s %s from %s: allowed origin %q, want %q", method, r.Path, origin, got, want)
				}
			}
		}
	}
	// What is not there says so to everybody: SDKs probe for it.
	if p := b.Send(b.Request("GET", "/nowhere", "", "Origin", "https://evil.test", "Accept", "application/json")); p.StatusCode != http.StatusNotFound || p.Header.Get("Access-Control-Allow-Origin") != "*" || p.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %v", p.Status, p.Header)
	}
}

func TestThreat_HT05_MethodsAreFixed(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	for _, r := range routes(t, i) {
		if r.All {
			continue // a table of its own
		}
		for _, method := range methods() {
			p := b.Send(b.Request(method, r.Path, ""))
			if offered := r.Methods[method]; offered == (p.StatusCode == http.StatusMethodNotAllowed) {
				t.Errorf("%s %s: %s", method, r.Path, p.Status)
			}
			if p.StatusCode != http.StatusMethodNotAllowed {
				continue
			}
			allow := strings.Split(p.Header.Get("Allow"), ", ")
			if len(allow) != len(r.Methods) || slices.ContainsFunc(allow, func(m string) bool { return !r.Methods[m] }) || p.Header.Get("Location") != "" || len(p.Cookies()) > 0 {
				t.Errorf("%s %s: Allow %v", method, r.Path, allow)
			}
		}
	}
	// No header makes one method another.
	logout := "/v2/logout?" + url.Values{"client_id": {i.Content.Client(demo.SPA).ClientID}, "returnTo": {"http://localhost:3000"}}.Encode()
	for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "_method"} {
		for _, method := range []string{"POST", "HEAD", "OPTIONS", "PUT"} {
			if p := b.Send(b.Request(method, logout+"&_method=GET", "_method=GET", name, "GET")); p.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s with %s: %s", method, name, p.Status)
			}
		}
	}
	// HEAD does no work: it says what GET would have said of the same address, and no more.
	for _, path := range []string{"/u/sign-in", "/u/sign-up", "/.well-known/jwks.json"} {
		get, head := b.Get(path), b.Send(b.Request("HEAD", path, ""))
		if head.Body != "" || head.StatusCode != get.StatusCode || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("HEAD %s: %s", path, head.Status)
		}
	}
}

// raw sends bytes as they are and reads one answer.
func raw(t testing.TB, i *servertest.Instance, request string) *http.Response {
	t.Helper()
	host := strings.TrimPrefix(i.URL, "http://")
	conn, err := net.Dial("tcp", strings.Replace(host, "localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "HOST", host)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp
}

func get(path string, headers ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: HOST\r\n" + strings.Join(append(headers, ""), "\r\n") + "Connection: close\r\n\r\n"
}

func TestThreat_HT04_OnePathOneSpelling(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	for _, path := range []string{"/authorize", "/u/sign-in", "//.well-known/openid-configuration", "/dev/inbox"} {
		if resp := raw(t, i, get(path)); resp.StatusCode == http.StatusNotFound {
			t.Errorf("%s is not there", path)
		}
	}
	for _, path := range []string{
		"//authorize", "/authorize/", "/authorize//", "/./authorize", "/u/../authorize", "/authorize/.", "/authorize/..", "/%61uthorize", "/authorize%2f", "/authorize%00", "/authorize%20", "/Authorize", "/AUTHORIZE",
		"/authorize;x=1", "/authorize%3bx", "/authorize%3f", "/authorize.", "/authorize.html", "/authorize\\", "/u//sign-in", "/u/./sign-in", "/u%2fsign-in", "/u/sign%2din", "/U/sign-in", "/u/sign-in/", "/u/assets/../sign-in",
		"/u/assets/%2e%2e/sign-in", "/u/assets/..%2fsign-in", "/u/assets//gatehouse.css", "/u/assets/", "/u/assets", "/u/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/u/assets/../../../../etc/passwd", "/u", "/u/", "/dev/inbox/../../authorize",
		"/dev/inbox/%2e%2e/%2e%2e/authorize", "/.well-known//openid-configuration", "///.well-known/openid-configuration", "//.well-known/jwks.json", "/.well-known/openid-configuration/", "/%2e/.well-known/jwks.json", "/oauth//token", "/oauth/token/..", "/index.html", "//",
		"/api/v2/../../authorize", "/api/v2/%2e%2e/%2e%2e/authorize", "/api/v2//clients",
	} {
		resp := raw(t, i, get(path))
		if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Location") != "" {
			t.Errorf("%s: %s to %q", path, resp.Status, resp.Header.Get("Location"))
		}
	}
}

func TestThreat_HT03_NothingIsSplitOrSmuggled(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	const evil = "%0d%0aSet-Cookie:%20evil=1%0d%0a%0d%0a<script>"
	q := i.AuthorizeQuery(demo.SPA)
	for _, path := range []string{
		"/authorize?" + q.Encode() + "&state=" + evil, "/authorize?client_id=" + q.Get("client_id") + "&redirect_uri=http://localhost:3000" + evil, "/authorize?" + strings.Replace(q.Encode(), "state=", "state="+evil, 1) + "&prompt=none",
		"/v2/logout?returnTo=" + evil, "/v2/logout?client_id=" + q.Get("client_id") + "&returnTo=http://localhost:3000" + evil, "/oidc/logout?client_id=" + q.Get("client_id") + "&post_logout_redirect_uri=http://localhost:3000&state=" + evil,
		"/u/password?ticket=" + evil, "/dev/inbox?to=" + evil, "/nowhere" + evil,
	} {
		resp := raw(t, i, get(path))
		if resp.Header.Get("Set-Cookie") != "" && strings.Contains(resp.Header.Get("Set-Cookie"), "evil") || strings.ContainsAny(resp.Header.Get("Location"), "\r\n") {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
	for name, request := range map[string]string{
		"two lengths":          "POST /oauth/token HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nContent-Length: 6\r\nConnection: close\r\n\r\nabcdef",
		"length and chunks":    "POST /oauth/token HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
		"unknown encoding":     "POST /oauth/token HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: xchunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
		"negative length":      "POST /oauth/token HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\nConnection: close\r\n\r\n",
		"length with a plus":   "POST /oauth/token HTTP/1.1\r\nHost: HOST\r\nContent-Length: +5\r\nConnection: close\r\n\r\nabcde",
		"two hosts":            "GET /authorize HTTP/1.1\r\nHost: HOST\r\nHost: evil.test\r\nConnection: close\r\n\r\n",
		"no host":              "GET /authorize HTTP/1.1\r\nConnection: close\r\n\r\n",
		"space before colon":   "GET /authorize HTTP/1.1\r\nHost : HOST\r\nConnection: close\r\n\r\n",
		"bare CR in a header":  "GET /authorize HTTP/1.1\r\nHost: HOST\r\nX: a\rb\r\nConnection: close\r\n\r\n",
		"NUL in a header":      "GET /authorize HTTP/1.1\r\nHost: HOST\r\nX: a\x00b\r\nConnection: close\r\n\r\n",
		"a name with brackets": "GET /authorize HTTP/1.1\r\nHost: HOST\r\nX[]: a\r\nConnection: close\r\n\r\n",
		"broken chunk size":    "POST /oauth/token HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
	} {
		if resp := raw(t, i, request); resp.StatusCode < 400 || resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
}

// No header from outside says who somebody is, or what they ask for.
func TestThreat_HT06_NoHeaderOpensAnything(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	user := i.UserID(t, demo.Administrator)
	for _, name := range []string{
		"X-Original-Url", "X-Rewrite-Url", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Uri", "Remote-User", "X-Remote-User", "X-User", "X-User-Id", "X-Auth-User", "X-Authenticated-User", "X-Tenant", "X-Tenant-Id", "X-Gatehouse-Tenant", "X-Gatehouse-User",
		"X-Middleware-Subrequest", "X-Internal", "X-Skip-Auth", "X-Impersonate", "X-Client-Cert", "X-Ssl-Client-Verify", "X-Custom-Ip-Authorization", "X-Forwarded-For", "Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Remote_User", "X_Forwarded_User", "X-Api-Key", "Impersonate-User",
	} {
		for _, value := range []string{user, demo.Administrator, "admin", "true", "127.0.0.1", "/api/v2/users", "default"} {
			b := i.NewBrowser(t)
			b.Header[name] = []string{value}
			if p := b.Get("/u/sign-in"); p.StatusCode != http.StatusOK || p.Title() != "Sign in" {
				t.Errorf("%s: %s: %s %q", name, value, p.Status, p.Title())
			}
			if a := b.Authorize(demo.SPA, "prompt", "none").Answer(t); a.Error != "login_required" {
				t.Errorf("%s: %s: %+v", name, value, a)
			}
			if p := b.Get("/api/v2/users"); p.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: %s: /api/v2/users: %s", name, value, p.Status)
			}
		}
	}
	b := i.NewBrowser(t)
	r := b.Request("GET", "/u/sign-in", "")
	r.SetBasicAuth(demo.Administrator, i.Password(t, demo.Administrator))
	if p := b.Send(r); p.Title() != "Sign in" {
		t.Errorf("Basic on a page: %q", p.Title())
	}
}

func TestThreat_HT08_FormsOfPeople(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	good := b.Authorize(demo.SPA).Hidden()
	bodies := map[string]string{"/authorize": i.AuthorizeQuery(demo.SPA).Encode(), "/oidc/logout": "state=x"}
	for _, path := range []string{"/u/sign-in", "/u/sign-up", "/u/forgot", "/u/consent", "/u/sign-out", "/u/password", "/u/first-administrator", "/authorize", "/oidc/logout"} {
		body := bodies[path]
		if body == "" {
			body = good.Encode() + "&action=switch"
		}
		ask := func(kind, body string) int {
			return b.Send(b.Request("POST", path, body, "Content-Type", kind)).StatusCode
		}
		const form = "application/x-www-form-urlencoded"
		for _, kind := range []string{form, form + "; charset=utf-8", form + ";charset=UTF-8", "Application/X-WWW-Form-Urlencoded"} {
			if got := ask(kind, body); got >= 500 || got == http.StatusUnsupportedMediaType {
				t.Errorf("%s as %s: %d", path, kind, got)
			}
		}
		for _, kind := range []string{"", "text/plain", "application/json", "multipart/form-data; boundary=x", form + "; charset=utf-16", form + "; charset=utf-8; charset=utf-7", form + ",text/plain", "application/x-www-form-urlencodedx", form + ";", "*/*"} {
			if got := ask(kind, body); got != http.StatusUnsupportedMediaType && !(kind == form+";" && got < 500) {
				t.Errorf("%s as %q: %d", path, kind, got)
			}
		}
		twice := b.Request("POST", path, body)
		twice.Header["Content-Type"] = []string{form, "text/plain"}
		if got := b.Send(twice).StatusCode; got != http.StatusUnsupportedMediaType {
			t.Errorf("%s with two types: %d", path, got)
		}
		if got := ask(form, body+"&x="+strings.Repeat("x", 70<<10)); got != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with 70 KiB: %d", path, got)
		}
		if got := ask(form, body+strings.Repeat("&x=1", 200)); got != http.StatusBadRequest {
			t.Errorf("%s with 200 fields more: %d", path, got)
		}
		for _, broken := range []string{"%zz=1", "a=%", "a;b=1"} {
			if got := ask(form, body+"&"+broken); got != http.StatusBadRequest {
				t.Errorf("%s with %q: %d", path, broken, got)
			}
		}
	}
}

func TestUnknownAddresses(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	if p := b.Get("/nowhere"); p.StatusCode != http.StatusNotFound || !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
		t.Errorf("a person: %s %s", p.Status, p.Header.Get("Content-Type"))
	}
	for _, method := range []string{"GET", "POST", "OPTIONS", "DELETE"} {
		if p := b.Send(b.Request(method, "/mfa/challenge", "", "Accept", "*/*")); p.StatusCode != http.StatusNotFound || p.Header.Get("Content-Type") != "application/json" || p.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("an SDK by %s: %s %s", method, p.Status, fmt.Sprint(p.Header))
		}
	}
}

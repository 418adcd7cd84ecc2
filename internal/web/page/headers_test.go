package page_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/web/page"
	"github.com/gatehouse-dev/gatehouse/internal/web/page/gallery"
)

// directives takes a policy apart. A directive named twice fails the test: a
// browser would heed the first alone.
func directives(t *testing.T, policy string) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, d := range strings.Split(policy, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(d), " ")
		if _, twice := m[name]; twice {
			t.Errorf("%s appears twice in %q", name, policy)
		}
		m[name] = value
	}
	return m
}

func TestHeadersOfEveryPage(t *testing.T) {
	r := renderer(t, gallery.Options())
	for _, s := range gallery.Samples() {
		t.Run(s.Name, func(t *testing.T) {
			w := render(r, s)
			h := w.Header()
			for name, want := range map[string]string{
				"Content-Type":               "text/html; charset=utf-8",
				"Cache-Control":              "no-store",
				"Referrer-Policy":            "no-referrer",
				"X-Content-Type-Options":     "nosniff",
				"Cross-Origin-Opener-Policy": "",
				"Set-Cookie":                 "",
			} {
				if got := h.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if w.Code != s.Status {
				t.Errorf("status %d, want %d", w.Code, s.Status)
			}
			d := directives(t, h.Get("Content-Security-Policy"))
			for name, want := range map[string]string{
				"default-src": "'none'", "style-src": "'self'", "img-src": "'self' data:", "base-uri": "'none'",
			} {
				if d[name] != want {
					t.Errorf("%s %q, want %q", name, d[name], want)
				}
			}
			body := w.Body.String()
			if script, ok := d["script-src"]; ok != strings.Contains(body, "<script") {
				t.Errorf("script-src present: %v; a script present: %v", ok, !ok)
			} else if ok {
				value := strings.TrimSuffix(strings.TrimPrefix(script, "'nonce-"), "'")
				if len(value) < 22 || strings.Count(body, `<script nonce="`+value+`">`) != strings.Count(body, "<script") {
					t.Errorf("script-src %q does not match the page", script)
				}
			}
			if strings.Contains(body, " style=") || strings.Contains(body, "<style") || strings.Contains(body, " on") && eventHandler.MatchString(body) {
				t.Error("inline style or event handler, which the policy would stop")
			}
		})
	}
}

// TestThreat_BR05_FramingRefused: only the web_message answer may be framed,
// by its one target origin.
func TestThreat_BR05_FramingRefused(t *testing.T) {
	r := renderer(t, page.Options{})
	for _, s := range gallery.Samples() {
		t.Run(s.Name, func(t *testing.T) {
			h := render(r, s).Header()
			ancestors, frame := "'none'", "DENY"
			if s.Name == "webmessage" {
				ancestors, frame = "http://localhost:3000", ""
			}
			if got := directives(t, h.Get("Content-Security-Policy"))["frame-ancestors"]; got != ancestors {
				t.Errorf("frame-ancestors %q, want %q", got, ancestors)
			}
			if got := h.Get("X-Frame-Options"); got != frame {
				t.Errorf("X-Frame-Options %q, want %q", got, frame)
			}
		})
	}
}

func TestFormAction(t *testing.T) {
	r := renderer(t, page.Options{})
	for _, test := range []struct {
		name string
		page page.Page
		want string
	}{
		{"nowhere else", page.SignIn{}, "'self'"},
		{"wherever an https callback leads on", frameWith("https://app.example/cb?x=1"), "'self' https:"},
		{"wherever a loopback callback leads on", frameWith("http://localhost:3000/cb", "http://[::1]:9/cb"), "'self' http:"},
		{"both", frameWith("https://a.example/", "http://localhost:3000/cb", "https://b.example"), "'self' https: http:"},
		{"private-use scheme", frameWith("com.example.app:/cb"), "'self' com.example.app:"},
		{"keyword", frameWith("'unsafe-inline'"), "'self'"},
		{"form_post: the target alone", page.FormPost{Frame: page.Frame{FormAction: []string{"https://other.example/"}}, Action: "https://app.example/cb"}, "https://app.example"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := render(r, gallery.Sample{Status: 200, Page: test.page}).Header()
			if got := directives(t, h.Get("Content-Security-Policy"))["form-action"]; got != test.want {
				t.Errorf("form-action %q, want %q", got, test.want)
			}
		})
	}
}

func frameWith(uris ...string) page.Page {
	return page.SignIn{Frame: page.Frame{FormAction: uris}}
}

// TestThreat_BR07_FormPostTarget: a response is posted to an absolute http or
// https URL or not at all.
func TestThreat_BR07_FormPostTarget(t *testing.T) {
	r := renderer(t, gallery.Options())
	for _, target := range []string{
		"", "/callback", "//evil.example/", "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x",
		"vbscript:x", "file:///etc/passwd", "blob:https://a.example/1", "https:", "https://", "https://a.example;script-src *", "com.example.app:/cb",
	} {
		w := render(r, gallery.Sample{Status: 200, Page: page.FormPost{Action: target, Fields: []page.Field{{Name: "code", Value: "s3cret"}}}})
		if w.Code != 500 || strings.Contains(w.Body.String(), "s3cret") || strings.Contains(w.Body.String(), "<form") {
			t.Errorf("%q: status %d, want an error page without the response", target, w.Code)
		}
	}
}

// TestThreat_BR16_WebMessageTarget: the message goes to one exact origin.
func TestThreat_BR16_WebMessageTarget(t *testing.T) {
	r := renderer(t, gallery.Options())
	for _, target := range []string{"", "*", "null", "/", "https://a.example/", "https://a.example/path", "javascript:x", "https://*.example", "https://a.example https://b.example"} {
		w := render(r, gallery.Sample{Status: 200, Page: page.WebMessage{TargetOrigin: target, Response: map[string]string{"code": "s3cret"}}})
		if w.Code != 500 || strings.Contains(w.Body.String(), "s3cret") || w.Header().Get("X-Frame-Options") != "DENY" {
			t.Errorf("%q: status %d, want an error page that cannot be framed", target, w.Code)
		}
	}
}

// TestThreat_AZ05_FormActionSchemes: no post leads to a scheme that runs or
// reads something.
func TestThreat_AZ05_FormActionSchemes(t *testing.T) {
	r := renderer(t, page.Options{})
	for _, uri := range []string{"javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://a.example/1", "myapp:/cb", "//evil.example", "/", ""} {
		h := render(r, gallery.Sample{Status: 200, Page: frameWith(uri)}).Header()
		if got := directives(t, h.Get("Content-Security-Policy"))["form-action"]; got != "'self'" {
			t.Errorf("%q: form-action %q", uri, got)
		}
	}
}

// TestThreat_BR15_PrefetchGetsNothing: a page fetched on the chance is empty.
func TestThreat_BR15_PrefetchGetsNothing(t *testing.T) {
	r := renderer(t, gallery.Options())
	for _, purpose := range []string{"prefetch", "prefetch;prerender", "Prefetch;anonymous-client-ip"} {
		for _, s := range gallery.Samples() {
			req := httptest.NewRequest("GET", "/u/x", nil)
			req.Header.Set("Sec-Purpose", purpose)
			w := httptest.NewRecorder()
			r.Render(w, req, s.Status, s.Page)
			if w.Code != http.StatusServiceUnavailable || w.Body.Len() != 0 || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s, %q: status %d with %d bytes", s.Name, purpose, w.Code, w.Body.Len())
			}
		}
	}
}

// TestThreat_AZ20_NothingFromElsewhere: no page loads anything from another
// origin, links that leave carry no referrer, and no page is kept.
func TestThreat_AZ20_NothingFromElsewhere(t *testing.T) {
	r := renderer(t, gallery.Options())
	for _, s := range gallery.Samples() {
		w := render(r, s)
		if h := w.Header(); h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", s.Name, h)
		}
		for _, ref := range loads.FindAllStringSubmatch(w.Body.String(), -1) {
			if !strings.HasPrefix(ref[1], "/") || strings.HasPrefix(ref[1], "//") {
				t.Errorf("%s loads %s", s.Name, ref[1])
			}
		}
	}
}

// TestThreat_BR08_LogoFromOwnOriginOnly.
func TestThreat_BR08_LogoFromOwnOriginOnly(t *testing.T) {
	r := renderer(t, page.Options{})
	for logo, shown := range map[string]bool{
		"/u/logo.png": true, "https://evil.example/x.png": false, "//evil.example/x.png": false,
		`/\evil.example/x.png`: false, "data:image/svg+xml,x": false, "/\t/evil.example/x.png": false,
	} {
		body := render(r, gallery.Sample{Status: 200, Page: page.SignIn{Frame: page.Frame{Logo: logo}}}).Body.String()
		if strings.Contains(body, "<img") != shown {
			t.Errorf("%q shown: %v, want %v", logo, !shown, shown)
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	w := httptest.NewRecorder()
	renderer(t, page.Options{}).Render(w, httptest.NewRequest("HEAD", "/", nil), 200, page.SignIn{})
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("status %d, %d bytes", w.Code, w.Body.Len())
	}
}

func TestNoncesDiffer(t *testing.T) {
	r := renderer(t, page.Options{})
	s := gallery.Sample{Status: 200, Page: page.SignIn{Frame: page.Frame{Post: "/u/sign-in"}}}
	if a, b := render(r, s), render(r, s); a.Header().Get("Content-Security-Policy") == b.Header().Get("Content-Security-Policy") {
		t.Error("two pages share a nonce")
	}
}

func TestRetryAfter(t *testing.T) {
	r := renderer(t, page.Options{})
	for minutes, want := range map[int]string{12: "720", 0: "60"} {
		if got := render(r, gallery.Sample{Status: 429, Page: page.LimitReached{Minutes: minutes}}).Header().Get("Retry-After"); got != want {
			t.Errorf("%d minutes: %q, want %q", minutes, got, want)
		}
	}
}

// TestDevOnly: what is for developers stays away from everybody else, filled
// in or not.
func TestDevOnly(t *testing.T) {
	mistake := page.ErrorPage{Code: "invalid_request", Description: "s3cret", Parameter: "s3cret", Expected: []string{"s3cret"}, Got: "s3cret", Fix: "s3cret", Command: "s3cret"}
	operator := mistake
	operator.Operator = true
	for _, test := range []struct {
		name string
		page page.Page
		dev  bool
		want bool
	}{
		{"error for a visitor", mistake, false, false},
		{"error for an operator", operator, false, true},
		{"error in development", mistake, true, true},
		{"demo accounts in production", page.SignIn{DevUsers: []page.DevUser{{Email: "s3cret"}}}, false, false},
		{"demo accounts in development", page.SignIn{DevUsers: []page.DevUser{{Email: "s3cret"}}}, true, true},
		{"inbox in production", page.CheckMail{}, false, false},
		{"inbox in development", page.CheckMail{}, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := renderer(t, page.Options{Dev: test.dev, InboxURL: "/s3cret", StartURL: "/s3cret"})
			body := render(r, gallery.Sample{Status: 200, Page: test.page}).Body.String()
			if strings.Contains(body, "s3cret") != test.want {
				t.Errorf("shown: %v, want %v", !test.want, test.want)
			}
		})
	}
}

// TestThreat_PW05_OnePageForAll: what a page says does not depend on anything
// but its fields; twice the same is byte for byte the same, nonces aside.
func TestThreat_PW05_OnePageForAll(t *testing.T) {
	r := renderer(t, gallery.Options())
	for _, s := range gallery.Samples() {
		a, b := render(r, s), render(r, s)
		if nonce.ReplaceAllString(a.Body.String(), "") != nonce.ReplaceAllString(b.Body.String(), "") {
			t.Errorf("%s differs from itself", s.Name)
		}
		for _, h := range []*httptest.ResponseRecorder{a, b} {
			h.Header().Del("Content-Security-Policy")
		}
		if !reflect.DeepEqual(a.Header(), b.Header()) {
			t.Errorf("%s: headers differ", s.Name)
		}
	}
}

// TestThreat_PW09_LengthSaidBeforehand.
func TestThreat_PW09_LengthSaidBeforehand(t *testing.T) {
	r := renderer(t, page.Options{})
	for _, p := range []page.Page{
		page.SignUp{MinPasswordLength: 17}, page.ForgotCode{MinPasswordLength: 17}, page.SetPassword{MinPasswordLength: 17}, page.FirstAdmin{MinPasswordLength: 17},
	} {
		body := render(r, gallery.Sample{Status: 200, Page: p}).Body.String()
		if !strings.Contains(body, "At least 17 characters") || !strings.Contains(body, `minlength="17"`) {
			t.Errorf("%T does not say how long the password must be", p)
		}
	}
}

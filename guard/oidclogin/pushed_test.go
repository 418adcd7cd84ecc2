package oidclogin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

// pushing has the application leave its requests with the provider.
func pushing(o *oidclogin.Options) { o.PushedRequests = true }

// The browser carries a reference and nothing else, whether the application or the provider wants it so.
func TestThreat_RP02_PushedRequests(t *testing.T) {
	for name, demanded := range map[string]bool{"by option": false, "as the provider demands": true} {
		t.Run(name, func(t *testing.T) {
			issuer := testissuer.New(t)
			issuer.Metadata = func(m map[string]any) {
				m["authorization_endpoint"] = issuer.URL + "authorize?tenant=one&response_mode=fragment"
				m["require_pushed_authorization_requests"] = demanded
			}
			first := newApp(t, false, nil)
			issuer.Now = first.clock.Now
			a := newAppAt(t, issuer, first.clock, false, func(o *oidclogin.Options) { o.PushedRequests = !demanded })
			b := a.browser(t)
			b.visit("/auth/login?returnTo=/shows&login_hint=alice&max_age=60")
			if !b.signedIn() {
				t.Fatalf("not signed in\n%s", a.log)
			}
			seen := ""
			for _, address := range b.visited {
				if strings.HasPrefix(address, issuer.URL+"authorize") {
					u, _ := url.Parse(address)
					q := u.Query()
					if len(q) != 3 || q.Get("tenant") != "one" || q.Get("client_id") != testissuer.ClientID || !strings.HasPrefix(q.Get("request_uri"), "urn:") {
						t.Errorf("the browser carries %s", u.RawQuery)
					}
					seen = address
				}
			}
			if seen == "" || issuer.Hits("/par") != 1 {
				t.Errorf("%d requests were pushed, %q", issuer.Hits("/par"), b.visited)
			}
			// The reference is good once; another flow begins with another.
			if p := a.browser(t).visit(seen); p.StatusCode == http.StatusOK && strings.Contains(p.body, "hello") {
				t.Error("the reference served twice")
			}
		})
	}
}

func TestPushedRequestsThatAreNotTaken(t *testing.T) {
	for name, tt := range map[string]struct {
		endpoint any
		answer   string
		status   int
		want     int
		code     string
	}{
		"refused":        {nil, `{"error":"invalid_scope","error_description":"no <b>such</b> scope"}`, 400, 400, "invalid_scope"},
		"overloaded":     {nil, `{"error":"slow_down"}`, 429, 503, "provider_unavailable"},
		"down":           {nil, `oops`, 502, 503, "provider_unavailable"},
		"no reference":   {nil, `{}`, 201, 503, "provider_unavailable"},
		"no endpoint":    {"", ``, 0, 503, "provider_unavailable"},
		"plain http":     {"http://id.example.com/par", ``, 0, 503, "provider_unavailable"},
		"no error there": {nil, `{"error":"<script>"}`, 400, 400, "invalid_callback"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, false, pushing)
			if tt.endpoint != nil {
				a.issuer.Metadata = func(m map[string]any) { m["pushed_authorization_request_endpoint"] = tt.endpoint }
			}
			a.issuer.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/par" {
					return false
				}
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.answer)
				return true
			}
			b := a.browser(t)
			p := b.visit("/auth/login")
			if p.StatusCode != tt.want || !strings.Contains(p.body, "<code>"+tt.code+"</code>") || strings.Contains(p.body, "such") {
				t.Errorf("%d %s", p.StatusCode, p.body)
			}
			if len(b.cookies("_login_")) != 0 {
				t.Error("a flow has begun")
			}
		})
	}
}

// A request object would go before everything else that the request says (RFC 9101 §6.3).
func TestThreat_RP01_NoRequestObjectFromALink(t *testing.T) {
	a := newApp(t, false, func(o *oidclogin.Options) {
		o.ForwardParameters = []string{"request", "request_uri", "response_mode", "login_hint"}
		o.Parameters = map[string]string{"request_uri": "https://evil.example/request"}
	})
	b := a.browser(t)
	callback := b.stopAtCallback("/auth/login?request=eyJhbGciOiJub25lIn0.e30.&request_uri=https://evil.example/&response_mode=fragment&login_hint=alice")
	for _, address := range b.visited {
		u, _ := url.Parse(address)
		if q := u.Query(); strings.HasSuffix(u.Path, "/authorize") && (q.Has("request") || q.Has("request_uri") || q.Has("response_mode") || q.Get("login_hint") != "alice") {
			t.Errorf("%s", u.RawQuery)
		}
	}
	if p := b.visit(callback); p.StatusCode != http.StatusOK {
		t.Errorf("%d %s", p.StatusCode, p.body)
	}
}

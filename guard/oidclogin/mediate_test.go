package oidclogin_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

func mediating(o *oidclogin.Options) { offline(o); o.MediateTokens = true }

// script asks for a token as a script of the site does.
func (b *browser) script() page {
	b.t.Helper()
	return b.send(http.MethodPost, "/auth/token", nil, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "*/*")
}

func TestMediatedTokens(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		a := newApp(t, false, func(o *oidclogin.Options) { mediating(o); change(o) })
		b := a.browser(t)
		if p := b.script(); p.StatusCode != http.StatusUnauthorized || strings.Contains(p.body, "access_token") {
			t.Fatalf("nobody signed in: %d %s", p.StatusCode, p.body)
		}
		b.visit("/auth/login")
		var answer struct {
			AccessToken string `json:"access_token"`
			Type        string `json:"token_type"`
			ExpiresIn   int    `json:"expires_in"`
			Scope       string `json:"scope"`
		}
		p := b.script()
		if err := json.Unmarshal([]byte(p.body), &answer); err != nil || p.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", p.StatusCode, p.body)
		}
		if answer.AccessToken == "" || answer.Type != "Bearer" || answer.ExpiresIn != 600 || answer.Scope != "openid offline_access" {
			t.Errorf("%+v", answer)
		}
		if p.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("may be cached: %v", p.Header)
		}
		a.clock.Advance(4 * time.Minute)
		if p := b.script(); !strings.Contains(p.body, answer.AccessToken) || !strings.Contains(p.body, `"expires_in":360`) {
			t.Errorf("%s", p.body)
		}
		a.clock.Advance(6 * time.Minute)
		p = b.script()
		if strings.Contains(p.body, answer.AccessToken) || a.renewals() != 1 || p.StatusCode != http.StatusOK {
			t.Errorf("%d renewals: %s", a.renewals(), p.body)
		}
		for _, form := range a.issuer.Forms() {
			if rt := form.Get("refresh_token"); rt != "" && strings.Contains(p.body, rt) {
				t.Error("the refresh token is in the answer")
			}
		}
		a.issuer.RevokeRefreshTokens()
		a.clock.Advance(10 * time.Minute)
		if p := b.script(); p.StatusCode != http.StatusUnauthorized || !strings.Contains(p.body, "login_required") {
			t.Errorf("signed out at the provider: %d %s", p.StatusCode, p.body)
		}
	})
}

func TestThreat_BR04_MediatedTokensAreForThisSiteAlone(t *testing.T) {
	a := newApp(t, false, mediating)
	b := a.browser(t)
	b.visit("/auth/login")
	for _, tt := range []struct {
		name   string
		method string
		header []string
		status int
	}{
		{"script of ours", "POST", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"script of ours, old browser", "POST", []string{"Origin", a.server.URL}, 200},
		{"elsewhere", "POST", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"neighbouring host", "POST", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"typed", "POST", []string{"Sec-Fetch-Site", "none"}, 403},
		{"neighbour that claims our origin", "POST", []string{"Sec-Fetch-Site", "same-site", "Origin", a.server.URL}, 403},
		{"elsewhere, old browser", "POST", []string{"Origin", "https://evil.example"}, 403},
		{"in a sandbox", "POST", []string{"Origin", "null"}, 403},
		{"nobody says", "POST", nil, 403},
		{"by GET", "GET", []string{"Sec-Fetch-Site", "same-origin"}, 405},
	} {
		p := b.send(tt.method, "/auth/token", nil, tt.header...)
		if p.StatusCode != tt.status || strings.Contains(p.body, "access_token") != (tt.status == 200) {
			t.Errorf("%s: %d %s", tt.name, p.StatusCode, p.body)
		}
	}
	plain := newApp(t, false, offline)
	v := plain.browser(t)
	v.signIn()
	if p := v.script(); p.StatusCode != http.StatusNotFound {
		t.Errorf("the route is there unasked: %d", p.StatusCode)
	}
}

// The cookie that leads to the refresh token never comes along from elsewhere; so
// the way back from the provider ends on a page of ours, from which it does.
func TestThreat_BR02_MediatingCookieIsStrict(t *testing.T) {
	a := newApp(t, true, mediating)
	b := a.browser(t)
	p := b.visit(b.stopAtCallback("/auth/login?returnTo=" + "/shows%3Fa%3D1%26b%3D%22"))
	if p.StatusCode != http.StatusOK || !strings.Contains(p.body, `http-equiv="refresh" content="0;url=`+a.server.URL+`/shows?a=1&amp;b=`) {
		t.Fatalf("%d %s", p.StatusCode, p.body)
	}
	session := false
	for _, line := range p.Header["Set-Cookie"] {
		if strings.Contains(line, "_session=") {
			session = true
			if !strings.Contains(line, "SameSite=Strict") || !strings.Contains(line, "HttpOnly") || !strings.Contains(line, "__Host-") {
				t.Error(line)
			}
		} else if strings.Contains(line, "Strict") {
			t.Errorf("the flow's cookie would not come back: %s", line)
		}
	}
	if !session || !b.signedIn() {
		t.Error("nobody is signed in")
	}
}

// However the base is written, it is the origin that browsers name.
func TestThreat_BR04_BaseAsBrowsersWriteIt(t *testing.T) {
	l, err := oidclogin.New(oidclogin.Options{
		Issuer: "https://id.example/", ClientID: "c", BaseURL: "https://App.Example:443/", Secrets: []string{secret}, MediateTokens: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]int{"https://app.example": 401, "https://app.example:443": 403, "http://app.example": 403, "https://app.example.evil": 403, "null": 403, "": 403} {
		r := httptest.NewRequest(http.MethodPost, "/auth/token", nil)
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		if l.ServeHTTP(w, r); w.Code != want {
			t.Errorf("from %q: %d, want %d", origin, w.Code, want)
		}
	}
}

package oidclogin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/guard/internal/testissuer"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

// revoking makes the issuer take tokens back, and returns what it was sent.
func (a *app) revoking(status int) func() []url.Values {
	var mu sync.Mutex
	var forms []url.Values
	a.issuer.Lock(func() {
		a.issuer.Metadata = func(m map[string]any) { m["revocation_endpoint"] = a.issuer.URL + "revoke" }
		a.issuer.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/revoke" {
				return false
			}
			_ = r.ParseForm()
			id, password, _ := r.BasicAuth()
			r.PostForm.Set("basic", id+":"+password)
			mu.Lock()
			forms = append(forms, r.PostForm)
			mu.Unlock()
			w.WriteHeader(status)
			return true
		}
	})
	return func() []url.Values {
		mu.Lock()
		defer mu.Unlock()
		return forms
	}
}

// The refresh token is of no use to whoever kept a copy of the cookie.
func TestThreat_LO07_LogoutRevokesTheRefreshToken(t *testing.T) {
	stores(t, func(t *testing.T, change func(*oidclogin.Options)) {
		for _, mode := range []oidclogin.LogoutMode{oidclogin.LogoutProvider, oidclogin.LogoutV2, oidclogin.LogoutLocal} {
			a := newApp(t, false, func(o *oidclogin.Options) { offline(o); o.Logout = mode; change(o) })
			var refreshToken string
			revoked := a.revoking(http.StatusOK)
			a.issuer.Lock(func() {
				a.issuer.TokenResponse = func(m map[string]any) { refreshToken = m["refresh_token"].(string) }
			})
			b := a.browser(t)
			b.signIn()
			b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			if p := b.send(http.MethodPost, "/auth/logout", nil); p.StatusCode != http.StatusSeeOther || b.signedIn() {
				t.Errorf("%q: %d", mode, p.StatusCode)
			}
			forms := revoked()
			if len(forms) != 1 || forms[0].Get("token") != refreshToken || forms[0].Get("token_type_hint") != "refresh_token" || !strings.HasPrefix(forms[0].Get("basic"), testissuer.ClientID+":") {
				t.Errorf("%q: %v", mode, forms)
			}
			if strings.Contains(a.log.String(), refreshToken) {
				t.Error("the refresh token is in the log")
			}
			b.send(http.MethodPost, "/auth/logout", nil)
			if len(revoked()) != 1 {
				t.Error("a second logout revoked something")
			}
		}
	})
	t.Run("refused", func(t *testing.T) {
		a := newApp(t, false, offline)
		a.revoking(http.StatusServiceUnavailable)
		b := a.browser(t)
		b.signIn()
		if p := b.send(http.MethodPost, "/auth/logout", nil); p.StatusCode != http.StatusOK || b.signedIn() || !strings.Contains(a.log.String(), "not revoked") {
			t.Errorf("%d\n%s", p.StatusCode, a.log)
		}
	})
	t.Run("somebody the application refuses", func(t *testing.T) {
		a := newApp(t, false, func(o *oidclogin.Options) {
			offline(o)
			o.OnSignIn = func(context.Context, *oidclogin.Session) error { return errGone }
		})
		revoked := a.revoking(http.StatusOK)
		a.browser(t).visit("/auth/login")
		if len(revoked()) != 1 {
			t.Error("the grant of somebody who was not let in lives on")
		}
	})
}

func TestFederatedLogout(t *testing.T) {
	for _, mode := range []oidclogin.LogoutMode{oidclogin.LogoutProvider, oidclogin.LogoutV2} {
		for _, tt := range []struct {
			method, path string
			form         url.Values
			want         bool
		}{
			{"GET", "/auth/logout?federated", nil, true},
			{"GET", "/auth/logout?federated=", nil, true},
			{"POST", "/auth/logout?federated", nil, true},
			{"POST", "/auth/logout", url.Values{"federated": {"1"}}, true},
			{"GET", "/auth/logout", nil, false},
			{"POST", "/auth/logout", url.Values{"other": {"1"}}, false},
		} {
			a := newApp(t, false, func(o *oidclogin.Options) { o.Logout = mode })
			b := a.browser(t)
			b.signIn()
			b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			p := b.send(tt.method, tt.path, tt.form, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Dest", "document")
			u, err := url.Parse(p.Header.Get("Location"))
			if err != nil || p.StatusCode != http.StatusSeeOther || u.Query().Has("federated") != tt.want {
				t.Errorf("%q %s %s %v: %d %s", mode, tt.method, tt.path, tt.form, p.StatusCode, u)
			}
		}
	}
	// Asked first, the person signs out as far as the link meant.
	a := newApp(t, false, nil)
	b := a.browser(t)
	b.signIn()
	if p := b.send(http.MethodGet, "/auth/logout?federated", nil, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "document"); !strings.Contains(p.body, `action="/auth/logout?federated="`) {
		t.Error(p.body)
	}
}

// A browser that fetches pages ahead, because the mouse is over a link or the address is half typed, has not been
// asked to sign anybody out.
func TestThreat_BR15_FetchedAheadSignsNobodyOut(t *testing.T) {
	a := newApp(t, false, offline)
	b := a.browser(t)
	b.signIn()
	for _, header := range [][2]string{{"Sec-Purpose", "prefetch"}, {"Sec-Purpose", "prefetch;prerender"}, {"Sec-Purpose", "prefetch;anonymous-client-ip"}, {"Purpose", "prefetch"}, {"X-Moz", "prefetch"}} {
		for _, site := range []string{"none", "same-origin"} {
			p := b.send(http.MethodGet, "/auth/logout", nil, header[0], header[1], "Sec-Fetch-Site", site, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
			if p.StatusCode != http.StatusNoContent || p.Header.Get("Cache-Control") != "no-store" || len(p.Header["Set-Cookie"]) != 0 {
				t.Errorf("%v, %s: %d %v", header, site, p.StatusCode, p.Header)
			}
		}
	}
	if !b.signedIn() {
		t.Error("signed out")
	}
}

// However a return address is written, it leads to a page of this site or to "/".
func FuzzThreat_LO02_ReturnTo(f *testing.F) {
	for _, seed := range []string{"/shows", "//evil.example", `/\evil.example`, `\\evil.example`, "/%5cevil.example", "/%2f/evil.example", "/\t/evil.example", "/ /evil.example", "///evil.example", "/.//evil.example", "/a/..//evil.example", "https:evil.example", "/\r\nX: y", "/%0d%0aX:%20y", "/?u=//evil.example", "/#//evil.example", "@evil.example", "/@evil.example", ".evil.example", ":80@evil.example", "/\u2028", "/auth/login", "/AUTH/login", "/auth/../auth/login", "/%61uth/logout", "javascript:alert(1)", "/ü", "/a;b"} {
		f.Add(seed)
	}
	a := newApp(f, false, nil)
	base, err := url.Parse(a.server.URL)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		r := httptest.NewRequest(http.MethodGet, "/auth/login?"+url.Values{"returnTo": {asked}}.Encode(), nil)
		w := httptest.NewRecorder()
		a.login.ServeHTTP(w, r)
		r = httptest.NewRequest(http.MethodGet, "/auth/callback?"+answerTo(t, w), nil)
		for _, c := range w.Result().Cookies() {
			r.AddCookie(c)
		}
		w = httptest.NewRecorder()
		a.login.ServeHTTP(w, r)
		got, ok := strings.CutPrefix(w.Header().Get("Location"), a.server.URL)
		if !ok || w.Code != http.StatusSeeOther {
			t.Fatalf("%q leads to %q (%d)", asked, w.Header().Get("Location"), w.Code)
		}
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.HasPrefix(got, "/auth/") || strings.ContainsFunc(got, func(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f }) {
			t.Errorf("%q leads to %q", asked, got)
		}
		u, err := base.Parse(got)
		if err != nil || u.Host != base.Host || u.Scheme != base.Scheme || u.User != nil {
			t.Errorf("%q leads to %v", asked, u)
		}
	})
}

// answerTo lets the provider answer the authorization request in w.
func answerTo(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, w.Header().Get("Location"), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	u, err := res.Location()
	if err != nil {
		t.Fatal(err)
	}
	return u.RawQuery
}

package oauth_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

const registeredOrigin = "http://localhost:3000"

// foreign are origins that no client registered, among them those that sloppy comparisons take
// for one that is.
func foreign() []string {
	return []string{
		"https://evil.test", "null", "http://localhost:3000.evil.test", "http://localhost:30000", "http://localhost:300", "https://localhost:3000", "http://evil-localhost:3000",
		"http://localhost:3000/", "HTTP://LOCALHOST:3000", "http://localhost", "http://127.0.0.1:3000", "http://user@localhost:3000", "http://localhost:3000, http://evil.test", "*", "file://",
	}
}

func TestThreat_BR13_OriginsOfTokenEndpoints(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			p := b.Send(b.Request(method, path, "", "Origin", registeredOrigin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "auth0-client,content-type,dpop,authorization"))
			if p.Header.Get("Access-Control-Allow-Origin") != registeredOrigin || !slices.Contains(p.Header.Values("Vary"), "Origin") {
				t.Errorf("%s %s: %v", method, path, p.Header)
			}
			if method == http.MethodOptions {
				allowed := strings.ToLower(p.Header.Get("Access-Control-Allow-Headers"))
				for _, name := range []string{"auth0-client", "content-type", "dpop", "authorization"} {
					if !strings.Contains(allowed, name) {
						t.Errorf("%s: a preflight does not allow %s", path, name)
					}
				}
				if p.StatusCode != http.StatusNoContent || p.Header.Get("Access-Control-Max-Age") == "" || p.Header.Get("Access-Control-Allow-Methods") != "POST" {
					t.Errorf("preflight of %s: %s %v", path, p.Status, p.Header)
				}
			}
			noCredentials(t, p)
			for _, origin := range foreign() {
				p := b.Send(b.Request(method, path, "", "Origin", origin))
				if got := p.Header.Values("Access-Control-Allow-Origin"); len(got) > 0 {
					t.Errorf("%s %s: %s is allowed: %v", method, path, origin, got)
				}
				noCredentials(t, p)
			}
		}
	}
	// The request itself is held to the origins of its own client, and says so readably.
	q := []string{"grant_type", "refresh_token", "refresh_token", "x", "client_id", i.Content.Client(demo.Native).ClientID}
	r := b.Request(http.MethodPost, "/oauth/token", with(nil, q...).Encode(), "Origin", registeredOrigin)
	if p := b.Send(r); p.StatusCode < 400 || !strings.Contains(p.Body, "unauthorized_client") || p.Header.Get("Access-Control-Allow-Origin") != registeredOrigin {
		t.Errorf("another client's origin: %s %s", p.Status, p.Body)
	}
}

func noCredentials(t *testing.T, p *servertest.Page) {
	t.Helper()
	if p.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%s lets credentials cross origins", p.Request.URL)
	}
}

func TestThreat_BR13_PublicAnswersForEverybodyWithoutCredentials(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	tokens, b := i.TokensFor(t, demo.Reader, demo.SPA)
	for _, path := range []string{"/.well-known/openid-configuration", "//.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/jwks.json", "/userinfo"} {
		for _, method := range []string{http.MethodOptions, http.MethodGet} {
			for _, origin := range append(foreign(), registeredOrigin) {
				p := b.Send(b.Request(method, path, "", "Origin", origin, "Authorization", "Bearer "+tokens.AccessToken))
				if got := p.Header.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "*" || p.StatusCode >= 300 {
					t.Errorf("%s %s from %s: %s %v", method, path, origin, p.Status, got)
				}
				noCredentials(t, p)
			}
		}
	}
	if p := b.Send(b.Request(http.MethodOptions, "/userinfo", "")); !strings.Contains(p.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Error("a browser may not send Authorization")
	}
	if p := b.Send(b.Request(http.MethodGet, "/userinfo", "", "Origin", registeredOrigin)); p.StatusCode != http.StatusUnauthorized || p.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("an error of /userinfo can not be read: %s", p.Status)
	}
}

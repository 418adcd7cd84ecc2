package oauth_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// Bytes that are no text are the mistake of whoever sent them, wherever they stand: neither database
// keeps them, and nobody is told that the house has failed.
func TestThreat_DB13_BytesThatAreNoText(t *testing.T) {
	onBoth(t, func(t *testing.T, i *servertest.Instance, _ func(*servertest.Instance) *servertest.Instance) {
		b := signedIn(t, i, demo.Reader)
		machine := i.Content.Client(demo.Machine)
		for _, bytes := range []string{"\x00", "a\x00b", "\xff", "\xed\xa0\x80"} {
			for path, names := range map[string][]string{
				"/authorize": {
					"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "audience", "resource", "login_hint", "id_token_hint",
					"claims", "acr_values", "prompt", "max_age", "code_challenge", "ui_locales", "organization",
				},
				"/v2/logout":   {"client_id", "returnTo", "id_token_hint"},
				"/oidc/logout": {"client_id", "post_logout_redirect_uri", "state", "id_token_hint"},
				"/u/password":  {"ticket"},
				"/device":      {"user_code"},
				"/dev/inbox":   {"to"},
			} {
				for _, name := range names {
					q := url.Values{}
					if path == "/authorize" {
						q = i.AuthorizeQuery(demo.SPA)
					}
					q.Set(name, bytes)
					if p := b.Get(path + "?" + q.Encode()); p.StatusCode >= 500 {
						t.Errorf("GET %s with %s=%q: %s", path, name, bytes, p.Status)
					}
				}
			}
			for path, names := range map[string][]string{
				"/oauth/token":       {"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "device_code", "scope", "audience", "resource", "subject_token"},
				"/oauth/revoke":      {"token", "token_type_hint"},
				"/oauth/introspect":  {"token", "remote_addr", "user_agent"},
				"/oauth/device/code": {"scope", "audience", "resource", "code_challenge"},
			} {
				for _, name := range append(names, "client_id", "client_secret") {
					form := url.Values{"client_id": {machine.ClientID}, "client_secret": {machine.ClientSecret}, "grant_type": {"client_credentials"}}
					form.Set(name, bytes)
					if got := post(t, i, path, form.Encode()); got.Status >= 500 {
						t.Errorf("POST %s with %s=%q: %d", path, name, bytes, got.Status)
					}
				}
			}
			for _, path := range []string{"/u/sign-in", "/u/sign-up", "/u/forgot", "/device"} {
				for _, name := range []string{"email", "password", "code", "user_code", "action"} {
					stranger := i.NewBrowser(t)
					p := stranger.Get(path)
					if p := stranger.Submit(p, "email", "new@example.com", "password", "a passphrase of some length", name, bytes); p.StatusCode >= http.StatusInternalServerError {
						t.Errorf("POST %s with %s=%q: %s", path, name, bytes, p.Status)
					}
				}
			}
		}
	})
}

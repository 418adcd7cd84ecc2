package oauth_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

func TestDiscovery(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	first := b.Get("/.well-known/openid-configuration")
	for _, path := range []string{"//.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		if p := b.Get(path); p.StatusCode != http.StatusOK || p.Body != first.Body {
			t.Errorf("%s: %s", path, p.Status)
		}
	}
	if first.Header.Get("Content-Type") != "application/json" || first.Header.Get("Cache-Control") != "public, max-age=300" || len(first.Cookies()) > 0 {
		t.Errorf("%v", first.Header)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(first.Body), &m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"issuer": "/", "authorization_endpoint": "/authorize", "token_endpoint": "/oauth/token", "jwks_uri": "/.well-known/jwks.json", "userinfo_endpoint": "/userinfo",
		"revocation_endpoint": "/oauth/revoke", "introspection_endpoint": "/oauth/introspect", "end_session_endpoint": "/oidc/logout",
	} {
		if m[name] != i.URL+want {
			t.Errorf("%s is %v", name, m[name])
		}
	}
	list := func(name string) (out []string) {
		for _, v := range m[name].([]any) {
			out = append(out, v.(string))
		}
		return out
	}
	if algs := list("id_token_signing_alg_values_supported"); algs[0] != "RS256" || slices.Contains(algs, "none") {
		t.Errorf("algorithms %v", algs)
	}
	if types := list("response_types_supported"); slices.ContainsFunc(types, func(s string) bool { return slices.Contains(strings.Fields(s), "token") }) {
		t.Errorf("response types %v", types)
	}
	if modes := list("response_modes_supported"); slices.Contains(modes, "fragment") || len(modes) != 3 {
		t.Errorf("response modes %v", modes)
	}
	if got := list("code_challenge_methods_supported"); len(got) != 1 || got[0] != "S256" {
		t.Errorf("challenge methods %v", got)
	}
	for _, name := range []string{"check_session_iframe", "registration_endpoint", "pushed_authorization_request_endpoint"} {
		if m[name] != nil {
			t.Errorf("%s is announced and does not exist", name)
		}
	}
}

// The issuer is one string wherever it stands.
func TestIssuerIsOneString(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	tokens, b := i.TokensFor(t, demo.Reader, demo.SPA, "scope", "openid read:shows")
	iss := i.URL + "/"
	claims := verifiedIDToken(t, i, b, tokens.IDToken, demo.SPA, "", "") // by this issuer, without a nonce nobody asked for
	if claims.Issuer != iss || len(claims.Audience) != 1 || claims.Nonce != "" {
		t.Errorf("%+v", claims)
	}
	if got := i.Introspect(t, demo.Machine, tokens.AccessToken); got["iss"] != iss {
		t.Errorf("introspection: %v", got)
	}
	if a := b.Authorize(demo.SPA).Answer(t); a.Issuer != iss {
		t.Errorf("response: %s", a.Issuer)
	}
}

func TestThreat_BR14_IssuerIsConfigurationAlone(t *testing.T) {
	i := servertest.New(t, servertest.Options{Production: true})
	b := i.NewBrowser(t)
	for _, host := range []string{"evil.test", "localhost.evil.test", "LOCALHOST", "localhost", "localhost:1", strings.TrimPrefix(i.URL, "http://") + ".evil.test", "127.0.0.1", ""} {
		for _, path := range []string{"/.well-known/openid-configuration", "/authorize?" + i.AuthorizeQuery(demo.SPA).Encode(), "/u/sign-in", "/v2/logout", "/nowhere"} {
			r := b.Request(http.MethodGet, path, "")
			if r.Host = host; host == "" {
				r.Host = "."
			}
			p := b.Send(r)
			if p.StatusCode != http.StatusMisdirectedRequest || p.Header.Get("Location") != "" || len(p.Cookies()) > 0 || strings.Contains(p.Body, "evil") {
				t.Errorf("%s at %s: %s", path, host, p.Status)
			}
		}
	}
	for _, name := range []string{"X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host", "X-Forwarded-Server", "X-Forwarded-Proto", "X-Forwarded-Prefix"} {
		p := b.Send(b.Request(http.MethodGet, "/.well-known/openid-configuration", "", name, "evil.test"))
		if p.StatusCode != http.StatusOK || strings.Contains(p.Body, "evil") || !strings.Contains(p.Body, `"issuer":"`+i.URL+`/"`) {
			t.Errorf("%s: %s %s", name, p.Status, p.Body)
		}
	}
}

// Links in letters are made from configuration, whatever the request was sent to or said.
func TestThreat_EM04_LinksInLettersAreConfiguration(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	for _, name := range []string{"X-Forwarded-Host", "Forwarded", "Origin-Host", "Referer"} {
		b.Header.Set(name, "host=evil.test")
	}
	p := b.Press(b.Press(b.Get("/u/sign-in"), "forgot"), "forgot", "email", demo.Reader)
	if p.StatusCode != http.StatusOK {
		t.Fatal(p.Status)
	}
	p = b.Press(b.Get("/u/sign-up"), "sign_up", "email", demo.Stranger, "password", "a-long-enough-password")
	if p.StatusCode != http.StatusOK {
		t.Fatal(p.Status)
	}
	for _, email := range []string{demo.Reader, demo.Stranger} {
		for _, m := range i.Mailbox(t, email) {
			if strings.Contains(m.Text, "evil") || strings.Contains(m.Text, "http://") && !strings.Contains(m.Text, i.URL) {
				t.Errorf("%s", m.Text)
			}
		}
	}
}

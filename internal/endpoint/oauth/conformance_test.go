package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// The clients of a test plan and where the suite listens, as docs/conformance.md registers them.
const (
	suiteClient  = "client"
	suiteClient2 = "client2"
	suitePost    = "client_secret_post"
	suiteOrigin  = "https://suite.example/test/a/gatehouse/"
	callback     = suiteOrigin + "callback"
	withQuery    = suiteOrigin + "callback/query?foo=bar"
	afterLogout  = suiteOrigin + "post_logout_redirect"
)

// suite is a house with the clients of a test plan, and what its metadata says.
type suite struct {
	*servertest.Instance
	metadata map[string]any
	keys     jose.JSONWebKeySet
	told     *received // what the back-channel logout endpoint of the clients receives
}

// variant is what the suite varies a plan by.
type variant struct{ responseType, responseMode string }

func (v variant) has(kind string) bool {
	return slices.Contains(strings.Fields(v.responseType), kind)
}

// relyingParty is the suite in one test module: a client, a browser, and the request it sent last.
type relyingParty struct {
	*suite
	variant
	t            *testing.T
	client       string
	browser      *servertest.Browser
	state, nonce string
}

type module struct {
	name string
	run  func(rp *relyingParty)
}

// TestConformance does what the OpenID Foundation's conformance suite does to a provider, under the
// suite's own names: plan, variant, module. docs/conformance.md tells how to run the suite itself.
func TestConformance(t *testing.T) {
	for name, database := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return "sqlite:" + dbtest.TemplateSQLite(t, schema.Files) },
		"PostgreSQL": func(t *testing.T) string { return dbtest.TemplatePostgreSQL(t, schema.Files) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t, database(t))
			code, codeByForm := variant{"code", "query"}, variant{"code", "form_post"}
			idToken, hybrid := variant{"id_token", "form_post"}, variant{"code id_token", "form_post"}
			s.plan(t, "oidcc-config-certification-test-plan", code, configModules())
			s.plan(t, "oidcc-basic-certification-test-plan", code, slices.Concat(everyModules(), codeModules(), basicModules()))
			s.plan(t, "oidcc-formpost-basic-certification-test-plan", codeByForm, slices.Concat(everyModules(), codeModules(), basicModules()))
			s.plan(t, "oidcc-formpost-implicit-certification-test-plan/id_token", idToken, slices.Concat(everyModules(), idTokenModules()))
			s.plan(t, "oidcc-formpost-hybrid-certification-test-plan/code_id_token", hybrid, slices.Concat(everyModules(), codeModules(), idTokenModules()))
			s.plan(t, "oidcc-rp-initiated-logout-certification-test-plan", code, logoutModules())
			s.plan(t, "oidcc-backchannel-rp-initiated-logout-certification-test-plan", code, backChannelModules())
		})
	}
}

func newSuite(t *testing.T, database string) *suite {
	t.Helper()
	s := &suite{told: &received{}}
	listener := httptest.NewServer(s.told)
	t.Cleanup(listener.Close)
	extra := func(name string) demo.Extra {
		return demo.Extra{
			Name: name, Type: apps.RegularWeb, RedirectURIs: []string{callback, withQuery}, LogoutURLs: []string{afterLogout},
			BackchannelLogoutURI: listener.URL + "/backchannel_logout",
		}
	}
	s.Instance = servertest.New(t, servertest.Options{Database: database, TLS: true, Extras: []demo.Extra{extra(suiteClient), extra(suiteClient2), extra(suitePost)}})
	for name, method := range map[string]oauth.AuthMethod{suiteClient: oauth.AuthBasic, suiteClient2: oauth.AuthBasic, suitePost: oauth.AuthPost} {
		change(t, s.Instance, name, func(c *apps.Client) {
			c.Profile, c.Audience, c.DefaultRedirectURI, c.AuthMethods = apps.OIDCBasic, "", "", []oauth.AuthMethod{method}
		})
	}
	b := s.NewBrowser(t)
	read(t, b.Get("/.well-known/openid-configuration"), &s.metadata)
	read(t, b.Get(s.metadata["jwks_uri"].(string)), &s.keys)
	return s
}

// read reads an answer that must be 200 and JSON.
func read(t testing.TB, p *servertest.Page, into any) {
	t.Helper()
	if p.StatusCode != http.StatusOK || p.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s: %s, Content-Type %q: %s", p.Request.URL, p.Status, p.Header.Get("Content-Type"), p.Body)
	}
	if err := json.Unmarshal([]byte(p.Body), into); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) plan(t *testing.T, name string, v variant, modules []module) {
	for _, m := range modules {
		t.Run(name+"/"+m.name, func(t *testing.T) {
			m.run(&relyingParty{suite: s, variant: v, t: t, client: suiteClient, browser: s.NewBrowser(t)})
		})
	}
}

// everyModules are asked of every response type.
func everyModules() []module {
	second := func(pairs ...string) func(*relyingParty) { // a second request changes nothing about who signed in, and when
		return func(rp *relyingParty) {
			first := rp.succeeds(rp.visit())
			rp.Clock.Advance(time.Second)
			p := rp.visit(pairs...)
			rp.same(first, rp.succeeds(p))
			if p.Title() == titleSignIn {
				rp.t.Error("asked to sign in again")
			}
		}
	}
	extra := func(pairs ...string) func(*relyingParty) { // may be ignored, and harms nothing
		return func(rp *relyingParty) { rp.succeeds(rp.visit(pairs...)) }
	}
	again := func(wait time.Duration, pairs ...string) func(*relyingParty) { // the person signs in anew
		return func(rp *relyingParty) {
			first := rp.succeeds(rp.visit())
			rp.Clock.Advance(wait)
			p := rp.visit(pairs...)
			expectPage(rp.t, p, http.StatusOK, titleSignIn)
			if next := rp.succeeds(p); next.claims["auth_time"].(float64) <= first.claims["auth_time"].(float64) || next.claims["sub"] != first.claims["sub"] {
				rp.t.Errorf("not a new sign-in of the same person: %v, %v", first.claims, next.claims)
			}
		}
	}
	return []module{
		{"oidcc-server", extra()},
		{"oidcc-response-type-missing", func(rp *relyingParty) {
			rp.refused(rp.visit("response_type", ""), "invalid_request", "unsupported_response_type")
		}},
		{"oidcc-idtoken-signature", extra()}, // idToken holds every one to RS256 and its kid
		{"oidcc-scope-profile", func(rp *relyingParty) {
			rp.claimed(rp.succeeds(rp.visit("scope", "openid profile")), "name", "given_name", "family_name", "nickname", "updated_at")
		}},
		{"oidcc-scope-email", func(rp *relyingParty) {
			r := rp.succeeds(rp.visit("scope", "openid email"))
			rp.claimed(r, "email", "email_verified")
			if r.userinfo["name"] != nil || r.claims["name"] != nil {
				rp.t.Error("a name nobody asked for")
			}
		}},
		{"oidcc-scope-address", skippedScope("address")},
		{"oidcc-scope-phone", skippedScope("phone")},
		{"oidcc-scope-all", skippedScope("profile email address phone")},
		{"oidcc-ensure-other-scope-order-succeeds", extra("scope", "email openid")},
		{"oidcc-display-page", extra("display", "page")},
		{"oidcc-display-popup", extra("display", "popup")},
		{"oidcc-prompt-login", again(time.Second, "prompt", "login")},
		{"oidcc-prompt-none-not-logged-in", func(rp *relyingParty) { rp.refused(rp.visit("prompt", "none"), "login_required") }},
		{"oidcc-prompt-none-logged-in", second("prompt", "none")},
		{"oidcc-max-age-1", again(2*time.Second, "max_age", "1")},
		{"oidcc-max-age-10000", second("max_age", "10000")},
		{"oidcc-ensure-request-with-unknown-parameter-succeeds", extra("extra", "foobar")},
		{"oidcc-id-token-hint", func(rp *relyingParty) {
			first := rp.succeeds(rp.visit())
			rp.same(first, rp.succeeds(rp.visit("prompt", "none", "id_token_hint", first.tokens.IDToken)))
		}},
		{"oidcc-login-hint", func(rp *relyingParty) {
			p := rp.visit("login_hint", demo.Reader)
			if !strings.Contains(p.Body, `value="`+demo.Reader+`"`) {
				rp.t.Error("the hint is not filled in")
			}
			rp.succeeds(p)
		}},
		{"oidcc-ui-locales", extra("ui_locales", "se")},
		{"oidcc-claims-locales", extra("claims_locales", "se")},
		{"oidcc-ensure-request-with-acr-values-succeeds", func(rp *relyingParty) {
			var supported []string
			for _, acr := range rp.metadata["acr_values_supported"].([]any) {
				supported = append(supported, acr.(string))
			}
			if r := rp.succeeds(rp.visit("acr_values", strings.Join(supported, " "))); !slices.Contains(supported, r.claims["acr"].(string)) {
				rp.t.Errorf("acr %v is none of %v", r.claims["acr"], supported)
			}
			rp.succeeds(rp.visit("acr_values", "1 2"))
		}},
		{"oidcc-ensure-registered-redirect-uri", func(rp *relyingParty) { rp.shown(rp.visit("redirect_uri", callback+"/"+id.UUID())) }},
		{"oidcc-ensure-redirect-uri-in-authorization-request", func(rp *relyingParty) { rp.shown(rp.visit("redirect_uri", "")) }},
		{"oidcc-redirect-uri-query-added", func(rp *relyingParty) { rp.shown(rp.visit("redirect_uri", callback+"?foo=bar")) }},
		{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", func(rp *relyingParty) {
			rp.refused(rp.without("request_uri", suiteOrigin+"requesturi/x#y"), "request_uri_not_supported")
		}},
		{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", func(rp *relyingParty) {
			rp.refused(rp.without("request", rp.requestObject()), "request_not_supported")
		}},
		{"oidcc-ensure-request-object-with-redirect-uri", func(rp *relyingParty) {
			rp.shown(rp.without("request", rp.requestObject(), "redirect_uri", callback+"/invalid"))
		}},
		{"oidcc-claims-essential", func(rp *relyingParty) {
			where := "userinfo"
			if !rp.has("code") {
				where = "id_token"
			}
			rp.succeeds(rp.visit("claims", `{"`+where+`":{"name":{"essential":true}}}`))
		}},
	}
}

// skippedScope: the suite skips what the metadata does not offer. Asking nevertheless harms nothing.
func skippedScope(scope string) func(*relyingParty) {
	return func(rp *relyingParty) {
		if slices.ContainsFunc(rp.metadata["scopes_supported"].([]any), func(s any) bool { return s == "address" || s == "phone" }) {
			rp.t.Error("a scope is offered that is not tested")
		}
		rp.succeeds(rp.visit("scope", "openid "+scope))
	}
}

// codeModules are asked where there is a code, and with it an access token.
func codeModules() []module {
	reuse := func(rp *relyingParty) {
		r := rp.succeeds(rp.visit())
		rp.Clock.Advance(30 * time.Second)
		rp.denied(rp.redeem(r.code), "invalid_grant")
		if p := rp.get(r.tokens.AccessToken); p.StatusCode != http.StatusUnauthorized {
			rp.t.Errorf("the first access token still works: %s", p.Status)
		}
	}
	posted := func(inBody bool) func(*relyingParty) {
		return func(rp *relyingParty) {
			token, body, headers := rp.succeeds(rp.visit()).tokens.AccessToken, "", []string(nil)
			if inBody {
				body = "access_token=" + token
			} else {
				headers = []string{"Authorization", "Bearer " + token}
			}
			rp.userInfo(rp.browser.Send(rp.browser.Request(http.MethodPost, "/userinfo", body, headers...)))
		}
	}
	return []module{
		{"oidcc-userinfo-get", func(rp *relyingParty) { rp.succeeds(rp.visit()) }},
		{"oidcc-userinfo-post-header", posted(false)},
		{"oidcc-userinfo-post-body", posted(true)},
		{"oidcc-codereuse", func(rp *relyingParty) {
			r := rp.succeeds(rp.visit())
			rp.denied(rp.redeem(r.code), "invalid_grant")
		}},
		{"oidcc-codereuse-30seconds", reuse},
		{"oidcc-ensure-post-request-succeeds", func(rp *relyingParty) {
			r := rp.browser.Request(http.MethodPost, "/authorize", rp.request().Encode(), "Origin", "https://suite.example", "Sec-Fetch-Site", "cross-site")
			rp.succeeds(rp.browser.Send(r))
		}},
		{"oidcc-server-client-secret-post", func(rp *relyingParty) {
			rp.client = suitePost
			rp.succeeds(rp.visit())
		}},
		{"oidcc-refresh-token", refreshToken},
		{"oidcc-ensure-request-with-valid-pkce-succeeds", func(rp *relyingParty) {
			p := rp.login(rp.visit("code_challenge", servertest.Challenge(servertest.Verifier), "code_challenge_method", "S256"))
			rp.granted(rp.redeem(rp.response(p).Get("code"), "code_verifier", servertest.Verifier))
		}},
	}
}

// refreshToken: two clients refresh, each its own; the one can do nothing with what is the other's.
func refreshToken(rp *relyingParty) {
	var last servertest.Tokens
	for _, client := range []string{suiteClient, suiteClient2} {
		rp.client = client
		p := rp.visit("scope", "openid offline_access", "prompt", "consent")
		if p.Title() == titleSignIn {
			p = rp.browser.As(p, demo.Reader)
		}
		if !strings.Contains(p.Body, `name="action" value="allow"`) {
			rp.t.Fatalf("no consent is asked for: %s %q", p.Status, p.Title())
		}
		first := rp.succeeds(p)
		rp.Clock.Advance(time.Second)
		last = rp.granted(rp.token("grant_type", "refresh_token", "refresh_token", first.tokens.RefreshToken, "scope", "openid offline_access"))
		rp.nonce = "" // it belonged to the request
		claims := rp.idToken(last.IDToken)
		for _, name := range []string{"iss", "sub", "aud", "auth_time", "azp"} {
			if claims[name] != first.claims[name] {
				rp.t.Errorf("%s was %v and is %v", name, first.claims[name], claims[name])
			}
		}
		if claims["iat"] == first.claims["iat"] || last.AccessToken == first.tokens.AccessToken {
			rp.t.Error("nothing new was issued")
		}
		rp.userInfo(rp.get(last.AccessToken))
	}
	rp.client = suiteClient
	rp.denied(rp.token("grant_type", "refresh_token", "refresh_token", last.RefreshToken), "invalid_grant")
}

// basicModules are asked where nothing but a code travels through the browser.
func basicModules() []module {
	return []module{
		{"oidcc-idtoken-unsigned", func(rp *relyingParty) { // skipped: none is not offered
			if slices.Contains(rp.metadata["id_token_signing_alg_values_supported"].([]any), any("none")) {
				rp.t.Error("ID tokens without a signature are offered")
			}
		}},
		{"oidcc-redirect-uri-query-OK", func(rp *relyingParty) {
			p, code := rp.login(rp.visit("redirect_uri", withQuery)), ""
			if rp.responseMode == "form_post" {
				code = p.Hidden().Get("code")
				if p.Target() != withQuery {
					rp.t.Errorf("the form goes to %q", p.Target())
				}
			} else {
				query, _ := strings.CutPrefix(p.Header.Get("Location"), withQuery+"&")
				answer, err := url.ParseQuery(query)
				if code = answer.Get("code"); err != nil {
					rp.t.Error(err)
				}
			}
			rp.granted(rp.redeem(code, "redirect_uri", withQuery))
		}},
		{"oidcc-redirect-uri-query-mismatch", func(rp *relyingParty) {
			rp.shown(rp.visit("redirect_uri", strings.Replace(withQuery, "bar", "baz", 1)))
		}},
		{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", func(rp *relyingParty) { rp.succeeds(rp.visit("nonce", "")) }},
	}
}

// idTokenModules are asked where an ID token travels through the browser.
func idTokenModules() []module {
	return []module{
		{"oidcc-ensure-request-without-nonce-fails", func(rp *relyingParty) { rp.refused(rp.visit("nonce", ""), "invalid_request") }},
	}
}

func configModules() []module {
	return []module{{"oidcc-discovery-endpoint-verification", func(rp *relyingParty) {
		m := rp.metadata
		list := func(name string) (out []string) {
			values, ok := m[name].([]any)
			if !ok || len(values) == 0 {
				rp.t.Errorf("%s is %v", name, m[name])
			}
			for _, v := range values {
				out = append(out, v.(string))
			}
			return out
		}
		for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} {
			if m[name] == nil {
				rp.t.Errorf("%s is missing", name)
			}
		}
		for name, value := range m {
			if at, ok := value.(string); ok && !strings.HasPrefix(at, rp.URL+"/") {
				rp.t.Errorf("%s is %q", name, at)
			}
		}
		for name, want := range map[string]string{
			"response_types_supported": "code", "subject_types_supported": "public", "id_token_signing_alg_values_supported": "RS256",
			"scopes_supported": "openid", "grant_types_supported": "authorization_code", "claims_supported": "sub", "ui_locales_supported": "en",
			"token_endpoint_auth_methods_supported": "client_secret_basic", "code_challenge_methods_supported": "S256", "acr_values_supported": "",
		} {
			if values := list(name); want != "" && !slices.Contains(values, want) {
				rp.t.Errorf("%s lacks %s: %v", name, want, values)
			}
		}
		for _, name := range []string{"request_parameter_supported", "request_uri_parameter_supported", "claims_parameter_supported"} {
			if m[name] != false {
				rp.t.Errorf("%s is %v", name, m[name])
			}
		}
		// What is of use only beside private_key_jwt would be a promise nobody keeps.
		if !slices.Contains(list("token_endpoint_auth_methods_supported"), "private_key_jwt") && m["token_endpoint_auth_signing_alg_values_supported"] != nil {
			rp.t.Errorf("algorithms for assertions that are not taken: %v", m["token_endpoint_auth_signing_alg_values_supported"])
		}
		kids := map[string]bool{}
		for _, k := range rp.keys.Keys {
			if k.KeyID == "" || kids[k.KeyID] || !k.IsPublic() || !k.Valid() || k.Use != "sig" || k.Algorithm == "" {
				rp.t.Errorf("key %q: used before %v, public %v, use %q, alg %q", k.KeyID, kids[k.KeyID], k.IsPublic(), k.Use, k.Algorithm)
			}
			kids[k.KeyID] = true
		}
	}}}
}

// anyState has every character that RFC 6749 appendix A.5 allows.
const anyState = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// logoutModules send a person who has just signed in to the end_session_endpoint.
func logoutModules() []module {
	logout := func(check func(rp *relyingParty, ask func(pairs ...string) *servertest.Page, r result)) func(*relyingParty) {
		return func(rp *relyingParty) {
			r := rp.succeeds(rp.visit())
			check(rp, func(pairs ...string) *servertest.Page {
				q := url.Values{"id_token_hint": {r.tokens.IDToken}, "post_logout_redirect_uri": {afterLogout}, "state": {anyState}}
				for n := 0; n+1 < len(pairs); n += 2 {
					if q.Set(pairs[n], pairs[n+1]); pairs[n+1] == "" {
						q.Del(pairs[n])
					}
				}
				return rp.browser.Get(rp.metadata["end_session_endpoint"].(string) + "?" + q.Encode())
			}, r)
		}
	}
	signedOut := func(rp *relyingParty) { rp.t.Helper(); rp.refused(rp.visit("prompt", "none"), "login_required") }
	confirmed := func(rp *relyingParty, p *servertest.Page) {
		rp.t.Helper()
		expectPage(rp.t, p, http.StatusOK, titleSignOut)
		expectPage(rp.t, rp.browser.Press(p, "sign_out"), http.StatusOK, titleSignedOut)
		signedOut(rp)
	}
	astray := func(rp *relyingParty, p *servertest.Page) { // no way back, and the page says why
		rp.t.Helper()
		expectPage(rp.t, p, http.StatusOK, titleSignedOut)
		if !strings.Contains(p.Body, "that is not registered") {
			rp.t.Errorf("the page does not say why there is no way back:\n%s", p.Body)
		}
		signedOut(rp)
	}
	return []module{
		{"oidcc-rp-initiated-logout-discovery-endpoint-verification", func(rp *relyingParty) {
			if rp.metadata["end_session_endpoint"] != rp.URL+"/oidc/logout" {
				rp.t.Errorf("end_session_endpoint %v", rp.metadata["end_session_endpoint"])
			}
		}},
		{"oidcc-rp-initiated-logout", logout(func(rp *relyingParty, ask func(...string) *servertest.Page, _ result) {
			p := ask()
			query, _ := strings.CutPrefix(p.Header.Get("Location"), afterLogout+"?")
			if answer, err := url.ParseQuery(query); err != nil || p.StatusCode != http.StatusSeeOther || len(answer) != 1 || answer.Get("state") != anyState {
				rp.t.Errorf("%s to %q", p.Status, p.Header.Get("Location"))
			}
			signedOut(rp)
		})},
		{"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", logout(func(rp *relyingParty, ask func(...string) *servertest.Page, _ result) {
			astray(rp, ask("post_logout_redirect_uri", afterLogout+"/"+id.UUID()))
		})},
		{"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", logout(func(rp *relyingParty, ask func(...string) *servertest.Page, _ result) {
			astray(rp, ask("post_logout_redirect_uri", afterLogout+"?foo=bar"))
		})},
		{"oidcc-rp-initiated-logout-modified-id-token-hint", logout(func(rp *relyingParty, ask func(...string) *servertest.Page, r result) {
			rp.shown(ask("id_token_hint", unsigned(rp.t, r.claims)))
		})},
		{"oidcc-rp-initiated-logout-bad-id-token-hint", logout(func(rp *relyingParty, ask func(...string) *servertest.Page, r result) {
			rp.shown(ask("id_token_hint", r.tokens.IDToken[:len(r.tokens.IDToken)-8]))
		})},
		{"oidcc-rp-initiated-logout-no-id-token-hint", logout(func(rp *relyingParty, ask func(...string) *servertest.Page, _ result) {
			confirmed(rp, ask("id_token_hint", ""))
		})},
		{"oidcc-rp-initiated-logout-no-params", logout(func(rp *relyingParty, ask func(...string) *servertest.Page, _ result) {
			confirmed(rp, ask("id_token_hint", "", "post_logout_redirect_uri", "", "state", ""))
		})},
		{"oidcc-rp-initiated-logout-only-state", logout(func(rp *relyingParty, ask func(...string) *servertest.Page, _ result) {
			confirmed(rp, ask("id_token_hint", "", "post_logout_redirect_uri", ""))
		})},
		{"oidcc-rp-initiated-logout-no-post-logout-redirect-uri", logout(func(rp *relyingParty, ask func(...string) *servertest.Page, _ result) {
			expectPage(rp.t, ask("post_logout_redirect_uri", ""), http.StatusOK, titleSignedOut)
			signedOut(rp)
		})},
		{"oidcc-rp-initiated-logout-no-state", logout(func(rp *relyingParty, ask func(...string) *servertest.Page, _ result) {
			if p := ask("state", ""); p.Header.Get("Location") != afterLogout {
				rp.t.Errorf("%s to %q", p.Status, p.Header.Get("Location"))
			}
			signedOut(rp)
		})},
	}
}

func backChannelModules() []module {
	return []module{
		{"oidcc-backchannel-logout-discovery-endpoint-verification", func(rp *relyingParty) {
			if rp.metadata["backchannel_logout_supported"] != true || rp.metadata["backchannel_logout_session_supported"] != true {
				rp.t.Errorf("%v", rp.metadata)
			}
		}},
		{"oidcc-backchannel-rp-initiated-logout", func(rp *relyingParty) {
			r := rp.succeeds(rp.visit())
			p := rp.browser.Get("/oidc/logout?" + logoutQuery("id_token_hint", r.tokens.IDToken, "post_logout_redirect_uri", afterLogout, "state", "x"))
			if p.Header.Get("Location") != afterLogout+"?state=x" {
				rp.t.Errorf("%s to %q", p.Status, p.Header.Get("Location"))
			}
			told := slices.DeleteFunc(rp.delivered(), func(req *http.Request) bool { // those of other modules
				return claims(rp.t, req.PostFormValue("logout_token"))["sid"] != r.claims["sid"]
			})
			if len(told) != 1 {
				rp.t.Fatalf("told %d times", len(told))
			}
			rp.logoutToken(told[0], r.claims)
			rp.refused(rp.visit("prompt", "none"), "login_required")
		}},
	}
}

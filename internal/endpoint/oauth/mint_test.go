package oauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// dialect gives the demo API another dialect of access tokens.
func dialect(t testing.TB, i *servertest.Instance, d apps.Dialect, alg jose.Alg) {
	t.Helper()
	api, err := i.House.Apps.API(context.Background(), i.House.Tenant, demo.Audience)
	must(t, err)
	changed := *api
	changed.TokenDialect, changed.SigningAlg = d, alg
	must(t, i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error { return i.House.Apps.UpdateAPI(tx, &changed) }))
}

// forge signs claims with a key of the house itself: a token of any kind as nobody but the house
// could make it.
func forge(t testing.TB, i *servertest.Instance, alg jose.Alg, typ string, claims map[string]any) string {
	t.Helper()
	signer, err := i.House.Keys.Signer(context.Background(), i.House.Tenant, alg)
	must(t, err)
	payload, err := json.Marshal(claims)
	must(t, err)
	token, err := signer.Sign(typ, payload)
	must(t, err)
	return token
}

// Every kind of token of the house, shown to everything in the house that takes one: each is taken
// where it belongs and nowhere else.
func TestThreat_JW05_EveryKindOnlyWhereItBelongs(t *testing.T) {
	for name, d := range map[string]struct {
		dialect apps.Dialect
		alg     jose.Alg
	}{
		"rfc9068":            {apps.DialectRFC9068, jose.ES256},
		"auth0":              {apps.DialectAuth0, jose.RS256}, // the same typ and key as an ID token
		"rfc9068 with RS256": {apps.DialectRFC9068, jose.RS256},
	} {
		t.Run(name, func(t *testing.T) {
			i := house(t)
			dialect(t, i, d.dialect, d.alg)
			b := i.NewBrowser(t)
			b.SignIn(demo.Reader, i.Password(t, demo.Reader))
			tokens := i.TokensIn(t, b, demo.RegularWeb, "scope", offlineShows)
			now := i.Clock.Now().Unix()
			id := claims(t, tokens.IDToken)
			logout := map[string]any{
				"iss": id["iss"], "aud": id["aud"], "sub": id["sub"], "sid": id["sid"], "iat": now, "exp": now + 120, "jti": "j",
				"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
			}
			assertion := map[string]any{"iss": id["aud"], "sub": id["aud"], "aud": id["iss"], "iat": now, "exp": now + 60, "jti": "j"}
			kinds := map[string]string{
				"access token":     tokens.AccessToken,
				"ID token":         tokens.IDToken,
				"refresh token":    tokens.RefreshToken,
				"code":             b.Authorize(demo.RegularWeb).Answer(t).Code,
				"logout token":     forge(t, i, jose.RS256, "logout+jwt", logout),
				"logout token JWT": forge(t, i, jose.RS256, "JWT", logout),
				"client assertion": forge(t, i, jose.RS256, "JWT", assertion),
				"DPoP proof":       forge(t, i, jose.ES256, "dpop+jwt", map[string]any{"htm": "GET", "htu": i.URL + "/userinfo", "iat": now, "jti": "j"}),
				"security event":   forge(t, i, jose.RS256, "secevent+jwt", logout),
			}
			web := i.Content.Client(demo.RegularWeb)
			consumers := map[string]struct {
				takes []string
				try   func(token string) bool
			}{
				"userinfo": {[]string{"access token"}, func(token string) bool {
					return get(t, i, "/userinfo", "Authorization", "Bearer "+token).StatusCode == http.StatusOK
				}},
				"introspection": {[]string{"access token", "refresh token"}, func(token string) bool {
					return i.Introspect(t, demo.RegularWeb, token)["active"] == true
				}},
				"id_token_hint at the authorization endpoint": {[]string{"ID token"}, func(token string) bool {
					return b.Authorize(demo.RegularWeb, "id_token_hint", token, "prompt", "none").Answer(t).Code != ""
				}},
				"refresh": {[]string{"refresh token"}, func(token string) bool { return i.Refresh(t, demo.RegularWeb, token).Status == http.StatusOK }},
				"redemption": {[]string{"code"}, func(token string) bool {
					return i.Redeem(t, demo.RegularWeb, servertest.Code{Code: token, Verifier: servertest.Verifier, RedirectURI: web.RedirectURIs[0]}).Status == http.StatusOK
				}},
				"client assertion": {nil, func(token string) bool {
					return post(t, i, "/oauth/token", url.Values{
						"grant_type": {"client_credentials"}, "client_id": {web.ClientID}, "client_assertion": {token},
						"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
					}.Encode()).Status == http.StatusOK
				}},
				"client secret": {nil, func(token string) bool {
					return post(t, i, "/oauth/introspect", url.Values{"token": {"x"}, "client_id": {web.ClientID}, "client_secret": {token}}.Encode()).Status == http.StatusOK
				}},
				"id_token_hint at the logout endpoint": {[]string{"ID token"}, func(token string) bool {
					stranger := i.NewBrowser(t)
					p := stranger.Get("/oidc/logout?" + url.Values{"id_token_hint": {token}, "post_logout_redirect_uri": {web.LogoutURLs[0]}}.Encode())
					return p.Header.Get("Location") != ""
				}},
			}
			for consumer, c := range consumers {
				if consumer == "id_token_hint at the logout endpoint" {
					continue // it ends what the others need
				}
				for _, kind := range slices.Sorted(maps.Keys(kinds)) {
					takes := slices.Contains(c.takes, kind)
					if got := c.try(kinds[kind]); got != takes {
						t.Errorf("%s takes a %s: %v, want %v", consumer, kind, got, takes)
					}
				}
				i.Clock.Advance(time.Second)
			}
			c := consumers["id_token_hint at the logout endpoint"]
			for _, kind := range slices.Sorted(maps.Keys(kinds)) {
				if got := c.try(kinds[kind]); got && kind != "ID token" {
					t.Errorf("the logout endpoint takes a %s for a hint", kind)
				}
			}
		})
	}
}

// Claims that are wrong in one place, signed by the house's own key.
func TestThreat_JW06_IssuerAndAudienceToTheByte(t *testing.T) {
	i := house(t)
	tokens, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", "openid read:shows")
	good := claims(t, tokens.AccessToken)
	if got := get(t, i, "/userinfo", "Authorization", "Bearer "+forge(t, i, jose.ES256, "at+jwt", good)); got.StatusCode != http.StatusOK {
		t.Fatalf("the forged copy is not as good as the original: %s", got.Status)
	}
	type claim map[string]any
	for name, edit := range map[string]claim{
		"issuer without its slash":     {"iss": i.URL},
		"issuer in upper case":         {"iss": "HTTP" + i.URL[4:] + "/"},
		"issuer by https":              {"iss": "https" + i.URL[4:] + "/"},
		"issuer with a path":           {"iss": i.URL + "/x/"},
		"no issuer":                    {"iss": nil},
		"issuer as a list":             {"iss": []string{i.URL + "/"}},
		"no audience":                  {"aud": nil},
		"an empty audience":            {"aud": ""},
		"any audience":                 {"aud": "*"},
		"audience of the API alone":    {"aud": demo.Audience},
		"audience with a slash":        {"aud": i.URL + "/userinfo/"},
		"audience as an object":        {"aud": claim{"x": i.URL + "/userinfo"}},
		"no subject":                   {"sub": nil},
		"another subject":              {"sub": "00000000-0000-4000-8000-000000000000"},
		"subject of a client":          {"sub": "x@clients"},
		"no expiry":                    {"exp": nil},
		"expired":                      {"exp": i.Clock.Now().Unix()},
		"expiry as text":               {"exp": "9999999999"},
		"expiry as a float":            {"exp": 9999999999.5},
		"not yet":                      {"nbf": i.Clock.Now().Unix() + 60},
		"issued in the future":         {"iat": i.Clock.Now().Unix() + 60},
		"no time of issue":             {"iat": nil},
		"no client":                    {"client_id": nil, "azp": nil},
		"azp of another":               {"azp": "other"},
		"an unknown client":            {"client_id": "other", "azp": "other"},
		"no jti":                       {"jti": nil},
		"a nonce, as ID tokens have":   {"nonce": "n"},
		"at_hash, as ID tokens have":   {"at_hash": "h"},
		"events, as logout tokens do":  {"events": claim{}},
		"without the scope openid":     {"scope": "read:shows"},
		"scope as a list":              {"scope": []string{"openid"}},
		"a scope like openid":          {"scope": "OPENID openid2"},
		"the session of somebody else": {"sid": 1},
	} {
		bad := maps.Clone(good)
		for k, v := range edit {
			if bad[k] = v; v == nil {
				delete(bad, k)
			}
		}
		resp := get(t, i, "/userinfo", "Authorization", "Bearer "+forge(t, i, jose.ES256, "at+jwt", bad))
		if resp.StatusCode != http.StatusUnauthorized && !(resp.StatusCode == http.StatusForbidden && edit["scope"] != nil) {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	for _, typ := range []string{"logout+jwt", "dpop+jwt", "secevent+jwt", "at", "jwt+at"} {
		resp := get(t, i, "/userinfo", "Authorization", "Bearer "+forge(t, i, jose.ES256, typ, good))
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("typ %q: %s", typ, resp.Status)
		}
	}
}

// Tokens nobody signed.
func TestThreat_JW01_UnsignedTokensAreRefused(t *testing.T) {
	i := house(t)
	tokens, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", "openid read:shows")
	payload, err := json.Marshal(claims(t, tokens.AccessToken))
	must(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	kid := decodePart(t, tokens.AccessToken, 0)["kid"].(string)
	for _, header := range []string{`{"alg":"none","typ":"at+jwt"}`, `{"alg":"None","typ":"at+jwt","kid":"` + kid + `"}`, `{"alg":"HS256","typ":"at+jwt","kid":"` + kid + `"}`, `{"alg":"ES256","typ":"at+jwt","kid":"` + kid + `"}`, `{"alg":"ES256","typ":"at+jwt"}`} {
		for _, signature := range []string{"", "AA", encode(make([]byte, 64)), encode(make([]byte, 32))} {
			token := encode([]byte(header)) + "." + encode(payload) + "." + signature
			if resp := get(t, i, "/userinfo", "Authorization", "Bearer "+token); resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s with %d bytes of signature: %s", header, len(signature), resp.Status)
			}
			if got := i.Introspect(t, demo.Machine, token); got["active"] != false {
				t.Errorf("%s is active", header)
			}
		}
	}
}

package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// What providers put into the access tokens of a person and of a machine, as far
// as it matters here.
func providersTokens() map[string]map[string]any {
	base := func(more map[string]any) map[string]any {
		c := map[string]any{
			"iss": "https://id.example.com/", "sub": "user-1", "aud": "https://api/tv-shows", "iat": now.Unix(), "exp": now.Add(600e9).Unix(),
		}
		maps.Copy(c, more)
		return c
	}
	return map[string]map[string]any{
		"Auth0": base(map[string]any{
			"aud": []string{"https://api/tv-shows", "https://tenant.example.com/userinfo"}, "azp": "client-1", "scope": "openid read:shows", "permissions": []string{"read:shows"},
		}),
		"Auth0, machine": base(map[string]any{"sub": "client-1@clients", "azp": "client-1", "gty": "client-credentials", "scope": "read:shows"}),
		"Keycloak": base(map[string]any{
			"typ": "Bearer", "azp": "client-1", "scope": "openid read:shows", "realm_access": map[string]any{"roles": []string{"admin"}}, "sid": "s-1", "acr": "1",
		}),
		"Keycloak, machine": base(map[string]any{
			"typ": "Bearer", "azp": "client-1", "client_id": "client-1", "preferred_username": "service-account-client-1", "scope": "read:shows",
		}),
		"Okta":                        base(map[string]any{"cid": "client-1", "uid": "user-1", "scp": []string{"openid", "read:shows"}, "ver": 1}),
		"Okta, machine":               base(map[string]any{"sub": "client-1", "cid": "client-1", "scp": []string{"read:shows"}}),
		"Entra":                       base(map[string]any{"azp": "client-1", "oid": "object-1", "scp": "read:shows", "tid": "tenant", "ver": "2.0", "roles": []string{"admin"}}),
		"Entra v1":                    base(map[string]any{"appid": "client-1", "oid": "object-1", "scp": "read:shows", "tid": "tenant", "ver": "1.0"}),
		"Entra, machine":              base(map[string]any{"azp": "client-1", "oid": "user-1", "roles": []string{"admin"}, "scp": "read:shows"}),
		"Entra, machine that says so": base(map[string]any{"azp": "client-1", "oid": "object-1", "idtyp": "app", "scp": "read:shows"}),
	}
}

func TestUntypedTokensOfProviders(t *testing.T) {
	bare := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	set := jose.Set{es256().Public(), {KeyID: "bare", Alg: jose.ES256, Key: &bare.PublicKey}}
	machines := []string{"Auth0, machine", "Keycloak, machine", "Okta, machine", "Entra, machine", "Entra, machine that says so"}
	for name, claims := range providersTokens() {
		for _, typ := range []string{"JWT", "at+jwt", ""} {
			token := signProof(t, bare, map[string]any{"alg": "ES256", "kid": "bare"}, claims)
			if typ != "" {
				token = mint(t, es256(), typ, claims)
			}
			got, err := oauth.VerifyAccessToken(token, rules(oauth.DialectUntyped), set.Lookup)
			if err != nil {
				t.Errorf("%s, typ %q: %v", name, typ, err)
				continue
			}
			scope := strings.Fields(got.Claims().Scope)
			if got.Claims().Client() != "client-1" || !slices.Contains(scope, "read:shows") || got.IsClient() != slices.Contains(machines, name) {
				t.Errorf("%s: client %q, scope %q, for a client: %v", name, got.Claims().Client(), scope, got.IsClient())
			}
		}
	}
}

func TestThreat_JW05_UntypedTokens(t *testing.T) {
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	drop := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	tests := []struct {
		name   string
		typ    string
		change func(map[string]any)
	}{
		{"ID token of Keycloak", "JWT", set("typ", "ID")},
		{"refresh token of Keycloak", "JWT", set("typ", "Refresh")},
		{"offline token of Keycloak", "JWT", set("typ", "Offline")},
		{"logout token of Keycloak", "JWT", set("typ", "Logout")},
		{"typ is a number", "JWT", set("typ", 1)},
		{"ID token of Cognito", "JWT", set("token_use", "id")},
		{"ID token with a nonce", "JWT", set("nonce", "n-1")},
		{"ID token with at_hash", "JWT", set("at_hash", "x")},
		{"ID token with c_hash", "JWT", set("c_hash", "x")},
		{"logout token", "JWT", set("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}})},
		{"DPoP proof", "JWT", set("htu", "https://api/")},
		{"no client named", "JWT", drop("azp")},
		{"two clients named", "JWT", set("cid", "client-2")},
		{"two clients, in the house's spelling", "JWT", set("client_id", "client-2")},
		{"client is the audience", "JWT", set("azp", "https://api/tv-shows")},
		{"client is in the audience", "JWT", set("aud", []string{"https://api/tv-shows", "client-1"})},
		{"another audience", "JWT", set("aud", "https://tenant.example.com/userinfo")},
		{"no audience", "JWT", drop("aud")},
		{"no subject", "JWT", drop("sub")},
		{"no expiry", "JWT", drop("exp")},
		{"no time of issue", "JWT", drop("iat")},
		{"another issuer", "JWT", set("iss", "https://id.example.com")},
		{"type logout+jwt", "logout+jwt", nil},
		{"type dpop+jwt", "dpop+jwt", nil},
		{"type secevent+jwt", "secevent+jwt", nil},
		{"type of introspection", "token-introspection+jwt", nil},
		{"a scope with a space", "JWT", func(c map[string]any) { delete(c, "scope"); c["scp"] = []string{"read:shows admin"} }},
	}
	for _, tt := range tests {
		claims := providersTokens()["Keycloak"]
		if tt.change != nil {
			tt.change(claims)
		}
		if _, err := oauth.VerifyAccessToken(mint(t, es256(), tt.typ, claims), rules(oauth.DialectUntyped), keys()); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
	// And the other way round: no such token passes for one of this house's.
	for name, claims := range providersTokens() {
		for _, d := range []oauth.Dialect{oauth.DialectRFC9068, oauth.DialectAuth0} {
			_, err := oauth.VerifyAccessToken(mint(t, es256(), "JWT", claims), rules(d), keys())
			if (err == nil) != (d == oauth.DialectAuth0 && name == "Auth0, machine") {
				t.Errorf("%s read as %s: %v", name, d, err)
			}
		}
	}
}

// A person must not become an application by the name they choose.
func TestThreat_TK20_UntypedMachines(t *testing.T) {
	claims := providersTokens()["Keycloak"]
	claims["preferred_username"] = "service-account-client-1"
	got, err := oauth.VerifyAccessToken(mint(t, es256(), "JWT", claims), rules(oauth.DialectUntyped), keys())
	if err != nil || got.IsClient() {
		t.Errorf("a user who calls themselves like a service account: %v, %v", got.IsClient(), err)
	}
}

func TestConfirmation(t *testing.T) {
	tests := []struct {
		cnf  any
		want *oauth.Confirmation
	}{
		{map[string]any{"jkt": "a"}, &oauth.Confirmation{JKT: "a"}},
		{map[string]any{"x5t#S256": "b"}, &oauth.Confirmation{X5T: "b"}},
		{map[string]any{"jkt": "a", "x5t#S256": "b"}, nil},
		{map[string]any{"jkt": ""}, nil},
		{map[string]any{"jkt": 1}, nil},
		{map[string]any{"kid": "c"}, nil},
		{map[string]any{"jkt": "a", "kid": "c"}, nil},
		{map[string]any{"jwk": map[string]any{"kty": "EC"}}, nil},
		{map[string]any{}, nil},
		{"a", nil},
	}
	for _, tt := range tests {
		token := mint(t, es256(), "at+jwt", change(t, "cnf", tt.cnf))
		got, err := oauth.VerifyAccessToken(token, rules(oauth.DialectRFC9068), keys())
		if (err == nil) != (tt.want != nil) {
			t.Errorf("%v: %v", tt.cnf, err)
		}
		if err == nil && *got.Claims().Confirmation != *tt.want {
			t.Errorf("%v: %+v", tt.cnf, got.Claims().Confirmation)
		}
	}
	if _, err := oauth.VerifyAccessToken(mint(t, es256(), "at+jwt", change(t, "cnf", map[string]any{"kid": "c"})), rules(oauth.DialectRFC9068), keys()); !errors.Is(err, oauth.ErrConfirmation) {
		t.Errorf("unknown method: %v", err)
	}
}

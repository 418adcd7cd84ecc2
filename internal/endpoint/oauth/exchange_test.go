package oauth_test

import (
	"encoding/base64"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// The one thing that is exchanged is an API key of this house. No token is, of whatever issuer and under whatever name:
// so there is no chain of exchanges, and nobody acts for somebody else. The rest of the row is
// TestThreat_AK04_ExchangeEscalatesNothing.
func TestThreat_TK15_NoTokenIsExchanged(t *testing.T) {
	i := exchanging(t, servertest.Options{})
	_, secret := keyOf(t, i, nil)
	key := secret.Reveal()
	exchanged := exchange(t, i, demo.Machine, key)
	if exchanged.Status != 200 {
		t.Fatal(exchanged.Raw)
	}
	tokens, _ := i.TokensFor(t, demo.Reader, demo.RegularWeb, "scope", "openid offline_access read:shows")
	encode := base64.RawURLEncoding.EncodeToString
	foreign := encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(`{"iss":"https://elsewhere.example/","sub":"`+i.UserID(t, demo.Administrator)+`"}`)) + "."
	const kinds = "urn:ietf:params:oauth:token-type:"
	for name, token := range map[string]string{
		"access token": tokens.AccessToken, "ID token": tokens.IDToken, "refresh token": tokens.RefreshToken,
		"token of an exchange": exchanged.AccessToken, "token of another issuer": foreign,
	} {
		for _, kind := range []string{oauth.TokenTypeAPIKey, oauth.TokenTypeAccessToken, oauth.TokenTypeJWT, kinds + "id_token", kinds + "refresh_token", kinds + "saml2", ""} {
			expectTokenError(t, name+" as "+kind, exchange(t, i, demo.RegularWeb, token, "subject_token_type", kind), "invalid_request")
		}
	}
	for name, c := range map[string]struct {
		code  string
		pairs []string
	}{
		"a key as another kind":         {"invalid_request", []string{"subject_token_type", oauth.TokenTypeAccessToken}},
		"an actor":                      {"invalid_request", []string{"actor_token", key, "actor_token_type", oauth.TokenTypeAPIKey}},
		"an actor without a kind":       {"invalid_request", []string{"actor_token", exchanged.AccessToken}},
		"a kind without an actor":       {"invalid_request", []string{"actor_token_type", oauth.TokenTypeAccessToken}},
		"a refresh token is wanted":     {"invalid_request", []string{"requested_token_type", kinds + "refresh_token"}},
		"another audience":              {"invalid_target", []string{"audience", i.House.Tenant.ManagementAudience()}},
		"another resource":              {"invalid_target", []string{"resource", "https://elsewhere.example/"}},
		"an audience beside a resource": {"invalid_target", []string{"audience", demo.Audience, "resource", "https://elsewhere.example/"}},
		"more than the key may do":      {"invalid_scope", []string{"scope", "read:shows write:shows"}},
	} {
		expectTokenError(t, name, exchange(t, i, demo.Machine, key, c.pairs...), c.code)
	}
}

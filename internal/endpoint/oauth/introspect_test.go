package oauth_test

import (
	"maps"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
)

func TestIntrospect(t *testing.T) {
	i := house(t)
	tokens, _ := i.TokensFor(t, demo.Reader, demo.RegularWeb, "scope", offlineShows)
	access := claims(t, tokens.AccessToken)
	for _, caller := range []string{demo.RegularWeb, demo.Machine} { // whose it is, and whom the API authenticates as
		got := i.Introspect(t, caller, tokens.AccessToken)
		if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, []string{
			"acr", "active", "amr", "aud", "auth_time", "client_id", "exp", "gid", "iat", "iss", "jti", "permissions", "scope", "sid", "sub", "token_type",
		}) {
			t.Errorf("%s: members %v", caller, keys)
		}
		if got["active"] != true || got["token_type"] != "Bearer" {
			t.Errorf("%s: %v", caller, got)
		}
		for _, name := range []string{"acr", "amr", "aud", "auth_time", "client_id", "exp", "gid", "iat", "iss", "jti", "permissions", "scope", "sid", "sub"} {
			if !equal(got[name], access[name]) {
				t.Errorf("%s: %s is %v, in the token %v", caller, name, got[name], access[name])
			}
		}
	}
	got := i.Introspect(t, demo.RegularWeb, tokens.RefreshToken)
	if got["active"] != true || got["client_id"] != access["client_id"] || got["sub"] != access["sub"] || got["gid"] != access["gid"] {
		t.Errorf("refresh token: %v", got)
	}
	machine := i.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials")
	if got := i.Introspect(t, demo.Machine, machine.AccessToken); got["active"] != true || got["sub"] != i.Content.Client(demo.Machine).ClientID+"@clients" {
		t.Errorf("a client's token: %v", got)
	}
}

func TestThreat_TK13_IntrospectionTellsOnlyWhoMayKnow(t *testing.T) {
	i := house(t)
	tokens, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
	other, _ := i.TokensFor(t, demo.Administrator, demo.SPA, "scope", "openid read:users", "audience", i.URL+"/api/v2/")
	used := tokens.RefreshToken
	tokens = i.Refresh(t, demo.SPA, used)
	i.Clock.Advance(overlap + time.Second)
	for name, c := range map[string]struct{ caller, token string }{
		"another client's access token":          {demo.RegularWeb, tokens.AccessToken},
		"another client's refresh token":         {demo.RegularWeb, tokens.RefreshToken},
		"a refresh token, by the API":            {demo.Machine, tokens.RefreshToken},
		"a used refresh token":                   {demo.RegularWeb, used},
		"a token for another API":                {demo.Machine, other.AccessToken},
		"nonsense":                               {demo.Machine, "x"},
		"an ID token":                            {demo.Machine, tokens.IDToken},
		"an access token with another signature": {demo.Machine, tokens.AccessToken[:len(tokens.AccessToken)-4] + "AAAA"},
	} {
		got := i.PostForm(t, "/oauth/introspect", c.caller, "token", c.token)
		if got.Status != 200 || got.Raw != `{"active":false}` {
			t.Errorf("%s: %d %s", name, got.Status, got.Raw)
		}
	}
	if got := i.Refresh(t, demo.SPA, tokens.RefreshToken); got.Status != 200 {
		t.Errorf("introspection changed something: %s", got.Raw)
	}
	expectTokenError(t, "nobody asks", post(t, i, "/oauth/introspect", "token="+tokens.AccessToken), "invalid_client")
	expectTokenError(t, "a public client asks about its own", i.PostForm(t, "/oauth/introspect", demo.SPA, "token", tokens.AccessToken), "invalid_client")
	machine := i.Content.Client(demo.Machine)
	expectTokenError(t, "a wrong secret", post(t, i, "/oauth/introspect", url.Values{"token": {tokens.AccessToken}, "client_id": {machine.ClientID}, "client_secret": {"x"}}.Encode()), "invalid_client")
	expectTokenError(t, "the token itself as credential", post(t, i, "/oauth/introspect", "token="+tokens.AccessToken, "Authorization", "Bearer "+tokens.AccessToken), "invalid_client")
	expectTokenError(t, "no token", i.PostForm(t, "/oauth/introspect", demo.Machine), "invalid_request")
}

// The client's own view of its refresh token follows its life.
func TestIntrospectRefreshToken(t *testing.T) {
	i := house(t)
	tokens, _ := i.TokensFor(t, demo.Reader, demo.RegularWeb, "scope", offlineShows)
	next := i.Refresh(t, demo.RegularWeb, tokens.RefreshToken)
	active := func(token string) bool { return i.Introspect(t, demo.RegularWeb, token)["active"] == true }
	i.Clock.Advance(overlap)
	if !active(tokens.RefreshToken) || !active(next.RefreshToken) {
		t.Error("inside the overlap both are good")
	}
	i.Clock.Advance(time.Microsecond)
	if active(tokens.RefreshToken) || !active(next.RefreshToken) {
		t.Error("after it the successor alone")
	}
	i.Clock.Advance(7 * 24 * time.Hour)
	if active(next.RefreshToken) {
		t.Error("an idle one is not")
	}
}

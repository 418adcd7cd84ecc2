package oauth_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/leaks"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// keyOf issues a key of the reader for the demo API.
func keyOf(t testing.TB, i *servertest.Instance, edit func(*access.NewAPIKey)) (*access.APIKey, apikey.Key) {
	t.Helper()
	n := access.NewAPIKey{
		APIKeyOwner:    access.APIKeyOwner{UserID: i.UserID(t, demo.Reader), Audience: demo.Audience},
		APIKeySettings: access.APIKeySettings{Name: "Deploy", Scope: oauth.Scope{"read:shows"}},
	}
	if edit != nil {
		edit(&n)
	}
	k, secret, err := i.House.APIKeys.Issue(context.Background(), i.House.Tenant, n, audit.System())
	must(t, err)
	return k, secret
}

func revokeKey(t testing.TB, i *servertest.Instance, k *access.APIKey) {
	t.Helper()
	_, err := i.House.APIKeys.Revoke(context.Background(), i.House.Tenant, k.ID, "test", audit.System())
	must(t, err)
}

// exchanging is a house whose machine may exchange keys.
func exchanging(t testing.TB, o servertest.Options) *servertest.Instance {
	t.Helper()
	i := servertest.New(t, o)
	for _, name := range []string{demo.Machine, demo.RegularWeb} {
		change(t, i, name, func(c *apps.Client) { c.GrantTypes = append(c.GrantTypes, oauth.GrantTokenExchange) })
	}
	return i
}

func exchange(t testing.TB, i *servertest.Instance, client, key string, pairs ...string) servertest.Tokens {
	t.Helper()
	return i.PostForm(t, "/oauth/token", client, append([]string{
		"grant_type", oauth.GrantTokenExchange, "subject_token", key, "subject_token_type", oauth.TokenTypeAPIKey,
	}, pairs...)...)
}

func TestExchangeAPIKey(t *testing.T) {
	i := exchanging(t, servertest.Options{})
	k, secret := keyOf(t, i, func(n *access.NewAPIKey) { n.Organization, n.ExpiresAt = "org-1", i.Clock.Now().Add(5*time.Minute) })
	got := exchange(t, i, demo.Machine, secret.Reveal())
	if got.Status != 200 || !strings.Contains(got.Raw, `"issued_token_type":"`+oauth.TokenTypeAccessToken+`"`) || got.TokenType != "Bearer" ||
		got.ExpiresIn != 300 || got.Scope != "read:shows" || got.RefreshToken != "" || got.IDToken != "" {
		t.Fatalf("%d %s", got.Status, got.Raw)
	}
	c := claims(t, got.AccessToken)
	for name, want := range map[string]any{
		"sub": k.UserID, "gid": k.GID, "org_id": "org-1", "client_id": i.Content.Client(demo.Machine).ClientID, "scope": "read:shows",
		"permissions": []any{"read:shows"}, "iss": i.URL + "/",
	} {
		if !equal(c[name], want) {
			t.Errorf("%s is %v, want %v", name, c[name], want)
		}
	}
	if i.Introspect(t, demo.Machine, got.AccessToken)["active"] != true {
		t.Error("the token is not good")
	}
	if narrow := exchange(t, i, demo.Machine, secret.Reveal(), "audience", demo.Audience, "scope", "read:shows", "requested_token_type", oauth.TokenTypeJWT); narrow.Status != 200 {
		t.Errorf("%s", narrow.Raw)
	}
	revokeKey(t, i, k)
	if i.Introspect(t, demo.Machine, got.AccessToken)["active"] != false {
		t.Error("the token outlives its key")
	}
	expectTokenError(t, "a revoked key", exchange(t, i, demo.Machine, secret.Reveal()), "invalid_request")

	// A client's own key, and the subject that no user can have.
	machine := i.Content.Client(demo.Machine).ClientID
	_, own := keyOf(t, i, func(n *access.NewAPIKey) { n.UserID, n.ClientID = "", machine })
	if got := exchange(t, i, demo.Machine, own.Reveal()); claims(t, got.AccessToken)["sub"] != machine+"@clients" || got.ExpiresIn != 600 {
		t.Errorf("%s", got.Raw)
	}
}

// What the token could not say any more is not lost by an exchange.
func TestThreat_AK04_ExchangeEscalatesNothing(t *testing.T) {
	i := exchanging(t, servertest.Options{})
	machine := i.Content.Client(demo.Machine).ClientID
	key := func(edit func(*access.NewAPIKey)) string { _, s := keyOf(t, i, edit); return s.Reveal() }
	good := key(nil)
	for name, c := range map[string]struct {
		key   string
		pairs []string
		code  string
	}{
		"wrong checksum":   {good[:57] + "_", nil, "invalid_request"},
		"no key":           {"x", nil, "invalid_request"},
		"another audience": {good, []string{"audience", i.URL + "/api/v2/"}, "invalid_target"},
		"wider scope":      {good, []string{"scope", "read:shows write:shows"}, "invalid_scope"},
		"identity scope":   {good, []string{"scope", "openid"}, "invalid_scope"},
		"publishable":      {key(func(n *access.NewAPIKey) { n.Kind = apikey.Publishable }), nil, "invalid_request"},
		"test":             {key(func(n *access.NewAPIKey) { n.Environment = apikey.Test }), nil, "invalid_request"},
		"rate":             {key(func(n *access.NewAPIKey) { n.Rate = 5 }), nil, "invalid_request"},
		"quota":            {key(func(n *access.NewAPIKey) { n.Quota = 5 }), nil, "invalid_request"},
		"other network":    {key(func(n *access.NewAPIKey) { n.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }), nil, "invalid_request"},
	} {
		expectTokenError(t, name, exchange(t, i, demo.Machine, c.key, c.pairs...), c.code)
	}
	expectTokenError(t, "another client's key", exchange(t, i, demo.RegularWeb, key(func(n *access.NewAPIKey) { n.UserID, n.ClientID = "", machine })), "invalid_request")
	expectTokenError(t, "a client without the grant", exchange(t, i, demo.SPA, good), "unauthorized_client")
	change(t, i, demo.RegularWeb, func(c *apps.Client) { c.ThirdParty = true })
	expectTokenError(t, "a third party", exchange(t, i, demo.RegularWeb, good), "invalid_request")
	local := key(func(n *access.NewAPIKey) {
		n.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	})
	if got := exchange(t, i, demo.Machine, local); got.Status != 200 {
		t.Errorf("from its network: %s", got.Raw)
	}
	browser, _ := apps.NewClient("App", apps.SPA)
	browser.GrantTypes = append(browser.GrantTypes, oauth.GrantTokenExchange)
	if err := browser.Validate(); err == nil {
		t.Error("a page in a browser may exchange keys")
	}
	i.Block(t, demo.Reader)
	expectTokenError(t, "a blocked owner", exchange(t, i, demo.Machine, good), "invalid_request")
}

func TestIntrospectAPIKey(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	k, secret := keyOf(t, i, func(n *access.NewAPIKey) {
		n.ExpiresAt, n.Organization, n.Rate, n.Quota = i.Clock.Now().Add(time.Hour), "org-1", 60, 1000
	})
	got := i.Introspect(t, demo.Machine, secret.Reveal())
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, []string{
		"active", "aud", "exp", "gid", "iat", "iss", "jti", "key_environment", "key_kind", "key_quota", "key_rate", "org_id", "permissions", "scope", "sub", "token_type",
	}) {
		t.Errorf("members %v", keys)
	}
	for name, want := range map[string]any{
		"active": true, "token_type": "api_key", "sub": k.UserID, "gid": k.GID, "jti": k.ID, "scope": "read:shows", "org_id": "org-1", "aud": demo.Audience,
		"exp": float64(k.ExpiresAt.Unix()), "key_kind": "sk", "key_environment": "live", "key_rate": 60.0, "key_quota": 1000.0,
	} {
		if !equal(got[name], want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	_, bound := keyOf(t, i, func(n *access.NewAPIKey) { n.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	for from, active := range map[string]bool{"192.0.2.9": true, "192.0.3.9": false, "": false, "x": false} {
		pairs := []string{"token", bound.Reveal()}
		if from != "" {
			pairs = append(pairs, "remote_addr", from)
		}
		if got := i.PostForm(t, "/oauth/introspect", demo.Machine, pairs...); strings.Contains(got.Raw, `"active":true`) != active {
			t.Errorf("from %q: %s", from, got.Raw)
		}
	}
}

// TK13 holds for keys, too: who may not know learns nothing.
func TestThreat_TK13_APIKeysAreToldOnlyToTheirAPI(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	k, secret := keyOf(t, i, nil)
	ended, gone := keyOf(t, i, nil)
	revokeKey(t, i, ended)
	for name, c := range map[string]struct{ caller, token string }{
		"another client":   {demo.RegularWeb, secret.Reveal()},
		"a revoked key":    {demo.Machine, gone.Reveal()},
		"wrong checksum":   {demo.Machine, secret.Reveal()[:57] + "_"},
		"the prefix alone": {demo.Machine, "sk_live_"},
	} {
		if got := i.PostForm(t, "/oauth/introspect", c.caller, "token", c.token); got.Status != 200 || got.Raw != `{"active":false}` {
			t.Errorf("%s: %d %s", name, got.Status, got.Raw)
		}
	}
	expectTokenError(t, "nobody", post(t, i, "/oauth/introspect", "token="+secret.Reveal()), "invalid_client")
	if i.Introspect(t, demo.Machine, secret.Reveal())["jti"] != k.ID {
		t.Error("its API learns nothing either")
	}
}

// A key's whole life, and then neither the log nor the database holds it. In an address it is refused.
func TestThreat_AK01_NoKeyIsKeptOrLogged(t *testing.T) {
	var log syncBuffer
	i := exchanging(t, servertest.Options{Log: &log})
	ctx, h := context.Background(), i.House
	k, secret := keyOf(t, i, nil)
	text := secret.Reveal()
	i.Introspect(t, demo.Machine, text)
	exchange(t, i, demo.Machine, text)
	_, fresh, next, err := h.APIKeys.Rotate(ctx, h.Tenant, k.ID, time.Hour, audit.System())
	must(t, err)
	exchange(t, i, demo.Machine, text, "scope", "no:such")
	mistyped := text[:20] + strings.Repeat("x", 31) + text[51:]
	i.Introspect(t, demo.Machine, mistyped)
	exchange(t, i, demo.Machine, mistyped)
	for _, path := range []string{"/oauth/introspect?token=", "/oauth/token?subject_token=", "/oauth/token?x=", "/api-keys/leaks?key=", "/oauth/revoke?k="} {
		for _, key := range []string{text, next.Reveal()} {
			if got := i.PostForm(t, path+key, demo.Machine, "token", "x", "grant_type", oauth.GrantTokenExchange); got.Status != 400 {
				t.Errorf("%s…: %d %s", path, got.Status, got.Raw)
			}
		}
	}
	for _, path := range []string{"/" + text, "/authorize?state=" + text, "/.well-known/jwks.json?key=" + text, "/api/v2/api-keys/" + text} {
		resp, err := i.Client().Get(i.URL + path)
		must(t, err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if strings.Contains(string(body), text) && !strings.HasPrefix(path, "/authorize") {
			t.Errorf("%s…: the answer tells the key back", path[:12])
		}
	}
	report := strings.NewReader(`[{"token":"` + next.Reveal() + `","url":"https://git.example/?` + next.Reveal() + `"}]`)
	resp, err := i.Client().Post(i.URL+leaks.Path, "application/json", report)
	must(t, err)
	resp.Body.Close()
	if shown, err := h.APIKeys.Get(ctx, h.Tenant, fresh.ID); resp.StatusCode != 204 || err != nil || shown.RevokedBecause != "leaked" {
		t.Errorf("%s %+v %v", resp.Status, shown, err)
	}
	must(t, h.APIKeys.FlushUses(ctx, h.DB))

	stored := ""
	path := strings.TrimPrefix(h.Config.Database.URL.Reveal(), "sqlite:")
	for _, file := range []string{path, path + "-wal"} {
		raw, err := os.ReadFile(file)
		must(t, err)
		stored += string(raw)
	}
	if !strings.Contains(stored, k.ID) || !strings.Contains(stored, fresh.ID) {
		t.Fatal("this is not the database")
	}
	for _, key := range []string{text, next.Reveal(), mistyped} {
		for _, part := range []string{key, key[8:51], url.QueryEscape(key), key[8:30]} {
			if strings.Contains(stored, part) {
				t.Error("the database holds a key")
			}
			if strings.Contains(log.String(), part) {
				t.Errorf("the log holds a key:\n%s", log.String())
			}
		}
	}
}

// Who reports a leak learns nothing by it, and can not flood the house.
func TestReportLeaks(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	_, secret := keyOf(t, i, nil)
	unknown, err := apikey.New(make([]byte, 32), apikey.Secret, apikey.Live)
	must(t, err)
	send := func(kind, body string) *http.Response {
		t.Helper()
		resp, err := i.Client().Post(i.URL+leaks.Path, kind, strings.NewReader(body))
		must(t, err)
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		must(t, err)
		if apikey.Contains(string(raw)) {
			t.Errorf("the answer tells a key: %s", raw)
		}
		return resp
	}
	const json = "application/json"
	for name, c := range map[string]struct {
		kind, body string
		status     int
	}{
		"alive":          {json, `{"token":"` + secret.Reveal() + `"}`, 204},
		"ended":          {json, `{"token":"` + secret.Reveal() + `"}`, 204},
		"unknown":        {json, `[{"token":"` + unknown.Reveal() + `","type":"gatehouse","source":"content"}]`, 204},
		"wrong checksum": {json, `[{"token":"` + unknown.Reveal()[:57] + `x"}]`, 204},
		"no key":         {json, `{"token":"hunter2"}`, 204},
		"nothing":        {json, `[]`, 204},
		"not JSON":       {json, secret.Reveal(), 400},
		"wrong type":     {json, `{"token":["` + secret.Reveal() + `"]}`, 400},
		"a form":         {"application/x-www-form-urlencoded", "token=" + secret.Reveal(), 415},
		"too many":       {json, "[" + strings.Repeat("{},", 100) + "{}]", 413},
		"too large":      {json, `{"token":"` + strings.Repeat("x", 65<<10) + `"}`, 413},
	} {
		if resp := send(c.kind, c.body); resp.StatusCode != c.status {
			t.Errorf("%s: %s, want %d", name, resp.Status, c.status)
		}
	}
	if i.Introspect(t, demo.Machine, secret.Reveal())["active"] != false {
		t.Error("a leaked key is good")
	}
	letters := i.Mailbox(t, demo.Reader)
	if len(letters) != 1 || !strings.Contains(letters[0].Text, secret.String()) {
		t.Errorf("%+v", letters)
	}
	var last *http.Response
	for range 31 {
		last = send(json, `[]`)
	}
	if last.StatusCode != 429 || last.Header.Get("Retry-After") == "" {
		t.Errorf("a flood: %s", last.Status)
	}
}

// Over HTTP, on two nodes: what one of them ends, the other refuses as soon as it has looked at the
// numbers, which it does each second: the key, and the tokens it was exchanged for.
func TestThreat_AK04_TwoNodes(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *servertest.Instance) {
		change(t, a, demo.Machine, func(c *apps.Client) { c.GrantTypes = append(c.GrantTypes, oauth.GrantTokenExchange) })
		must(t, b.House.Watch(t.Context()))
		report := func(secret apikey.Key) {
			resp, err := a.Client().Post(a.URL+leaks.Path, "application/json", strings.NewReader(`{"token":"`+secret.Reveal()+`"}`))
			must(t, err)
			resp.Body.Close()
		}
		for _, tt := range []struct {
			name string
			end  func(*access.APIKey, apikey.Key)
		}{
			{"revoked", func(k *access.APIKey, _ apikey.Key) { revokeKey(t, a, k) }},
			{"rotated", func(k *access.APIKey, _ apikey.Key) {
				_, _, _, err := a.House.APIKeys.Rotate(t.Context(), a.House.Tenant, k.ID, 0, audit.System())
				must(t, err)
			}},
			{"reported", func(_ *access.APIKey, secret apikey.Key) { report(secret) }},
			{"owner banned", func(*access.APIKey, apikey.Key) { a.Block(t, demo.Reader) }},
		} {
			k, secret := keyOf(t, a, nil)
			nodes := []*servertest.Instance{a, b}
			var tokens []string // each node has an issuer of its own here
			for _, node := range nodes {
				token := exchange(t, node, demo.Machine, secret.Reveal())
				tokens = append(tokens, token.AccessToken)
				if node.Introspect(t, demo.Machine, secret.Reveal())["active"] != true || node.Introspect(t, demo.Machine, token.AccessToken)["active"] != true {
					t.Fatalf("%s: not good to begin with: %s", tt.name, token.Raw)
				}
			}
			tt.end(k, secret)
			must(t, b.House.Watch(t.Context()))
			for i, node := range nodes {
				if node.Introspect(t, demo.Machine, secret.Reveal())["active"] != false || node.Introspect(t, demo.Machine, tokens[i])["active"] != false {
					t.Errorf("%s: the key or its token lives on", tt.name)
				}
			}
		}
	})
}

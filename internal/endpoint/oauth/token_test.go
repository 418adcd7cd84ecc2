package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// Scopes tests ask for.
const (
	offline      = "openid profile email offline_access"
	offlineShows = "openid offline_access read:shows"
)

// house starts a house over SQLite.
func house(t testing.TB) *servertest.Instance {
	t.Helper()
	return servertest.New(t, servertest.Options{})
}

// onBoth runs a test on a house over SQLite and on one over PostgreSQL. restart closes the house and
// opens it again on its database, with nothing remembered.
func onBoth(t *testing.T, f func(t *testing.T, i *servertest.Instance, restart func(*servertest.Instance) *servertest.Instance)) {
	t.Helper()
	for name, database := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return "sqlite:" + dbtest.TemplateSQLite(t, schema.Files) },
		"PostgreSQL": func(t *testing.T) string { return dbtest.TemplatePostgreSQL(t, schema.Files) },
	} {
		t.Run(name, func(t *testing.T) {
			o := servertest.Options{Database: database(t)}
			i := servertest.New(t, o)
			o.Clock = i.Clock
			f(t, i, func(old *servertest.Instance) *servertest.Instance {
				t.Helper()
				if err := old.House.Close(); err != nil {
					t.Fatal(err)
				}
				return servertest.New(t, o)
			})
		})
	}
}

// twoNodes runs a test on two houses that share a PostgreSQL database and a clock.
func twoNodes(t *testing.T, f func(t *testing.T, a, b *servertest.Instance)) {
	t.Helper()
	t.Run("PostgreSQL", func(t *testing.T) {
		o := servertest.Options{Database: dbtest.TemplatePostgreSQL(t, schema.Files)}
		a := servertest.New(t, o)
		o.Clock = a.Clock
		f(t, a, servertest.New(t, o))
	})
}

// atOnce lets n callers begin together and waits for all.
func atOnce(n int, call func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			call(i)
		})
	}
	close(start)
	all.Wait()
}

// expectTokenError demands the answer TOK(code): 400 (401 for invalid_client) in JSON that nobody
// keeps.
func expectTokenError(t testing.TB, what string, got servertest.Tokens, code string) {
	t.Helper()
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	switch {
	case got.Status != status || got.Error != code || got.AccessToken != "" || got.RefreshToken != "" || got.IDToken != "":
		t.Errorf("%s: %d %s; want %d %s", what, got.Status, got.Raw, status, code)
	case got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Content-Type") != "application/json":
		t.Errorf("%s: Cache-Control %q, Content-Type %q", what, got.Header.Get("Cache-Control"), got.Header.Get("Content-Type"))
	case got.Header.Get("WWW-Authenticate") != "" && code != "invalid_client":
		t.Errorf("%s: WWW-Authenticate %q makes SDKs lose the error", what, got.Header.Get("WWW-Authenticate"))
	}
}

// post sends any body to a path (pairs of header names and values) and reads the JSON answer.
func post(t testing.TB, i *servertest.Instance, path, body string, headers ...string) servertest.Tokens {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, i.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for n := 0; n+1 < len(headers); n += 2 {
		r.Header.Add(headers[n], headers[n+1])
		if headers[n] == "Content-Type" {
			r.Header.Set(headers[n], headers[n+1])
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return servertest.ReadTokens(t, resp)
}

// claims reads the payload of a JWT without checking it.
func claims(t testing.TB, token string) map[string]any {
	t.Helper()
	return decodePart(t, token, 1)
}

func decodePart(t testing.TB, token string, part int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func members(t testing.TB, raw string) []string {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(raw), &object); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(object))
}

// Some SDKs store every field they find, so there is nothing beside what they know.
func TestTokenResponseHasItsMembersAndNoOther(t *testing.T) {
	i := house(t)
	all := []string{"access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"}
	full, b := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offlineShows)
	for what, c := range map[string]struct {
		got  servertest.Tokens
		want []string
	}{
		"code with offline_access": {full, all},
		"refresh":                  {i.Refresh(t, demo.SPA, full.RefreshToken), all},
		"code with openid":         {i.TokensIn(t, b, demo.SPA, "scope", "openid"), []string{"access_token", "expires_in", "id_token", "scope", "token_type"}},
		"code without openid":      {i.TokensIn(t, b, demo.SPA, "scope", "read:shows"), []string{"access_token", "expires_in", "scope", "token_type"}},
		"client credentials":       {i.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials"), []string{"access_token", "expires_in", "scope", "token_type"}},
	} {
		if got := members(t, c.got.Raw); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
		if c.got.Status != 200 || c.got.TokenType != "Bearer" || c.got.ExpiresIn != 600 || !strings.Contains(c.got.Raw, `"expires_in":600`) {
			t.Errorf("%s: %d %s", what, c.got.Status, c.got.Raw)
		}
	}
	if full.Scope != "openid offline_access read:shows" {
		t.Errorf("scope %q", full.Scope)
	}
}

func TestThreat_TK19_CredentialsAreNeverCached(t *testing.T) {
	i := house(t)
	tokens, _ := i.TokensFor(t, demo.Reader, demo.RegularWeb, "scope", offline)
	r, err := http.NewRequest(http.MethodGet, i.URL+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]http.Header{
		"token":            tokens.Header,
		"refresh":          i.Refresh(t, demo.RegularWeb, tokens.RefreshToken).Header,
		"token error":      i.Refresh(t, demo.RegularWeb, "x").Header,
		"invalid client":   post(t, i, "/oauth/token", "grant_type=refresh_token&client_id=x").Header,
		"userinfo":         servertest.ReadTokens(t, resp).Header,
		"introspection":    i.PostForm(t, "/oauth/introspect", demo.Machine, "token", tokens.AccessToken).Header,
		"revocation":       i.PostForm(t, "/oauth/revoke", demo.RegularWeb, "token", tokens.AccessToken).Header,
		"client's token":   i.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials").Header,
		"method not known": get(t, i, "/oauth/token").Header,
	} {
		if got.Get("Cache-Control") != "no-store" || got.Get("Set-Cookie") != "" {
			t.Errorf("%s: Cache-Control %q, Set-Cookie %q", what, got.Get("Cache-Control"), got.Get("Set-Cookie"))
		}
	}
	if tokens.Header.Get("Pragma") != "no-cache" {
		t.Error("RFC 6749 section 5.1 wants Pragma: no-cache")
	}
}

func get(t testing.TB, i *servertest.Instance, path string, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, i.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n+1 < len(headers); n += 2 {
		r.Header.Add(headers[n], headers[n+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// A JSON body is worth as much as a form.
func TestTokenRequestInJSON(t *testing.T) {
	i := house(t)
	b := i.NewBrowser(t)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	c := i.Content.Client(demo.SPA)
	send := func(fields map[string]any, contentType string) servertest.Tokens {
		raw, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return post(t, i, "/oauth/token", string(raw), "Content-Type", contentType)
	}
	code := b.Authorize(demo.SPA, "scope", offline).Answer(t)
	got := send(map[string]any{
		"grant_type": "authorization_code", "client_id": c.ClientID, "code": code.Code, "code_verifier": code.Verifier, "redirect_uri": code.RedirectURI,
		"audience": nil, "custom": map[string]any{"a": 1}, "list": []int{1},
	}, "application/json")
	if got.Status != 200 || got.RefreshToken == "" {
		t.Fatalf("code: %s", got.Raw)
	}
	got = send(map[string]any{"grant_type": "refresh_token", "client_id": c.ClientID, "refresh_token": got.RefreshToken}, "application/json; charset=utf-8")
	if got.Status != 200 || got.RefreshToken == "" {
		t.Errorf("refresh: %s", got.Raw)
	}
	m := i.Content.Client(demo.Machine)
	got = send(map[string]any{"grant_type": "client_credentials", "client_id": m.ClientID, "client_secret": m.ClientSecret, "audience": demo.Audience}, "application/json")
	if got.Status != 200 {
		t.Errorf("client credentials: %s", got.Raw)
	}
	revoked := post(t, i, "/oauth/revoke", `{"client_id":"`+c.ClientID+`","token":"x"}`, "Content-Type", "application/json")
	if revoked.Status != 200 || strings.TrimSpace(revoked.Raw) != "{}" {
		t.Errorf("revoke: %d %s", revoked.Status, revoked.Raw)
	}
}

// The errors as they stand on the wire, to the byte.
func TestTokenErrorsToTheByte(t *testing.T) {
	i := house(t)
	spa, machine := i.Content.Client(demo.SPA).ClientID, i.Content.Client(demo.Machine)
	secret := url.Values{"client_id": {machine.ClientID}, "client_secret": {machine.ClientSecret}}.Encode()
	for name, c := range map[string]struct {
		body   string
		header []string
		status int
		want   string
	}{
		"nothing":          {"", nil, 400, `{"error":"invalid_request","error_description":"grant_type is missing."}`},
		"no client":        {"grant_type=refresh_token", nil, 401, `{"error":"invalid_client","error_description":"The client does not say who it is."}`},
		"unknown client":   {"grant_type=refresh_token&client_id=nobody", nil, 401, `{"error":"invalid_client","error_description":"Client authentication failed."}`},
		"wrong secret":     {"grant_type=client_credentials&client_id=" + machine.ClientID + "&client_secret=x", nil, 401, `{"error":"invalid_client","error_description":"Client authentication failed."}`},
		"unknown grant":    {"grant_type=magic&client_id=" + spa, nil, 400, `{"error":"unsupported_grant_type","error_description":"This grant_type is not offered."}`},
		"password":         {"grant_type=password&username=a&password=b&client_id=" + spa, nil, 400, `{"error":"unsupported_grant_type","error_description":"This grant is deprecated and not offered: use authorization_code with PKCE."}`},
		"not registered":   {"grant_type=refresh_token&refresh_token=x&" + secret, nil, 400, `{"error":"unauthorized_client","error_description":"The client may not use this grant_type."}`},
		"no code":          {"grant_type=authorization_code&client_id=" + spa, nil, 400, `{"error":"invalid_request","error_description":"code is missing."}`},
		"bad code":         {"grant_type=authorization_code&code=x&client_id=" + spa, nil, 400, `{"error":"invalid_grant","error_description":"The code is invalid, expired or used."}`},
		"no refresh token": {"grant_type=refresh_token&client_id=" + spa, nil, 400, `{"error":"invalid_request","error_description":"refresh_token is missing."}`},
		"bad refresh":      {"grant_type=refresh_token&refresh_token=x&client_id=" + spa, nil, 400, `{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`},
		"twice":            {"grant_type=refresh_token&grant_type=refresh_token&client_id=" + spa, nil, 400, `{"error":"invalid_request","error_description":"A parameter is given more than once."}`},
		"two resources":    {"grant_type=client_credentials&resource=https://a/&resource=https://b/&" + secret, nil, 400, `{"error":"invalid_target","error_description":"Only one resource can be asked for at a time."}`},
		"text":             {"x", []string{"Content-Type", "text/plain"}, 415, `{"error":"invalid_request","error_description":"The content type must be application/x-www-form-urlencoded or application/json."}`},
		"half JSON":        {`{"grant_type":"refresh_token"`, []string{"Content-Type", "application/json"}, 400, `{"error":"invalid_request","error_description":"The body is not one well-formed JSON object."}`},
		"JSON twice":       {`{"grant_type":"refresh_token","grant_type":"password"}`, []string{"Content-Type", "application/json"}, 400, `{"error":"invalid_request","error_description":"The body is not one well-formed JSON object."}`},
		"too large":        {strings.Repeat("x", 65<<10), nil, 413, `{"error":"invalid_request","error_description":"The request is too large."}`},
		"control":          {"grant_type=refresh_token%00&client_id=" + spa, nil, 400, `{"error":"invalid_request","error_description":"A parameter has characters that are not allowed."}`},
	} {
		got := post(t, i, "/oauth/token", c.body, c.header...)
		if got.Status != c.status || got.Raw != c.want {
			t.Errorf("%s:\n got %d %s\nwant %d %s", name, got.Status, got.Raw, c.status, c.want)
		}
		if h := got.Header.Get("WWW-Authenticate"); h != "" {
			t.Errorf("%s: WWW-Authenticate %q, though no Authorization header was sent", name, h)
		}
	}
}

// Credentials in the address would stand in every log on the way.
func TestCredentialsInTheQueryAreRefused(t *testing.T) {
	i := house(t)
	m := i.Content.Client(demo.Machine)
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
		for _, name := range []string{"client_secret", "code", "code_verifier", "refresh_token", "token", "client_assertion", "password"} {
			got := post(t, i, path+"?"+name+"=x", url.Values{"grant_type": {"client_credentials"}, "token": {"x"}, "client_id": {m.ClientID}, "client_secret": {m.ClientSecret}}.Encode())
			expectTokenError(t, path+"?"+name, got, "invalid_request")
		}
	}
	resp := get(t, i, "/oauth/token?grant_type=client_credentials&client_id="+m.ClientID+"&client_secret="+m.ClientSecret)
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "OPTIONS, POST" {
		raw, _ := io.ReadAll(resp.Body)
		t.Errorf("GET: %s, Allow %q: %s", resp.Status, resp.Header.Get("Allow"), raw)
	}
}

// CORS headers stand on every answer to a registered origin: without them an SDK takes an error for
// a broken network, and sends a code again.
func TestTokenAnswersAreReadableByTheirOrigin(t *testing.T) {
	i := house(t)
	spa, machine := i.Content.Client(demo.SPA), i.Content.Client(demo.Machine)
	origin := spa.WebOrigins[0]
	tokens, _ := i.TokensFor(t, demo.Reader, demo.SPA, "scope", offline)
	for status, body := range map[int]string{
		200: "grant_type=refresh_token&refresh_token=" + tokens.RefreshToken + "&client_id=" + spa.ClientID,
		400: "grant_type=refresh_token&refresh_token=x&client_id=" + spa.ClientID,
		401: "grant_type=refresh_token&refresh_token=x&client_id=nobody",
		413: strings.Repeat("x", 65<<10),
	} {
		got := post(t, i, "/oauth/token", body, "Origin", origin)
		expectReadable(t, got, status, origin)
	}
	for range 10 {
		post(t, i, "/oauth/token", "grant_type=client_credentials&client_id="+machine.ClientID+"&client_secret=guess", "Origin", origin)
	}
	got := post(t, i, "/oauth/token", "grant_type=client_credentials&client_id="+machine.ClientID+"&client_secret=guess", "Origin", origin)
	expectReadable(t, got, 429, origin)
	if got.Error != "too_many_requests" || got.Header.Get("Retry-After") == "" {
		t.Errorf("%s, Retry-After %q", got.Raw, got.Header.Get("Retry-After"))
	}

	// An origin that is registered for another client reads the refusal, and gets nothing.
	code := signedInCode(t, i, demo.Native)
	native := i.Content.Client(demo.Native)
	got = post(t, i, "/oauth/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {native.ClientID}, "code": {code.Code},
		"redirect_uri": {code.RedirectURI}, "code_verifier": {code.Verifier},
	}.Encode(), "Origin", origin)
	expectReadable(t, got, 400, origin)
	expectTokenError(t, "another client's origin", got, "unauthorized_client")
	if again := i.Redeem(t, demo.Native, code); again.Status != 200 {
		t.Errorf("the refusal spent the code: %s", again.Raw)
	}
}

func signedInCode(t testing.TB, i *servertest.Instance, client string, pairs ...string) servertest.Code {
	t.Helper()
	b := i.NewBrowser(t)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	return b.Authorize(client, pairs...).Answer(t)
}

func expectReadable(t testing.TB, got servertest.Tokens, status int, origin string) {
	t.Helper()
	if got.Status != status || got.Header.Get("Access-Control-Allow-Origin") != origin || !slices.Contains(got.Header.Values("Vary"), "Origin") ||
		got.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d (want %d): Allow-Origin %q, Vary %v, Allow-Credentials %q", got.Status, status, got.Header.Get("Access-Control-Allow-Origin"),
			got.Header.Values("Vary"), got.Header.Get("Access-Control-Allow-Credentials"))
	}
}

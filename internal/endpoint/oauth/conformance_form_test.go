package oauth_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
)

// What RFC 6749 sections 2.3, 3.1, 3.2 and 5 ask of every endpoint that takes a form from a client,
// whatever else the endpoint is for.
func TestConformanceOfForms(t *testing.T) {
	i := house(t)
	secret := i.Content.Client(demo.Machine)
	worker := url.Values{"client_id": {secret.ClientID}, "client_secret": {secret.ClientSecret}}
	for path, form := range map[string]url.Values{
		"/oauth/token":       with(worker, "grant_type", "client_credentials"),
		"/oauth/revoke":      with(worker, "token", "nobody-knows-it", "token_type_hint", "refresh_token"),
		"/oauth/introspect":  with(worker, "token", "nobody-knows-it", "token_type_hint", "magic"),
		"/oauth/device/code": {"client_id": {i.Content.Client(demo.Native).ClientID}, "scope": {"openid"}},
	} {
		bare := with(form)
		bare.Del("client_secret")
		good := form.Encode()
		const form8 = "application/x-www-form-urlencoded"
		for name, c := range map[string]struct {
			body, contentType, authorization string
			status                           int
			code                             string
		}{
			"well-formed":                 {good, form8, "", 200, ""},
			"charset named":               {good, form8 + ";charset=UTF-8", "", 200, ""},
			"empty ones are absent":       {good + "&audience=&resource=&code_verifier=&x=", form8, "", 200, ""},
			"unknown ones are ignored":    {good + "&extra=foobar", form8, "", 200, ""},
			"a long one":                  {good + "&extra=" + strings.Repeat("x", 60_000), form8, "", 200, ""},
			"too long":                    {good + "&extra=" + strings.Repeat("x", 70_000), form8, "", 413, "invalid_request"},
			"one given twice":             {good + "&client_id=" + form.Get("client_id"), form8, "", 400, "invalid_request"},
			"an unknown one given twice":  {good + "&extra=1&extra=1", form8, "", 400, "invalid_request"},
			"an empty one given twice":    {good + "&extra=&extra=", form8, "", 400, "invalid_request"},
			"NUL":                         {good + "&extra=%00", form8, "", 400, "invalid_request"},
			"NUL in a name":               {good + "&ex%00tra=1", form8, "", 400, "invalid_request"},
			"line feed":                   {good + "&extra=a%0D%0Ab", form8, "", 400, "invalid_request"},
			"no UTF-8":                    {good + "&extra=%ff%fe", form8, "", 400, "invalid_request"},
			"half an escape":              {good + "&extra=%4", form8, "", 400, "invalid_request"},
			"a semicolon":                 {good + ";extra=1", form8, "", 400, "invalid_request"},
			"too many":                    {good + strings.Repeat("&a", 200), form8, "", 400, "invalid_request"},
			"another charset":             {good, form8 + ";charset=utf-16", "", 415, "invalid_request"},
			"text":                        {good, "text/plain", "", 415, "invalid_request"},
			"multipart":                   {good, "multipart/form-data; boundary=x", "", 415, "invalid_request"},
			"no type":                     {good, "", "", 415, "invalid_request"},
			"no client":                   {"grant_type=client_credentials", form8, "", 401, "invalid_client"},
			"two authentications":         {good + "&client_secret=x", form8, basic(secret.ClientID, secret.ClientSecret), 400, "invalid_request"},
			"Basic of a client unknown":   {bare.Encode(), form8, basic("nobody", "x"), 400, "invalid_request"},
			"Basic and nobody else":       {without(bare, "client_id").Encode(), form8, basic("nobody", "x"), 401, "invalid_client"},
			"Bearer is no authentication": {without(bare, "client_id").Encode(), form8, "Bearer x", 401, "invalid_client"},
		} {
			r, err := http.NewRequest(http.MethodPost, i.URL+path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
			resp, err := i.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			formAnswer(t, path+": "+name, resp, c.status, c.code, c.authorization != "")
		}
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			b := i.NewBrowser(t)
			p := b.Send(b.Request(method, path, ""))
			if p.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(p.Header.Get("Allow"), http.MethodPost) || p.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: %s, Allow %q", method, path, p.Status, p.Header.Get("Allow"))
			}
		}
	}
}

func without(v url.Values, name string) url.Values {
	out := with(v)
	out.Del(name)
	return out
}

// formAnswer holds an answer to its status, its error, and the headers that none of them lacks.
func formAnswer(t testing.TB, what string, resp *http.Response, status int, code string, usedHeader bool) {
	t.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	h := resp.Header
	var body map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &body); err != nil || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %q is not JSON: %s", what, h.Get("Content-Type"), raw)
		}
	}
	text, _ := body["error_description"].(string)
	switch {
	case resp.StatusCode != status || code != "" && body["error"] != code || code == "" && body["error"] != nil:
		t.Errorf("%s: got %s %s, want %d %s", what, resp.Status, raw, status, code)
	case h.Get("Cache-Control") != "no-store" || len(resp.Cookies()) > 0:
		t.Errorf("%s: Cache-Control %q, cookies %v", what, h.Get("Cache-Control"), resp.Cookies())
	case code != "" && (len(body) != 2 || !errorText.MatchString(text)):
		t.Errorf("%s: an error in another form: %s", what, raw)
	case (status == http.StatusUnauthorized && usedHeader) != strings.HasPrefix(h.Get("WWW-Authenticate"), "Basic realm="):
		t.Errorf("%s: WWW-Authenticate %q", what, h.Get("WWW-Authenticate"))
	}
}

// Parameters of an authorization request are taken as RFC 6749 section 3.1 says: an empty one is
// absent, a repeated one is an error, and an error is sent back with its state.
func TestConformanceOfAuthorizationParameters(t *testing.T) {
	i := house(t)
	b := signedIn(t, i, demo.Reader)
	to := redirectURI(i, demo.SPA)
	empty := i.AuthorizeQuery(demo.SPA)
	for _, name := range []string{"prompt", "max_age", "nonce", "display", "acr_values", "claims", "id_token_hint", "login_hint", "ui_locales", "response_mode", "audience", "request", "request_uri", "screen_hint"} {
		empty.Set(name, "")
	}
	expectCode(t, i, b.Get("/authorize?"+empty.Encode()), to)
	for _, claims := range []string{ // those of OpenID Connect Core section 5.5, and what else is an object
		`{"userinfo":{"given_name":{"essential":true},"nickname":null,"email":{"essential":true},"http://example.info/claims/groups":null},"id_token":{"auth_time":{"essential":true},"acr":{"values":["urn:mace:incommon:iap:silver"]}}}`,
		`{"userinfo":{"sub":{"value":"248289761001"}},"id_token":{"acr":null}}`, `{"id_token":null,"userinfo":null}`, `{"id_token":{"acr":{"essential":false,"value":"x"}},"verified_claims":[]}`, "{}", " {\n} ",
		`{"id_token":{"acr":{"essential":true,"value":"` + signin.ACRPassword + `"},"auth_time":{"essential":true}}}`,
	} {
		expectCode(t, i, b.Authorize(demo.SPA, "claims", claims), to)
	}
	query := "/authorize?" + i.AuthorizeQuery(demo.SPA).Encode()
	for _, repeated := range []string{"scope=", "scope=openid", "nonce=a&nonce=b", "prompt=&prompt=", "response_type=code"} {
		expectError(t, i, b.Get(query+"&"+repeated), to, "invalid_request")
	}
	for name, value := range map[string]string{
		"nonce": "a\x00b", "login_hint": "a\r\nb", "acr_values": "\xff\xfe", "scope": "openid \"quoted\"", "max_age": "-1", "prompt": "none login",
		"claims": "{", "display": strings.Repeat("x", 100), "ui_locales": strings.Repeat("x", 300),
	} {
		a := b.Authorize(demo.SPA, name, value).Answer(t)
		if a.Error != "invalid_request" && a.Error != "invalid_scope" || a.State != "st+a/te=" || a.RedirectURI != to || !errorText.MatchString(a.Description) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		p := b.Send(b.Request(method, query, ""))
		if p.StatusCode != http.StatusMethodNotAllowed || p.Header.Get("Allow") != "GET, POST" || p.Header.Get("Location") != "" {
			t.Errorf("%s: %s, Allow %q", method, p.Status, p.Header.Get("Allow"))
		}
	}
}

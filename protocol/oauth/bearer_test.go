package oauth_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func TestThreat_TK18_BearerToken(t *testing.T) {
	one := url.Values{"access_token": {"q"}}
	two := url.Values{"access_token": {"q", "r"}}
	for _, c := range []struct {
		name          string
		headers       []string
		query, form   url.Values
		insecureQuery bool
		token, code   string // code "none": ErrNoToken
	}{
		{"header", []string{"Bearer a.b-c_d~e+f/g=="}, nil, nil, false, "a.b-c_d~e+f/g==", ""},
		{"scheme in any case", []string{"bEARER t"}, nil, nil, false, "t", ""},
		{"form", nil, nil, one, false, "q", ""},
		{"query where it may be", nil, one, nil, true, "q", ""},
		{"other parameters", []string{"Bearer t"}, url.Values{"a": {"b"}}, url.Values{"a": {"b"}}, false, "t", ""},

		{"nothing", nil, nil, nil, false, "", "none"},
		{"empty header", []string{""}, nil, nil, false, "", "none"},
		{"another scheme", []string{"Basic aWQ6c2VjcmV0"}, nil, nil, false, "", "none"},
		{"a longer scheme", []string{"BearerX t"}, nil, nil, false, "", "none"},
		{"DPoP", []string{"DPoP t"}, nil, nil, false, "", "none"},
		{"another scheme, and the form", []string{"Basic aWQ6c2VjcmV0"}, nil, one, false, "q", ""},

		{"query", nil, one, nil, false, "", oauth.InvalidRequest},
		{"empty query", nil, url.Values{"access_token": {""}}, nil, false, "", oauth.InvalidRequest},
		{"query beside a header", []string{"Bearer t"}, one, nil, false, "", oauth.InvalidRequest},
		{"header and query", []string{"Bearer t"}, one, nil, true, "", oauth.InvalidRequest},
		{"header and form", []string{"Bearer t"}, nil, one, false, "", oauth.InvalidRequest},
		{"malformed header and form", []string{"Bearer"}, nil, one, false, "", oauth.InvalidRequest},
		{"query and form", nil, one, one, true, "", oauth.InvalidRequest},
		{"form twice", nil, nil, two, false, "", oauth.InvalidRequest},
		{"query twice", nil, two, nil, true, "", oauth.InvalidRequest},
		{"two headers", []string{"Bearer t", "Bearer t"}, nil, nil, false, "", oauth.InvalidRequest},
		{"two headers of two schemes", []string{"Basic aWQ6c2VjcmV0", "Bearer t"}, nil, nil, false, "", oauth.InvalidRequest},

		{"tab", []string{"Bearer\tt"}, nil, nil, false, "", oauth.InvalidToken},
		{"comma", []string{"bearer,"}, nil, nil, false, "", oauth.InvalidToken},
		{"two spaces", []string{"Bearer  t"}, nil, nil, false, "", oauth.InvalidToken},
		{"space behind", []string{"Bearer t "}, nil, nil, false, "", oauth.InvalidToken},
		{"no token", []string{"Bearer"}, nil, nil, false, "", oauth.InvalidToken},
		{"no token but a space", []string{"Bearer "}, nil, nil, false, "", oauth.InvalidToken},
		{"two tokens", []string{"Bearer a b"}, nil, nil, false, "", oauth.InvalidToken},
		{"two in a list", []string{"Bearer a, Bearer b"}, nil, nil, false, "", oauth.InvalidToken},
		{"quotes", []string{`Bearer "t"`}, nil, nil, false, "", oauth.InvalidToken},
		{"padding alone", []string{"Bearer =="}, nil, nil, false, "", oauth.InvalidToken},
		{"padding inside", []string{"Bearer a=b"}, nil, nil, false, "", oauth.InvalidToken},
		{"NUL", []string{"Bearer a\x00"}, nil, nil, false, "", oauth.InvalidToken},
		{"not ASCII", []string{"Bearer ä"}, nil, nil, false, "", oauth.InvalidToken},
		{"empty form", nil, nil, url.Values{"access_token": {""}}, false, "", oauth.InvalidToken},
	} {
		t.Run(c.name, func(t *testing.T) {
			token, err := oauth.BearerToken(http.Header{"Authorization": c.headers}, c.query, c.form, oauth.BearerOptions{InsecureQuery: c.insecureQuery})
			code := ""
			switch {
			case errors.Is(err, oauth.ErrNoToken):
				code = "none"
			case err != nil:
				code = oauth.CodeOf(err)
			}
			if token != c.token || code != c.code {
				t.Errorf("%q, %q (%v)", token, code, err)
			}
		})
	}
}

func TestBearerChallenge(t *testing.T) {
	for _, c := range []struct {
		err   error
		scope oauth.Scope
		want  string
	}{
		{nil, nil, `Bearer realm="api"`},
		{oauth.ErrNoToken, oauth.Scope{"x"}, `Bearer realm="api"`},
		{oauth.NewError(oauth.InvalidToken, "The access token expired."), nil, `Bearer realm="api", error="invalid_token", error_description="The access token expired."`},
		{oauth.NewError(oauth.InsufficientScope, ""), oauth.Scope{"read:shows", "x"}, `Bearer realm="api", error="insufficient_scope", scope="read:shows x"`},
		{errors.New("db: secret"), nil, `Bearer realm="api", error="server_error", error_description="Something went wrong here. Try again later."`},
	} {
		if got := oauth.BearerChallenge("api", c.err, c.scope); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	if got, want := oauth.Challenge("Basic", oauth.Parameter{Name: "realm", Value: "a\"b\\c\r\nSet-Cookie: ä"}), `Basic realm="a\"b\\cSet-Cookie: "`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzThreat_TK18_BearerToken(f *testing.F) {
	for _, header := range []string{"Bearer t", "bearer,", "Bearer\tt", "Bearer a b", "Basic x", ""} {
		f.Add(header, "", "")
	}
	f.Add("Bearer t", "q", "f")
	f.Fuzz(func(t *testing.T, header, query, form string) {
		token, err := oauth.BearerToken(http.Header{"Authorization": {header}}, url.Values{"access_token": {query}}, nil, oauth.BearerOptions{})
		if err == nil || token != "" {
			t.Fatalf("a token in the query: %q", token)
		}
		token, err = oauth.BearerToken(http.Header{"Authorization": {header}}, nil, nil, oauth.BearerOptions{})
		if (token == "") == (err == nil) || strings.ContainsAny(token, " \t,\"\r\n\x00") {
			t.Fatalf("%q, %v", token, err)
		}
		if err == nil && (len(header) != 7+len(token) || !strings.EqualFold(header[:7], "Bearer ")) {
			t.Fatalf("%q from %q", token, header)
		}
	})
}

package oauth_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func introspectionRules() oauth.IntrospectionRules {
	return oauth.IntrospectionRules{Issuer: "https://id.example.com/", Audience: []string{"https://api/tv-shows"}, Now: now, Leeway: oauth.DefaultLeeway}
}

func answerOf(change func(map[string]any)) []byte {
	a := map[string]any{
		"active": true, "iss": "https://id.example.com/", "aud": "https://api/tv-shows", "sub": "user-1", "client_id": "client-1", "token_type": "Bearer",
		"scope": "read:shows", "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(), "username": "alice",
	}
	if change != nil {
		change(a)
	}
	return must(json.Marshal(a))
}

func introspect(body []byte, rules oauth.IntrospectionRules) (*oauth.Introspection, error) {
	i, err := oauth.ParseIntrospection(body)
	if err == nil {
		err = i.Check(rules)
	}
	return i, err
}

func TestIntrospection(t *testing.T) {
	got, err := introspect(answerOf(nil), introspectionRules())
	if err != nil {
		t.Fatal(err)
	}
	if c := got.Claims(); c.Subject != "user-1" || c.Client() != "client-1" || c.Scope != "read:shows" || got.IsClient() {
		t.Errorf("%+v", c)
	}
	set := func(name string, value any) func(map[string]any) { return func(a map[string]any) { a[name] = value } }
	for name, tt := range map[string]struct {
		change func(map[string]any)
		want   error // nil: accepted
	}{
		"audience in a list":       {set("aud", []string{"x", "https://api/tv-shows"}), nil},
		"issuer not named":         {set("iss", nil), nil},
		"type not named":           {set("token_type", nil), nil},
		"type in lower case":       {set("token_type", "bearer"), nil},
		"DPoP":                     {func(a map[string]any) { a["token_type"] = "DPoP"; a["cnf"] = map[string]any{"jkt": "x"} }, nil},
		"no end":                   {set("exp", nil), nil},
		"nulls":                    {func(a map[string]any) { a["nbf"], a["scope"], a["acr"], a["cnf"] = nil, nil, nil, nil }, nil},
		"inactive":                 {set("active", false), oauth.ErrInactive},
		"another issuer":           {set("iss", "https://id.example.com"), oauth.ErrIssuer},
		"another audience":         {set("aud", "https://other/"), oauth.ErrAudience},
		"no audience":              {set("aud", nil), oauth.ErrAudience},
		"empty audience":           {set("aud", ""), oauth.ErrAudience},
		"expired":                  {set("exp", now.Add(-time.Minute).Unix()), oauth.ErrExpired},
		"not yet":                  {set("nbf", now.Add(time.Minute).Unix()), oauth.ErrNotYetValid},
		"refresh token by type":    {set("token_type", "refresh_token"), oauth.ErrNotAccessToken},
		"refresh token by typ":     {set("typ", "Refresh"), oauth.ErrNotAccessToken},
		"refresh token by use":     {set("token_use", "refresh_token"), oauth.ErrNotAccessToken},
		"ID token":                 {set("nonce", "n"), oauth.ErrNotAccessToken},
		"nobody's":                 {func(a map[string]any) { delete(a, "sub"); delete(a, "client_id") }, oauth.ErrNotAccessToken},
		"two clients":              {set("azp", "client-2"), oauth.ErrNotAccessToken},
		"another client's subject": {set("sub", "client-2@clients"), oauth.ErrNotAccessToken},
		"bound in an unknown way":  {set("cnf", map[string]any{"kid": "x"}), oauth.ErrConfirmation},
	} {
		if _, err := introspect(answerOf(tt.change), introspectionRules()); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// An answer that leaves out for whom a token is: accepted by name only, and only
// if it says that this is an access token. The answer of this very house about a
// refresh token has neither.
func TestThreat_JW06_IntrospectionWithoutAudience(t *testing.T) {
	rules := introspectionRules()
	rules.NoAudience = true
	without := func(more func(map[string]any)) []byte {
		return answerOf(func(a map[string]any) { delete(a, "aud"); more(a) })
	}
	if _, err := introspect(without(func(map[string]any) {}), rules); err != nil {
		t.Errorf("with token_type: %v", err)
	}
	if _, err := introspect(without(func(a map[string]any) { delete(a, "token_type") }), rules); err == nil {
		t.Error("neither aud nor token_type, and accepted")
	}
	if _, err := introspect(answerOf(func(a map[string]any) { a["aud"] = "https://other/" }), rules); err == nil {
		t.Error("for another API, and accepted")
	}
}

func TestThreat_JW08_IntrospectionIsStrict(t *testing.T) {
	for name, body := range map[string]string{
		"empty":             "",
		"an array":          "[]",
		"HTML":              "<html>",
		"no active":         `{"sub":"a"}`,
		"active is text":    `{"active":"true"}`,
		"active is 1":       `{"active":1}`,
		"active is null":    `{"active":null}`,
		"Active":            `{"Active":true,"sub":"a"}`,
		"twice":             `{"active":false,"active":true}`,
		"aud twice":         `{"active":true,"aud":"a","aud":"b"}`,
		"trailing":          `{"active":true} {}`,
		"exp is text":       `{"active":true,"exp":"1"}`,
		"sub is a number":   `{"active":true,"sub":1}`,
		"invalid UTF-8":     "{\"active\":true,\"sub\":\"\xff\"}",
		"a byte order mark": "\ufeff{\"active\":true}",
	} {
		if _, err := oauth.ParseIntrospection([]byte(body)); err == nil || errors.Is(err, oauth.ErrInactive) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzThreat_JW08_Introspection(f *testing.F) {
	f.Add(answerOf(nil))
	f.Add(answerOf(func(a map[string]any) { a["cnf"] = map[string]any{"jkt": "x"} }))
	f.Add([]byte(`{"active":false}`))
	f.Add([]byte(`{"active":true,"aud":["https://api/tv-shows"],"scp":["a"],"exp":1e3}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := introspect(body, introspectionRules())
		if err != nil {
			return
		}
		var loose struct {
			Active bool   `json:"active"`
			Issuer string `json:"iss"`
		}
		if json.Unmarshal(body, &loose) != nil || !loose.Active {
			t.Errorf("accepted %q", body)
		}
		if c := got.Claims(); !c.Audience.Contains("https://api/tv-shows") || c.Subject == "" && c.Client() == "" {
			t.Errorf("accepted %+v", c)
		}
	})
}

// A token that is bound to a key must not become good in any hand because the issuer
// forgets to say which key that is.
func TestThreat_TK16_IntrospectionNamesTheKey(t *testing.T) {
	for name, cnf := range map[string]any{"none": nil, "a certificate's": map[string]any{"x5t#S256": "x"}} {
		body := answerOf(func(a map[string]any) { a["token_type"], a["cnf"] = "dpop", cnf })
		if _, err := introspect(body, introspectionRules()); !errors.Is(err, oauth.ErrConfirmation) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package oauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

func TestParseTokenRequest(t *testing.T) {
	want := oauth.Params{"grant_type": "authorization_code", "code": "a+b/c=", "client_id": "c", "n": "1"}
	for contentType, body := range map[string]string{
		formType:                    "grant_type=authorization_code&code=a%2Bb%2Fc%3D&client_id=c&n=1&redirect_uri=",
		formType + ";charset=UTF-8": "grant_type=authorization_code&code=a%2bb%2fc%3d&client_id=c&n=1&",
		jsonType:                    `{"grant_type":"authorization_code","code":"a+b\/c=","client_id":"c","n":1,"redirect_uri":"","x":null,"y":{"z":1},"w":["a"]}`,
		"Application/JSON; charset=utf-8": ` {"grant_type":"authorization_code","code":"a\u002bb/c=","client_id":"c","n":1}
`,
	} {
		got, err := oauth.ParseTokenRequest(contentType, []byte(body))
		if err != nil {
			t.Errorf("%s: %v", contentType, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", contentType, diff)
		}
	}
	if got, err := oauth.ParseTokenRequest(jsonType, []byte(`{"a":true,"b":false,"c":1.50}`)); err != nil || got.Get("a") != "true" || got.Get("b") != "false" || got.Get("c") != "1.50" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestThreat_HT08_ContentType(t *testing.T) {
	for _, contentType := range []string{
		"", " ", "text/plain", "text/html", "multipart/form-data; boundary=x", "application/xml", "application/jsonx", "application/json-patch+json", "application/x-www-form-urlencoded2", "application/*", "*/*",
		formType + "; charset=utf-7", formType + "; charset=iso-8859-15", jsonType + "; charset=iso-8859-1", jsonType + "; charset=utf-16", jsonType + "; boundary=x", formType + "; charset=utf-8; charset=utf-7", formType + ", " + jsonType, formType + ";" + jsonType, jsonType + "; charset", "json", "form",
	} {
		_, err := oauth.ParseTokenRequest(contentType, []byte(`grant_type=x`))
		if !errors.Is(err, oauth.ErrMediaType) || oauth.AsError(err).Status() != http.StatusUnsupportedMediaType || oauth.CodeOf(err) != oauth.InvalidRequest {
			t.Errorf("%q: %v", contentType, err)
		}
	}
	// A body of one kind called the other.
	if p, err := oauth.ParseTokenRequest(jsonType, []byte("grant_type=x")); err == nil {
		t.Errorf("form as JSON: %v", p)
	}
	if p, err := oauth.ParseTokenRequest(formType, []byte(`{"grant_type":"x"}`)); err == nil && p.Has("grant_type") {
		t.Errorf("JSON as form: %v", p)
	}
}

// Apache HttpClient and REST Assured call a form ISO-8859-1 unless they are told otherwise. What both
// encodings read the same way is taken; anything else would be a guess.
func TestThreat_HT08_Latin1(t *testing.T) {
	for body, ok := range map[string]bool{"a=b&c=d%20e%2B": true, "a=%E9": false, "a=%C3%A9": false, "%C3%A9=a": false, "a=\xc3\xa9": false} {
		got, err := oauth.ParseTokenRequest(formType+"; charset=ISO-8859-1", []byte(body))
		if ok != (err == nil) || !ok && oauth.CodeOf(err) != oauth.InvalidRequest {
			t.Errorf("%q: %v, %v", body, got, err)
		}
	}
	if got, err := oauth.ParseTokenRequest(formType+"; charset=utf-8", []byte("a=%C3%A9")); err != nil || got.Get("a") != "é" {
		t.Errorf("the same in UTF-8: %v, %v", got, err)
	}
}

// fields are n parameters, each of the given format.
func fields(n int, format, separator string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(list, separator)
}

func TestThreat_HT08_Limits(t *testing.T) {
	_, err := oauth.ParseTokenRequest(formType, []byte("a="+strings.Repeat("x", 64<<10)))
	if !errors.Is(err, oauth.ErrTooLarge) || oauth.AsError(err).Status() != http.StatusRequestEntityTooLarge {
		t.Errorf("64 KiB and a bit: %v", err)
	}
	if _, err := oauth.ParseTokenRequest(formType, []byte("a="+strings.Repeat("x", 64<<10-2))); err != nil {
		t.Errorf("64 KiB: %v", err)
	}
	for n, ok := range map[int]bool{200: true, 201: false, 5000: false} {
		if _, err := oauth.ParseTokenRequest(formType, []byte(fields(n, "f%d=1", "&"))); (err == nil) != ok {
			t.Errorf("%d fields: %v", n, err)
		}
		if _, err := oauth.ParseTokenRequest(jsonType, []byte("{"+fields(n, `"f%d":1`, ",")+"}")); (err == nil) != ok {
			t.Errorf("%d members: %v", n, err)
		}
	}
}

func TestThreat_HT08_Malformed(t *testing.T) {
	for _, body := range []string{"a=1&a=1", "a=1&a=", "a=1&%61=2", "a=%", "a=%zz", "a=1;b=2", "a=%00", "a=%0a", "a=%ff", "%00=a", "client_id=a&client_id=b"} {
		if p, err := oauth.ParseTokenRequest(formType, []byte(body)); oauth.CodeOf(err) != oauth.InvalidRequest {
			t.Errorf("form %q: %v, %v", body, p, err)
		}
	}
	for _, body := range []string{``, `null`, `[]`, `"a"`, `{"a":"1","a":"2"}`, `{"a":"1","\u0061":"2"}`, `{"a":"1"}{}`, `{"a":"\u0000"}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":01}`, `{"a":` + strings.Repeat("[", 30), "\ufeff{}"} {
		if p, err := oauth.ParseTokenRequest(jsonType, []byte(body)); oauth.CodeOf(err) != oauth.InvalidRequest {
			t.Errorf("JSON %q: %v, %v", body, p, err)
		}
	}
	if _, err := oauth.ParseTokenRequest(formType, []byte("resource=https://a/&resource=https://b/")); oauth.CodeOf(err) != oauth.InvalidTarget {
		t.Errorf("two resources: %v", err)
	}
}

func FuzzThreat_HT08_TokenRequest(f *testing.F) {
	f.Add(formType, []byte("grant_type=authorization_code&code=x&redirect_uri=https%3A%2F%2Fa%2F"))
	f.Add(jsonType, []byte(`{"grant_type":"refresh_token","refresh_token":"x","n":1,"o":{}}`))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\n"))
	f.Add(formType, []byte("a=1&a=2"))
	f.Add(formType, []byte("a=%00&b=%0d%0a"))
	f.Add(jsonType, []byte(`{"a":"\u0000"}`))
	f.Add(formType, []byte(fields(201, "f%d=1", "&")))
	f.Add(jsonType, []byte("{"+fields(201, `"f%d":1`, ",")+"}"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		p, err := oauth.ParseTokenRequest(contentType, body)
		if (p == nil) == (err == nil) {
			t.Fatal("both or neither")
		}
		if err != nil {
			if s := oauth.AsError(err).Status(); s < 400 || s > 499 {
				t.Fatalf("status %d: %v", s, err)
			}
			return
		}
		if len(p) > 200 {
			t.Fatalf("%d parameters", len(p))
		}
		for name, value := range p {
			if value == "" || strings.ContainsAny(name+value, "\x00\r\n") {
				t.Fatalf("%q=%q", name, value)
			}
		}
	})
}

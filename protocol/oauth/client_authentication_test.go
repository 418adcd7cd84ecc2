package oauth_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func basic(userinfo string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userinfo))
}

func TestThreat_CL02_OneWellFormedMethod(t *testing.T) {
	jwtBearer := oauth.AssertionTypeJWTBearer
	for _, c := range []struct {
		name   string
		header []string
		params oauth.Params
		want   oauth.ClientAuthentication
		code   string
	}{
		{"basic", []string{basic("id:secret")}, nil, oauth.ClientAuthentication{Method: oauth.AuthBasic, ClientID: "id", Secret: "secret"}, ""},
		{"basic, scheme in lower case", []string{"basic" + basic("id:secret")[5:]}, nil, oauth.ClientAuthentication{Method: oauth.AuthBasic, ClientID: "id", Secret: "secret"}, ""},
		{"basic and the same client_id", []string{basic("id:secret")}, oauth.Params{"client_id": "id"}, oauth.ClientAuthentication{Method: oauth.AuthBasic, ClientID: "id", Secret: "secret"}, ""},
		{"basic, empty secret", []string{basic("id:")}, nil, oauth.ClientAuthentication{Method: oauth.AuthNone, ClientID: "id"}, ""},
		{"post", nil, oauth.Params{"client_id": "id", "client_secret": "secret"}, oauth.ClientAuthentication{Method: oauth.AuthPost, ClientID: "id", Secret: "secret"}, ""},
		{"none", nil, oauth.Params{"client_id": "id"}, oauth.ClientAuthentication{Method: oauth.AuthNone, ClientID: "id"}, ""},
		{"assertion", nil, oauth.Params{"client_assertion": "e.y.J", "client_assertion_type": jwtBearer}, oauth.ClientAuthentication{Method: oauth.AuthPrivateKeyJWT, Assertion: "e.y.J"}, ""},

		{"nobody", nil, nil, oauth.ClientAuthentication{}, oauth.InvalidClient},
		{"secret without a name", nil, oauth.Params{"client_secret": "x"}, oauth.ClientAuthentication{}, oauth.InvalidClient},
		{"basic and post", []string{basic("id:secret")}, oauth.Params{"client_secret": "secret"}, oauth.ClientAuthentication{}, oauth.InvalidRequest},
		{"basic and assertion", []string{basic("id:secret")}, oauth.Params{"client_assertion": "e.y.J", "client_assertion_type": jwtBearer}, oauth.ClientAuthentication{}, oauth.InvalidRequest},
		{"post and assertion", nil, oauth.Params{"client_id": "id", "client_secret": "s", "client_assertion": "e.y.J", "client_assertion_type": jwtBearer}, oauth.ClientAuthentication{}, oauth.InvalidRequest},
		{"post and half an assertion", nil, oauth.Params{"client_id": "id", "client_secret": "s", "client_assertion_type": jwtBearer}, oauth.ClientAuthentication{}, oauth.InvalidRequest},
		{"assertion of another type", nil, oauth.Params{"client_assertion": "x", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, oauth.ClientAuthentication{}, oauth.InvalidRequest},
		{"assertion without type", nil, oauth.Params{"client_id": "id", "client_assertion": "x"}, oauth.ClientAuthentication{}, oauth.InvalidRequest},
		{"basic and another client_id", []string{basic("id:secret")}, oauth.Params{"client_id": "other"}, oauth.ClientAuthentication{}, oauth.InvalidRequest},
		{"two headers", []string{basic("id:secret"), basic("id:secret")}, nil, oauth.ClientAuthentication{}, oauth.InvalidRequest},
		{"bearer", []string{"Bearer abc"}, oauth.Params{"client_id": "id"}, oauth.ClientAuthentication{}, oauth.InvalidClient},
		{"basic without colon", []string{basic("id")}, nil, oauth.ClientAuthentication{}, oauth.InvalidClient},
		{"basic without name", []string{basic(":secret")}, nil, oauth.ClientAuthentication{}, oauth.InvalidClient},
		{"basic, not base64", []string{"Basic !!!"}, nil, oauth.ClientAuthentication{}, oauth.InvalidClient},
		{"basic, unpadded", []string{"Basic aWQ6c2VjcmV0MQ"}, nil, oauth.ClientAuthentication{}, oauth.InvalidClient},
		{"basic, line break", []string{"Basic aWQ6\nc2VjcmV0"}, nil, oauth.ClientAuthentication{}, oauth.InvalidClient},
		{"basic, two spaces", []string{"Basic  aWQ6c2VjcmV0"}, nil, oauth.ClientAuthentication{}, oauth.InvalidClient},
		{"basic, NUL", []string{basic("id:\x00")}, nil, oauth.ClientAuthentication{}, oauth.InvalidClient},
		{"basic, nothing", []string{"Basic"}, nil, oauth.ClientAuthentication{}, oauth.InvalidClient},
		{"basic, huge", []string{basic("id:" + strings.Repeat("x", 8<<10))}, nil, oauth.ClientAuthentication{}, oauth.InvalidClient},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := oauth.ParseClientAuthentication(http.Header{"Authorization": c.header}, c.params)
			if oauth.CodeOf(err) != c.code {
				t.Fatalf("%+v, %v", got, err)
			}
			if err != nil {
				if got.ClientID != "" || got.Secret != "" {
					t.Errorf("credentials beside an error: %+v", got)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestThreat_CL02_RegisteredMethod(t *testing.T) {
	confidential, public := []oauth.AuthMethod{oauth.AuthBasic, oauth.AuthPost}, []oauth.AuthMethod{oauth.AuthNone}
	for _, c := range []struct {
		method     oauth.AuthMethod
		registered []oauth.AuthMethod
		ok         bool
	}{
		{oauth.AuthBasic, confidential, true},
		{oauth.AuthPost, confidential, true},
		{oauth.AuthNone, confidential, false},
		{oauth.AuthPrivateKeyJWT, confidential, false},
		{oauth.AuthNone, public, true},
		{oauth.AuthBasic, public, false},
		{oauth.AuthPost, public, false},
		{oauth.AuthPost, confidential[:1], false},
		{oauth.AuthNone, nil, false},
		{"", nil, false},
		{"", public, false},
	} {
		err := oauth.ClientAuthentication{Method: c.method, ClientID: "id"}.CheckMethod(c.registered)
		if (err == nil) != c.ok || err != nil && (oauth.CodeOf(err) != oauth.InvalidClient || oauth.AsError(err).Status() != http.StatusUnauthorized) {
			t.Errorf("%s with %s: %v", c.method, c.registered, err)
		}
	}
}

func TestThreat_CL02_SecretInQuery(t *testing.T) {
	for _, name := range []string{"client_secret", "client_assertion", "code", "code_verifier", "refresh_token", "token", "password"} {
		if err := oauth.CheckCredentialsNotInQuery(url.Values{name: {""}}); oauth.CodeOf(err) != oauth.InvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := oauth.CheckCredentialsNotInQuery(url.Values{"client_id": {"x"}}); err != nil {
		t.Error(err)
	}
}

func TestThreat_AK07_BasicIsFormDecoded(t *testing.T) {
	for _, c := range []struct {
		userinfo, id, secret string
		raw                  *oauth.RawCredentials
	}{
		{"ci%2Dd:se%2Dc%5F%2B+%2F", "ci-d", "se-c_+ /", &oauth.RawCredentials{ClientID: "ci%2Dd", Secret: "se%2Dc%5F%2B+%2F"}},
		{"id:a%3Ab:c", "id", "a:b:c", &oauth.RawCredentials{ClientID: "id", Secret: "a%3Ab:c"}},
		{"https%3A%2F%2Frp.example%2F:s", "https://rp.example/", "s", &oauth.RawCredentials{ClientID: "https%3A%2F%2Frp.example%2F", Secret: "s"}},
		{"id:100%", "id", "100%", nil}, // not encoded at all: as it stands
		{"id:a+b", "id", "a b", &oauth.RawCredentials{ClientID: "id", Secret: "a+b"}},                  // either reading
		{"id:%00%0a", "id", "%00%0a", nil},                                                             // decodes to what cannot be meant
		{"kq3v9X2mB7nL5pR8sT1uW4yZ6aC0dE2f:AZaz09", "kq3v9X2mB7nL5pR8sT1uW4yZ6aC0dE2f", "AZaz09", nil}, // ours read the same either way
	} {
		got, err := oauth.ParseClientAuthentication(http.Header{"Authorization": {basic(c.userinfo)}}, nil)
		want := oauth.ClientAuthentication{Method: oauth.AuthBasic, ClientID: c.id, Secret: c.secret, Raw: c.raw}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", c.userinfo, err, diff)
		}
	}
}

func FuzzThreat_CL02_ClientAuthentication(f *testing.F) {
	f.Add(basic("id:secret"), "id", "", "")
	f.Add("", "id", "secret", "")
	f.Add("Bearer x", "", "", "e.y.J")
	f.Add(basic("id:secret"), "id", "secret", "")
	f.Add(basic("id:secret"), "", "", "e.y.J")
	f.Add("Bearer x", "id", "", "")
	f.Add(basic(":secret"), "", "", "")
	f.Add(basic("id:"), "", "", "")
	f.Fuzz(func(t *testing.T, header, id, secret, assertion string) {
		h := http.Header{}
		if header != "" {
			h.Set("Authorization", header)
		}
		a, err := oauth.ParseClientAuthentication(h, oauth.Params{"client_id": id, "client_secret": secret, "client_assertion": assertion})
		if err != nil {
			if a.ClientID != "" || a.Secret != "" || a.Assertion != "" {
				t.Fatalf("credentials beside %v", err)
			}
			return
		}
		used, byHeader := header != "", a.Method == oauth.AuthBasic && a.Secret != "" || a.Method == oauth.AuthNone && a.Secret == ""
		if used && (!byHeader || secret != "") || !used && a.Method == oauth.AuthBasic || a.ClientID == "" && a.Method != oauth.AuthPrivateKeyJWT {
			t.Fatalf("%+v", a)
		}
	})
}

package oauth_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

const (
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 appendix B
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// request returns the parameters of a good request with changes: name=value
// sets, -name removes, +name=value adds one more.
func request(changes ...string) url.Values {
	v := url.Values{
		"client_id": {"client"}, "redirect_uri": {"https://app.example.com/cb"}, "response_type": {"code"}, "scope": {"openid profile"}, "state": {"st"}, "nonce": {"no"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for _, change := range changes {
		name, value, _ := strings.Cut(change, "=")
		switch name[0] {
		case '-':
			v.Del(name[1:])
		case '+':
			v.Add(name[1:], value)
		default:
			v.Set(name, value)
		}
	}
	return v
}

func TestParseAuthorizationRequest(t *testing.T) {
	r, err := oauth.ParseAuthorizationRequest(request("response_mode=web_message", "prompt=login consent", "max_age=0", "acr_values=a b", "login_hint=joe@example.com", "ui_locales=de en",
		"audience=https://api/tv-shows", "screen_hint=signup", "connection=google", "organization=org_1", "display=page", "id_token_hint=e.y.J", `claims={"id_token":{"acr":{"essential":true}}}`,
		"auth0Client=x", "failureRedirect=/login", "ext-foo=bar", "dpop_jkt=abc"))
	if err != nil {
		t.Fatal(err)
	}
	zero := 0
	want := &oauth.AuthorizationRequest{
		ClientID: "client", RedirectURI: "https://app.example.com/cb", ResponseType: "code", ResponseMode: "web_message", Scope: oauth.Scope{"openid", "profile"}, State: "st", Nonce: "no",
		CodeChallenge: challenge, CodeChallengeMethod: "S256", Prompt: oauth.Prompt{Login: true, Consent: true}, MaxAge: &zero, ACRValues: []string{"a", "b"}, LoginHint: "joe@example.com", IDTokenHint: "e.y.J",
		UILocales: []string{"de", "en"}, Display: "page", Claims: `{"id_token":{"acr":{"essential":true}}}`, Audience: "https://api/tv-shows", ScreenHint: "signup", Connection: "google", Organization: "org_1",
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
	r, err = oauth.ParseAuthorizationRequest(request("-redirect_uri", "-scope", "-state", "-nonce", "max_age=", "prompt=", "response_mode="))
	if err != nil || r.RedirectURI != "" || r.MaxAge != nil || r.ResponseMode != "query" || r.Prompt != (oauth.Prompt{}) || r.State != "" {
		t.Errorf("the least there can be: %+v, %v", r, err)
	}
}

// What is wrong with a request, and whether the client may be told by redirect.
// refusal is a request changed in one way, and the error that answers it.
type refusal struct {
	row, change, code string
	page              bool
}

func refusals() []refusal {
	long := strings.Repeat("x", 2049)
	return []refusal{
		{"AZ06", "-client_id", oauth.InvalidRequest, true},
		{"AZ06", "client_id=", oauth.InvalidRequest, true},
		{"AZ06", "+client_id=client", oauth.InvalidRequest, true},
		{"AZ06", "+client_id=other", oauth.InvalidRequest, true},
		{"AZ06", "+client_id=", oauth.InvalidRequest, true},
		{"AZ06", "+redirect_uri=https://app.example.com/cb", oauth.InvalidRequest, true},
		{"AZ06", "+redirect_uri=https://evil.example/", oauth.InvalidRequest, true},
		{"AZ06", "redirect_uri=https://app.example.com/\x00", oauth.InvalidRequest, true},
		{"AZ06", "redirect_uri=" + long, oauth.InvalidRequest, true},
		{"AZ06", "client_id=" + long, oauth.InvalidRequest, true},
		{"AZ06", "client_id=a\nb", oauth.InvalidRequest, true},
		{"AZ06", "+state=st", oauth.InvalidRequest, false},
		{"AZ06", "+scope=email", oauth.InvalidRequest, false},
		{"AZ06", "+nonce=no", oauth.InvalidRequest, false},
		{"AZ06", "+response_type=code", oauth.InvalidRequest, false},
		{"AZ06", "+code_challenge=" + challenge, oauth.InvalidRequest, false},
		{"AZ06", "+code_challenge_method=plain", oauth.InvalidRequest, false},
		{"AZ06", "prompt=&+prompt=login", oauth.InvalidRequest, false}, // empty and given twice is still given twice
		{"AZ12", "response_type=token", oauth.UnsupportedResponseType, false},
		{"AZ12", "response_type=token id_token", oauth.UnsupportedResponseType, false},
		{"AZ12", "response_type=id_token token", oauth.UnsupportedResponseType, false},
		{"AZ12", "response_type=code token", oauth.UnsupportedResponseType, false},
		{"AZ12", "response_type=code id_token token", oauth.UnsupportedResponseType, false},
		{"AZ12", "response_type=none", oauth.UnsupportedResponseType, false},
		{"AZ12", "response_type=Code", oauth.UnsupportedResponseType, false},
		{"AZ12", "response_type=code code", oauth.UnsupportedResponseType, false},
		{"AZ12", "-response_type", oauth.InvalidRequest, false},
		{"AZ12", "response_mode=fragment", oauth.InvalidRequest, false},
		{"AZ12", "response_mode=jwt", oauth.InvalidRequest, false},
		{"AZ12", "response_mode=QUERY", oauth.InvalidRequest, false},
		{"AZ12", "response_type=id_token", oauth.InvalidRequest, false},
		{"AZ12", "response_type=id_token&response_mode=query", oauth.InvalidRequest, false},
		{"AZ12", "response_type=id_token&response_mode=web_message", oauth.InvalidRequest, false},
		{"AZ12", "response_type=id_token&response_mode=fragment", oauth.InvalidRequest, false},
		{"AZ12", "response_type=code id_token", oauth.InvalidRequest, false},
		{"AZ12", "response_type=code id_token&response_mode=query", oauth.InvalidRequest, false},
		{"", "response_type=id_token&response_mode=form_post&-nonce", oauth.InvalidRequest, false},
		{"", "response_type=id_token&response_mode=form_post&scope=profile", oauth.InvalidRequest, false},
		{"", "request=e.y.J", oauth.RequestNotSupported, false},
		{"", "request_uri=urn:x", oauth.RequestURINotSupported, false},
		{"", "prompt=none login", oauth.InvalidRequest, false},
		{"", "prompt=bother", oauth.InvalidRequest, false},
		{"", "max_age=-1", oauth.InvalidRequest, false},
		{"", "max_age=1.5", oauth.InvalidRequest, false},
		{"", "max_age=1e3", oauth.InvalidRequest, false},
		{"", "max_age=99999999999", oauth.InvalidRequest, false},
		{"", "max_age=+1", oauth.InvalidRequest, false},
		{"AZ13", "scope=a\"b", oauth.InvalidScope, false},
		{"AZ13", "scope=" + strings.Repeat("a ", 3000), oauth.InvalidRequest, false},
		{"AZ19", "state=" + long, oauth.InvalidRequest, false},
		{"AZ19", "state=a\r\nb", oauth.InvalidRequest, false},
		{"AZ19", "state=\xff", oauth.InvalidRequest, false},
		{"AZ19", "nonce=" + long, oauth.InvalidRequest, false},
		{"AZ19", "ui_locales=" + long, oauth.InvalidRequest, false},
		{"AZ19", "login_hint=" + long, oauth.InvalidRequest, false},
		{"AZ19", "claims=" + `{"a":"` + strings.Repeat("x", 8<<10) + `"}`, oauth.InvalidRequest, false},
		{"AZ19", `claims={"a":1,"a":2}`, oauth.InvalidRequest, false},
		{"AZ19", `claims={"a":{"b":{"c":{"d":{"e":{}}}}}}`, oauth.InvalidRequest, false},
		{"AZ19", `claims=[]`, oauth.InvalidRequest, false},
		{"AZ19", `claims="x"`, oauth.InvalidRequest, false},
		{"AZ19", `claims={`, oauth.InvalidRequest, false},
		{"AZ19", `claims= `, oauth.InvalidRequest, false},
		{"", "resource=/relative", oauth.InvalidTarget, false},
		{"", "resource=https://api/#x", oauth.InvalidTarget, false},
		{"", "resource=https://api/a&audience=https://api/b", oauth.InvalidTarget, false},
		{"", "resource=https://api/a&+resource=https://api/b", oauth.InvalidTarget, false},
	}
}

// checkRefusals sends the requests of one row of the threat catalogue, or those
// of none.
func checkRefusals(t *testing.T, row string) {
	t.Helper()
	n := 0
	for _, c := range refusals() {
		if c.row == row {
			n++
			t.Run(strings.ToValidUTF8(c.change, "?"), c.check)
		}
	}
	if n == 0 {
		t.Fatalf("no requests for %q", row)
	}
}

func (c refusal) check(t *testing.T) {
	changes := strings.Split(c.change, "&")
	r, err := oauth.ParseAuthorizationRequest(request(changes...))
	if r == nil || err == nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if err.Code != c.code || err.Page != c.page {
		t.Errorf("%s, page %v; want %s, page %v", err.Code, err.Page, c.code, c.page)
	}
	if !r.ResponseMode.Supported() {
		t.Errorf("no way to answer: %q", r.ResponseMode)
	}
	if err.Page && (r.ClientID != "" && r.RedirectURI != "" && strings.Contains(c.change, "+")) {
		t.Errorf("a doubtful target is kept: %+v", r)
	}
	if !err.Page && (r.ClientID != "client" || r.RedirectURI != "https://app.example.com/cb") {
		t.Errorf("the target is lost: %+v", r)
	}
	if !err.Page && !strings.Contains(c.change, "state=") && r.State != "st" {
		t.Errorf("the state is lost: %+v", r)
	}
}

func TestAuthorizationRequestErrors(t *testing.T) { checkRefusals(t, "") }
func TestThreat_AZ06_Refused(t *testing.T)        { checkRefusals(t, "AZ06") }
func TestThreat_AZ12_Refused(t *testing.T)        { checkRefusals(t, "AZ12") }
func TestThreat_AZ13_Refused(t *testing.T)        { checkRefusals(t, "AZ13") }
func TestThreat_AZ19_Refused(t *testing.T)        { checkRefusals(t, "AZ19") }

func TestThreat_AZ06_QueryAndBody(t *testing.T) {
	// As net/http merges them: the body's values first, then the query's.
	for _, name := range []string{"client_id", "redirect_uri"} {
		_, err := oauth.ParseAuthorizationRequest(request("+" + name + "=" + request().Get(name)))
		if err == nil || !err.Page || err.Code != oauth.InvalidRequest {
			t.Errorf("%s twice: %v", name, err)
		}
	}
}

func TestThreat_AZ07_PKCE(t *testing.T) {
	for _, c := range []struct {
		change, code        string
		codeWhenNotRequired string
	}{
		{"-nothing", "", ""},
		{"-code_challenge&-code_challenge_method", oauth.InvalidRequest, ""},
		{"-code_challenge", oauth.InvalidRequest, oauth.InvalidRequest},
		{"code_challenge=", oauth.InvalidRequest, oauth.InvalidRequest},
		{"-code_challenge_method", oauth.InvalidRequest, oauth.InvalidRequest},
		{"code_challenge_method=plain", oauth.InvalidRequest, oauth.InvalidRequest},
		{"code_challenge_method=s256", oauth.InvalidRequest, oauth.InvalidRequest},
		{"code_challenge_method=S512", oauth.InvalidRequest, oauth.InvalidRequest},
		{"code_challenge=" + challenge[:42], oauth.InvalidRequest, oauth.InvalidRequest},
		{"code_challenge=" + challenge + "A", oauth.InvalidRequest, oauth.InvalidRequest},
		{"code_challenge=" + challenge + "=", oauth.InvalidRequest, oauth.InvalidRequest},
		{"code_challenge=" + strings.Repeat("A", 42) + "+", oauth.InvalidRequest, oauth.InvalidRequest},
		{"code_challenge=" + strings.Repeat("A", 42) + "/", oauth.InvalidRequest, oauth.InvalidRequest},
		{"code_challenge=" + strings.Repeat("A", 42) + ".", oauth.InvalidRequest, oauth.InvalidRequest},
		{"code_challenge=" + strings.Repeat("A", 42) + "B", oauth.InvalidRequest, oauth.InvalidRequest}, // unused bits set
		{"code_challenge=" + strings.Repeat("A", 41) + "é", oauth.InvalidRequest, oauth.InvalidRequest},
	} {
		r, err := oauth.ParseAuthorizationRequest(request(strings.Split(c.change, "&")...))
		if err != nil {
			t.Errorf("%s: %v", c.change, err)
			continue
		}
		if got := oauth.CodeOf(r.CheckPKCE(true)); got != c.code {
			t.Errorf("%s, required: %q", c.change, got)
		}
		if got := oauth.CodeOf(r.CheckPKCE(false)); got != c.codeWhenNotRequired {
			t.Errorf("%s, not required: %q", c.change, got)
		}
	}
}

func TestThreat_AZ08_Downgrade(t *testing.T) {
	other := strings.Repeat("a", 43)
	for _, c := range []struct {
		name, challenge, verifier string
		want                      bool
	}{
		{"RFC 7636 appendix B", challenge, verifier, true},
		{"neither", "", "", true},
		{"challenge stripped", "", verifier, false},
		{"verifier absent", challenge, "", false},
		{"another verifier", challenge, other, false},
		{"the challenge as verifier", challenge, challenge, false},
		{"verifier too short", oauth.S256Challenge(verifier[:42]), verifier[:42], false},
		{"verifier too long", oauth.S256Challenge(strings.Repeat("a", 129)), strings.Repeat("a", 129), false},
		{"longest verifier", oauth.S256Challenge(strings.Repeat("a", 128)), strings.Repeat("a", 128), true},
		{"all characters", oauth.S256Challenge("-._~" + other), "-._~" + other, true},
		{"foreign characters", oauth.S256Challenge("+" + other), "+" + other, false},
		{"space at the end", oauth.S256Challenge(other + " "), other + " ", false},
		{"challenge padded", challenge + "=", verifier, false},
	} {
		if got := oauth.VerifyPKCE(c.challenge, c.verifier); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestThreat_AZ12_Hints(t *testing.T) {
	for _, change := range []string{"response_type=token", "response_type=token id_token", "response_mode=fragment", "response_type=id_token"} {
		_, err := oauth.ParseAuthorizationRequest(request(change))
		if err == nil || !strings.Contains(err.Description, ": use ") || !strings.Contains(err.Hint, "No token ever travels in a URL") {
			t.Errorf("%s: the application is not told what to use instead: %v", change, err)
		}
	}
	for _, c := range []struct{ responseType, mode string }{{"id_token", "form_post"}, {"code id_token", "form_post"}, {"id_token code", "form_post"}, {"code", "query"}, {"code", "form_post"}, {"code", "web_message"}, {"code", ""}} {
		r, err := oauth.ParseAuthorizationRequest(request("response_type="+c.responseType, "response_mode="+c.mode))
		if err != nil || c.mode != "" && string(r.ResponseMode) != c.mode {
			t.Errorf("%+v: %+v, %v", c, r, err)
		}
		if c.responseType == "id_token code" && r.ResponseType != oauth.ResponseTypeCodeIDToken {
			t.Errorf("the order matters: %q", r.ResponseType)
		}
	}
	got := oauth.ResponseURL("https://app.example.com/cb", oauth.AuthorizationResponse{Code: "c", IDToken: "e.y.J", State: "s", Issuer: "https://id.example/"})
	if strings.Contains(got, "id_token") || strings.Contains(got, "e.y.J") {
		t.Errorf("an ID token in a URL: %s", got)
	}
}

func TestThreat_AZ19_StateIsEchoedExactly(t *testing.T) {
	for _, state := range []string{"a", "a+b/c==", "a b", "%2B", "&error=x", "#frag", "ä€😀", `"<script>'`, strings.Repeat("x", 2<<10), "a=b&c=d", "{\"a\":\"b\"}", "~-._"} {
		r, err := oauth.ParseAuthorizationRequest(request("state=" + state))
		if err != nil || r.State != state {
			t.Errorf("%.40q became %.40q, %v", state, r.State, err)
			continue
		}
		for _, target := range []string{"https://app.example.com/cb", "https://app.example.com/cb?x=1", "https://app.example.com/cb?", "com.example.app:/cb"} {
			u, err := url.Parse(oauth.ResponseURL(target, oauth.AuthorizationResponse{Code: "c", State: r.State, Issuer: "https://id.example/"}))
			if err != nil {
				t.Fatal(err)
			}
			if got := u.Query(); got.Get("state") != state || got.Get("iss") != "https://id.example/" || got.Get("code") != "c" || len(got["error"]) != 0 {
				t.Errorf("%.40q came back from %s as %.40q", state, target, got)
			}
			if strings.ContainsAny(u.RawQuery, "+ ") {
				t.Errorf("not percent-encoded: %s", u.RawQuery)
			}
		}
	}
}

func FuzzThreat_AZ19_AuthorizationRequest(f *testing.F) {
	f.Add(request().Encode())
	f.Add(request("claims={\"userinfo\":{\"email\":null}}", "prompt=none", "max_age=0").Encode())
	f.Add("client_id=a&client_id=b&state=%00&redirect_uri=%ff")
	f.Add("response_type=token&response_mode=fragment&client_id=x&scope=" + strings.Repeat("a+", 200))
	for _, c := range refusals() {
		f.Add(request(strings.Split(c.change, "&")...).Encode())
	}
	f.Fuzz(func(t *testing.T, query string) {
		v, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		r, fail := oauth.ParseAuthorizationRequest(v)
		if r == nil || !r.ResponseMode.Supported() {
			t.Fatalf("no way to answer: %+v", r)
		}
		if len(v["client_id"]) > 1 || len(v["redirect_uri"]) > 1 {
			if fail == nil || !fail.Page {
				t.Fatalf("a doubtful target may be redirected to: %v", fail)
			}
		}
		if fail != nil {
			if strings.ContainsAny(fail.Description, "\"\\\n") || len(fail.Description) == 0 || fail.Code == oauth.ServerError {
				t.Fatalf("description %q", fail.Description)
			}
			return
		}
		if r.ClientID == "" || r.ResponseType.HasIDToken() && (r.ResponseMode != oauth.ResponseModeFormPost || r.Nonce == "") || len(r.State) > 2<<10 || len(r.Nonce) > 2<<10 || r.Prompt.None && r.Prompt.Login {
			t.Fatalf("accepted %+v", r)
		}
		if r.State != v.Get("state") {
			t.Fatalf("state %q became %q", v.Get("state"), r.State)
		}
	})
}

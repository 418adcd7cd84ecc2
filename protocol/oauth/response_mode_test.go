package oauth_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func TestThreat_AZ09_IssuerInEveryResponse(t *testing.T) {
	failure := oauth.ErrorResponse(oauth.NewError(oauth.LoginRequired, "Login required"), "s+/=", "https://id.example/")
	if got, want := oauth.ResponseURL("https://app.example.com/cb?x=1", failure),
		"https://app.example.com/cb?x=1&error=login_required&error_description=Login%20required&state=s%2B%2F%3D&iss=https%3A%2F%2Fid.example%2F"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	message, err := failure.WebMessage()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"authorization_response","response":{"error":"login_required","error_description":"Login required","iss":"https://id.example/","state":"s+/="}}`
	if string(message) != want {
		t.Errorf("got  %s\nwant %s", message, want)
	}
	success := oauth.AuthorizationResponse{Code: "c", IDToken: "e.y.J", State: "s", Issuer: "https://id.example/"}
	if got := success.Parameters(); len(got) != 4 || got[0] != (oauth.Parameter{Name: "code", Value: "c"}) || got[1].Name != "id_token" || got[3].Name != "iss" {
		t.Errorf("form fields %v", got)
	}
}

func TestWebMessageIsSafeInAScript(t *testing.T) {
	state := "</script><script>alert(1)</script>&<!--\u2028\u2029"
	message, err := oauth.AuthorizationResponse{Code: "c", State: state}.WebMessage()
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(string(message), "<>&\u2028\u2029") {
		t.Errorf("not safe: %s", message)
	}
	var back struct{ Response map[string]string }
	if err := json.Unmarshal(message, &back); err != nil || back.Response["state"] != state {
		t.Errorf("%q, %v", back.Response["state"], err)
	}
}

func TestAppendState(t *testing.T) {
	for _, c := range [][3]string{{"https://a.example", "", "https://a.example"}, {"https://a.example", "x y", "https://a.example?state=x%20y"}, {"https://a.example/?b", "x", "https://a.example/?b&state=x"}} {
		if got := oauth.AppendState(c[0], c[1]); got != c[2] {
			t.Errorf("%q: %q", c, got)
		}
	}
}

package static

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// oidc-client-ts takes its tokens back: the house refuses both from then on, and the person, who is
// still signed in there, gets new ones without a question.
func TestRevokeTokens(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	s := &site{folder: "static-oidc-client-ts", script: "bundle"}
	v := visit{t: t, house: h, home: s.serve(t, h) + "/", me: drive.NewProfile(t), way: way{choice: "refresh token, in localStorage"}}
	b := v.settle()
	b.Press("Sign in")
	v.me.SignIn(b, h.User(drive.Alice))
	b.See("Hello, Alice Archer")
	var kept struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	read := func() {
		t.Helper()
		raw := drive.Script[string](b, `Object.entries(localStorage).find(([name]) => name.startsWith("oidc.user:"))[1]`)
		kept.RefreshToken = ""
		if err := json.Unmarshal([]byte(raw), &kept); err != nil {
			t.Fatal(err)
		}
	}
	read()
	access, refresh := kept.AccessToken, kept.RefreshToken

	asked := len(b.Requested())
	b.Press("Revoke the tokens")
	b.Wait("the SDK has let go of the refresh token", func() bool { read(); return kept.RefreshToken == "" })
	if paths := v.asked(b, asked); !slices.Equal(paths, []string{"/oauth/revoke", "/oauth/revoke"}) {
		t.Errorf("revokeTokens asked the house for %q", paths)
	}
	if status, said := post(t, h.Issuer+"userinfo", url.Values{"access_token": {access}}); status != http.StatusUnauthorized {
		t.Errorf("a revoked access token: %d: %s", status, said)
	}
	if status, said := redeem(t, h, refresh); !strings.Contains(said, "invalid_grant") {
		t.Errorf("a revoked refresh token: %d: %s", status, said)
	}

	b.Press("Renew the token")
	b.See("Good until")
	b.Press("Load the shows")
	b.See(aShow)
}

// redeem presents a refresh token of the single-page application from anywhere.
func redeem(t *testing.T, h *drive.House, refreshToken string) (int, string) {
	t.Helper()
	return post(t, h.Issuer+"oauth/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}, "client_id": {h.Client(drive.SPAClient).ClientID},
	})
}

func post(t *testing.T, address string, form url.Values) (int, string) {
	t.Helper()
	response, err := http.PostForm(address, form)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(said)
}

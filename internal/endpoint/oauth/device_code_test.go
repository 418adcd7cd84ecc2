package oauth_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// deviceCodes is the answer of the device authorization endpoint.
type deviceCodes struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int    `json:"expires_in"`
	Interval                int    `json:"interval"`
}

// device lets a device of the demo's native client ask.
func device(t testing.TB, i *servertest.Instance, pairs ...string) deviceCodes {
	t.Helper()
	got := i.PostForm(t, "/oauth/device/code", demo.Native, append([]string{"scope", offlineShows}, pairs...)...)
	var codes deviceCodes
	if err := json.Unmarshal([]byte(got.Raw), &codes); err != nil || got.Status != http.StatusOK || codes.DeviceCode == "" {
		t.Fatalf("%d %s", got.Status, got.Raw)
	}
	return codes
}

func poll(t testing.TB, i *servertest.Instance, codes deviceCodes, pairs ...string) servertest.Tokens {
	t.Helper()
	return i.PostForm(t, "/oauth/token", demo.Native, append([]string{"grant_type", oauth.GrantDeviceCode, "device_code", codes.DeviceCode}, pairs...)...)
}

// letIn is a person who types the code and says yes.
func letIn(t testing.TB, b *servertest.Browser, codes deviceCodes) *servertest.Page {
	t.Helper()
	p := b.Press(b.Get("/device"), "look_up", "user_code", codes.UserCode)
	return b.Press(p, "let_in", "started", "yes")
}

func TestDeviceGrant(t *testing.T) {
	onBoth(t, func(t *testing.T, i *servertest.Instance, _ func(*servertest.Instance) *servertest.Instance) {
		codes := device(t, i)
		if codes.VerificationURI != i.URL+"/device" || codes.VerificationURIComplete != i.URL+"/device?user_code="+codes.UserCode || codes.ExpiresIn != 600 || codes.Interval != 5 || len(codes.UserCode) != 9 {
			t.Errorf("%+v", codes)
		}
		expectTokenError(t, "nobody has decided", poll(t, i, codes), "authorization_pending")
		expectTokenError(t, "at once again", poll(t, i, codes), "slow_down")
		b := signedIn(t, i, demo.Reader)
		if p := letIn(t, b, codes); p.StatusCode != http.StatusOK || p.Title() != "Your device is connected" {
			t.Fatalf("%s %q", p.Status, p.Title())
		}
		got := poll(t, i, codes)
		if got.Status != http.StatusOK || got.RefreshToken == "" || got.IDToken == "" || got.Scope != "openid offline_access read:shows" {
			t.Fatalf("%d %s", got.Status, got.Raw)
		}
		access, identity := claims(t, got.AccessToken), claims(t, got.IDToken)
		if access["gid"] == "" || access["sid"] != nil || identity["sid"] != nil || access["sub"] != i.UserID(t, demo.Reader) {
			t.Errorf("access token %v, ID token %v", access, identity)
		}
		expectTokenError(t, "a second time", poll(t, i, codes), "invalid_grant")

		// The device outlives the browser.
		if p := b.Press(b.Get("/u/sign-in"), "sign_out"); p.StatusCode >= 400 {
			t.Fatal(p.Status)
		}
		again := i.Refresh(t, demo.Native, got.RefreshToken)
		if again.Status != http.StatusOK || claims(t, again.AccessToken)["gid"] != access["gid"] {
			t.Fatalf("after the sign-out: %d %s", again.Status, again.Raw)
		}
		if i.Introspect(t, demo.Machine, got.AccessToken)["active"] != true {
			t.Error("the access token died with the browser's session")
		}
		if revoked := i.PostForm(t, "/oauth/revoke", demo.Native, "token", again.RefreshToken); revoked.Status != http.StatusOK {
			t.Fatal(revoked.Raw)
		}
		expectTokenError(t, "after a revocation", i.Refresh(t, demo.Native, again.RefreshToken), "invalid_grant")
		if i.Introspect(t, demo.Machine, again.AccessToken)["active"] != false {
			t.Error("the access token outlives its grant")
		}
	})
}

func TestDeviceCodeRequests(t *testing.T) {
	i := house(t)
	native := i.Content.Client(demo.Native)
	body := fmt.Sprintf(`{"client_id":%q,"scope":"openid"}`, native.ClientID)
	if got := post(t, i, "/oauth/device/code", body, "Content-Type", "application/json"); got.Status != http.StatusOK || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("JSON: %d %s", got.Status, got.Raw)
	}
	change(t, i, demo.RegularWeb, func(c *apps.Client) { c.GrantTypes = append(c.GrantTypes, oauth.GrantDeviceCode) })
	web := i.Content.Client(demo.RegularWeb)
	expectTokenError(t, "no secret", post(t, i, "/oauth/device/code", url.Values{"client_id": {web.ClientID}, "scope": {"openid"}}.Encode()), "invalid_client")
	if got := i.PostForm(t, "/oauth/device/code", demo.RegularWeb, "scope", "openid"); got.Status != http.StatusOK {
		t.Errorf("with a secret: %d %s", got.Status, got.Raw)
	}
	for name, c := range map[string]struct {
		client string
		pairs  []string
		want   string
	}{
		"a client that may not":       {demo.SPA, nil, "unauthorized_client"},
		"a machine":                   {demo.Machine, nil, "unauthorized_client"},
		"an API nobody knows":         {demo.Native, []string{"audience", "https://elsewhere"}, "invalid_target"},
		"two APIs":                    {demo.Native, []string{"audience", demo.Audience, "resource", "https://elsewhere"}, "invalid_target"},
		"a scope nobody knows":        {demo.Native, []string{"scope", "fly"}, "invalid_scope"},
		"a scope that is none":        {demo.Native, []string{"scope", "o\"penid"}, "invalid_scope"},
		"a plain challenge":           {demo.Native, []string{"code_challenge", servertest.Challenge("x")}, "invalid_request"},
		"a challenge that is no hash": {demo.Native, []string{"code_challenge", "x", "code_challenge_method", "S256"}, "invalid_request"},
	} {
		expectTokenError(t, name, i.PostForm(t, "/oauth/device/code", c.client, append([]string{"scope", "openid"}, c.pairs...)...), c.want)
	}
	expectTokenError(t, "no device_code", i.PostForm(t, "/oauth/token", demo.Native, "grant_type", oauth.GrantDeviceCode), "invalid_request")
	expectTokenError(t, "an unknown one", poll(t, i, deviceCodes{DeviceCode: "x"}), "invalid_grant")
}

// A client in a network has so many, and other networks theirs.
func TestThreat_DV01_DeviceCodesAreCapped(t *testing.T) {
	i := servertest.New(t, servertest.Options{Configure: proxied})
	ask := func(from string) servertest.Tokens {
		return post(t, i, "/oauth/device/code", url.Values{"client_id": {i.Content.Client(demo.Native).ClientID}, "scope": {"openid"}}.Encode(), "X-Forwarded-For", from)
	}
	var given, limited atomic.Int32
	atOnce(120, func(int) {
		switch got := ask("203.0.113.7"); got.Status {
		case http.StatusOK:
			given.Add(1)
		case http.StatusTooManyRequests:
			limited.Add(1)
		}
	})
	if given.Load() != 100 || limited.Load() != 20 {
		t.Errorf("%d given, %d limited; want 100 and 20", given.Load(), limited.Load())
	}
	if got := ask("203.0.113.7"); got.Error != "too_many_requests" || got.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", got.Status, got.Raw)
	}
	if got := ask("198.51.100.2"); got.Status != http.StatusOK {
		t.Errorf("another network: %d %s", got.Status, got.Raw)
	}
	i.Clock.Advance(10 * time.Minute)
	if got := ask("203.0.113.7"); got.Status != http.StatusOK {
		t.Errorf("when the codes have expired: %d %s", got.Status, got.Raw)
	}
}

func TestThreat_DV03_AnswersOfTheWire(t *testing.T) {
	i := house(t)
	b := signedIn(t, i, demo.Reader)
	codes := device(t, i)
	if p := b.Press(b.Press(b.Get("/device"), "look_up", "user_code", codes.UserCode), "turn_away"); p.Title() != "The device was turned away" {
		t.Fatal(p.Title())
	}
	expectTokenError(t, "denied", poll(t, i, codes), "access_denied")
	codes = device(t, i)
	i.Clock.Advance(10 * time.Minute)
	expectTokenError(t, "expired", poll(t, i, codes), "expired_token")
	codes = device(t, i)
	letIn(t, b, codes)
	i.Block(t, demo.Reader)
	if got := poll(t, i, codes); got.AccessToken != "" || got.Error != "access_denied" {
		t.Errorf("who was blocked meanwhile: %d %s", got.Status, got.Raw)
	}
}

func TestThreat_DV03_ParallelPollsHaveOneWinner(t *testing.T) {
	onBoth(t, func(t *testing.T, i *servertest.Instance, _ func(*servertest.Instance) *servertest.Instance) {
		b := signedIn(t, i, demo.Reader)
		for range 3 {
			codes := device(t, i)
			letIn(t, b, codes)
			var won atomic.Int32
			atOnce(32, func(int) {
				switch got := poll(t, i, codes); {
				case got.Status == http.StatusOK:
					won.Add(1)
				case got.Error != "invalid_grant":
					t.Errorf("a loser got %d %s", got.Status, got.Raw)
				}
			})
			if won.Load() != 1 {
				t.Errorf("%d polls got tokens", won.Load())
			}
		}
	})
}

// A device that began with a challenge ends with its verifier, and one that did not with none.
func TestThreat_DV04_PKCEIsVerified(t *testing.T) {
	i := house(t)
	b := signedIn(t, i, demo.Reader)
	challenge := []string{"code_challenge", servertest.Challenge(servertest.Verifier), "code_challenge_method", "S256"}
	for name, c := range map[string]struct {
		began, ends []string
		good        bool
	}{
		"its verifier":            {challenge, []string{"code_verifier", servertest.Verifier}, true},
		"neither":                 {nil, nil, true},
		"another verifier":        {challenge, []string{"code_verifier", strings.ToUpper(servertest.Verifier)}, false},
		"no verifier":             {challenge, nil, false},
		"the challenge again":     {challenge, []string{"code_verifier", servertest.Challenge(servertest.Verifier)}, false},
		"a verifier from nowhere": {nil, []string{"code_verifier", servertest.Verifier}, false},
	} {
		codes := device(t, i, c.began...)
		letIn(t, b, codes)
		got := poll(t, i, codes, c.ends...)
		if c.good {
			if got.Status != http.StatusOK {
				t.Errorf("%s: %d %s", name, got.Status, got.Raw)
			}
			continue
		}
		expectTokenError(t, name, got, "invalid_grant")
		expectTokenError(t, name+", then the right one", poll(t, i, codes, "code_verifier", servertest.Verifier), "invalid_grant")
		early := device(t, i, c.began...)
		expectTokenError(t, name+", before anybody decided", poll(t, i, early, c.ends...), "invalid_grant")
	}
}

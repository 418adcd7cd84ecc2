package oauth_test

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// dead demands that nothing of these tokens is good any more: neither refresh nor access.
func dead(t testing.TB, i *servertest.Instance, what, client string, tokens servertest.Tokens) {
	t.Helper()
	if tokens.RefreshToken != "" {
		expectTokenError(t, what+": refresh", i.Refresh(t, client, tokens.RefreshToken), "invalid_grant")
	}
	if got := i.Introspect(t, demo.Machine, tokens.AccessToken); got["active"] != false || len(got) != 1 {
		t.Errorf("%s: introspection of the access token: %v", what, got)
	}
	if resp := get(t, i, "/userinfo", "Authorization", "Bearer "+tokens.AccessToken); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s: userinfo with the access token: %s", what, resp.Status)
	}
}

func TestThreat_TK01_ReplayedCodeTakesItsTokensAlong(t *testing.T) {
	onBoth(t, func(t *testing.T, i *servertest.Instance, restart func(*servertest.Instance) *servertest.Instance) {
		for _, wait := range []time.Duration{0, 30 * time.Second, time.Hour} {
			code := signedInCode(t, i, demo.SPA, "scope", offlineShows)
			tokens := i.Redeem(t, demo.SPA, code)
			if tokens.Status != 200 {
				t.Fatal(tokens.Raw)
			}
			i.Clock.Advance(wait)
			tokens = i.Refresh(t, demo.SPA, tokens.RefreshToken)
			expectTokenError(t, "replay", i.Redeem(t, demo.SPA, code), "invalid_grant")
			dead(t, i, "after the replay", demo.SPA, tokens)
			i = restart(i)
			dead(t, i, "after a restart", demo.SPA, tokens)
		}
	})
}

func TestThreat_TK02_ParallelRedemptionHasOneWinnerAndNoLiveFamily(t *testing.T) {
	onBoth(t, func(t *testing.T, i *servertest.Instance, _ func(*servertest.Instance) *servertest.Instance) {
		b := i.NewBrowser(t)
		b.SignIn(demo.Reader, i.Password(t, demo.Reader))
		for range proof.Times(4, 1000) {
			code := b.Authorize(demo.SPA, "scope", offlineShows).Answer(t)
			var winner atomic.Pointer[servertest.Tokens]
			var winners atomic.Int32
			atOnce(64, func(int) {
				got := i.Redeem(t, demo.SPA, code)
				if got.Status == 200 {
					winners.Add(1)
					winner.Store(&got)
					return
				}
				expectTokenError(t, "loser", got, "invalid_grant")
			})
			if winners.Load() != 1 {
				t.Fatalf("%d of 64 callers got tokens", winners.Load())
			}
			dead(t, i, "the winner's", demo.SPA, *winner.Load())
		}
	})
}

func TestThreat_TK03_CodeIsBoundToClientAndRedirectURI(t *testing.T) {
	i := house(t)
	b := i.NewBrowser(t)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	for name, c := range map[string]struct {
		client, redeemer string
		change           func(*servertest.Code)
	}{
		"another public client":               {demo.SPA, demo.Native, func(*servertest.Code) {}},
		"a confidential client":               {demo.SPA, demo.RegularWeb, func(*servertest.Code) {}},
		"a public client for a confidential":  {demo.RegularWeb, demo.SPA, func(*servertest.Code) {}},
		"another registered redirect_uri":     {demo.SPA, demo.SPA, func(c *servertest.Code) { c.RedirectURI = i.Content.Client(demo.SPA).RedirectURIs[1] }},
		"redirect_uri with a slash":           {demo.SPA, demo.SPA, func(c *servertest.Code) { c.RedirectURI += "/" }},
		"no redirect_uri":                     {demo.SPA, demo.SPA, func(c *servertest.Code) { c.RedirectURI = "" }},
		"another redirect_uri, confidential":  {demo.RegularWeb, demo.RegularWeb, func(c *servertest.Code) { c.RedirectURI = "https://evil.example/" }},
		"no redirect_uri, confidential":       {demo.RegularWeb, demo.RegularWeb, func(c *servertest.Code) { c.RedirectURI = "" }},
		"a loopback redirect_uri, other port": {demo.Native, demo.Native, func(c *servertest.Code) { c.RedirectURI = "http://127.0.0.1:9/callback" }},
	} {
		code := b.Authorize(c.client, "scope", offlineShows).Answer(t)
		honest := code
		c.change(&code)
		expectTokenError(t, name, i.Redeem(t, c.redeemer, code), "invalid_grant")
		expectTokenError(t, name+": the code afterwards", i.Redeem(t, c.client, honest), "invalid_grant")
	}
}

// Where the authorization request named no redirect_uri the token request may leave it out too, or
// repeat the client's default.
func TestRedirectURIThatWasNeverSent(t *testing.T) {
	i := house(t)
	b := i.NewBrowser(t)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	for _, uri := range []string{"", i.Content.Client(demo.SPA).DefaultRedirectURI} {
		code := b.Authorize(demo.SPA, "redirect_uri", "").Answer(t)
		code.RedirectURI = uri
		if got := i.Redeem(t, demo.SPA, code); got.Status != 200 {
			t.Errorf("redirect_uri %q: %s", uri, got.Raw)
		}
	}
	code := b.Authorize(demo.SPA, "redirect_uri", "").Answer(t)
	code.RedirectURI = i.Content.Client(demo.SPA).RedirectURIs[1]
	expectTokenError(t, "one that is registered and not the default", i.Redeem(t, demo.SPA, code), "invalid_grant")
}

func TestThreat_TK04_InjectedCodeMeetsPKCE(t *testing.T) {
	i := house(t)
	b := i.NewBrowser(t)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	for name, verifier := range map[string]string{
		"none": "", "another": strings.Repeat("b", 43), "the challenge itself": servertest.Challenge(servertest.Verifier), "short": "abc",
		"long": servertest.Verifier + strings.Repeat("a", 128), "cut": servertest.Verifier[:len(servertest.Verifier)-1], "upper case": strings.ToUpper(servertest.Verifier),
	} {
		code := b.Authorize(demo.SPA, "scope", offlineShows).Answer(t)
		honest := code
		code.Verifier = verifier
		expectTokenError(t, "verifier: "+name, i.Redeem(t, demo.SPA, code), "invalid_grant")
		expectTokenError(t, "verifier: "+name+", the code afterwards", i.Redeem(t, demo.SPA, honest), "invalid_grant")
	}
	// And a verifier for a code that knows no challenge is somebody's who was robbed of it.
	code := b.Authorize(demo.RegularWeb, "code_challenge", "", "code_challenge_method", "").Answer(t)
	expectTokenError(t, "verifier without a challenge", i.Redeem(t, demo.RegularWeb, code), "invalid_grant")
	code.Verifier = ""
	expectTokenError(t, "the code afterwards", i.Redeem(t, demo.RegularWeb, code), "invalid_grant")
}

func TestThreat_TK05_CodeEndsWithWhatItCameFrom(t *testing.T) {
	ctx := context.Background()
	for name, end := range map[string]func(t *testing.T, i *servertest.Instance, b *servertest.Browser){
		"60 seconds": func(_ *testing.T, i *servertest.Instance, _ *servertest.Browser) { i.Clock.Advance(time.Minute) },
		"sign-out": func(t *testing.T, i *servertest.Instance, b *servertest.Browser) {
			b.Get("/v2/logout?client_id=" + i.Content.Client(demo.ThirdParty).ClientID + "&returnTo=" + url.QueryEscape(i.Content.Client(demo.ThirdParty).LogoutURLs[0]))
		},
		"block": func(t *testing.T, i *servertest.Instance, _ *servertest.Browser) { i.Block(t, demo.Reader) },
		"block behind the core's back": func(t *testing.T, i *servertest.Instance, _ *servertest.Browser) {
			must(t, i.House.Tenant.DB.Write(ctx, func(tx *db.Tx) error {
				_, err := i.House.People.SetBlocked(tx, i.UserID(t, demo.Reader), true)
				return err
			}))
		},
		"deletion": func(t *testing.T, i *servertest.Instance, _ *servertest.Browser) {
			must(t, i.House.SignIn.Delete(ctx, i.House.Tenant, i.UserID(t, demo.Reader), audit.System()))
		},
		"withdrawn consent": func(t *testing.T, i *servertest.Instance, _ *servertest.Browser) { withdrawConsent(t, i) },
	} {
		t.Run(name, func(t *testing.T) {
			i := house(t)
			b := i.NewBrowser(t)
			b.SignIn(demo.Reader, i.Password(t, demo.Reader))
			code := consented(t, b)
			end(t, i, b)
			expectTokenError(t, name, i.Redeem(t, demo.ThirdParty, code), "invalid_grant")
		})
	}
	i := house(t)
	code := signedInCode(t, i, demo.SPA)
	i.Clock.Advance(time.Minute - time.Microsecond)
	if got := i.Redeem(t, demo.SPA, code); got.Status != 200 {
		t.Errorf("after just less than a minute: %s", got.Raw)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// consented runs the flow of the third-party client through its consent page.
func consented(t testing.TB, b *servertest.Browser) servertest.Code {
	t.Helper()
	p := b.Authorize(demo.ThirdParty, "scope", offlineShows)
	if p.StatusCode == http.StatusOK {
		p = b.Press(p, "allow")
	}
	return p.Answer(t)
}

func withdrawConsent(t testing.TB, i *servertest.Instance) {
	t.Helper()
	userID, clientID := i.UserID(t, demo.Reader), i.Content.Client(demo.ThirdParty).ClientID
	must(t, i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error { return i.House.Grants.WithdrawConsent(tx, userID, clientID) }))
}

// The nonce goes into the ID token if it was asked for, and else there is none: SDKs refuse both
// mistakes. Refreshed ID tokens keep who, when and where.
func TestIDTokenOfTheCodeFlow(t *testing.T) {
	i := house(t)
	b := i.NewBrowser(t)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	for _, client := range []string{demo.SPA, demo.RegularWeb, demo.Native} {
		plain := claims(t, i.TokensIn(t, b, client).IDToken)
		if _, has := plain["nonce"]; has {
			t.Errorf("%s: a nonce nobody asked for", client)
		}
		tokens := i.TokensIn(t, b, client, "scope", offline, "nonce", "n-0S6_WzA2Mj+/=")
		first := claims(t, tokens.IDToken)
		if first["nonce"] != "n-0S6_WzA2Mj+/=" {
			t.Errorf("%s: nonce %v", client, first["nonce"])
		}
		i.Clock.Advance(time.Hour)
		second := claims(t, i.Refresh(t, client, tokens.RefreshToken).IDToken)
		if _, has := second["nonce"]; has {
			t.Errorf("%s: a refreshed ID token has a nonce", client)
		}
		for _, name := range []string{"iss", "sub", "aud", "sid", "auth_time", "amr", "acr", "email", "email_verified", "name", "nickname", "given_name", "family_name", "updated_at"} {
			if first[name] == nil || !equal(first[name], second[name]) {
				t.Errorf("%s: %s was %v and is %v after a refresh", client, name, first[name], second[name])
			}
		}
		if aud, ok := first["aud"].(string); !ok || aud != i.Content.Client(client).ClientID {
			t.Errorf("%s: aud %v, want the client_id as a plain string", client, first["aud"])
		}
		if header := decodePart(t, tokens.IDToken, 0); header["alg"] != "RS256" || header["typ"] != "JWT" || header["kid"] == "" {
			t.Errorf("%s: header %v", client, header)
		}
		for _, name := range []string{"nbf", "session_expiry", "gid", "scope", "client_id"} {
			if _, has := first[name]; has {
				t.Errorf("%s: the ID token has %s", client, name)
			}
		}
	}
}

func equal(a, b any) bool {
	x, isList := a.([]any)
	y, alsoList := b.([]any)
	if isList && alsoList {
		return slices.Equal(x, y)
	}
	return a == b
}

// What an access token says, and that tokens of a device do not name the session.
func TestAccessTokenClaims(t *testing.T) {
	i := house(t)
	b := i.NewBrowser(t)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	for client, sid := range map[string]bool{demo.SPA: true, demo.RegularWeb: true, demo.Native: false} {
		tokens := i.TokensIn(t, b, client, "scope", "openid read:shows write:shows nonsense")
		c := claims(t, tokens.AccessToken)
		id := i.Content.Client(client).ClientID
		if _, has := c["sid"]; has != sid {
			t.Errorf("%s: sid %v, want it there: %v", client, c["sid"], sid)
		}
		want := []string{"acr", "amr", "aud", "auth_time", "azp", "client_id", "exp", "gid", "iat", "iss", "jti", "permissions", "scope", "sub"}
		if sid {
			want = append(want, "sid")
		}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(c)); !slices.Equal(got, want) {
			t.Errorf("%s: claims %v, want %v", client, got, want)
		}
		if c["iss"] != i.URL+"/" || c["sub"] != i.UserID(t, demo.Reader) || c["client_id"] != id || c["azp"] != id || c["scope"] != "openid read:shows" ||
			!equal(c["aud"], []any{demo.Audience, i.URL + "/userinfo"}) || !equal(c["permissions"], []any{"read:shows"}) || c["exp"].(float64)-c["iat"].(float64) != 600 {
			t.Errorf("%s: %v", client, c)
		}
		if header := decodePart(t, tokens.AccessToken, 0); header["typ"] != "at+jwt" || header["alg"] != "ES256" {
			t.Errorf("%s: header %v", client, header)
		}
		if tokens.Scope != "openid read:shows" {
			t.Errorf("%s: scope %q", client, tokens.Scope)
		}
	}
}

// A token that grows beyond its budget fails by the name of the claim that broke it, in the log
// alone.
func TestTokenBeyondItsBudget(t *testing.T) {
	log := &syncBuffer{}
	i := servertest.New(t, servertest.Options{Log: log})
	api, err := i.House.Apps.API(context.Background(), i.House.Tenant, demo.Audience)
	must(t, err)
	big := *api
	big.EnforcePermissions = false
	for n := range 60 {
		big.Permissions = append(big.Permissions, apps.Permission{Value: strings.Repeat("x", 80) + ":" + string(rune('a'+n%26)) + string(rune('a'+n/26))})
	}
	must(t, i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error { return i.House.Apps.UpdateAPI(tx, &big) }))
	machine, err := i.House.Apps.Client(context.Background(), i.House.Tenant, i.Content.Client(demo.Machine).ClientID)
	must(t, err)
	m := *machine
	m.Grants[demo.Audience] = big.Scopes()
	must(t, i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error { return i.House.Apps.UpdateClient(tx, &m) }))
	got := i.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials")
	if got.Status != 500 || got.Error != "server_error" || strings.Contains(got.Raw, "scope") || !strings.Contains(log.String(), "largest claim is scope") {
		t.Errorf("%d %s", got.Status, got.Raw)
	}
}

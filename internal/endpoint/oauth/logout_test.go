package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// alive reports whether a browser is signed in still, as an application would see it.
func alive(t testing.TB, b *servertest.Browser) bool {
	t.Helper()
	return b.Authorize(demo.SPA, "prompt", "none").Answer(t).Code != ""
}

func logoutQuery(pairs ...string) string { return with(url.Values{}, pairs...).Encode() }

// An application that is signed in, and what it holds.
func application(t testing.TB, i *servertest.Instance, email, client string) (servertest.Tokens, *servertest.Browser) {
	t.Helper()
	return i.TokensFor(t, email, client, "scope", "openid offline_access read:shows")
}

func TestLogoutEndsTheSessionAndWhatItGranted(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	client := i.Content.Client(demo.SPA).ClientID
	for name, ask := range map[string]func(servertest.Tokens) string{
		"/v2/logout": func(servertest.Tokens) string {
			return "/v2/logout?federated&auth0Client=eyJ9&" + logoutQuery("client_id", client, "returnTo", "http://localhost:3000")
		},
		"/oidc/logout": func(tokens servertest.Tokens) string {
			return "/oidc/logout?federated&" + logoutQuery("client_id", client, "post_logout_redirect_uri", "http://localhost:3000", "id_token_hint", tokens.IDToken)
		},
		"/oidc/logout without client_id": func(tokens servertest.Tokens) string {
			return "/oidc/logout?" + logoutQuery("post_logout_redirect_uri", "http://localhost:3000", "id_token_hint", tokens.IDToken)
		},
	} {
		tokens, b := application(t, i, demo.Reader, demo.SPA)
		native := i.TokensIn(t, b, demo.Native, "scope", "openid offline_access")
		p := b.Get(ask(tokens))
		if p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != "http://localhost:3000" || p.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %s to %q", name, p.Status, p.Header.Get("Location"))
		}
		if b.Cookie("gatehouse_sso") != "" || alive(t, b) {
			t.Errorf("%s: the session lives", name)
		}
		if got := i.Refresh(t, demo.SPA, tokens.RefreshToken); got.Error != "invalid_grant" {
			t.Errorf("%s: the refresh token lives: %s", name, got.Raw)
		}
		if got := i.Introspect(t, demo.Machine, tokens.AccessToken); got["active"] != false {
			t.Errorf("%s: introspection says %v", name, got)
		}
		if got := i.Refresh(t, demo.Native, native.RefreshToken); got.Error != "" {
			t.Errorf("%s: a device is signed out, too: %s", name, got.Raw)
		}
	}
}

func TestLogoutAfterAnHourAndADay(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	tokens, b := application(t, i, demo.Reader, demo.SPA)
	i.Clock.Advance(26 * time.Hour) // the ID token has long expired
	p := b.Get("/oidc/logout?" + logoutQuery("id_token_hint", tokens.IDToken, "post_logout_redirect_uri", "http://localhost:3000/", "state", "a+b/="))
	if got := p.Header.Get("Location"); got != "http://localhost:3000/?state=a%2Bb%2F%3D" || alive(t, b) {
		t.Errorf("%s to %q", p.Status, got)
	}
}

func TestThreat_LO01_LogoutLeadsOnlyWhereItIsRegistered(t *testing.T) {
	i := servertest.New(t, servertest.Options{Extras: []demo.Extra{
		{Name: webApp, Type: apps.RegularWeb, RedirectURIs: []string{"https://app.example/callback"}, LogoutURLs: []string{"https://app.example/bye"}},
	}})
	client := i.Content.Client(webApp).ClientID
	targets := []string{"https://evil.test/", "https://app.example/", "https://app.example/callback", "http://localhost:3000", "//evil.test", "javascript:alert(1)", "/", "/u/sign-in"}
	for _, uri := range mutantsOf("https://app.example/bye") {
		if uri != "" {
			targets = append(targets, uri)
		}
	}
	tokens, b := application(t, i, demo.Reader, webApp)
	for _, to := range targets {
		for _, ask := range []string{
			"/v2/logout?" + logoutQuery("client_id", client, "returnTo", to),
			"/v2/logout?" + logoutQuery("returnTo", to),
			"/oidc/logout?" + logoutQuery("client_id", client, "post_logout_redirect_uri", to),
			"/oidc/logout?" + logoutQuery("id_token_hint", tokens.IDToken, "post_logout_redirect_uri", to),
			"/oidc/logout?" + logoutQuery("post_logout_redirect_uri", to),
		} {
			if p := b.Get(ask); p.Header.Get("Location") != "" || p.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s to %q", ask, p.Status, p.Header.Get("Location"))
			}
		}
	}
	b.SignIn(demo.Reader, i.Password(t, demo.Reader)) // the hint has let them out
	const bye = "https://app.example/bye"
	for _, ask := range []string{ // nobody vouches for it
		"/v2/logout?" + logoutQuery("returnTo", bye), "/oidc/logout?" + logoutQuery("post_logout_redirect_uri", bye),
		"/v2/logout?" + logoutQuery("client_id", i.Content.Client(demo.SPA).ClientID, "returnTo", bye),
		"/oidc/logout?" + logoutQuery("client_id", i.Content.Client(demo.SPA).ClientID, "post_logout_redirect_uri", bye),
		"/oidc/logout?" + logoutQuery("client_id", strings.Repeat("A", 32), "post_logout_redirect_uri", bye),
	} {
		if p := b.Get(ask); p.Header.Get("Location") != "" {
			t.Errorf("%s: to %q", ask, p.Header.Get("Location"))
		}
	}
	if !alive(t, b) {
		t.Error("a refused logout ended the session")
	}
	change(t, i, webApp, func(c *apps.Client) { c.Disabled = true })
	if p := b.Get("/v2/logout?" + logoutQuery("client_id", client, "returnTo", bye)); p.Header.Get("Location") != "" {
		t.Error("a disabled client is returned to")
	}
}

// With nowhere to return to there is a page, whatever else was sent along.
func TestThreat_LO01_StateLeadsNowhere(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	expectPage(t, b.Get("/oidc/logout?state=x"), http.StatusOK, titleSignedOut)
	expectPage(t, b.Get("/v2/logout?state=x"), http.StatusOK, titleSignedOut)
	if p := b.Get("/oidc/logout?" + logoutQuery("client_id", i.Content.Client(demo.SPA).ClientID, "post_logout_redirect_uri", "http://localhost:3000", "state", strings.Repeat("x", 3000))); p.Header.Get("Location") != "" {
		t.Error("a state of 3 KB is echoed")
	}
	b = signedIn(t, i, demo.Reader)
	p := b.Get("/oidc/logout?state=x")
	expectPage(t, p, http.StatusOK, titleSignOut)
	expectPage(t, b.Press(p, "sign_out"), http.StatusOK, titleSignedOut)
}

func TestThreat_LO03_NoLogoutWithoutThePerson(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	client := i.Content.Client(demo.SPA).ClientID
	trusted := "/v2/logout?" + logoutQuery("client_id", client, "returnTo", "http://localhost:3000")
	tokens, b := application(t, i, demo.Reader, demo.SPA)
	hinted := "/oidc/logout?" + logoutQuery("id_token_hint", tokens.IDToken, "post_logout_redirect_uri", "http://localhost:3000")

	// Without a hint for this very session the person is asked.
	_, other := application(t, i, demo.Stranger, demo.SPA)
	bob := i.TokensIn(t, other, demo.SPA)
	elsewhere, _ := application(t, i, demo.Reader, demo.SPA)
	for name, ask := range map[string]string{
		"nothing": "/oidc/logout", "a client": "/oidc/logout?client_id=" + client, "v2 with nothing": "/v2/logout", "v2 with a client": "/v2/logout?client_id=" + client,
		"client and address": "/oidc/logout?" + logoutQuery("client_id", client, "post_logout_redirect_uri", "http://localhost:3000"),
		"another's hint":     "/oidc/logout?" + logoutQuery("id_token_hint", bob.IDToken, "post_logout_redirect_uri", "http://localhost:3000"),
		"v2, another's hint": trusted + "&id_token_hint=" + bob.IDToken,
		"another session":    "/oidc/logout?" + logoutQuery("id_token_hint", elsewhere.IDToken, "post_logout_redirect_uri", "http://localhost:3000"),
	} {
		p := b.Get(ask)
		if p.StatusCode != http.StatusOK || p.Title() != titleSignOut || p.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %s %q", name, p.Status, p.Title())
		}
	}
	// What no person navigated to ends nothing, and takes no cookie away.
	for _, dest := range []string{"image", "iframe", "script", "empty", "object", "embed", "style", "frame"} {
		for _, ask := range []string{trusted, hinted} {
			for _, cookies := range []string{b.CookieHeader(), ""} {
				r := b.Request(http.MethodGet, ask, "", "Sec-Fetch-Dest", dest, "Sec-Fetch-Site", "cross-site")
				bare := i.NewBrowser(t)
				if cookies != "" {
					r.Header.Set("Cookie", cookies)
				}
				p := bare.Send(r)
				for _, c := range p.Cookies() {
					if c.MaxAge < 0 {
						t.Errorf("%s as %s: takes %s away", ask, dest, c.Name)
					}
				}
			}
		}
	}
	// A browser that holds the cookie back, as for a form of another site, keeps it.
	bare := i.NewBrowser(t)
	for _, ask := range []string{"/oidc/logout", trusted} {
		if p := bare.Get(ask); len(p.Cookies()) > 0 && p.Cookies()[0].MaxAge < 0 {
			t.Errorf("%s: %v", ask, p.Cookies())
		}
	}
	if !alive(t, b) {
		t.Fatal("the session has ended")
	}
	// The page that asks is bound to the browser and the session it was drawn in.
	ask := b.Get("/oidc/logout")
	form := ask.Hidden()
	form.Set("action", "sign_out")
	expectRefusal(t, other.Post("/u/sign-out", form))
	for _, bad := range []string{"cross-site", "same-site"} {
		r := b.Request(http.MethodPost, "/u/sign-out", form.Encode(), "Sec-Fetch-Site", bad)
		if p := b.Send(r); p.StatusCode != http.StatusForbidden {
			t.Errorf("from %s: %s", bad, p.Status)
		}
	}
	if p := b.Press(ask, "stay"); p.Header.Get("Location") != "/u/sign-in" || !alive(t, b) {
		t.Errorf("staying: %s", p.Status)
	}
	b.SignIn(demo.Stranger, i.Password(t, demo.Stranger))
	if b.Press(ask, "sign_out"); !alive(t, b) {
		t.Error("the page drawn for one person signed another out")
	}
	ask = b.Get("/oidc/logout?" + logoutQuery("client_id", client, "post_logout_redirect_uri", "http://localhost:3000", "state", "x"))
	if p := b.Press(ask, "sign_out"); p.Header.Get("Location") != "http://localhost:3000?state=x" || alive(t, b) {
		t.Errorf("confirmed: %s to %q", p.Status, p.Header.Get("Location"))
	}
}

// A hint about somebody else proves that the application does not mean who sits here: they are asked, and led
// nowhere. A hint of a device names no session, so there it is the person that decides.
func TestThreat_LO04_HintOfSomebodyElse(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Stranger)
	tv, other := device(t, i), signedIn(t, i, demo.Reader)
	letIn(t, other, tv)
	for name, hint := range map[string]string{
		demo.SPA: i.TokensIn(t, other, demo.SPA).IDToken, demo.RegularWeb: i.TokensIn(t, other, demo.RegularWeb).IDToken, demo.Native: poll(t, i, tv).IDToken,
	} {
		client := i.Content.Client(name)
		query := logoutQuery("id_token_hint", hint, "client_id", client.ClientID)
		if len(client.LogoutURLs) > 0 {
			query += "&" + logoutQuery("post_logout_redirect_uri", client.LogoutURLs[0])
		}
		for _, path := range []string{"/oidc/logout?", "/v2/logout?"} {
			if p := b.Get(path + query); p.StatusCode != http.StatusOK || p.Title() != titleSignOut || p.Header.Get("Location") != "" {
				t.Errorf("%s, %s: %s %q to %q", name, path, p.Status, p.Title(), p.Header.Get("Location"))
			}
		}
		if hint == "" || !alive(t, b) || !alive(t, other) {
			t.Fatalf("%s: a hint about somebody else ended a session", name)
		}
	}
}

// Whoever leaves late shows an ID token that has expired, signed with a key that signs no more.
func TestThreat_LO04_OldHint(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	tokens, b := application(t, i, demo.Reader, demo.SPA)
	i.RotateKeys(t)
	i.Clock.Advance(24 * time.Hour)
	if fresh, _ := application(t, i, demo.Reader, demo.SPA); strings.Split(fresh.IDToken, ".")[0] == strings.Split(tokens.IDToken, ".")[0] {
		t.Fatal("the same key signs")
	}
	p := b.Get("/oidc/logout?" + logoutQuery("id_token_hint", tokens.IDToken, "post_logout_redirect_uri", "http://localhost:3000"))
	if p.Header.Get("Location") != "http://localhost:3000" || alive(t, b) {
		t.Errorf("%s to %q", p.Status, p.Header.Get("Location"))
	}
}

func TestThreat_LO04_HintsThatAreNone(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	tokens, b := application(t, i, demo.Reader, demo.SPA)
	web := i.TokensIn(t, b, demo.RegularWeb)
	client := i.Content.Client(demo.SPA).ClientID
	head, rest, _ := strings.Cut(tokens.IDToken, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	flipped := signature[:10] + string(signature[10]^1) + signature[11:]
	for name, hint := range map[string]string{
		"changed signature": head + "." + payload + "." + flipped, "no signature": head + "." + payload + ".", "alg none": "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + payload + ".",
		"access token": tokens.AccessToken, "refresh token": tokens.RefreshToken, "nonsense": "x.y.z", "huge": strings.Repeat("a", 20_000), "of another client": web.IDToken,
	} {
		p := b.Get("/oidc/logout?" + logoutQuery("client_id", client, "id_token_hint", hint, "post_logout_redirect_uri", "http://localhost:3000"))
		if p.Header.Get("Location") != "" || p.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s to %q", name, p.Status, p.Header.Get("Location"))
		}
		// Without cookies such a hint must end nothing either.
		i.NewBrowser(t).Get("/oidc/logout?" + logoutQuery("id_token_hint", hint))
		i.NewBrowser(t).Get("/v2/logout?" + logoutQuery("id_token_hint", hint))
		if name != "of another client" && !alive(t, b) {
			t.Fatalf("%s ended the session", name)
		}
		b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	}
	// An access token that looks like an ID token ends no session where nobody else has a say.
	bare := i.NewBrowser(t)
	bare.Get("/v2/logout?" + logoutQuery("id_token_hint", tokens.AccessToken))
	if !alive(t, b) {
		t.Error("an access token ended the session")
	}
}

// The application knows which session it means, also where the browser sends no cookie of ours.
func TestThreat_LO08_LogoutWithoutCookiesEndsTheHintedSession(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		tokens, b := application(t, i, demo.Reader, demo.SPA)
		old := b.Cookie("gatehouse_sso")
		bare := i.NewBrowser(t)
		query := logoutQuery("id_token_hint", tokens.IDToken, "post_logout_redirect_uri", "http://localhost:3000")
		p := bare.Get("/oidc/logout?" + query)
		if method == http.MethodPost {
			form, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			if p = bare.Post("/oidc/logout", form); strings.HasPrefix(p.Header.Get("Location"), "/") {
				p = bare.Get(p.Header.Get("Location"))
			}
		}
		if p.Header.Get("Location") != "http://localhost:3000" || alive(t, b) {
			t.Errorf("%s: %s to %q", method, p.Status, p.Header.Get("Location"))
		}
		if got := i.Refresh(t, demo.SPA, tokens.RefreshToken); got.Error != "invalid_grant" {
			t.Errorf("%s: %s", method, got.Raw)
		}
		// Whoever sits down next starts with nothing, under ids that were never used.
		b.SignIn(demo.Stranger, i.Password(t, demo.Stranger))
		next := i.TokensIn(t, b, demo.SPA)
		before, after := verifiedIDToken(t, i, b, tokens.IDToken, demo.SPA, "", ""), verifiedIDToken(t, i, b, next.IDToken, demo.SPA, "", "")
		if b.Cookie("gatehouse_sso") == old || before.SessionID == after.SessionID || before.Subject == after.Subject {
			t.Error("an id came back")
		}
		b.SetCookie("gatehouse_sso", old)
		if alive(t, b) {
			t.Error("the old id lives")
		}
	}
}

package oauth_test

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

func TestThreat_AZ13_ScopeIsWhatTheClientMayHave(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Administrator)
	to := redirectURI(i, demo.SPA)
	for asked, want := range map[string]string{
		"openid":                                 "openid",
		"openid openid read:shows":               "openid read:shows",
		"openid delete:everything read:shows":    "openid read:shows",
		"read:shows create:clients update:users": "read:shows",
		"openid profile x:y email":               "openid profile email",
	} {
		tokens := i.Redeem(t, demo.SPA, expectCode(t, i, b.Authorize(demo.SPA, "scope", asked), to))
		if tokens.Scope != want {
			t.Errorf("%q gave %q, want %q", asked, tokens.Scope, want)
		}
	}
	many := make([]string, 10_000)
	for n := range many {
		many[n] = "s" + strings.Repeat("x", n%7)
	}
	for _, asked := range []string{"nothing:known", "OPENID", "Read:Shows", "\"openid\"", `open\id`, strings.Join(many[:4000], " "), strings.Repeat("a", 5000)} {
		a := b.Authorize(demo.SPA, "scope", asked).Answer(t)
		if a.RedirectURI != to || a.Code != "" || a.Error != "invalid_scope" && a.Error != "invalid_request" {
			t.Errorf("%.40q: %+v", asked, a)
		}
	}
	for n := range many {
		many[n] = "s" + string(rune('a'+n%26)) + string(rune('a'+n/26%26)) + string(rune('a'+n/676))
	}
	form := with(i.AuthorizeQuery(demo.SPA), "scope", strings.Join(many, " "))
	if a := b.Post("/authorize", form).Answer(t); a.Code != "" || a.Error == "" {
		t.Errorf("10,000 scopes: %+v", a)
	}
	// Without any scope an API gives all it has, identity not among it; without an API there is nothing.
	if tokens := i.Redeem(t, demo.SPA, expectCode(t, i, b.Authorize(demo.SPA, "scope", ""), to)); tokens.Scope != "read:shows write:shows" || tokens.IDToken != "" {
		t.Errorf("no scope: %s", tokens.Raw)
	}
	expectError(t, i, b.Authorize(demo.SPA, "scope", "", "audience", i.URL+"/userinfo"), to, "invalid_scope")
	for _, audience := range []string{"https://api/tv-shows/", "https://API/tv-shows", "https://api", "https://nowhere"} {
		expectError(t, i, b.Authorize(demo.SPA, "audience", audience), to, "invalid_target")
	}
}

// Who may read shows is decided when a token is made, by the permissions of the person.
func TestThreat_AZ13_ScopeIsWhatThePersonMayHave(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	for email, want := range map[string]string{demo.Reader: "openid read:shows", demo.Stranger: "openid", demo.Administrator: "openid read:shows write:shows"} {
		tokens, _ := i.TokensFor(t, email, demo.SPA, "scope", "openid read:shows write:shows")
		if tokens.Scope != want {
			t.Errorf("%s: %q, want %q", email, tokens.Scope, want)
		}
	}
}

// An API may decide by permissions in place of scopes. An application of ours says all that the person may do
// there, whatever it asked for by name, as verifiers of Auth0's tokens expect; one of somebody else's says no
// more than was consented to.
func TestThreat_AZ14_PermissionsAreWhatWasConsentedTo(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	all := []any{demo.ReadShows, demo.WriteShows}
	for _, test := range []struct {
		client, asked, scope string
		permissions          any
	}{
		{demo.RegularWeb, "openid", "openid", all},
		{demo.RegularWeb, "openid read:shows", "openid read:shows", all},
		{demo.ThirdParty, "openid", "openid", nil},
		{demo.ThirdParty, "openid offline_access read:shows", "openid offline_access read:shows", []any{demo.ReadShows}},
		{demo.ThirdParty, "read:shows write:shows", "read:shows write:shows", all},
	} {
		tokens, _ := i.TokensFor(t, demo.Administrator, test.client, "scope", test.asked)
		for step := range 2 {
			if got := claims(t, tokens.AccessToken); got["scope"] != test.scope || !reflect.DeepEqual(got["permissions"], test.permissions) {
				t.Errorf("%s asks for %q (%d): scope %q, permissions %v", test.client, test.asked, step, got["scope"], got["permissions"])
			}
			if tokens.RefreshToken == "" {
				break
			}
			tokens = i.PostForm(t, "/oauth/token", test.client, "grant_type", "refresh_token", "refresh_token", tokens.RefreshToken)
		}
	}
}

func TestThreat_AZ14_ConsentIsForWhatWasShown(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Administrator)
	to := redirectURI(i, demo.ThirdParty)
	ask := func(scope string, more ...string) *servertest.Page {
		return b.Authorize(demo.ThirdParty, append([]string{"scope", scope}, more...)...)
	}
	page := ask("openid read:shows")
	expectPage(t, page, http.StatusOK, titleConsent)
	for _, shown := range []string{"See the list of TV shows", "TV Shows", demo.Administrator, "localhost:3000"} {
		if !strings.Contains(page.Body, shown) {
			t.Errorf("the page does not say %q", shown)
		}
	}
	if strings.Contains(page.Body, "Add TV shows") {
		t.Error("the page names what was not asked for")
	}
	expectError(t, i, ask("openid read:shows", "prompt", "none"), to, "consent_required")

	// What a POST adds to the page counts for nothing.
	a := expectCode(t, i, b.Press(page, "allow", "scope", "openid read:shows write:shows", "audience", "https://api/tv-shows", "shown", "write:shows"), to)
	if tokens := i.Redeem(t, demo.ThirdParty, a); tokens.Scope != "openid read:shows" {
		t.Errorf("the code is for %q", tokens.Scope)
	}
	// The same, or less, is not asked again; more is, by whatever way it comes.
	expectCode(t, i, ask("openid read:shows"), to)
	expectCode(t, i, ask("read:shows", "prompt", "none"), to)
	for _, more := range []string{"openid read:shows write:shows", "write:shows", "openid profile", "openid read:shows offline_access"} {
		expectPage(t, ask(more), http.StatusOK, titleConsent)
		expectError(t, i, ask(more, "prompt", "none"), to, "consent_required")
	}
	// prompt=consent always asks, the tenant's own clients too.
	expectPage(t, ask("openid read:shows", "prompt", "consent"), http.StatusOK, titleConsent)
	first := b.Authorize(demo.SPA, "prompt", "consent")
	if !strings.HasPrefix(first.Title(), "Allow ") {
		t.Errorf("prompt=consent of a client of ours: %s %q", first.Status, first.Title())
	}
	expectCode(t, i, b.Press(first, "allow"), redirectURI(i, demo.SPA))

	// Another client, by the same name and address, has nothing of it; nor has another person.
	twin, secret := apps.NewClient(demo.ThirdParty, apps.RegularWeb)
	twin.ThirdParty, twin.RedirectURIs, twin.Audience = true, []string{to}, demo.Audience
	if err := i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error { return i.House.Apps.CreateClient(tx, twin) }); err != nil || secret == "" {
		t.Fatal(err)
	}
	expectPage(t, ask("openid read:shows", "client_id", twin.ClientID), http.StatusOK, titleConsent)
	expectPage(t, signedIn(t, i, demo.Reader).Authorize(demo.ThirdParty, "scope", "openid read:shows"), http.StatusOK, titleConsent)
	// Nor is what was allowed at one API allowed at another.
	expectPage(t, ask("openid read:shows", "audience", i.URL+"/userinfo"), http.StatusOK, titleConsent)
}

func TestThreat_AZ14_SayingNo(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	to := redirectURI(i, demo.ThirdParty)
	page := b.Authorize(demo.ThirdParty)
	expectError(t, i, b.Press(page, "deny"), to, "access_denied")
	expectPage(t, b.Authorize(demo.ThirdParty), http.StatusOK, titleConsent) // nothing is remembered
	if f := b.Press(b.Authorize(demo.ThirdParty, "response_mode", "form_post"), "deny").Hidden(); f.Get("error") != "access_denied" || f.Get("iss") != i.URL+"/" {
		t.Errorf("%v", f)
	}
	expectCode(t, i, b.Press(page, "allow"), to) // the page that is still open is as good as before
}

// A consent page belongs to the person it was drawn for.
func TestThreat_AZ14_ConsentPageOfSomebodyElse(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	page := b.Authorize(demo.ThirdParty)
	expectPage(t, page, http.StatusOK, titleConsent)
	b.SignIn(demo.Stranger, i.Password(t, demo.Stranger)) // in another tab
	for _, action := range []string{"allow", "deny", "continue"} {
		again := b.Press(page, action)
		expectPage(t, again, http.StatusOK, titleConsent)
		if !strings.Contains(again.Body, demo.Stranger) {
			t.Errorf("%s: the page does not name who is asked now", action)
		}
	}
	b.SetCookie("gatehouse_sso", "")
	for _, action := range []string{"allow", "deny"} {
		expectPage(t, b.Press(page, action), http.StatusOK, titleSignIn)
	}
}

func TestConsentThenSomebodyElse(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	page := b.Press(b.Authorize(demo.ThirdParty), "switch")
	expectPage(t, page, http.StatusOK, titleSignIn)
	page = b.As(page, demo.Stranger)
	expectPage(t, page, http.StatusOK, titleConsent)
	tokens := i.Redeem(t, demo.ThirdParty, expectCode(t, i, b.Press(page, "allow"), redirectURI(i, demo.ThirdParty)))
	if claims := verifiedIDToken(t, i, b, tokens.IDToken, demo.ThirdParty, "", ""); claims.Email != demo.Stranger {
		t.Errorf("tokens of %s", claims.Email)
	}
}

// age of the sign-in behind the tokens a client gets for this request.
func authTime(t *testing.T, i *servertest.Instance, b *servertest.Browser, p *servertest.Page) time.Time {
	t.Helper()
	tokens := i.Redeem(t, demo.SPA, expectCode(t, i, p, redirectURI(i, demo.SPA)))
	return verifiedIDToken(t, i, b, tokens.IDToken, demo.SPA, "", "").AuthTime.Time()
}

func TestThreat_AZ15_SigningInAgainIsReallyDone(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	for name, ask := range map[string][]string{"prompt=login": {"prompt", "login"}, "max_age=0": {"max_age", "0"}, "max_age=1": {"max_age", "1"}} {
		b := signedIn(t, i, demo.Reader)
		i.Clock.Advance(2 * time.Second)
		page := b.Authorize(demo.SPA, ask...)
		expectPage(t, page, http.StatusOK, titleSignIn)
		// A page that is answered by anything but a password stays where it is.
		for _, action := range []string{"continue", "restart", "switch", "allow", "bogus", ""} {
			expectPage(t, b.Press(page, action), http.StatusOK, titleSignIn)
		}
		if p := b.Enter(page, demo.Reader, "wrong-password-here"); p.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s, wrong password: %s", name, p.Status)
		}
		i.Clock.Advance(3 * time.Second)
		now := i.Clock.Now()
		if got := authTime(t, i, b, b.As(page, demo.Reader)); !got.Equal(now.Truncate(time.Second)) {
			t.Errorf("%s: auth_time %s, want %s", name, got, now)
		}
		// The next request with it asks once more.
		i.Clock.Advance(2 * time.Second)
		expectPage(t, b.Authorize(demo.SPA, ask...), http.StatusOK, titleSignIn)
		expectError(t, i, b.Authorize(demo.SPA, "max_age", "0", "prompt", "none"), redirectURI(i, demo.SPA), "login_required")
	}
	// Young enough is young enough, and leaves auth_time alone.
	b := signedIn(t, i, demo.Reader)
	at := i.Clock.Now()
	// No sign-in is young enough for max_age=0, not that of this very moment.
	expectError(t, i, b.Authorize(demo.SPA, "max_age", "0", "prompt", "none"), redirectURI(i, demo.SPA), "login_required")
	i.Clock.Advance(9 * time.Second)
	if got := authTime(t, i, b, b.Authorize(demo.SPA, "max_age", "10")); !got.Equal(at.Truncate(time.Second)) {
		t.Errorf("auth_time %s, want %s", got, at)
	}
	i.Clock.Advance(2 * time.Second)
	expectError(t, i, b.Authorize(demo.SPA, "max_age", "10", "prompt", "none"), redirectURI(i, demo.SPA), "login_required")
	for _, bad := range []string{"-1", "1.5", "1e3", "abc", "99999999999999999999", " 1", "0x10"} {
		expectError(t, i, b.Authorize(demo.SPA, "max_age", bad), redirectURI(i, demo.SPA), "invalid_request")
	}
}

// Going on as who is signed in, by the page of another flow, is no sign-in.
func TestThreat_AZ15_NoSealSkipsTheSignIn(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	i.Clock.Advance(time.Second)
	chooser := b.Authorize(demo.SPA, "prompt", "select_account")
	expectPage(t, chooser, http.StatusOK, titleSignedIn)
	demanding := b.Authorize(demo.SPA, "prompt", "login select_account")
	expectPage(t, demanding, http.StatusOK, titleSignIn)
	form := demanding.Hidden()
	form.Set("action", "continue")
	for _, path := range []string{"/u/sign-in", "/u/consent", "/u/sign-up", "/u/forgot"} {
		if p := b.Post(path, form); p.Header.Get("Location") != "" && strings.Contains(p.Header.Get("Location"), "code=") {
			t.Errorf("%s: a code without a sign-in", path)
		}
	}
	expectCode(t, i, b.Press(chooser, "continue"), redirectURI(i, demo.SPA))
}

// A sub that is demanded by the claims parameter is as good as a hint (OpenID Connect Core section
// 3.1.2.2): nobody else is let through.
func TestThreat_AZ15_DemandedSubject(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	to, b := redirectURI(i, demo.SPA), signedIn(t, i, demo.Reader)
	alice, bob := i.UserID(t, demo.Reader), i.UserID(t, demo.Stranger)
	demand := func(sub string) string { return `{"id_token":{"sub":{"value":"` + sub + `"}}}` }
	expectCode(t, i, b.Authorize(demo.SPA, "claims", demand(alice), "prompt", "none"), to)
	expectError(t, i, b.Authorize(demo.SPA, "claims", demand(bob), "prompt", "none"), to, "login_required")
	expectError(t, i, b.Authorize(demo.SPA, "claims", `{"id_token":{"sub":{"value":7}}}`), to, "invalid_request")
	expectCode(t, i, b.Authorize(demo.SPA, "claims", `{"id_token":{"sub":null},"userinfo":{"sub":{"value":"anybody"}}}`, "prompt", "none"), to)
	hint := i.TokensIn(t, b, demo.SPA).IDToken
	expectCode(t, i, b.Authorize(demo.SPA, "claims", demand(alice), "id_token_hint", hint), to)
	expectError(t, i, b.Authorize(demo.SPA, "claims", demand(bob), "id_token_hint", hint), to, "invalid_request") // who, then?
	page := b.Authorize(demo.SPA, "claims", demand(bob))
	expectPage(t, page, http.StatusOK, titleSignIn)
	i.Clock.Advance(time.Second)
	expectPage(t, b.As(page, demo.Reader), http.StatusOK, titleSignIn, "asks for another account") // still not whom the application demands
	expectCode(t, i, b.As(page, demo.Stranger), to)
}

func TestThreat_AZ15_HintsAuthenticateNobody(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	to := redirectURI(i, demo.SPA)
	alice, b := i.TokensFor(t, demo.Reader, demo.SPA)
	bob, other := i.TokensFor(t, demo.Stranger, demo.SPA)

	stranger := i.NewBrowser(t)
	for _, ask := range [][]string{{"id_token_hint", alice.IDToken}, {"login_hint", demo.Reader}} {
		expectPage(t, stranger.Authorize(demo.SPA, ask...), http.StatusOK, titleSignIn)
		expectError(t, i, stranger.Authorize(demo.SPA, append(ask, "prompt", "none")...), to, "login_required")
	}
	// The hint of the person at hand changes nothing; that of another lets nobody switch silently.
	expectCode(t, i, b.Authorize(demo.SPA, "id_token_hint", alice.IDToken, "prompt", "none"), to)
	expectError(t, i, b.Authorize(demo.SPA, "id_token_hint", bob.IDToken, "prompt", "none"), to, "login_required")
	page := b.Authorize(demo.SPA, "id_token_hint", bob.IDToken)
	expectPage(t, page, http.StatusOK, titleSignIn)
	i.Clock.Advance(time.Second)
	expectPage(t, b.As(page, demo.Reader), http.StatusOK, titleSignIn, "asks for another account") // still not whom the application expects
	expectCode(t, i, b.As(page, demo.Stranger), to)
	expectCode(t, i, other.Authorize(demo.SPA, "id_token_hint", bob.IDToken), to)

	// What is no ID token of this client for this issuer is no hint.
	web, _ := i.TokensFor(t, demo.Reader, demo.RegularWeb, "scope", "openid offline_access")
	broken := alice.IDToken[:len(alice.IDToken)-4] + "AAAA"
	for name, hint := range map[string]string{
		"another client's": web.IDToken, "access token": alice.AccessToken, "refresh token": web.RefreshToken, "forged": broken, "none": "eyJhbGciOiJub25lIn0.e30.", "nonsense": "x",
	} {
		if a := expectError(t, i, other.Authorize(demo.SPA, "id_token_hint", hint), to, "invalid_request"); a.Code != "" {
			t.Errorf("%s was taken for a hint", name)
		}
	}
	// A hint may be old.
	i.Clock.Advance(11 * time.Hour)
	expectCode(t, i, other.Authorize(demo.SPA, "id_token_hint", bob.IDToken, "prompt", "none"), to)
	// login_hint fills in a field and does no more.
	if p := stranger.Authorize(demo.SPA, "login_hint", `"><script>alert(1)</script>`); strings.Contains(p.Body, "<script>alert") {
		t.Error("login_hint became markup")
	}
	if p := stranger.Authorize(demo.SPA, "login_hint", "carol@example.com"); !strings.Contains(p.Body, `value="carol@example.com"`) {
		t.Error("login_hint is not filled in")
	}
}

func TestThreat_AZ18_EssentialACR(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	to := redirectURI(i, demo.SPA)
	for claims, want := range map[string]string{
		`{"id_token":{"acr":{"essential":true,"value":"urn:mace:incommon:iap:silver"}}}`:                   "unmet_authentication_requirements",
		`{"id_token":{"acr":{"essential":true,"values":["a","b"]}}}`:                                       "unmet_authentication_requirements",
		`{"id_token":{"acr":{"essential":true,"values":["a","urn:gatehouse:acr:password"]}}}`:              "",
		`{"id_token":{"acr":{"essential":true}}}`:                                                          "",
		`{"id_token":{"acr":{"essential":false,"value":"a"}}}`:                                             "",
		`{"id_token":{"acr":{"value":"a"},"email":null},"userinfo":{"email":{"essential":true}}}`:          "",
		`{"id_token":{"acr":null}}`:                                                                        "",
		`{"id_token":{"acr":{"essential":true,"values":"a"}}}`:                                             "invalid_request",
		`{"id_token":{"acr":{"essential":"true","value":"a"}}}`:                                            "invalid_request",
		`{"id_token":{"acr":"a"}}`:                                                                         "invalid_request",
		`{"id_token":{"acr":{"essential":true,"value":"urn:gatehouse:acr:password"},"acr":{"value":"a"}}}`: "invalid_request",
		`{"id_token":{"ACR":{"essential":true,"value":"a"}}}`:                                              "invalid_request",
		`[]`: "invalid_request", `"x"`: "invalid_request", `{"a":{"b":{"c":{"d":{"e":{"f":1}}}}}}`: "invalid_request", `{`: "invalid_request", `{} x`: "invalid_request",
		`{"x":"` + strings.Repeat("a", 9<<10) + `"}`: "invalid_request",
	} {
		a := b.Authorize(demo.SPA, "claims", claims).Answer(t)
		if a.RedirectURI != to || a.Error != want || (a.Code == "") != (want != "") {
			t.Errorf("%.80s: %+v, want %q", claims, a, want)
		}
	}
	expectCode(t, i, b.Authorize(demo.SPA, "acr_values", "urn:a urn:b"), to) // wished for, not demanded
}

func TestThreat_AZ19_HugeAndHostileParameters(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	to := redirectURI(i, demo.SPA)
	long := strings.Repeat("x", 2<<10)
	a := b.Authorize(demo.SPA, "state", long, "nonce", long).Answer(t)
	if a.State != long || a.Code == "" {
		t.Errorf("state and nonce of 2 KiB: %s", a.Error)
	}
	a.Verifier, a.RedirectURI = servertest.Verifier, to
	tokens := i.Redeem(t, demo.SPA, a)
	verifiedIDToken(t, i, b, tokens.IDToken, demo.SPA, long, "")
	for _, c := range [][]string{{"state", long + "x"}, {"nonce", long + "x"}, {"state", "a\x00b"}, {"state", "a\r\nSet-Cookie: x=y"}, {"nonce", "\x1b[31m"}, {"state", "\xff\xfe"}, {"ui_locales", strings.Repeat("en ", 200)}, {"login_hint", long}, {"display", long}, {"prompt", "login create none"}, {"prompt", "everything"}, {"request", "e30.e30."}, {"request_uri", "urn:x"}} {
		p := b.Authorize(demo.SPA, c...)
		a := p.Answer(t)
		if a.Error == "" || a.Code != "" || a.RedirectURI != to || a.Issuer != i.URL+"/" {
			t.Errorf("%.30q: %+v", c, a)
		}
		if c[0] == "state" && a.State != "" || strings.ContainsAny(p.Header.Get("Location"), "\r\n\x00") || p.Header.Get("Set-Cookie") != "" {
			t.Errorf("%.30q is echoed: %q", c, p.Header.Get("Location"))
		}
	}
	// The largest request there can be comes back whole through every page.
	stranger := i.NewBrowser(t)
	p := stranger.Post("/u/sign-in", nil)
	if p.StatusCode != http.StatusBadRequest {
		t.Errorf("an empty form: %s", p.Status)
	}
	stranger.Get("/u/sign-in")
	large := with(i.AuthorizeQuery(demo.SPA), "state", long, "nonce", long, "claims", `{"x":"`+strings.Repeat("a", 8000)+`"}`, "acr_values", strings.Repeat("urn:a ", 170), "login_hint", strings.Repeat("h", 500))
	p = stranger.Post("/authorize", large)
	expectPage(t, p, http.StatusOK, titleSignIn)
	if got := stranger.As(p, demo.Reader).Answer(t); got.State != long || got.Code == "" {
		t.Errorf("a large request did not come through: %s", got.Error)
	}
	// So does the one that grows most on its way.
	quotes, angles := strings.Repeat(`"`, 2<<10), strings.Repeat("<", 2<<10)
	grown := with(large, "state", quotes, "nonce", angles, "claims", `{"x":{"y":"`+strings.Repeat(`\"`, 4000)+`"}}`)
	fresh := i.NewBrowser(t)
	fresh.Get("/u/sign-in")
	p = fresh.Post("/authorize", grown)
	expectPage(t, p, http.StatusOK, titleSignIn)
	if got := fresh.As(p, demo.Reader).Answer(t); got.State != quotes || got.Code == "" {
		t.Errorf("a request full of quotes did not come through: %s", got.Error)
	}
}

// Nothing about a response stays where others look: no referrer, no cache, no third party, no log.
func TestThreat_AZ20_CodesLeakNowhere(t *testing.T) {
	log := &syncBuffer{}
	i := servertest.New(t, servertest.Options{Log: log})
	b := i.NewBrowser(t)
	pages := []*servertest.Page{b.Authorize(demo.ThirdParty)}
	pages = append(pages, b.As(pages[0], demo.Reader))
	answer := b.Press(pages[1], "allow")
	pages = append(pages, answer, b.Authorize(demo.RegularWeb, "response_mode", "form_post"), b.Authorize(demo.SPA, "response_mode", "web_message"), b.Get("/u/sign-in"), b.Authorize(demo.SPA, "client_id", "x"))
	for _, p := range pages {
		if h := p.Header; h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%q: Referrer-Policy %q, Cache-Control %q", p.Title(), h.Get("Referrer-Policy"), h.Get("Cache-Control"))
		}
		if policy := p.Header.Get("Content-Security-Policy"); p.Body != "" && (!strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "connect-src")) {
			t.Errorf("%q: %q", p.Title(), policy)
		}
	}
	code := expectCode(t, i, answer, redirectURI(i, demo.ThirdParty)).Code
	i.Redeem(t, demo.ThirdParty, servertest.Code{Code: code + "x", Verifier: servertest.Verifier, RedirectURI: redirectURI(i, demo.ThirdParty)})
	if text := log.String(); strings.Contains(text, code) || strings.Contains(text, i.Password(t, demo.Reader)) || strings.Contains(text, b.Cookie("gatehouse_sso")) {
		t.Errorf("the log holds a secret:\n%s", text)
	}
}

func TestPromptNoneInAllItsOutcomes(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b, stranger := signedIn(t, i, demo.Reader), i.NewBrowser(t)
	first, third := redirectURI(i, demo.SPA), redirectURI(i, demo.ThirdParty)
	expectCode(t, i, b.Authorize(demo.SPA, "prompt", "none"), first)
	expectError(t, i, stranger.Authorize(demo.SPA, "prompt", "none"), first, "login_required")
	expectError(t, i, b.Authorize(demo.ThirdParty, "prompt", "none"), third, "consent_required")
	for _, more := range []string{"login", "consent", "select_account", "create"} {
		expectError(t, i, b.Authorize(demo.SPA, "prompt", "none "+more), first, "invalid_request")
	}
	i.Clock.Advance(time.Minute)
	expectError(t, i, b.Authorize(demo.SPA, "prompt", "none", "max_age", "59"), first, "login_required")
	expectCode(t, i, b.Authorize(demo.SPA, "prompt", "none", "max_age", "60"), first)
	if got := stranger.Cookie("gatehouse_browser"); got != "" {
		t.Error("a request without pages leaves a cookie")
	}
}

func TestScreenHintAndPromptCreate(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	stranger, b := i.NewBrowser(t), signedIn(t, i, demo.Reader)
	i.Clock.Advance(time.Second)
	expectPage(t, stranger.Authorize(demo.SPA, "screen_hint", "signup"), http.StatusOK, titleSignUp)
	expectPage(t, stranger.Authorize(demo.SPA, "prompt", "create"), http.StatusOK, titleSignUp)
	expectPage(t, stranger.Authorize(demo.SPA, "screen_hint", "login"), http.StatusOK, titleSignIn)
	expectCode(t, i, b.Authorize(demo.SPA, "screen_hint", "signup"), redirectURI(i, demo.SPA)) // a hint
	page := b.Authorize(demo.SPA, "prompt", "create")                                          // a demand
	expectPage(t, page, http.StatusOK, titleSignUp)
	page = b.Press(page, "sign_up", "email", "carol@example.com", "password", "carol-has-a-long-one")
	expectPage(t, page, http.StatusOK, titleCheckMail)
	i.Clock.Advance(time.Second)
	a := expectCode(t, i, b.Press(page, "verify", "code", i.Mailbox(t, "carol@example.com")[0].Code), redirectURI(i, demo.SPA))
	if claims := verifiedIDToken(t, i, b, i.Redeem(t, demo.SPA, a).IDToken, demo.SPA, "", ""); claims.Email != "carol@example.com" {
		t.Errorf("tokens of %s", claims.Email)
	}
}

func TestAuthorizeByPost(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	query := i.AuthorizeQuery(demo.SPA)
	expectCode(t, i, b.Post("/authorize", query), redirectURI(i, demo.SPA))
	for _, kind := range []string{"application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded; charset=utf-16", ""} {
		r := b.Request(http.MethodPost, "/authorize", query.Encode(), "Content-Type", kind)
		if p := b.Send(r); p.StatusCode != http.StatusUnsupportedMediaType || p.Header.Get("Location") != "" {
			t.Errorf("%q: %s", kind, p.Status)
		}
	}
	if p := b.Post("/authorize", with(query, "x", strings.Repeat("x", 1<<20))); p.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("1 MiB: %s", p.Status)
	}
}

// Another site that posts here does so without our cookies. The person is found again by asking
// once more by GET, and no other tab is disturbed.
func TestThreat_BR04_PostFromAnotherSiteChangesNoCookie(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	open := b.Authorize(demo.SPA, "prompt", "login")
	for _, path := range []string{"/authorize", "/oidc/logout"} {
		form := i.AuthorizeQuery(demo.SPA)
		bare := i.NewBrowser(t) // as the site's form arrives: without cookies
		p := bare.Send(bare.Request(http.MethodPost, path, form.Encode(), "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test"))
		if p.StatusCode != http.StatusSeeOther || !strings.HasPrefix(p.Header.Get("Location"), path+"?") || len(p.Header["Set-Cookie"]) > 0 {
			t.Errorf("%s: %s to %.60q with cookies %v", path, p.Status, p.Header.Get("Location"), p.Header["Set-Cookie"])
		}
		if path == "/authorize" {
			expectCode(t, i, b.Get(p.Header.Get("Location")), redirectURI(i, demo.SPA))
		} else {
			expectPage(t, b.Get(p.Header.Get("Location")), http.StatusOK, titleSignOut)
		}
	}
	i.Clock.Advance(time.Second)
	expectCode(t, i, b.As(open, demo.Reader), redirectURI(i, demo.SPA))
}

func TestIDTokenAloneKeepsTheSessionInUse(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	for range 5 { // idle after three days
		i.Clock.Advance(48 * time.Hour)
		f := b.Authorize(demo.RegularWeb, "response_type", "id_token", "response_mode", "form_post", "nonce", "n", "prompt", "none").Hidden()
		if f.Get("id_token") == "" {
			t.Fatalf("%v", f)
		}
	}
}

// Any program of the machine can name a native client and wait where it is answered (RFC 8252 §8.6): with
// somebody signed in, and whatever they allowed before, nothing goes there unless they say so this time.
func TestThreat_AZ14_NoProgramActsForAPersonUnasked(t *testing.T) {
	const claimed, private, otherPort = "https://app.example/native", "com.example.app:/callback", "http://127.0.0.1:49152/callback"
	i := servertest.New(t, servertest.Options{})
	change(t, i, demo.Native, func(c *apps.Client) { c.RedirectURIs = append(c.RedirectURIs, private, claimed) })
	b := signedIn(t, i, demo.Reader)
	i.Clock.Advance(time.Minute)
	ask := func(pairs ...string) *servertest.Page { return b.Authorize(demo.Native, pairs...) }
	for name, party := range map[string]bool{"ours": false, "somebody else's, allowed before": true} {
		change(t, i, demo.Native, func(c *apps.Client) { c.ThirdParty = party })
		if party {
			expectCode(t, i, b.Press(ask(), "allow"), redirectURI(i, demo.Native))
			i.Clock.Advance(time.Minute)
		}
		for _, uri := range []string{redirectURI(i, demo.Native), otherPort, private} {
			page := ask("redirect_uri", uri)
			expectPage(t, page, http.StatusOK, titleSignedIn)
			if !strings.Contains(page.Body, demo.Native) {
				t.Errorf("%s: the page does not name who asks", name)
			}
			expectError(t, i, ask("redirect_uri", uri, "prompt", "none"), uri, "interaction_required")
			if got := b.Press(page, "continue").Answer(t); got.Code == "" || got.RedirectURI != uri {
				t.Errorf("%s: who says so is not let in: %+v", name, got)
			}
			expectPage(t, ask("redirect_uri", uri), http.StatusOK, titleSignedIn) // saying so was for once
		}
		expectCode(t, i, ask("redirect_uri", claimed, "prompt", "none"), claimed)
	}
	// Others have their own page at their address.
	expectCode(t, i, b.Authorize(demo.SPA, "prompt", "none"), redirectURI(i, demo.SPA))
}

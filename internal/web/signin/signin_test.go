package signin_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// Titles of the pages, by which tests know them.
const (
	titleSignIn     = "Sign in"
	titleSignUp     = "Create your account"
	titleCheckMail  = "Check your mail"
	titleForgot     = "Reset your password"
	titleForgotCode = "Choose a new password"
	titleConsent    = "Allow <bdi>" + demo.ThirdParty + "</bdi>?"
	titleSignedIn   = "You are signed in"
	titleSignOut    = "Sign out?"
	titleSignedOut  = "You are signed out"
	titleNoCookies  = "Cookies are switched off"
	titleLimit      = "Too many attempts"
	titleSetUp      = "Set up <bdi>Gatehouse</bdi>"
	titleError      = "This request can’t be served"
)

func expect(t testing.TB, p *servertest.Page, status int, title string) *servertest.Page {
	t.Helper()
	if p.StatusCode != status || p.Title() != title {
		t.Fatalf("got %s %q (Location %q), want %d %q", p.Status, p.Title(), p.Header.Get("Location"), status, title)
	}
	return p
}

// code demands that a flow ended with a code at the client's redirect URI.
func code(t testing.TB, i *servertest.Instance, p *servertest.Page, client string) servertest.Code {
	t.Helper()
	a := p.Answer(t)
	if a.Code == "" || a.RedirectURI != i.Content.Client(client).RedirectURIs[0] {
		t.Fatalf("got %+v, want a code for %s", a, client)
	}
	return a
}

func signedIn(t testing.TB, i *servertest.Instance, email string) *servertest.Browser {
	t.Helper()
	b := i.NewBrowser(t)
	b.SignIn(email, i.Password(t, email))
	return b
}

// who is signed in in a browser, as the house's own page says; empty for nobody.
func who(b *servertest.Browser) string {
	p := b.Get("/u/sign-in")
	if p.Title() != titleSignedIn {
		return ""
	}
	return address.FindString(p.Body)
}

var address = regexp.MustCompile(`[\w.+-]+@example\.com`)

// mailed returns the code of the newest letter to an address.
func mailed(t testing.TB, i *servertest.Instance, email string) string {
	t.Helper()
	for _, m := range i.Mailbox(t, email) {
		if m.Code != "" {
			return m.Code
		}
	}
	t.Fatalf("no code was mailed to %s", email)
	return ""
}

const (
	newcomer    = "carol@example.com"
	newPassword = "carol-has-a-long-one"
)

func TestSignUpInTheMiddleOfAFlow(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	p := expect(t, b.Authorize(demo.SPA), http.StatusOK, titleSignIn)
	p = expect(t, b.Press(p, "sign_up", "email", newcomer), http.StatusOK, titleSignUp)
	if !strings.Contains(p.Body, `value="`+newcomer+`"`) {
		t.Error("what was typed is lost")
	}
	p = expect(t, b.Press(p, "sign_up", "email", newcomer, "password", newPassword), http.StatusOK, titleCheckMail)
	if !strings.Contains(p.Body, newcomer) {
		t.Error("the page does not say where the code went")
	}
	back := expect(t, b.Press(p, "sign_up"), http.StatusOK, titleSignUp) // "another address"
	if !strings.Contains(back.Body, `value="`+newcomer+`"`) {
		t.Error("the way back forgets the address")
	}
	if b.Cookie("gatehouse_sso") != "" || who(b) != "" {
		t.Fatal("there is a session before the code")
	}
	p = expect(t, b.Press(p, "verify", "code", "000000"), http.StatusUnprocessableEntity, titleCheckMail)
	old := mailed(t, i, newcomer)
	p = expect(t, b.Press(p, "resend"), http.StatusOK, titleCheckMail)
	if b.Press(p, "verify", "code", old).StatusCode == http.StatusSeeOther && old != mailed(t, i, newcomer) {
		t.Error("the code that was replaced still works")
	}
	fresh := mailed(t, i, newcomer)
	a := code(t, i, b.Press(p, "verify", "code", fresh[:3]+" "+fresh[3:]), demo.SPA)
	if tokens := i.Redeem(t, demo.SPA, a); tokens.AccessToken == "" || !strings.Contains(tokens.Scope, "email") {
		t.Errorf("%s", tokens.Raw)
	}
	if who(b) != newcomer {
		t.Error("nobody is signed in")
	}
	// The page is still there in the history. Whoever sends it again has got what they wanted, and goes on; to anybody
	// else what it holds is used up.
	code(t, i, b.Press(p, "verify", "code", fresh), demo.SPA)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	expect(t, b.Press(p, "verify", "code", fresh), http.StatusUnprocessableEntity, titleCheckMail)
	b.Press(b.Get("/u/sign-in"), "sign_out")
	expect(t, b.Press(p, "verify", "code", fresh), http.StatusUnprocessableEntity, titleCheckMail)
	b.SignIn(newcomer, newPassword)
}

func TestForgottenPasswordInTheMiddleOfAFlow(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	elsewhere := signedIn(t, i, demo.Reader)
	b := i.NewBrowser(t)
	p := b.Press(expect(t, b.Authorize(demo.SPA), http.StatusOK, titleSignIn), "forgot", "email", demo.Reader)
	expect(t, p, http.StatusOK, titleForgot)
	p = expect(t, b.Press(p, "forgot", "email", demo.Reader), http.StatusOK, titleForgotCode)
	p = expect(t, b.Press(p, "set_password", "code", mailed(t, i, demo.Reader), "password", "short"), http.StatusUnprocessableEntity, titleForgotCode)
	p = expect(t, b.Press(p, "set_password", "code", "123", "password", "another-long-password"), http.StatusUnprocessableEntity, titleForgotCode)
	used := p
	p = expect(t, b.Press(p, "set_password", "code", mailed(t, i, demo.Reader), "password", "another-long-password"), http.StatusOK, titleSignIn)
	if who(b) != "" {
		t.Error("a reset signs in by itself")
	}
	if who(elsewhere) != "" {
		t.Error("the session of the old password lives")
	}
	if got := b.Enter(p, demo.Reader, i.Password(t, demo.Reader)); got.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("the old password: %s", got.Status)
	}
	code(t, i, b.Enter(p, demo.Reader, "another-long-password"), demo.SPA)
	expect(t, b.Press(used, "set_password", "code", mailed(t, i, demo.Reader), "password", "a-third-long-password"), http.StatusUnprocessableEntity, titleForgotCode)
}

func TestSeveralTabsAndFlowsAtOnce(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	one := expect(t, b.Authorize(demo.SPA, "state", "one"), http.StatusOK, titleSignIn)
	two := expect(t, b.Authorize(demo.RegularWeb, "state", "two"), http.StatusOK, titleSignIn)
	alone := expect(t, b.Get("/u/sign-in"), http.StatusOK, titleSignIn)
	third := expect(t, b.Authorize(demo.ThirdParty, "state", "three"), http.StatusOK, titleSignIn)

	if a := code(t, i, b.As(two, demo.Reader), demo.RegularWeb); a.State != "two" {
		t.Errorf("%+v", a)
	}
	// Another tab knows nothing of it, and needs nothing but to be sent.
	if a := code(t, i, b.As(one, demo.Reader), demo.SPA); a.State != "one" {
		t.Errorf("%+v", a)
	}
	consent := expect(t, b.As(third, demo.Reader), http.StatusOK, titleConsent)
	if p := b.As(alone, demo.Reader); p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != "/u/sign-in" {
		t.Errorf("%s to %q", p.Status, p.Header.Get("Location"))
	}
	if a := code(t, i, b.Press(consent, "allow"), demo.ThirdParty); a.State != "three" {
		t.Errorf("the consent that waited meanwhile: %+v", a)
	}
	// A new flow while all are open needs no page.
	code(t, i, b.Authorize(demo.SPA), demo.SPA)
}

func TestBackButtonAndReload(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	p := b.Authorize(demo.SPA)
	wrong := expect(t, b.Enter(p, demo.Reader, "not-the-password"), http.StatusUnprocessableEntity, titleSignIn)
	expect(t, b.Enter(p, demo.Reader, "not-the-password"), http.StatusUnprocessableEntity, titleSignIn) // reload of the result
	if !strings.Contains(wrong.Body, `value="`+demo.Reader+`"`) || strings.Contains(wrong.Body, "not-the-password") {
		t.Error("the address is lost, or the password shown")
	}
	first := code(t, i, b.As(p, demo.Reader), demo.SPA)
	sid := b.Cookie("gatehouse_sso")
	second := code(t, i, b.As(p, demo.Reader), demo.SPA) // back, and sent once more
	if first.Code == second.Code || b.Cookie("gatehouse_sso") == sid {
		t.Error("a code or an id was used twice")
	}
	if i.Redeem(t, demo.SPA, first).AccessToken == "" || i.Redeem(t, demo.SPA, second).AccessToken == "" {
		t.Error("codes of one person's two clicks are not both good")
	}
	// A reload of the address that a form was sent to.
	for path, want := range map[string]string{"/u/sign-in": titleSignedIn, "/u/sign-up": titleSignUp, "/u/forgot": titleForgot} {
		expect(t, b.Get(path), http.StatusOK, want)
	}
	for _, path := range []string{"/u/consent", "/u/sign-out"} {
		if p := b.Get(path); p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != "/u/sign-in" {
			t.Errorf("%s: %s to %q", path, p.Status, p.Header.Get("Location"))
		}
	}
}

func TestBookmarkedSignInPage(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	p := expect(t, b.Get("/u/sign-in"), http.StatusOK, titleSignIn)
	if p = b.As(p, demo.Reader); p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != "/u/sign-in" {
		t.Fatalf("%s to %q", p.Status, p.Header.Get("Location"))
	}
	p = expect(t, b.Get("/u/sign-in"), http.StatusOK, titleSignedIn)
	if who(b) != demo.Reader {
		t.Errorf("signed in as %q", who(b))
	}
	// From there to another account, which ends the first session.
	old := b.Cookie("gatehouse_sso")
	tokens := i.TokensIn(t, b, demo.SPA, "scope", "openid offline_access")
	if p = b.As(expect(t, b.Press(p, "switch"), http.StatusOK, titleSignIn), demo.Stranger); p.StatusCode != http.StatusSeeOther || who(b) != demo.Stranger {
		t.Fatalf("%s, signed in as %q", p.Status, who(b))
	}
	if got := i.Refresh(t, demo.SPA, tokens.RefreshToken); got.Error != "invalid_grant" {
		t.Errorf("the other's tokens live: %s", got.Raw)
	}
	thief := i.NewBrowser(t)
	thief.SetCookie("gatehouse_sso", old)
	if who(thief) != "" {
		t.Error("the other's session lives")
	}
	// And out.
	p = expect(t, b.Get("/u/sign-in"), http.StatusOK, titleSignedIn)
	expect(t, b.Press(p, "sign_out"), http.StatusOK, titleSignedOut)
	if who(b) != "" || b.Cookie("gatehouse_sso") != "" {
		t.Error("still signed in")
	}
	if p = b.Press(p, "sign_out"); p.Header.Get("Location") != "/u/sign-in" {
		t.Errorf("signing out twice: %s", p.Status)
	}
}

// A page that was open for more than an hour starts over with the same request, whatever its
// button was.
func TestExpiredForms(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	p := b.Authorize(demo.SPA, "login_hint", demo.Reader)
	alone := b.Get("/u/sign-in")
	up := b.Press(p, "sign_up")
	i.Clock.Advance(61 * time.Minute)
	for _, action := range []string{"sign_in", "sign_up", "forgot", "allow", "continue"} {
		again := expect(t, b.Press(p, action, "email", demo.Reader, "password", i.Password(t, demo.Reader)), http.StatusOK, titleSignIn)
		if !strings.Contains(again.Body, `value="`+demo.Reader+`"`) || b.Cookie("gatehouse_sso") != "" {
			t.Errorf("%s: the hint is lost, or somebody is signed in", action)
		}
	}
	fresh := expect(t, b.Press(up, "sign_up", "email", newcomer, "password", newPassword), http.StatusOK, titleSignIn)
	if len(i.Mailbox(t, newcomer)) != 0 {
		t.Error("an expired form sent mail")
	}
	if again := b.As(alone, demo.Reader); again.StatusCode != http.StatusSeeOther || again.Header.Get("Location") != "/u/sign-in" || who(b) != "" {
		t.Errorf("a page without an application: %s", again.Status)
	}
	if a := code(t, i, b.As(fresh, demo.Reader), demo.SPA); a.State != "st+a/te=" {
		t.Errorf("%+v", a)
	}
	// Whoever is signed in by then goes on, and is asked again what needs an answer.
	code(t, i, b.Press(p, "sign_in"), demo.SPA)
	consent := expect(t, b.Authorize(demo.ThirdParty), http.StatusOK, titleConsent)
	demanding := b.Authorize(demo.SPA, "prompt", "login")
	i.Clock.Advance(61 * time.Minute)
	expect(t, b.Press(consent, "allow"), http.StatusOK, titleConsent)
	expect(t, b.Press(consent, "deny"), http.StatusOK, titleConsent)
	expect(t, b.Press(demanding, "continue"), http.StatusOK, titleSignIn)
	i.Clock.Advance(24 * time.Hour) // a tab restored the next morning
	code(t, i, b.Press(b.Press(consent, "allow"), "allow"), demo.ThirdParty)
}

func TestSignUpWhileAnotherFlowIsOpen(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	consent := expect(t, b.Authorize(demo.ThirdParty), http.StatusOK, titleConsent)
	p := expect(t, b.Press(b.Get("/u/sign-up"), "sign_up", "email", newcomer, "password", newPassword), http.StatusOK, titleCheckMail)
	b.Press(p, "verify", "code", mailed(t, i, newcomer))
	if who(b) != newcomer {
		t.Fatalf("signed in as %q", who(b))
	}
	again := expect(t, b.Press(consent, "allow"), http.StatusOK, titleConsent) // drawn for somebody else
	if !strings.Contains(again.Body, newcomer) {
		t.Error("the page does not name who is asked now")
	}
	code(t, i, b.Press(again, "allow"), demo.ThirdParty)
}

func TestSessionEndsWhileAPageIsOpen(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	consent := b.Authorize(demo.ThirdParty)
	chooser := b.Authorize(demo.SPA, "prompt", "select_account")
	i.Block(t, demo.Reader)
	for _, p := range []*servertest.Page{b.Press(consent, "allow"), b.Press(chooser, "continue")} {
		expect(t, p, http.StatusOK, titleSignIn)
	}
}

// From the page about too many attempts there are ways on, and none of them is an attempt.
func TestWaysOnFromTheLimit(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	p := b.Authorize(demo.SPA)
	for range 5 {
		b.Enter(p, demo.Reader, "not-the-password")
	}
	limit := expect(t, b.As(p, demo.Reader), http.StatusTooManyRequests, titleLimit)
	expect(t, b.Press(limit, "sign_in"), http.StatusOK, titleSignIn)
	forgot := expect(t, b.Press(limit, "forgot"), http.StatusOK, titleForgot)
	for range 3 {
		expect(t, b.Press(forgot, "forgot", "email", demo.Reader), http.StatusOK, titleForgotCode)
	}
	limit = expect(t, b.Press(forgot, "forgot", "email", demo.Reader), http.StatusTooManyRequests, titleLimit)
	expect(t, b.Press(limit, "forgot"), http.StatusOK, titleForgot)
	expect(t, b.Press(limit, "sign_in"), http.StatusOK, titleSignIn)
	up := b.Press(b.Authorize(demo.SPA), "sign_up")
	for range 3 {
		expect(t, b.Press(up, "sign_up", "email", newcomer, "password", newPassword), http.StatusOK, titleCheckMail)
	}
	limit = expect(t, b.Press(up, "sign_up", "email", newcomer, "password", newPassword), http.StatusTooManyRequests, titleLimit)
	expect(t, b.Press(limit, "forgot"), http.StatusOK, titleForgot)
	expect(t, b.Press(limit, "sign_in"), http.StatusOK, titleSignIn)
}

func TestClosedToNewcomers(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	i.House.Tenant.Settings.NoSignUp = true
	b := i.NewBrowser(t)
	p := expect(t, b.Authorize(demo.SPA, "screen_hint", "signup"), http.StatusOK, titleSignIn)
	if strings.Contains(p.Body, "sign_up") {
		t.Error("the page offers sign-up")
	}
	form := p.Hidden()
	form.Set("action", "sign_up")
	form.Set("email", newcomer)
	form.Set("password", newPassword)
	if got := b.Post("/u/sign-up", form); got.Header.Get("Location") != "/u/sign-in" || len(i.Mailbox(t, newcomer)) != 0 {
		t.Errorf("%s", got.Status)
	}
	if got := b.Get("/u/sign-up"); got.Header.Get("Location") != "/u/sign-in" {
		t.Errorf("%s", got.Status)
	}
}

func TestBrowserWithoutCookies(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	p := b.Authorize(demo.SPA)
	b.SetCookie("gatehouse_browser", "")
	expect(t, b.As(p, demo.Reader), http.StatusBadRequest, titleNoCookies)
}

func fields(v url.Values, pairs ...string) url.Values {
	out := url.Values{}
	for name, values := range v {
		out[name] = values
	}
	for n := 0; n+1 < len(pairs); n += 2 {
		out.Set(pairs[n], pairs[n+1])
	}
	return out
}

// A developer whose address is not registered is told the command that says so, and how to register it.
func TestErrorPageNamesTheCheck(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	i.House.Dev.CheckCommand = "gatehouse app check --data .gatehouse"
	spa := i.Content.Client(demo.SPA).ClientID
	for query, want := range map[string]string{
		"client_id=" + spa + "&response_type=code&redirect_uri=https://elsewhere.test/cb": "gatehouse app check --data .gatehouse " + spa,
		"client_id=nobody&response_type=code":                                             "",
	} {
		body := i.NewBrowser(t).Get("/authorize?" + query).Body
		if got := strings.Contains(body, "gatehouse app check"); got != (want != "") || !strings.Contains(body, want) {
			t.Errorf("%s: %s", query, body)
		}
	}
}

// Whoever mistypes the token types it again; the page is gone once it has worked.
func TestFirstAdministrator(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	ctx := t.Context()
	if err := i.House.SignIn.Delete(ctx, i.House.Tenant, i.UserID(t, demo.Administrator), audit.System()); err != nil {
		t.Fatal(err)
	}
	_, token, err := i.House.FirstAdministrator(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b := i.NewBrowser(t)
	form := expect(t, b.Get("/u/first-administrator"), http.StatusOK, titleSetUp)
	p := form
	for wrong, told := range map[string]string{token[1:]: "This token is wrong", token: "at least 12 characters"} {
		p = expect(t, b.Press(p, "create_admin", "token", wrong, "email", newcomer, "password", "short"), http.StatusUnprocessableEntity, titleSetUp)
		if !strings.Contains(p.Body, told) || !strings.Contains(p.Body, newcomer) {
			t.Errorf("the page does not say %q, or has forgotten the address:\n%s", told, p.Body)
		}
	}
	if p = b.Press(p, "create_admin", "token", " "+token+"\n", "email", newcomer, "password", newPassword); p.StatusCode != http.StatusSeeOther || who(b) != newcomer {
		t.Errorf("%s; signed in is %q", p.Status, who(b))
	}
	for _, token := range []string{token, "guessed"} {
		expect(t, b.Press(form, "create_admin", "token", token, "email", "eve@example.com", "password", newPassword), http.StatusNotFound, titleError)
	}
	expect(t, b.Get("/u/first-administrator"), http.StatusNotFound, titleError)
}

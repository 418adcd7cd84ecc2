package signin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// The forms there are, and every button on any of them.
func formPaths() []string {
	return []string{"/u/sign-in", "/u/sign-up", "/u/forgot", "/u/consent", "/u/sign-out", "/u/password", "/u/first-administrator"}
}

func actions() []string {
	return []string{"", "sign_in", "sign_up", "forgot", "verify", "resend", "set_password", "allow", "deny", "switch", "continue", "sign_out", "stay", "restart", "create_admin", "bogus"}
}

// refused demands PAGE-400.
func refused(t testing.TB, p *servertest.Page) {
	t.Helper()
	if p.StatusCode != http.StatusBadRequest || p.Header.Get("Location") != "" || p.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %s %q (Location %q), want the error page with 400", p.Status, p.Title(), p.Header.Get("Location"))
	}
}

// A flow that one browser began goes on in no other, on whatever page it stands.
func TestThreat_AZ16_FlowStaysInItsBrowser(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	attacker, victim := i.NewBrowser(t), signedIn(t, i, demo.Reader)
	signIn := attacker.Authorize(demo.ThirdParty)
	signUp := attacker.Press(signIn, "sign_up")
	check := expect(t, attacker.Press(signUp, "sign_up", "email", newcomer, "password", newPassword), http.StatusOK, titleCheckMail)
	forgot := attacker.Press(signIn, "forgot")
	forgotCode := expect(t, attacker.Press(forgot, "forgot", "email", demo.Reader), http.StatusOK, titleForgotCode)
	attacker.SignIn(demo.Stranger, i.Password(t, demo.Stranger))
	consent := expect(t, attacker.Authorize(demo.ThirdParty), http.StatusOK, titleConsent)
	chooser := expect(t, attacker.Authorize(demo.SPA, "prompt", "select_account"), http.StatusOK, titleSignedIn)
	signOut := expect(t, attacker.Get("/oidc/logout"), http.StatusOK, titleSignOut)

	before := victim.CookieHeader()
	for _, p := range []*servertest.Page{signIn, signUp, check, forgot, forgotCode, consent, chooser, signOut} {
		for _, action := range actions() {
			refused(t, victim.Press(p, action, "email", demo.Stranger, "password", i.Password(t, demo.Stranger), "code", mailed(t, i, newcomer)))
		}
	}
	if victim.CookieHeader() != before || who(victim) != demo.Reader {
		t.Error("the victim's browser has changed")
	}
	// A browser that was never here has nothing to show at all.
	for _, p := range []*servertest.Page{signIn, check, consent, signOut} {
		refused(t, i.NewBrowser(t).Press(p, "allow"))
	}
	// A code works in the browser alone that asked for it, even with a flow of the victim's own.
	form := fields(victim.Authorize(demo.SPA, "prompt", "login").Hidden(), "action", "verify", "code", mailed(t, i, newcomer))
	expect(t, victim.Post("/u/sign-up", form), http.StatusUnprocessableEntity, titleCheckMail)
}

// Every page's form is sent to every address with every button, without what that step asks for.
// Nobody gets further by it: each answer is a page, and the page is one that is due.
func TestThreat_AZ17_StepsInTheWrongOrder(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	signIn := b.Authorize(demo.ThirdParty)
	signUp := b.Press(signIn, "sign_up")
	stranger := map[string]*servertest.Page{
		"sign-in": signIn, "sign-up": signUp, "check mail": b.Press(signUp, "sign_up", "email", newcomer, "password", newPassword),
		"forgot": b.Press(signIn, "forgot"), "forgot code": b.Press(signIn, "forgot", "email", demo.Reader), "alone": b.Get("/u/sign-in"),
	}
	tried := 0
	for name, p := range stranger {
		for _, path := range formPaths() {
			for _, action := range actions() {
				tried++
				got := b.Post(path, fields(p.Hidden(), "action", action))
				if strings.Contains(got.Header.Get("Location"), "code=") || b.Cookie("gatehouse_sso") != "" || got.Title() == titleConsent || got.StatusCode >= 500 {
					t.Fatalf("%s sent to %s with %q: %s %q to %q", name, path, action, got.Status, got.Title(), got.Header.Get("Location"))
				}
			}
		}
	}
	if who(b) != "" {
		t.Fatal("somebody is signed in")
	}

	i.Clock.Advance(time.Second)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	i.Clock.Advance(time.Second)
	inside := map[string]*servertest.Page{
		"consent": expect(t, b.Authorize(demo.ThirdParty), http.StatusOK, titleConsent), "chooser": b.Authorize(demo.ThirdParty, "prompt", "select_account"),
		"again": b.Authorize(demo.ThirdParty, "prompt", "login"), "sign-out": b.Get("/oidc/logout"),
	}
	for name, p := range stranger {
		inside[name] = p
	}
	for name, p := range inside {
		for _, path := range formPaths() {
			for _, action := range actions() {
				if action == "sign_out" || name == "consent" && path == "/u/consent" && action == "allow" {
					continue // these are steps in the right order
				}
				tried++
				got := b.Post(path, fields(p.Hidden(), "action", action))
				if strings.Contains(got.Header.Get("Location"), "code=") || got.StatusCode >= 500 {
					t.Fatalf("%s sent to %s with %q: %s to %q", name, path, action, got.Status, got.Header.Get("Location"))
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d tries", tried)
	}
	if got := b.Authorize(demo.ThirdParty, "prompt", "none").Answer(t).Error; got != "consent_required" {
		t.Errorf("something was allowed on the way: %q", got)
	}
	// The right step is still open, and can be taken once more from the history.
	for range 2 {
		code(t, i, b.Press(inside["consent"], "allow"), demo.ThirdParty)
	}
	b.SignIn(demo.Reader, i.Password(t, demo.Reader)) // with the password of always
}

// A form without anything in it never advances.
func TestThreat_AZ17_EmptyForms(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	for _, path := range formPaths() {
		refused(t, b.Post(path, nil))
		refused(t, b.Post(path, url.Values{"flow": {""}, "action": {"allow"}}))
		refused(t, b.Post(path, url.Values{"flow": {"AAAA"}, "action": {"sign_out"}}))
	}
	if who(b) != demo.Reader {
		t.Error("an empty form signed out")
	}
}

func TestThreat_BR01_IdsArePlantedInVain(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	planted := strings.Repeat("p", 43)
	b := i.NewBrowser(t)
	b.SetCookie("gatehouse_sso", planted)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	seen := []string{planted, b.Cookie("gatehouse_sso")}
	attacker := i.NewBrowser(t)
	attacker.SetCookie("gatehouse_sso", planted)
	if seen[1] == planted || who(attacker) != "" {
		t.Fatal("a planted id became a session")
	}
	// An attacker's own live session, planted, is not the victim's afterwards either.
	attacker = signedIn(t, i, demo.Stranger)
	victim := i.NewBrowser(t)
	victim.SetCookie("gatehouse_sso", attacker.Cookie("gatehouse_sso"))
	victim.SignIn(demo.Reader, i.Password(t, demo.Reader))
	if got := who(attacker); got != "" {
		t.Errorf("the attacker is signed in as %q", got)
	}
	// Each sign-in of the same person changes the id, and the old one is dead at once.
	for range 3 {
		thief := i.NewBrowser(t)
		thief.SetCookie("gatehouse_sso", b.Cookie("gatehouse_sso"))
		b.SignIn(demo.Reader, i.Password(t, demo.Reader))
		if got := b.Cookie("gatehouse_sso"); slices.Contains(seen, got) || who(thief) != "" {
			t.Error("an id outlived the sign-in")
		} else {
			seen = append(seen, got)
		}
	}
	// So does a new password, for all sessions.
	p := b.Press(b.Get("/u/forgot"), "forgot", "email", demo.Reader)
	b.Press(p, "set_password", "code", mailed(t, i, demo.Reader), "password", "another-long-password")
	thief := i.NewBrowser(t)
	thief.SetCookie("gatehouse_sso", seen[len(seen)-1])
	if who(thief) != "" || who(victim) != "" || who(b) != "" {
		t.Error("a session outlived the password")
	}
}

func TestThreat_BR02_CookiesOnHTTPS(t *testing.T) {
	i := servertest.New(t, servertest.Options{TLS: true})
	b := i.NewBrowser(t)
	p := b.As(b.Authorize(demo.SPA), demo.Reader)
	code(t, i, p, demo.SPA)
	var names []string
	for _, c := range p.Cookies() {
		names = append(names, c.Name)
		site := http.SameSiteLaxMode
		if c.Name == "__Host-gatehouse_silent" {
			site = http.SameSiteNoneMode
		}
		if !strings.HasPrefix(c.Name, "__Host-gatehouse_") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != site {
			t.Errorf("%s", c.Raw)
		}
	}
	if slices.Sort(names); strings.Join(names, " ") != "__Host-gatehouse_device __Host-gatehouse_silent __Host-gatehouse_sso" {
		t.Errorf("cookies %v", names)
	}
	// The names without the prefix are somebody else's: a subdomain can set those.
	other := i.NewBrowser(t)
	for _, name := range []string{"sso", "silent", "browser", "device"} {
		other.SetCookie("gatehouse_"+name, b.Cookie("__Host-gatehouse_"+name))
	}
	if who(other) != "" || other.Authorize(demo.SPA, "prompt", "none").Answer(t).Code != "" {
		t.Error("a cookie without its prefix is taken")
	}
	// On plain http the prefix is none: browsers would not keep it.
	clear := servertest.New(t, servertest.Options{})
	b = signedIn(t, clear, demo.Reader)
	if header := b.CookieHeader(); strings.Contains(header, "__Host-") || strings.Contains(header, "silent") {
		t.Errorf("on http: %s", header)
	}
}

func TestThreat_BR02_SilentCookieIsGoodForSilentAuthenticationAlone(t *testing.T) {
	i := servertest.New(t, servertest.Options{TLS: true})
	full := signedIn(t, i, demo.Reader)
	silent := i.NewBrowser(t) // what a frame on another site sends
	silent.SetCookie("__Host-gatehouse_silent", full.Cookie("__Host-gatehouse_silent"))
	if full.Cookie("__Host-gatehouse_silent") == full.Cookie("__Host-gatehouse_sso") {
		t.Fatal("both cookies hold one id")
	}
	code(t, i, silent.Authorize(demo.SPA, "prompt", "none"), demo.SPA)
	if p := silent.Authorize(demo.SPA, "prompt", "none", "response_mode", "web_message"); !strings.Contains(p.Body, `"code":`) || p.Header.Get("X-Frame-Options") != "" {
		t.Errorf("no message for the frame: %s", p.Status)
	}
	// No page, no form, no POST, no consent, no end of the session.
	expect(t, silent.Authorize(demo.SPA), http.StatusOK, titleSignIn)
	expect(t, silent.Authorize(demo.SPA, "prompt", "select_account"), http.StatusOK, titleSignIn)
	if got := silent.Authorize(demo.ThirdParty, "prompt", "none").Answer(t).Error; got != "consent_required" {
		t.Errorf("a client that needs consent: %q", got)
	}
	if who(silent) != "" {
		t.Error("the cookie opens a page")
	}
	silent.Authorize(demo.SPA) // now the browser has an identity, too
	if got := silent.Post("/authorize", i.AuthorizeQuery(demo.SPA, "prompt", "none")).Answer(t); got.Code != "" || got.Error != "login_required" {
		t.Errorf("by POST: %+v", got)
	}
	if p := silent.Send(silent.Request(http.MethodHead, "/authorize?"+i.AuthorizeQuery(demo.SPA, "prompt", "none").Encode(), "")); p.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("by HEAD: %s", p.Status)
	}
	form := full.Authorize(demo.ThirdParty).Hidden()
	form.Set("action", "allow")
	silent.SetCookie("__Host-gatehouse_browser", full.Cookie("__Host-gatehouse_browser"))
	expect(t, silent.Post("/u/consent", form), http.StatusOK, titleSignIn)
	expect(t, silent.Get("/oidc/logout"), http.StatusOK, titleSignedOut)
	silent.Get("/v2/logout?" + url.Values{"client_id": {i.Content.Client(demo.SPA).ClientID}, "returnTo": {"http://localhost:3000"}}.Encode())
	if who(full) != demo.Reader {
		t.Fatal("the cookie ended the session")
	}
	// Neither id does for the other.
	swapped := i.NewBrowser(t)
	swapped.SetCookie("__Host-gatehouse_sso", full.Cookie("__Host-gatehouse_silent"))
	swapped.SetCookie("__Host-gatehouse_silent", full.Cookie("__Host-gatehouse_sso"))
	if who(swapped) != "" || swapped.Authorize(demo.SPA, "prompt", "none").Answer(t).Code != "" {
		t.Error("the ids can be swapped")
	}
	// It changes and ends with the session.
	old := full.Cookie("__Host-gatehouse_silent")
	full.SignIn(demo.Reader, i.Password(t, demo.Reader))
	silent.SetCookie("__Host-gatehouse_silent", old)
	if silent.Authorize(demo.SPA, "prompt", "none").Answer(t).Code != "" {
		t.Error("the old id lives")
	}
	silent.SetCookie("__Host-gatehouse_silent", full.Cookie("__Host-gatehouse_silent"))
	p := full.Press(full.Get("/u/sign-in"), "sign_out")
	if silent.Authorize(demo.SPA, "prompt", "none").Answer(t).Code != "" || full.Cookie("__Host-gatehouse_silent") != "" {
		t.Errorf("it outlives the session: %s", p.Status)
	}
}

func TestThreat_BR02_TenantWithoutSilentCookie(t *testing.T) {
	i := servertest.New(t, servertest.Options{TLS: true})
	with := signedIn(t, i, demo.Reader)
	silent := i.NewBrowser(t)
	silent.SetCookie("__Host-gatehouse_silent", with.Cookie("__Host-gatehouse_silent"))
	i.House.Tenant.Settings.NoSilentCookie = true
	if silent.Authorize(demo.SPA, "prompt", "none").Answer(t).Code != "" {
		t.Error("a silent cookie from before is taken")
	}
	if b := signedIn(t, i, demo.Reader); b.Cookie("__Host-gatehouse_silent") != "" || who(b) == "" {
		t.Error("the cookie is handed out")
	}
}

func TestThreat_BR02_PlantedSecondCookie(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	attacker := signedIn(t, i, demo.Stranger)
	for _, name := range []string{"gatehouse_sso", "gatehouse_browser", "gatehouse_device", "gatehouse_silent"} {
		b := signedIn(t, i, demo.Reader)
		cookies := b.CookieHeader()
		if name == "gatehouse_silent" {
			cookies += "; gatehouse_silent=mine"
		}
		for _, both := range []string{name + "=" + attacker.Cookie(name) + "x; " + cookies, cookies + "; " + name + "=" + attacker.Cookie(name) + "x"} {
			send := func(method, path, body string) *servertest.Page {
				bare := i.NewBrowser(t)
				return bare.Send(bare.Request(method, path, body, "Cookie", both))
			}
			query := "/authorize?" + i.AuthorizeQuery(demo.SPA, "prompt", "none").Encode()
			if got := send(http.MethodGet, query, "").Answer(t); got.Error != "login_required" {
				t.Errorf("%s twice: %+v", name, got)
			}
			for _, path := range []string{"/authorize?" + i.AuthorizeQuery(demo.SPA).Encode(), "/u/sign-in"} {
				p := expect(t, send(http.MethodGet, path, ""), http.StatusOK, titleSignIn)
				taken := map[string]bool{}
				for _, c := range p.Cookies() {
					taken[c.Name] = taken[c.Name] || c.MaxAge < 0
				}
				if !taken["gatehouse_sso"] || !taken["gatehouse_browser"] || !taken["gatehouse_device"] {
					t.Errorf("%s twice at %.20s: taken back are %v", name, path, taken)
				}
			}
			form := b.Get("/u/sign-up").Hidden()
			refused(t, send(http.MethodPost, "/u/sign-in", fields(form, "email", demo.Reader, "password", i.Password(t, demo.Reader), "action", "sign_in").Encode()))
		}
		if who(b) != demo.Reader {
			t.Errorf("%s: the session itself has ended", name)
		}
	}
}

// Forms count only if the browser says, where it says anything, that one of our pages sent them,
// and only with the seal that this browser was given.
func TestThreat_BR04_FormsOfOtherSites(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := signedIn(t, i, demo.Reader)
	consent := expect(t, b.Authorize(demo.ThirdParty), http.StatusOK, titleConsent)
	good := fields(consent.Hidden(), "action", "allow", "email", demo.Stranger, "password", i.Password(t, demo.Stranger))
	mails := len(i.Mailbox(t, ""))
	for _, path := range formPaths() {
		for _, headers := range [][]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Origin", "https://evil.test"},
			{"Origin", "null"},
			{"Origin", i.URL + ".evil.test"},
			{"Origin", "http://localhost:3000"},
			{"Origin", "null", "Sec-Fetch-Site", "cross-site"},
			{"Origin", "https://evil.test", "Sec-Fetch-Site", "same-origin"},
			{"Origin", i.URL, "Sec-Fetch-Site", "cross-site"},
			{"Origin", "", "Sec-Fetch-Site", "bogus"},
		} {
			p := b.Send(b.Request(http.MethodPost, path, good.Encode(), headers...))
			if p.StatusCode != http.StatusForbidden || p.Header.Get("Location") != "" || len(p.Cookies()) > 0 {
				t.Errorf("%s with %v: %s", path, headers, p.Status)
			}
		}
		for _, kind := range []string{"text/plain", "application/json", "multipart/form-data; boundary=x", "", "application/x-www-form-urlencoded, text/plain", "application/x-www-form-urlencoded; charset=utf-7"} {
			if p := b.Send(b.Request(http.MethodPost, path, good.Encode(), "Content-Type", kind)); p.StatusCode != http.StatusUnsupportedMediaType {
				t.Errorf("%s as %q: %s", path, kind, p.Status)
			}
		}
		for _, method := range []string{http.MethodGet, http.MethodHead} { // what a link can do
			p := b.Send(b.Request(method, path+"?"+good.Encode(), ""))
			if strings.Contains(p.Header.Get("Location"), "code=") || p.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s %s does something: %s", method, path, p.Status)
			}
		}
	}
	if who(b) != demo.Reader || len(i.Mailbox(t, "")) != mails || b.Authorize(demo.ThirdParty, "prompt", "none").Answer(t).Error != "consent_required" {
		t.Error("something changed")
	}
	// What browsers send with a form of ours, old ones included, is good.
	for _, headers := range [][]string{{}, {"Sec-Fetch-Site", "same-origin", "Origin", "null"}, {"Sec-Fetch-Site", "same-origin", "Origin", i.URL}, {"Origin", i.URL}, {"Sec-Fetch-Site", "none"}, {"Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"}} {
		code(t, i, b.Send(b.Request(http.MethodPost, "/u/consent", good.Encode(), headers...)), demo.ThirdParty)
	}
}

func TestThreat_BR06_TextOfOthersIsText(t *testing.T) {
	const payload = `"><xss onload=x>'</title></script><xss>{{.}}`
	i := servertest.New(t, servertest.Options{})
	ctx, h := context.Background(), i.House
	for _, name := range []string{demo.ThirdParty, demo.RegularWeb, demo.SPA} {
		found, err := h.Apps.Client(ctx, h.Tenant, i.Content.Client(name).ClientID)
		if err != nil {
			t.Fatal(err)
		}
		c := *found
		c.Name = payload
		api, err := h.Apps.API(ctx, h.Tenant, demo.Audience)
		if err != nil {
			t.Fatal(err)
		}
		a := *api
		a.Name, a.Permissions = payload, []apps.Permission{{Value: "read:shows", Description: payload}, {Value: "write:<xss>"}}
		if err := h.Tenant.DB.Write(ctx, func(tx *db.Tx) error {
			if err := h.Apps.UpdateAPI(tx, &a); err != nil {
				return err
			}
			return h.Apps.UpdateClient(tx, &c)
		}); err != nil {
			t.Fatal(err)
		}
	}
	b := i.NewBrowser(t)
	odd := []string{"login_hint", payload, "ui_locales", payload, "state", payload, "display", "<xss>", "nonce", payload}
	p := expect(t, b.Authorize(demo.ThirdParty, odd...), http.StatusOK, titleSignIn)
	pages := map[string]*servertest.Page{"sign-in": p, "sign-up": b.Press(p, "sign_up", "email", payload), "forgot": b.Press(p, "forgot", "email", payload)}
	pages["wrong"] = b.Enter(p, payload, payload)
	pages["sign-up wrong"] = b.Press(pages["sign-up"], "sign_up", "email", payload, "password", payload)
	pages["forgot wrong"] = b.Press(pages["forgot"], "forgot", "email", payload)
	b.SignIn(demo.Reader, i.Password(t, demo.Reader))
	pages["consent"] = b.Authorize(demo.ThirdParty, "scope", "openid read:shows write:<xss>")
	pages["chooser"] = b.Authorize(demo.ThirdParty, "prompt", "select_account")
	pages["form"] = b.Authorize(demo.RegularWeb, append(odd, "response_mode", "form_post")...)
	pages["message"] = b.Authorize(demo.SPA, append(odd, "response_mode", "web_message")...)
	pages["sign-out"] = b.Get("/oidc/logout?client_id=" + i.Content.Client(demo.ThirdParty).ClientID + "&state=" + url.QueryEscape(payload))
	pages["error"] = b.Authorize(demo.ThirdParty, "redirect_uri", "https://evil.test/"+payload, "client_id", payload)
	pages["nowhere"] = b.Get("/" + url.PathEscape(payload) + "?" + url.QueryEscape(payload))
	pages["inbox"] = b.Get("/dev/inbox?to=" + url.QueryEscape(payload))
	for name, p := range pages {
		if p.Body == "" || strings.Contains(p.Body, "<xss") || strings.Contains(p.Body, `"><`+"xss") {
			t.Errorf("%s (%s):\n%s", name, p.Status, p.Body)
		}
		if policy := p.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
			t.Errorf("%s: %s", name, policy)
		}
	}
	if !strings.Contains(pages["consent"].Body, "&lt;xss") {
		t.Error("the payload is not on the page at all: the test proves nothing")
	}
}

// Whatever the house seals, hashes or signs for one purpose is worth nothing for another.
func TestThreat_BR10_EveryValueHasOneConsumer(t *testing.T) {
	i := servertest.New(t, servertest.Options{TLS: true})
	ctx, h := context.Background(), i.House
	tokens, b := i.TokensFor(t, demo.Reader, demo.SPA, "scope", "openid offline_access read:shows")
	flowPage := b.Authorize(demo.ThirdParty)
	check := b.Press(b.Get("/u/sign-up"), "sign_up", "email", newcomer, "password", newPassword)
	expect(t, check, http.StatusOK, titleCheckMail)
	link, err := h.SignIn.IssuePasswordLink(ctx, h.Tenant, signin.Link{UserID: i.UserID(t, demo.Stranger), URL: func(s string) string { return s }}, audit.System())
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"session": b.Cookie("__Host-gatehouse_sso"), "silent": b.Cookie("__Host-gatehouse_silent"), "browser": b.Cookie("__Host-gatehouse_browser"), "device": b.Cookie("__Host-gatehouse_device"),
		"flow": flowPage.Hidden().Get("flow"), "challenge flow": check.Hidden().Get("flow"), "refresh": tokens.RefreshToken, "access": tokens.AccessToken, "id": tokens.IDToken, "link": link,
		"code": code(t, i, b.Authorize(demo.SPA), demo.SPA).Code, "mailed code": mailed(t, i, newcomer),
	}
	cookie := func(name, value string) *servertest.Browser {
		c := i.NewBrowser(t)
		c.SetCookie("__Host-gatehouse_"+name, value)
		return c
	}
	consumers := map[string]func(string) bool{
		"session": func(v string) bool { return who(cookie("sso", v)) != "" },
		"silent": func(v string) bool {
			return cookie("silent", v).Authorize(demo.SPA, "prompt", "none").Answer(t).Code != ""
		},
		"device": func(v string) bool { // who is known here may try where a stranger may not
			stranger := i.NewBrowser(t)
			for p := stranger.Get("/u/sign-in"); stranger.Enter(p, demo.Reader, "not-the-password").StatusCode != http.StatusTooManyRequests; {
			}
			c := cookie("device", v)
			return c.As(c.Get("/u/sign-in"), demo.Reader).StatusCode == http.StatusSeeOther
		},
		"flow": func(v string) bool {
			c := cookie("browser", values["browser"])
			return c.Post("/u/sign-in", url.Values{"flow": {v}, "action": {"switch"}}).StatusCode == http.StatusOK
		},
		"refresh": func(v string) bool { return i.Refresh(t, demo.SPA, v).AccessToken != "" },
		"code": func(v string) bool {
			return i.Redeem(t, demo.SPA, servertest.Code{Code: v, Verifier: servertest.Verifier, RedirectURI: i.Content.Client(demo.SPA).RedirectURIs[0]}).AccessToken != ""
		},
		"access": func(v string) bool {
			return b.Send(b.Request(http.MethodGet, "/userinfo", "", "Authorization", "Bearer "+v)).StatusCode == http.StatusOK
		},
		"id": func(v string) bool {
			return b.Authorize(demo.SPA, "prompt", "none", "id_token_hint", v).Answer(t).Error == ""
		},
		"link": func(v string) bool {
			return b.Get("/u/password?ticket="+url.QueryEscape(v)).StatusCode == http.StatusOK
		},
	}
	for consumer, takes := range consumers {
		for value, v := range values {
			want := value == consumer || consumer == "flow" && value == "challenge flow"
			if value == consumer {
				continue // last: some are used up by it
			}
			if got := takes(v); got != want {
				t.Errorf("%s taken as %s: %v", value, consumer, got)
			}
		}
	}
	for consumer, takes := range consumers {
		if !takes(values[consumer]) {
			t.Errorf("%s is not taken as what it is", consumer)
		}
	}
}

func TestThreat_BR12_SessionsEndByThemselvesOverHTTP(t *testing.T) {
	i := servertest.New(t, servertest.Options{Configure: func(c *config.Config) {
		c.Sessions.Idle, c.Sessions.Absolute = time.Hour, 5*time.Hour
	}})
	idle, busy := signedIn(t, i, demo.Reader), signedIn(t, i, demo.Reader)
	for step := 1; step <= 5; step++ {
		i.Clock.Advance(59 * time.Minute)
		a := busy.Authorize(demo.SPA, "prompt", "none").Answer(t)
		if a.Code == "" {
			t.Fatalf("a session in use ended after %d steps: %s", step, a.Error)
		}
	}
	if who(idle) != "" {
		t.Error("a session that nobody used lives")
	}
	i.Clock.Advance(6 * time.Minute)
	if who(busy) != "" || busy.Authorize(demo.SPA, "prompt", "none").Answer(t).Error != "login_required" {
		t.Error("a session outlives its absolute limit")
	}
}

// A page fetched on the chance that somebody may want it does nothing: no code, no end of a
// session, no cookie, no word about who is here.
func TestThreat_BR15_PrefetchDoesNothing(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	ctx, h := context.Background(), i.House
	b := signedIn(t, i, demo.Reader)
	link, err := h.SignIn.IssuePasswordLink(ctx, h.Tenant, signin.Link{UserID: i.UserID(t, demo.Stranger), URL: func(s string) string { return s }}, audit.System())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/authorize?" + i.AuthorizeQuery(demo.SPA).Encode(), "/authorize?" + i.AuthorizeQuery(demo.SPA, "prompt", "none").Encode(), "/authorize?" + i.AuthorizeQuery(demo.ThirdParty).Encode(), "/authorize?" + i.AuthorizeQuery(demo.RegularWeb, "response_mode", "form_post").Encode(),
		"/v2/logout?" + url.Values{"client_id": {i.Content.Client(demo.SPA).ClientID}, "returnTo": {"http://localhost:3000"}}.Encode(), "/oidc/logout", "/u/sign-in", "/u/sign-up", "/u/password?ticket=" + link,
	} {
		for _, header := range [][]string{{"Sec-Purpose", "prefetch"}, {"Sec-Purpose", "prefetch;prerender"}, {"Purpose", "prefetch"}, {"X-Moz", "prefetch"}, {"Sec-Purpose", "prefetch;anonymous-client-ip"}} {
			for _, who := range []*servertest.Browser{b, i.NewBrowser(t)} {
				p := who.Send(who.Request(http.MethodGet, path, "", append([]string{"Sec-Fetch-Dest", "document"}, header...)...))
				if p.StatusCode != http.StatusServiceUnavailable || p.Body != "" || p.Header.Get("Location") != "" || len(p.Cookies()) > 0 || p.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%.60s with %v: %s %v", path, header, p.Status, p.Header)
				}
			}
		}
	}
	if who(b) != demo.Reader {
		t.Error("the session has ended")
	}
}

func TestThreat_EM01_OpeningALinkUsesNothing(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	ctx, h := context.Background(), i.House
	link, err := h.SignIn.IssuePasswordLink(ctx, h.Tenant, signin.Link{UserID: i.UserID(t, demo.Stranger), URL: func(s string) string { return s }}, audit.System())
	if err != nil {
		t.Fatal(err)
	}
	b := i.NewBrowser(t)
	path := "/u/password?ticket=" + url.QueryEscape(link)
	for range 3 { // a scanner of mail, and the person at last
		scanner := i.NewBrowser(t)
		scanner.Send(scanner.Request(http.MethodHead, path, ""))
		scanner.Get(path + "&password=scanned-by-a-machine&action=set_password")
	}
	p := b.Get(path)
	if p.StatusCode != http.StatusOK || p.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Fatal(p.Status)
	}
	refused(t, i.NewBrowser(t).Press(p, "set_password", "password", "sent-from-elsewhere"))
	if got := b.Press(p, "set_password", "password", "short"); got.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a short password: %s", got.Status)
	}
	expect(t, b.Press(p, "set_password", "password", "bob-chose-a-new-one"), http.StatusOK, titleSignIn)
	expect(t, b.Press(p, "set_password", "password", "and-once-more-again"), http.StatusGone, titleSignIn)
	expect(t, b.Get(path), http.StatusGone, titleSignIn)
	b.SignIn(demo.Stranger, "bob-chose-a-new-one")
}

// behindProxy lets a test choose the address that a browser comes from.
func behindProxy(c *config.Config) {
	c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func from(b *servertest.Browser, address string) *servertest.Browser {
	b.Header.Set("X-Forwarded-For", address)
	return b
}

func TestThreat_PW01_ParallelGuessesAtTheForm(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	for _, email := range []string{demo.Reader, "nobody@example.com"} {
		b := i.NewBrowser(t)
		form := fields(b.Get("/u/sign-in").Hidden(), "action", "sign_in", "email", email, "password", "not-the-password")
		var mu sync.Mutex
		seen := map[int]int{}
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				p := b.Post("/u/sign-in", form)
				mu.Lock()
				defer mu.Unlock()
				seen[p.StatusCode]++
				if p.StatusCode == http.StatusTooManyRequests && p.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			})
		}
		all.Wait()
		if seen[http.StatusUnprocessableEntity] != 5 || seen[http.StatusTooManyRequests] != 59 {
			t.Errorf("%s: %v, want 5 answers and 59 refusals", email, seen)
		}
		if email == demo.Reader { // beyond the limit the right password opens nothing
			expect(t, b.As(b.Get("/u/sign-in"), demo.Reader), http.StatusTooManyRequests, titleLimit)
		}
	}
	i.Clock.Advance(16 * time.Minute)
	signedIn(t, i, demo.Reader)
}

func TestThreat_PW02_StrangersLockNobodyOutAtTheForm(t *testing.T) {
	i := servertest.New(t, servertest.Options{Configure: behindProxy})
	owner := from(i.NewBrowser(t), "198.51.100.7")
	owner.SignIn(demo.Reader, i.Password(t, demo.Reader))
	attacker := from(i.NewBrowser(t), "203.0.113.9")
	p := attacker.Get("/u/sign-in")
	for range 20 {
		attacker.Enter(p, demo.Reader, "not-the-password")
	}
	expect(t, attacker.As(p, demo.Reader), http.StatusTooManyRequests, titleLimit)
	// Another network, and the owner's own browser even in the attacker's network, are free.
	elsewhere := from(i.NewBrowser(t), "198.51.100.8")
	elsewhere.SignIn(demo.Reader, i.Password(t, demo.Reader))
	from(owner, "203.0.113.9").SignIn(demo.Reader, i.Password(t, demo.Reader))
	// What the attacker's network says about itself does not make it another.
	for _, spelling := range []string{"::ffff:203.0.113.9", "10.0.0.1, 203.0.113.9", "198.51.100.7, 203.0.113.9"} {
		again := from(i.NewBrowser(t), spelling)
		expect(t, again.As(again.Get("/u/sign-in"), demo.Reader), http.StatusTooManyRequests, titleLimit)
	}
}

func TestThreat_PW08_LongPasswordsAtTheForm(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	p := b.Get("/u/sign-in")
	before := i.House.People.Hasher.Hashes()
	for _, size := range []int{1025, 4096, 60_000} {
		expect(t, b.Enter(p, demo.Reader, strings.Repeat("x", size)), http.StatusUnprocessableEntity, titleSignIn)
		expect(t, b.Press(b.Get("/u/sign-up"), "sign_up", "email", newcomer, "password", strings.Repeat("x", size)), http.StatusUnprocessableEntity, titleSignUp)
	}
	for _, size := range []int{100_000, 10 << 20} {
		for _, path := range formPaths() {
			if got := b.Post(path, fields(p.Hidden(), "email", demo.Reader, "password", strings.Repeat("x", size))); got.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s with %d bytes: %s", path, size, got.Status)
			}
		}
	}
	if got := i.House.People.Hasher.Hashes(); got != before {
		t.Errorf("%d hashes were computed", got-before)
	}
}

// The codes of two letters look alike. Each answers the page alone that asked for it.
func TestThreat_EM03_CodesAnswerTheirOwnPage(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	check := expect(t, b.Press(b.Get("/u/sign-up"), "sign_up", "email", newcomer, "password", newPassword), http.StatusOK, titleCheckMail)
	reset := expect(t, b.Press(b.Get("/u/forgot"), "forgot", "email", demo.Reader), http.StatusOK, titleForgotCode)
	signUpCode, resetCode := mailed(t, i, newcomer), mailed(t, i, demo.Reader)
	for _, c := range []string{signUpCode, resetCode} {
		expect(t, b.Post("/u/forgot", fields(check.Hidden(), "action", "set_password", "code", c, "password", "a-long-enough-one")), http.StatusUnprocessableEntity, titleForgotCode)
		expect(t, b.Post("/u/sign-up", fields(reset.Hidden(), "action", "verify", "code", c)), http.StatusUnprocessableEntity, titleCheckMail)
	}
	expect(t, b.Press(check, "verify", "code", resetCode), http.StatusUnprocessableEntity, titleCheckMail)
	expect(t, b.Press(reset, "set_password", "code", signUpCode, "password", "a-long-enough-one"), http.StatusUnprocessableEntity, titleForgotCode)
	// None of it used anything up.
	expect(t, b.Press(reset, "set_password", "code", resetCode, "password", "a-long-enough-one"), http.StatusOK, titleSignIn)
	if p := b.Press(check, "verify", "code", signUpCode); p.StatusCode != http.StatusSeeOther || who(b) != newcomer {
		t.Errorf("%s, signed in as %q", p.Status, who(b))
	}
}

// Codes go out a few times an hour, and no more for an address that nobody has.
func TestThreat_EM07_LettersAreCountedAtTheForms(t *testing.T) {
	i := servertest.New(t, servertest.Options{Configure: behindProxy})
	for _, way := range []string{"/u/forgot", "/u/sign-up"} {
		for n, email := range []string{demo.Stranger, "zoe@example.com"} {
			var got []int
			for try := range 5 { // from another network each time
				b := from(i.NewBrowser(t), fmt.Sprintf("198.51.%d.%d", 10*n+len(way), try))
				p := b.Press(b.Get(way), strings.ReplaceAll(strings.TrimPrefix(way, "/u/"), "-", "_"), "email", email, "password", "a-long-enough-one")
				got = append(got, p.StatusCode)
				if p.StatusCode == http.StatusTooManyRequests && p.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			}
			if !slices.Equal(got, []int{200, 200, 200, 429, 429}) {
				t.Errorf("%s for %s: %v", way, email, got)
			}
		}
		i.Clock.Advance(61 * time.Minute)
	}
	b := from(i.NewBrowser(t), "203.0.113.9") // one network, for many addresses
	refusals := 0
	for n := range 15 {
		if b.Press(b.Get("/u/forgot"), "forgot", "email", fmt.Sprintf("p%d@example.com", n)).StatusCode == http.StatusTooManyRequests {
			refusals++
		}
	}
	if refusals != 5 {
		t.Errorf("%d of 15 letters to as many addresses were refused", refusals)
	}
}

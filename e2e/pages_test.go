package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// request is an authorization request of a client, as an application would send the browser to it.
func request(h *drive.House, c drive.Client, redirectURI string, more ...string) string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.ClientID}, "redirect_uri": {redirectURI}, "scope": {"openid profile email"},
		"state": {rand.Text()}, "code_challenge": {challenge(rand.Text() + rand.Text())}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		if q.Set(more[i], more[i+1]); more[i+1] == "" {
			q.Del(more[i])
		}
	}
	return h.Issuer + "authorize?" + q.Encode()
}

// challenge is the S256 code challenge of a verifier (RFC 7636 §4.2).
func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// application is a server that says what came back to its redirect URI.
func application(h *drive.House) (origin string) {
	h.T.Helper()
	return h.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		switch {
		case r.FormValue("code") != "":
			_, _ = w.Write([]byte("the application got a code"))
		case r.FormValue("error") != "":
			_, _ = w.Write([]byte("the application got an error: " + r.FormValue("error")))
		default:
			_, _ = w.Write([]byte("the application got nothing"))
		}
	}))
}

// Every hosted page, reached by the way on which people reach it.
func TestHostedPagesAreAccessible(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	app := application(h)
	planner := h.Client(drive.NobodyKnows)
	me := drive.NewProfile(t)
	b := me.Tab()

	b.Open(h.Issuer)
	for _, list := range []string{"Registered clients", "Registered APIs"} {
		b.Press(list)
	}
	b.Accessible("start")
	b.Open(h.Inbox)
	b.See("No mail yet")
	b.Accessible("inbox empty")

	b.Open(request(h, planner, app+"/callback", "audience", planner.Audience, "scope", "openid profile email offline_access read:shows"))
	b.Accessible("sign in")
	b.Press("Demo accounts")
	b.Fill("E-mail address", drive.Newcomer.Email)
	b.Fill("Password", "not the password")
	b.Press("Sign in")
	b.See("That did not work")
	b.Accessible("sign in refused")
	b.Press("Create an account")
	b.See("Create your account")
	b.Accessible("sign up")
	b.Fill("E-mail address", drive.Newcomer.Email)
	b.Fill("New password", "passwordpassword")
	b.Press("Create account")
	b.See("too easy to guess")
	b.Accessible("sign up refused")
	b.Fill("New password", drive.Newcomer.Password)
	b.Press("Create account")
	b.See("Check your mail")
	b.Accessible("code")
	b.Fill("Six-digit code", "000000")
	b.Press("Continue")
	b.See("That did not work")
	b.Accessible("code refused")
	b.Fill("Six-digit code", me.MailedCode(h, drive.Newcomer))
	b.Press("Continue")
	b.See("Allow Popcorn Planner?")
	b.Accessible("consent")
	b.Press("Allow")
	b.At(app)
	b.See("the application got a code")

	b.Open(h.Issuer + "u/sign-in")
	b.See("You are signed in", drive.Newcomer.Email)
	b.Accessible("signed in")
	b.Open(request(h, h.Client(drive.SPAClient), app, "prompt", "login"))
	b.See("Sign in")
	b.Accessible("sign in again")
	b.Open(h.Issuer + "oidc/logout")
	b.See("Sign out?")
	b.Accessible("sign out")
	b.Press("Sign out")
	b.See("You are signed out")
	b.Accessible("signed out")

	b.Open(h.Issuer + "u/forgot")
	b.Accessible("forgot")
	b.See("Reset your password")
	b.Fill("E-mail address", drive.Newcomer.Email)
	b.Press("Send the code")
	b.See("If " + drive.Newcomer.Email + " belongs to an account")
	b.Accessible("reset")
	b.Fill("Six-digit code", me.MailedCode(h, drive.Newcomer))
	b.Fill("New password", "two kettles on the landing")
	b.Press("Change password")
	b.See("Your password is changed")
	b.Accessible("reset done")

	b.Open(h.Inbox)
	b.See(drive.Newcomer.Email)
	b.Accessible("inbox")
	b.Click("a mail", `document.querySelector(".mails a")`)
	b.See("Back to the inbox")
	b.Accessible("mail")

	b.Open(request(h, h.Client(drive.SPAClient), "https://elsewhere.example/"))
	b.See("can’t be served")
	b.Accessible("error redirect uri")
	b.Open(h.Issuer + "nowhere")
	b.See("There is no page at this address")
	b.Accessible("error not found")
	b.Harmless()
}

// People who have switched JavaScript off sign up, allow, sign in, reset and leave all the same.
func TestPagesWorkWithoutJavaScript(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	app := application(h)
	planner, spa := h.Client(drive.NobodyKnows), h.Client(drive.SPAClient)
	me := drive.NewProfile(t)
	b := me.Tab(drive.WithoutJavaScript)

	b.Open(request(h, planner, app+"/callback", "audience", planner.Audience, "scope", "openid read:shows", "screen_hint", "signup"))
	me.SignUp(b, h, drive.Newcomer)
	b.See("Allow Popcorn Planner?")
	b.Press("Allow")
	b.At(app)
	b.See("the application got a code")

	b.Open(request(h, planner, app+"/callback", "prompt", "consent"))
	b.See("Allow Popcorn Planner?")
	b.Press("Don’t allow")
	b.See("the application got an error: access_denied")

	b.Open(request(h, h.Client(drive.WebClient), app+"/callback", "response_mode", "form_post"))
	b.See("Taking you back")
	b.Press("Continue")
	b.See("the application got a code")

	b.Open(h.Issuer + "oidc/logout?" + url.Values{"client_id": {spa.ClientID}, "post_logout_redirect_uri": {app}}.Encode())
	b.See("Sign out?")
	b.Press("Sign out")
	b.Wait("the person is signed out", func() bool {
		return strings.HasPrefix(b.Address(), app) || strings.Contains(b.Text(), "You are signed out")
	})

	b.Open(request(h, spa, app))
	b.Press("Forgot your password?")
	b.See("Reset your password")
	b.Fill("E-mail address", drive.Newcomer.Email)
	b.Press("Send the code")
	b.See("If " + drive.Newcomer.Email + " belongs to an account")
	b.Fill("Six-digit code", me.MailedCode(h, drive.Newcomer))
	changed := drive.Person{Email: drive.Newcomer.Email, Password: "two kettles on the landing"}
	b.Fill("New password", changed.Password)
	b.Press("Change password")
	b.See("Your password is changed")
	me.SignIn(b, changed)
	b.At(app)
	b.See("the application got a code")
}

// An application may keep its callback at one origin and its pages at another that the house has
// never heard of. Chromium holds the form's policy against that redirect, too.
func TestCallbackThatLeadsOnElsewhere(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	front, _ := hostile(t, "the front end was reached")
	app := h.Serve(http.RedirectHandler(front, http.StatusSeeOther))
	me := drive.NewProfile(t)
	b := me.Tab()
	b.Open(request(h, h.Client(drive.SPAClient), app+"/callback"))
	me.SignIn(b, h.User(drive.Alice))
	b.At(front)
	b.See("the front end was reached")
}

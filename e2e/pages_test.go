package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// request is an authorization request of a client, as an application would send the browser to it.
func (h *house) request(c client, redirectURI string, more ...string) string {
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
func (h *house) application() (origin string) {
	h.t.Helper()
	return h.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	h := openHouse(t)
	app := h.application()
	planner := h.client(nobodyKnows)
	me := newProfile(t)
	b := me.tab()

	b.open(h.Issuer)
	for _, list := range []string{"Registered clients", "Registered APIs"} {
		b.press(list)
	}
	b.accessible("start")
	b.open(h.Inbox)
	b.see("No mail yet")
	b.accessible("inbox empty")

	b.open(h.request(planner, app+"/callback", "audience", planner.Audience, "scope", "openid profile email offline_access read:shows"))
	b.accessible("sign in")
	b.press("Demo accounts")
	b.fill("E-mail address", newcomer.Email)
	b.fill("Password", "not the password")
	b.press("Sign in")
	b.see("That did not work")
	b.accessible("sign in refused")
	b.press("Create an account")
	b.see("Create your account")
	b.accessible("sign up")
	b.fill("E-mail address", newcomer.Email)
	b.fill("New password", "passwordpassword")
	b.press("Create account")
	b.see("too easy to guess")
	b.accessible("sign up refused")
	b.fill("New password", newcomer.Password)
	b.press("Create account")
	b.see("Check your mail")
	b.accessible("code")
	b.fill("Six-digit code", "000000")
	b.press("Continue")
	b.see("That did not work")
	b.accessible("code refused")
	b.fill("Six-digit code", me.mailedCode(h, newcomer))
	b.press("Continue")
	b.see("Allow Popcorn Planner?")
	b.accessible("consent")
	b.press("Allow")
	b.at(app)
	b.see("the application got a code")

	b.open(h.Issuer + "u/sign-in")
	b.see("You are signed in", newcomer.Email)
	b.accessible("signed in")
	b.open(h.request(h.client(spaClient), app, "prompt", "login"))
	b.see("Sign in")
	b.accessible("sign in again")
	b.open(h.Issuer + "oidc/logout")
	b.see("Sign out?")
	b.accessible("sign out")
	b.press("Sign out")
	b.see("You are signed out")
	b.accessible("signed out")

	b.open(h.Issuer + "u/forgot")
	b.accessible("forgot")
	b.see("Reset your password")
	b.fill("E-mail address", newcomer.Email)
	b.press("Send the code")
	b.see("If " + newcomer.Email + " belongs to an account")
	b.accessible("reset")
	b.fill("Six-digit code", me.mailedCode(h, newcomer))
	b.fill("New password", "two kettles on the landing")
	b.press("Change password")
	b.see("Your password is changed")
	b.accessible("reset done")

	b.open(h.Inbox)
	b.see(newcomer.Email)
	b.accessible("inbox")
	b.click("a mail", `document.querySelector(".mails a")`)
	b.see("Back to the inbox")
	b.accessible("mail")

	b.open(h.request(h.client(spaClient), "https://elsewhere.example/"))
	b.see("can’t be served")
	b.accessible("error redirect uri")
	b.open(h.Issuer + "nowhere")
	b.see("There is no page at this address")
	b.accessible("error not found")
	b.harmless()
}

// People who have switched JavaScript off sign up, allow, sign in, reset and leave all the same.
func TestPagesWorkWithoutJavaScript(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	app := h.application()
	planner, spa := h.client(nobodyKnows), h.client(spaClient)
	me := newProfile(t)
	b := me.tab(withoutJavaScript)

	b.open(h.request(planner, app+"/callback", "audience", planner.Audience, "scope", "openid read:shows", "screen_hint", "signup"))
	me.signUp(b, h, newcomer)
	b.see("Allow Popcorn Planner?")
	b.press("Allow")
	b.at(app)
	b.see("the application got a code")

	b.open(h.request(planner, app+"/callback", "prompt", "consent"))
	b.see("Allow Popcorn Planner?")
	b.press("Don’t allow")
	b.see("the application got an error: access_denied")

	b.open(h.request(h.client(webClient), app+"/callback", "response_mode", "form_post"))
	b.see("Taking you back")
	b.press("Continue")
	b.see("the application got a code")

	b.open(h.Issuer + "oidc/logout?" + url.Values{"client_id": {spa.ClientID}, "post_logout_redirect_uri": {app}}.Encode())
	b.see("Sign out?")
	b.press("Sign out")
	b.wait("the person is signed out", func() bool {
		return strings.HasPrefix(b.address(), app) || strings.Contains(b.text(), "You are signed out")
	})

	b.open(h.request(spa, app))
	b.press("Forgot your password?")
	b.see("Reset your password")
	b.fill("E-mail address", newcomer.Email)
	b.press("Send the code")
	b.see("If " + newcomer.Email + " belongs to an account")
	b.fill("Six-digit code", me.mailedCode(h, newcomer))
	changed := person{newcomer.Email, "two kettles on the landing"}
	b.fill("New password", changed.Password)
	b.press("Change password")
	b.see("Your password is changed")
	me.signIn(b, changed)
	b.at(app)
	b.see("the application got a code")
}

// An application may keep its callback at one origin and its pages at another that the house has
// never heard of. Chromium holds the form's policy against that redirect, too.
func TestCallbackThatLeadsOnElsewhere(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	front, _ := hostile(t, "the front end was reached")
	app := h.serve(http.RedirectHandler(front, http.StatusSeeOther))
	me := newProfile(t)
	b := me.tab()
	b.open(h.request(h.client(spaClient), app+"/callback"))
	me.signIn(b, h.user(alice))
	b.at(front)
	b.see("the front end was reached")
}

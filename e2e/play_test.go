package e2e

import (
	"net/url"
	"strings"
)

// What people do on the pages of the house, whichever application sent them there.

// newcomer is somebody whom no house knows yet.
var newcomer = person{"new.viewer@example.com", "a kettle on the landing"}

// signUp fills in the form, fetches the code from the inbox in another tab, and types it in.
func (p *profile) signUp(b *tab, h *house, who person) {
	p.t.Helper()
	b.see("Create your account")
	b.fill("E-mail address", who.Email)
	b.fill("New password", who.Password)
	b.press("Create account")
	b.see("Check your mail", who.Email)
	b.fill("Six-digit code", p.mailedCode(h, who))
	b.press("Continue")
}

// mailedCode reads the newest code that was sent to somebody, in a tab of its own.
func (p *profile) mailedCode(h *house, who person) string {
	p.t.Helper()
	inbox := p.tab()
	inbox.open(h.Inbox + "?to=" + url.QueryEscape(who.Email))
	inbox.see(who.Email)
	inbox.click("the newest mail", `document.querySelector(".mails a")`)
	inbox.see("Back to the inbox")
	return strings.TrimSpace(script[string](inbox, `document.querySelector(".big-code code").innerText`))
}

// signIn fills in the sign-in form.
func (p *profile) signIn(b *tab, who person) {
	p.t.Helper()
	b.see("Forgot your password?")
	b.fill("E-mail address", who.Email)
	b.fill("Password", who.Password)
	b.press("Sign in")
}

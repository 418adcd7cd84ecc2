package drive

import (
	"net/url"
	"strings"
)

// What people do on the pages of the house, whichever application sent them there.

// Newcomer is somebody whom no house knows yet.
var Newcomer = Person{"new.viewer@example.com", "a kettle on the landing"}

// SignUp fills in the form, fetches the code from the inbox in another tab, and types it in.
func (p *Profile) SignUp(b *Tab, h *House, who Person) {
	p.T.Helper()
	b.See("Create your account")
	b.Fill("E-mail address", who.Email)
	b.Fill("New password", who.Password)
	b.Press("Create account")
	b.See("Check your mail", who.Email)
	b.Fill("Six-digit code", p.MailedCode(h, who))
	b.Press("Continue")
}

// MailedCode reads the newest code that was sent to somebody, in a tab of its own.
func (p *Profile) MailedCode(h *House, who Person) string {
	p.T.Helper()
	inbox := p.Tab()
	inbox.Open(h.Inbox + "?to=" + url.QueryEscape(who.Email))
	inbox.See(who.Email)
	inbox.Click("the newest mail", `document.querySelector(".mails a")`)
	inbox.See("Back to the inbox")
	return strings.TrimSpace(Script[string](inbox, `document.querySelector(".big-code code").innerText`))
}

// SignIn fills in the sign-in form.
func (p *Profile) SignIn(b *Tab, who Person) {
	p.T.Helper()
	b.See("Forgot your password?")
	b.Fill("E-mail address", who.Email)
	b.Fill("Password", who.Password)
	b.Press("Sign in")
}

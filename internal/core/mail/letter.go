package mail

import (
	_ "embed" // the two layouts
	htmltemplate "html/template"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// letter is what a mail says, apart from how it looks. Both layouts show all of it.
type letter struct {
	Subject string
	Opening []string
	Code    string // shown large, to be typed
	Link    string // shown as a button, and in full where there are no buttons
	Button  string
	Closing []string
	House   string // who writes
	Home    string // and where they live
}

//go:embed letter.txt
var textLayout string

//go:embed letter.html
var htmlLayout string

// SignUpCode tells the code that finishes a sign-up.
func SignUpCode(tn *tenant.Tenant, to, code string, valid time.Duration) (Message, error) {
	return letter{
		Subject: "Your sign-up code for " + tn.Settings.Name,
		Opening: []string{"Welcome! Type this code in the browser where you started to sign up:"},
		Code:    code,
		Closing: []string{
			"It works once, within " + spell(valid) + ". Nobody from " + tn.Settings.Name + " will ever ask you for it.",
			"You did not sign up? Then somebody mistyped their address. You can ignore this mail: without the code there is no account.",
		},
	}.message(tn, to)
}

// AddressTaken tells the owner of an account that somebody, most likely they themselves, tried to
// sign up with its address.
func AddressTaken(tn *tenant.Tenant, to string) (Message, error) {
	return letter{
		Subject: "You already have an account at " + tn.Settings.Name,
		Opening: []string{
			"Somebody just tried to sign up with this address, and it has an account already.",
			"If that was you, sign in as usual. If you forgot the password, ask for a new one on the sign-in page.",
		},
		Closing: []string{"If it was not you, nothing has happened and there is nothing to do."},
	}.message(tn, to)
}

// PasswordResetCode tells the code with which a new password can be chosen.
func PasswordResetCode(tn *tenant.Tenant, to, code string, valid time.Duration) (Message, error) {
	return letter{
		Subject: "Your code for a new password at " + tn.Settings.Name,
		Opening: []string{"Type this code in the browser where you asked for a new password:"},
		Code:    code,
		Closing: []string{
			"It works once, within " + spell(valid) + ". Nobody from " + tn.Settings.Name + " will ever ask you for it.",
			"You did not ask? Then you can ignore this mail; your password stays as it is.",
		},
	}.message(tn, to)
}

// PasswordChanged tells the owner of an account that its password is another one now.
func PasswordChanged(tn *tenant.Tenant, to string, at time.Time) (Message, error) {
	return letter{
		Subject: "Your password at " + tn.Settings.Name + " was changed",
		Opening: []string{
			"The password of your account was changed on " + at.UTC().Format("2 January 2006 at 15:04 UTC") + ".",
			"You were signed out everywhere; sign in with the new password.",
		},
		Closing: []string{"If it was not you, ask for a new password on the sign-in page right away: that signs out whoever did it."},
	}.message(tn, to)
}

// PasswordLink carries an administrator's link under which the owner chooses a password.
func PasswordLink(tn *tenant.Tenant, to, link string, valid time.Duration) (Message, error) {
	return letter{
		Subject: "Choose your password at " + tn.Settings.Name,
		Opening: []string{"An administrator of " + tn.Settings.Name + " asks you to choose a password for your account:"},
		Link:    link,
		Button:  "Choose a password",
		Closing: []string{"The link works once, within " + spell(valid) + "."},
	}.message(tn, to)
}

func (l letter) message(tn *tenant.Tenant, to string) (Message, error) {
	l.House, l.Home = tn.Settings.Name, tn.Issuer
	text, err := texttemplate.New("text").Parse(textLayout)
	if err != nil {
		return Message{}, err
	}
	html, err := htmltemplate.New("html").Parse(htmlLayout)
	if err != nil {
		return Message{}, err
	}
	var t, h strings.Builder
	if err := text.Execute(&t, l); err != nil {
		return Message{}, err
	}
	if err := html.Execute(&h, l); err != nil {
		return Message{}, err
	}
	return Message{To: to, Subject: l.Subject, Text: t.String(), HTML: h.String()}, nil
}

// spell writes a duration as people say it.
func spell(d time.Duration) string {
	unit, n := "minute", int(d/time.Minute)
	switch {
	case d >= 48*time.Hour:
		unit, n = "day", int(d/(24*time.Hour))
	case d >= 2*time.Hour:
		unit, n = "hour", int(d/time.Hour)
	}
	if n == 1 {
		return "one " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}

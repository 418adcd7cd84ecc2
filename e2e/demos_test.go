package e2e

import "testing"

// Titles that the TV Shows API knows.
const (
	aShow = "The Lamplighters of Ostrava Lane"
	empty = "You are signed out here."
)

// demo is one form of the demo application, and what is different about it.
type demo struct {
	name string
	// renew asks for new tokens without a question, and sees that they came.
	renew func(b *tab)
	// before is what stands on the page before, when all is done.
	before string
	// notRenewed asks for new tokens after the sign-in has ended elsewhere.
	notRenewed func(b *tab)
}

func demos() []demo {
	atTheHouse := demo{
		renew: func(b *tab) {
			b.press("Renew at the house")
			b.see("Sign out", "How your sign-in was renewed")
		},
		notRenewed: func(b *tab) {
			b.press("Renew at the house")
			b.see("The house does not know this browser any more")
		},
	}
	inThePage := demo{
		renew: func(b *tab) {
			b.reload() // the tokens are gone with the page; the hidden frame brings new ones
			b.see("Sign out", "posted a code to")
			b.press("Renew by hidden frame")
			b.see("posted a code to")
			b.press("Renew by refresh token")
			b.see("The house answered with a new access token and a new refresh token")
		},
		notRenewed: func(b *tab) {
			b.press("Renew by refresh token")
			b.see("invalid_grant", empty)
			b.reload()
			b.see("login_required", empty)
		},
	}
	inThePage.name, inThePage.before = "Static site", "Check your mail"
	atTheHouse.before = newcomer.Email
	rendered, server := atTheHouse, atTheHouse
	rendered.name, server.name = "Server-rendered", "Custom server"
	return []demo{inThePage, rendered, server}
}

// A person signs up, uses the application, and leaves it, in each of its forms.
func TestDemos(t *testing.T) {
	for _, form := range demos() {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			h := openHouse(t)
			home := h.demo(form.name)

			me := newProfile(t)
			b := me.tab()
			b.open(home)
			b.see(empty)
			b.press("Sign up")
			me.signUp(b, h, newcomer)
			b.at(home)
			b.see(newcomer.Email, "Sign out")
			b.press("Load the shows")
			b.see(aShow)
			b.accessible("demo " + form.name)
			form.renew(b)
			b.press("Load the shows")
			b.see(aShow)

			second := me.tab()
			second.open(home)
			second.see(newcomer.Email, "Sign out")

			b.back()
			b.see(form.before)
			b.open(home)
			b.see(newcomer.Email, "Sign out")

			b.press("Sign out")
			b.at(home)
			b.see(empty)
			b.reload()
			b.see(empty)
			second.reload()
			second.see(empty)
			b.press("Sign in")
			b.see("E-mail address", "Password")
			b.back()
			b.see(empty)
		})
	}
}

// Somebody who lacks a permission is told so by the API, in each form.
func TestDemosMeetTheForbidden(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	me := newProfile(t)
	for i, form := range demos() {
		b := me.tab()
		b.open(h.demo(form.name))
		if i == 0 {
			b.see(empty)
		}
		b.press("Sign in")
		if i == 0 {
			me.signIn(b, h.user(bob)) // the other forms find Bob signed in at the house
		}
		b.see("Bob Baker", "Sign out")
		b.press("Load the shows")
		b.see("403: you may not do this", "read:shows")
		b.lacks(aShow)
		b.keep("demo-forbidden-" + form.name)
	}
}

// Who signs out in one form can no longer renew in the others: the session at the house is over.
func TestDemosSignOutEndsRenewalEverywhere(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	me := newProfile(t)
	tabs := map[string]*tab{}
	for i, form := range demos() {
		b := me.tab()
		tabs[form.name] = b
		b.open(h.demo(form.name))
		b.press("Sign in")
		if i == 0 {
			me.signIn(b, h.user(alice))
		}
		b.see("Alice Archer", "Sign out")
	}
	leaving := tabs["Server-rendered"]
	leaving.press("Sign out")
	leaving.see(empty)
	for _, form := range demos() {
		if form.name != "Server-rendered" {
			form.notRenewed(tabs[form.name])
		}
	}
}

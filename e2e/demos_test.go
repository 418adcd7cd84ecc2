package e2e

import (
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// Titles that the TV Shows API knows.
const (
	aShow = "The Lamplighters of Ostrava Lane"
	empty = "You are signed out here."
)

// demo is one form of the demo application, and what is different about it.
type demo struct {
	name string
	// renew asks for new tokens without a question, and sees that they came.
	renew func(b *drive.Tab)
	// before is what stands on the page before, when all is done.
	before string
	// notRenewed asks for new tokens after the sign-in has ended elsewhere.
	notRenewed func(b *drive.Tab)
}

func demos() []demo {
	atTheHouse := demo{
		renew: func(b *drive.Tab) {
			b.Press("Renew at the house")
			b.See("Sign out", "How your sign-in was renewed")
		},
		notRenewed: func(b *drive.Tab) {
			b.Press("Renew at the house")
			b.See("The house does not know this browser any more")
		},
	}
	inThePage := demo{
		renew: func(b *drive.Tab) {
			b.Reload() // the tokens are gone with the page; the hidden frame brings new ones
			b.See("Sign out", "posted a code to")
			b.Press("Renew by hidden frame")
			b.See("posted a code to")
			b.Press("Renew by refresh token")
			b.See("The house answered with a new access token and a new refresh token")
		},
		notRenewed: func(b *drive.Tab) {
			b.Press("Renew by refresh token")
			b.See("invalid_grant", empty)
			b.Reload()
			b.See("login_required", empty)
		},
	}
	inThePage.name, inThePage.before = "Static site", "Check your mail"
	atTheHouse.before = drive.Newcomer.Email
	rendered, server := atTheHouse, atTheHouse
	rendered.name, server.name = "Server-rendered", "Custom server"
	server.notRenewed = func(b *drive.Tab) { // it has been told: there is nothing to renew
		b.Wait("the house to tell the custom server", func() bool {
			b.Reload()
			return strings.Contains(strings.ToLower(b.Text()), strings.ToLower(empty))
		})
		b.Lacks("Alice Archer")
	}
	return []demo{inThePage, rendered, server}
}

// A person signs up, uses the application, and leaves it, in each of its forms.
func TestDemos(t *testing.T) {
	for _, form := range demos() {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			h := drive.OpenHouse(t)
			home := h.Demo(form.name)

			me := drive.NewProfile(t)
			b := me.Tab()
			b.Open(home)
			b.See(empty)
			b.Press("Sign up")
			me.SignUp(b, h, drive.Newcomer)
			b.At(home)
			b.See(drive.Newcomer.Email, "Sign out")
			b.Press("Load the shows")
			b.See(aShow)
			b.Accessible("demo " + form.name)
			b.Readable("demo " + form.name)
			form.renew(b)
			b.Press("Load the shows")
			b.See(aShow)

			second := me.Tab()
			second.Open(home)
			second.See(drive.Newcomer.Email, "Sign out")

			b.Back()
			b.See(form.before)
			b.Open(home)
			b.See(drive.Newcomer.Email, "Sign out")

			b.Press("Sign out")
			b.At(home)
			b.See(empty)
			b.Reload()
			b.See(empty)
			second.Reload()
			second.See(empty)
			b.Press("Sign in")
			b.See("E-mail address", "Password")
			b.Back()
			b.See(empty)
		})
	}
}

// Somebody who lacks a permission is told so by the API, in each form.
func TestDemosMeetTheForbidden(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	me := drive.NewProfile(t)
	for i, form := range demos() {
		b := me.Tab()
		b.Open(h.Demo(form.name))
		if i == 0 {
			b.See(empty)
		}
		b.Press("Sign in")
		if i == 0 {
			me.SignIn(b, h.User(drive.Bob)) // the other forms find drive.Bob signed in at the house
		}
		b.See("Bob Baker", "Sign out")
		b.Press("Load the shows")
		b.See("403: you may not do this", "read:shows")
		b.Lacks(aShow)
		b.Keep("demo-forbidden-" + form.name)
	}
}

// Who signs out in one form can no longer renew in the others, for the session at the house is over; those with a
// server end their own: one is told, and the other follows what the house takes back.
func TestDemosSignOutReachesTheOthers(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	me := drive.NewProfile(t)
	tabs := map[string]*drive.Tab{}
	for i, form := range demos() {
		b := me.Tab()
		tabs[form.name] = b
		b.Open(h.Demo(form.name))
		b.Press("Sign in")
		if i == 0 {
			me.SignIn(b, h.User(drive.Alice))
		}
		b.See("Alice Archer", "Sign out")
	}
	leaving := tabs["Server-rendered"]
	leaving.Press("Sign out")
	leaving.See(empty)
	for _, form := range demos() {
		if form.name != "Server-rendered" {
			form.notRenewed(tabs[form.name])
		}
	}

	// A cookie cannot be told, but its server knows what the house took back.
	staying := leaving
	leaving = tabs["Custom server"]
	staying.Press("Sign in")
	me.SignIn(staying, h.User(drive.Alice))
	staying.See("Alice Archer", "Sign out")
	leaving.Press("Sign in")
	leaving.See("Alice Archer", "Sign out")
	leaving.Press("Sign out")
	leaving.See(empty)
	staying.Wait("the server-rendered form to hear of it", func() bool {
		staying.Reload()
		return strings.Contains(strings.ToLower(staying.Text()), strings.ToLower(empty))
	})
	staying.Lacks("Alice Archer")
}

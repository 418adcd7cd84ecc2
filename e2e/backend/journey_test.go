package backend

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

const aShow = "Saltgrass Radio"

// In each example somebody new signs up, sees pages that the server made of what it knows of them, has it call
// the API, stays signed in while tokens expire and the house changes its keys, signs out, finds nothing of
// theirs left, and signs in again. Time is what the test says it is, for the house, the example and the API:
// nothing expires because a machine is slow.
func TestJourney(t *testing.T) {
	for _, e := range examples() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			clock := drive.NewClock(t, 0)
			clock.Run()
			h := drive.OpenHouseBy(t, clock)
			a := start(t, h.House, e, h.API(), clock.Environment()...)
			me := drive.NewProfile(t)
			b, who := me.Tab(), drive.Newcomer

			b.Open(a.origin)
			b.See("You are signed out")
			b.Press("Sign in")
			b.Press("Create an account")
			me.SignUp(b, h.House, who)
			b.At(a.origin)
			b.See("Hello, ")
			b.Keep(e.name + "-home")

			b.Press("Profile") // rendered on the server, with what the API said
			b.See("Your profile", who.Email, aShow, "read:shows")
			b.Accessible(e.name + " profile")
			b.Keep(e.name + "-profile")
			first := tokenID(b)

			// The token expires, and nobody notices. The page and its server may both renew at that moment, and
			// either's token is the one that is kept; from then on it is the same.
			clock.Advance(tokenLifetime)
			second := first
			b.Wait("there is another token, and it is kept", func() bool {
				b.Reload()
				b.See("Your profile", aShow)
				before := second
				second = tokenID(b)
				return second == before && second != first
			})

			b.Press("Client") // rendered in the browser
			b.See("Hello, ", who.Email)
			b.Wait("the page has come to life", func() bool { return alive(b) })
			b.Press("Load the shows")
			b.See(aShow, "read:shows")
			b.Keep(e.name + "-client")
			if again := tokenID(b); again == first {
				t.Errorf("the browser's request was answered with token %s, which has expired", again)
			}

			a.rotateKeys(h, b, who)

			other := me.Tab()
			other.Open(a.origin + "/profile")
			other.See("Your profile", who.Email)

			b.Press("Sign out")
			b.Wait("the house has sent the person back", func() bool { return b.Address() == a.origin+"/" })
			b.See("You are signed out")
			b.Back()
			b.Wait("the page before has nothing private", func() bool {
				return b.Address() != a.origin+"/" && b.Text() != "" && !shows(b, who.Email, aShow)
			})
			b.Open(a.origin + "/client")
			b.See("You are signed out")
			a.demand(other, "/profile")

			// Signing out elsewhere ends it here when the token has to be renewed.
			me.SignIn(other, who)
			other.See("Your profile", who.Email)
			elsewhere := me.Tab()
			elsewhere.Open(h.Origin() + "/u/sign-in")
			elsewhere.Press("Sign out")
			elsewhere.See("You are signed out")
			clock.Advance(tokenLifetime)
			other.Wait("the application notices", func() bool {
				other.Reload()
				return other.Text() != "" && !shows(other, who.Email, aShow)
			})
			a.demand(other, "/profile")
		})
	}
}

// tokenLifetime is longer than an access token lives.
const tokenLifetime = 11 * time.Minute

// rotateKeys has somebody who is signed in use the application while the house changes its keys, and sign
// in anew each time. The SDKs know the keys from before. No request fails.
func (a *app) rotateKeys(h *drive.ClockHouse, b *drive.Tab, who drive.Person) {
	a.t.Helper()
	looks := 0
	h.RotateKeys(proof.Times(2, 25), func() error {
		looks++
		err := b.Finds(a.origin+"/profile", "Your profile", who.Email, aShow)
		a.signInAgain(b, fmt.Sprint("/client?look=", looks))
		if answer := ask(b, "/api/shows", "/api/shows"); !slices.Equal(answer, []string{ok, ok}) {
			err = errors.Join(err, fmt.Errorf("after signing in, the application answers %q", answer))
		}
		return err
	})
}

// signInAgain gives somebody a new session here, from the one at the house, and a path to look at.
func (a *app) signInAgain(b *drive.Tab, path string) {
	a.t.Helper()
	drive.Script[any](b, fmt.Sprintf("void (%s)(%q)", a.again, path))
	b.Wait("the person is signed in again", func() bool { return b.Address() == a.origin+path && shows(b, "Hello, ") })
}

// The generic provider of NextAuth finds its way by the discovery document alone.
func TestGenericProvider(t *testing.T) {
	for _, e := range []example{nextAuthV4, nextAuthV5} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			h := drive.OpenHouse(t)
			a := start(t, h, e, h.API())
			me := drive.NewProfile(t)
			b := me.Tab()
			b.Open(a.origin)
			b.Press("Sign in with OpenID Connect")
			me.SignIn(b, h.User(drive.Alice))
			b.At(a.origin)
			b.See("Hello, Alice Archer")
			b.Press("Profile")
			b.See("Your profile", h.User(drive.Alice).Email, aShow)
			b.Press("Sign out")
			b.At(a.origin)
			b.See("You are signed out")
		})
	}
}

// tokenID is which access token the page says the API was called with.
func tokenID(b *drive.Tab) string {
	return drive.Script[string](b, `document.getElementById("token-id")?.innerText ?? ""`)
}

// alive reports whether scripts have made the button of a page their own: what comes from the server looks
// the same before, and does nothing.
func alive(b *drive.Tab) bool {
	return drive.Script[bool](b, `Object.keys(document.querySelector("main button") ?? {}).some((key) => key.startsWith("__reactProps"))`)
}

// shows reports whether any of these words stand on the page as it is.
func shows(b *drive.Tab, words ...string) bool {
	text := b.Text()
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

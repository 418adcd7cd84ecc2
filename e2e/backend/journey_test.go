package backend

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

const aShow = "Saltgrass Radio"

// In each example a person signs in, sees pages that the server made of what it knows of her, has it call
// the API, stays signed in while tokens expire, signs out, and finds nothing of hers left.
func TestJourney(t *testing.T) {
	for _, e := range examples() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			h := drive.OpenHouse(t)
			a := start(t, h, e, h.API())
			me := drive.NewProfile(t)
			b, who := me.Tab(), h.User(drive.Alice)

			a.setTokenLifetime(e.margin + 3) // the first token; see below
			b.Open(a.origin)
			b.See("You are signed out")
			b.Press("Sign in")
			if e.name == nextjsAuth0V4.name {
				who = drive.Newcomer
				b.Press("Create an account")
				me.SignUp(b, h, who)
			} else {
				me.SignIn(b, who)
			}
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
			a.setTokenLifetime(600)
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
			b.Press("Load the shows")
			b.See(aShow, "read:shows")
			b.Keep(e.name + "-client")
			if again := tokenID(b); again != second {
				t.Errorf("the browser's request was answered with token %s, not with %s", again, second)
			}

			other := me.Tab()
			other.Open(a.origin + "/profile")
			other.See("Your profile", who.Email)

			b.Press("Sign out")
			b.Wait("the house has sent the person back", func() bool { return b.Address() == a.origin+"/" })
			b.See("You are signed out")
			b.Back()
			b.Wait("the page before has nothing private", func() bool { return !shows(b, who.Email, aShow) })
			b.Open(a.origin + "/client")
			b.See("You are signed out")
			a.demand(other, "/profile")

			// Signing out elsewhere ends it here when the token has to be renewed.
			a.setTokenLifetime(e.margin + 1)
			me.SignIn(other, who)
			other.See("Your profile", who.Email)
			demo := me.Tab()
			demo.Open(h.Demo("Server-rendered"))
			demo.Press("Sign in")
			demo.Press("Sign out")
			other.Wait("the application notices", func() bool {
				other.Reload()
				return !shows(other, who.Email, aShow)
			})
			a.demand(other, "/profile")
		})
	}
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

// shows reports whether any of these words stand on the page as it is.
func shows(b *drive.Tab, words ...string) bool {
	text := b.Text()
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

package static

import (
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

// use-auth0-hooks signs people in and out and says who they are. It cannot get an access token: it reads
// a cache that the SDK below it has not had since 1.16, and stops in the page, before it asks the house
// for anything.
func TestStaticHooks(t *testing.T) {
	t.Parallel()
	h := drive.OpenClockHouse(t)
	home := (&site{folder: "static-hooks", script: "bundle"}).serve(t, h.House) + "/"
	me := drive.NewProfile(t)
	b := me.Tab()
	b.Open(home)
	b.See("You are signed out")
	b.Press("Sign in")
	b.Press("Create an account")
	me.SignUp(b, h.House, drive.Newcomer)
	b.At(home)
	b.See("Hello, " + drive.Newcomer.Email)

	asked := len(b.Requested())
	b.Press("Load the shows")
	b.See("use-auth0-hooks stopped: Cannot read properties of undefined (reading 'get')")
	if more := b.Requested()[asked:]; len(more) > 0 {
		t.Errorf("it asked for %q before it stopped", more)
	}
	b.Accessible("hooks")

	b.Press("Profile")
	b.See("Your profile", drive.Newcomer.Email)
	b.Back()
	b.See("Hello, " + drive.Newcomer.Email)
	b.Press("Profile")
	b.See("Your profile")
	b.Reload()
	b.See("Your profile", drive.Newcomer.Email)
	second := me.Tab()
	second.Open(home)
	second.See("Hello, " + drive.Newcomer.Email)

	h.RotateKeys(proof.Times(1, 8), func() error {
		second.Open(home) // it is signed in anew, in a hidden iframe
		second.See("Hello, " + drive.Newcomer.Email)
		second.Press("Profile")
		second.See("Your profile", drive.Newcomer.Email)
		return nil
	})

	b.Press("Sign out")
	b.At(home)
	b.See("You are signed out")
	second.Open(home)
	second.See("You are signed out")
	b.Press("Profile")
	b.At(h.Issuer)
	me.SignIn(b, drive.Newcomer)
	b.See("Your profile", drive.Newcomer.Email)
}

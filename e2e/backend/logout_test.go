package backend

import (
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// With its sessions in a store, nextjs-auth0 v4 is told by the house when a sign-in has ended elsewhere,
// and ends its session at once, whatever its tokens are still good for.
func TestBackChannelLogout(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	a := start(t, h, nextjsAuth0V4, h.API(), "SESSIONS=memory")
	a.setClient(drive.Object{"oidc_logout": drive.Object{"backchannel_logout_urls": []string{a.origin + "/auth/backchannel-logout"}}})
	me, someoneElse := drive.NewProfile(t), drive.NewProfile(t)
	b, untouched := me.Tab(), someoneElse.Tab()
	a.demand(b, "/profile")
	me.SignIn(b, h.User(drive.Alice))
	b.See("Your profile", aShow)
	a.demand(untouched, "/auth/login")
	someoneElse.SignIn(untouched, h.User(drive.Alice)) // the same person on another machine
	untouched.See("Hello, Alice Archer")

	demo := me.Tab()
	demo.Open(h.Demo("Server-rendered"))
	demo.Press("Sign in")
	demo.Press("Sign out")
	demo.See("You are signed out here.")

	b.Wait("the application notices", func() bool {
		b.Reload()
		return b.Text() != "" && !shows(b, h.User(drive.Alice).Email, aShow)
	})
	a.demand(b, "/profile")
	untouched.Reload()
	untouched.See("Hello, Alice Archer")
}

package express

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

const openIDConnectClient = "express-openid-connect"

// The ways in which the example can be started.
var (
	byFormPost = []string{"server.js"}
	byCode     = []string{"server.js", "--code"}
)

// startOpenIDConnect runs the example in one of its ways; more environment may follow.
func startOpenIDConnect(t *testing.T, h *drive.House, way []string, env ...string) site {
	t.Helper()
	s := place(t, h, openIDConnectClient, "/callback")
	s.node(t, filepath.Join(drive.Root(), "examples", "express-openid-connect"), env, way...)
	return s
}

// node starts a program of an example.
func (s site) node(t *testing.T, dir string, env []string, arguments ...string) *drive.Process {
	t.Helper()
	if _, err := drive.NPMPackage("express"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", arguments...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GATEHOUSE_DEV="+s.dev, "PORT="+s.port(), "BASE_URL="+s.origin, "NODE_ENV=production", "NEXT_TELEMETRY_DISABLED=1"), env...)
	return drive.Start(t, s.origin, cmd)
}

// The package as it is by default: an ID token, posted by the browser.
func TestOpenIDConnectByFormPost(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	s := startOpenIDConnect(t, h, byFormPost)
	me := drive.NewProfile(t)
	b := me.Tab()
	b.Open(s.origin + "/profile")
	b.At(h.Issuer) // a deep link, while signed out
	b.Press("Create an account")
	me.SignUp(b, h, drive.Newcomer)
	b.At(s.origin + "/profile")
	b.See("Your profile", drive.Newcomer.Email)
	b.Press("Shows")
	b.See("No access token")
	b.Accessible("express-openid-connect")
	leave(t, h, me, b, s, drive.Newcomer)
}

// The code flow, with calls to the API and renewals, while the house changes its keys.
func TestOpenIDConnectByCode(t *testing.T) {
	t.Parallel()
	clock := drive.NewClock(t, 0)
	clock.Run()
	h := drive.OpenHouseBy(t, clock)
	s := startOpenIDConnect(t, h.House, byCode, clock.Environment()...)
	me := drive.NewProfile(t)
	b := me.Tab()
	b.Open(s.origin + "/shows")
	b.Press("Create an account")
	me.SignUp(b, h.House, drive.Newcomer)
	b.At(s.origin + "/shows")
	b.See(aShow, "read:shows")
	b.Accessible("express-openid-connect shows")
	first := tokenID(b)
	b.Reload()
	if again := tokenID(b); again != first {
		t.Errorf("the token was not kept: %s, then %s", first, again)
	}
	b.Press("Renew the token")
	b.Wait("there is another token", func() bool { id := tokenID(b); return id != "" && id != first })
	h.RotateKeys(proof.Times(2, 25), func() error {
		renewed := b.Finds(s.origin+"/shows?renew", aShow, "read:shows")
		anew := b.Finds(s.origin+"/login", "Hello, "+drive.Newcomer.Email) // the house asks nothing
		return errors.Join(renewed, anew, b.Finds(s.origin+"/shows", aShow))
	})
	leave(t, h.House, me, b, s, drive.Newcomer)

	bob := drive.NewProfile(t)
	o := bob.Tab()
	o.Open(s.origin + "/shows")
	bob.SignIn(o, h.User(drive.Bob))
	o.See("403: you may not read shows", "Bob Baker")
}

// tokenID is the jti that the page shows.
func tokenID(b *drive.Tab) string {
	id, _ := drive.Evaluate[string](b, `document.getElementById("token-id")?.innerText ?? ""`)
	return id
}

// leave opens a second tab, signs out in the first, finds both signed out, the pages before too, and signs in again.
func leave(t *testing.T, h *drive.House, me *drive.Profile, b *drive.Tab, s site, who drive.Person) {
	t.Helper()
	name := who.Email
	second := me.Tab()
	second.Open(s.origin)
	second.See("Hello, " + name)

	b.Open(s.origin + "/profile")
	b.See(name)
	b.Press("Sign out")
	b.At(s.origin)
	b.See("You are signed out")
	b.Back()
	b.At(h.Issuer) // the page before asks who is there, and nobody is
	b.See("E-mail address", "Password")
	second.Reload()
	second.See("You are signed out")
	second.Lacks(name)
	second.Open(s.origin + "/profile")
	second.At(h.Issuer)
	me.SignIn(second, who)
	second.At(s.origin + "/profile")
	second.See("Your profile", name)
	second.Harmless()
}

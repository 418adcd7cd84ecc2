package static

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

const aShow = "The Lamplighters of Ostrava Lane"

// A person uses each site for a while, in each of the ways in which it renews its tokens.
func TestStaticSites(t *testing.T) {
	for _, s := range sites() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			// Browsers go by the machine's clock, and the house by one that does not reach it: what is good
			// for a while is good.
			clock := drive.NewClock(t, -9*time.Hour)
			clock.Run()
			h := drive.OpenHouseBy(t, clock)
			home := s.serve(t, h.House) + "/"
			stray := drive.NewProfile(t).Tab()
			stray.Open(home + s.callback + "?code=from-elsewhere&state=unknown")
			stray.See("Signing in did not work", "You are signed out")
			for i, way := range s.ways {
				t.Run(way.choice, func(t *testing.T) {
					v := visit{t: t, house: h.House, home: home, me: drive.NewProfile(t), way: way}
					b := v.settle()
					b.Press("Sign in")
					if i == 0 {
						b.Press("Create an account")
						v.me.SignUp(b, h.House, drive.Newcomer)
					} else {
						v.me.SignIn(b, drive.Newcomer)
					}
					b.At(home)
					b.See("Hello, " + drive.Newcomer.Email)
					v.callAndRenew(b, s.name)
					v.lookAround(b, v.rotateKeys(h, b))
					v.leave(b)
					v.popup(b)
				})
			}
		})
	}
}

// visit is one person's visit of a site.
type visit struct {
	t     *testing.T
	house *drive.House
	home  string
	me    *drive.Profile
	way   way
}

// settle opens the site and chooses the way of renewal.
func (v *visit) settle() *drive.Tab {
	b := v.me.Tab()
	b.Open(v.home)
	b.See("You are signed out")
	b.Keep("static-signed-out")
	if v.way.choice != "hidden iframe" {
		b.Choose("New access tokens come by", v.way.choice)
		b.Wait("the choice is kept", func() bool { return b.Query("renewal") != "" })
		b.See("You are signed out")
	}
	return b
}

func tokenID(b *drive.Tab) string {
	return drive.Script[string](b, `document.getElementById("token-id")?.innerText ?? ""`)
}

func (v *visit) callAndRenew(b *drive.Tab, name string) {
	b.Press("Load the shows")
	b.See(aShow, "read:shows")
	if v.way.choice == "hidden iframe" {
		b.Accessible(name)
	}
	first, asked := tokenID(b), len(b.Requested())
	b.Press("Load the shows")
	b.See(aShow)
	if again := tokenID(b); again != first {
		v.t.Errorf("the SDK did not use the token it had: %s, then %s", first, again)
	}
	b.Press("Renew the token")
	b.Wait("there is another token", func() bool { id := tokenID(b); return id != "" && id != first })
	if paths := v.asked(b, asked); v.way.asks != "" && !slices.Contains(paths, v.way.asks) || slices.Contains(paths, "/authorize") != (v.way.asks == "/authorize") {
		v.t.Errorf("renewal by %s asked the house for %q", v.way.choice, paths)
	}
	b.Press("Load the shows")
	b.See(aShow)
}

// rotateKeys renews, calls and signs in, in another tab, while the house changes its keys. It returns that tab.
func (v *visit) rotateKeys(h *drive.ClockHouse, b *drive.Tab) (other *drive.Tab) {
	other = v.me.Tab()
	h.RotateKeys(proof.Times(1, 8), func() error {
		was, served := tokenID(b), h.Served()
		b.Press("Renew the token")
		b.Wait("there is another token", func() bool { id := tokenID(b); return id != "" && id != was })
		b.Press("Load the shows")
		b.Wait("the API has answered", func() bool { return h.Served() > served })
		b.See(aShow)

		other.Open(v.home)
		if !v.way.reopens {
			other.See("You are signed out")
			other.Press("Sign in") // the house asks nothing
		}
		other.See("Hello, " + drive.Newcomer.Email)
		return nil
	})
	return other
}

// lookAround reloads, goes back, opens one more tab, and signs out: no tab shows anything of the person then,
// neither one that loads anew nor one that asks for a token.
func (v *visit) lookAround(b, other *drive.Tab) {
	b.Press("Profile")
	b.See("Your profile", drive.Newcomer.Email)
	b.Keep("static-profile")
	b.Back()
	b.See("Hello, " + drive.Newcomer.Email)
	b.Press("Profile")
	b.See("Your profile")
	b.Reload() // where nothing was kept, the page goes by the house, which knows the person, and back
	b.See("Your profile", drive.Newcomer.Email)

	second := v.me.Tab()
	second.Open(v.home)
	if !v.way.reopens {
		second.See("You are signed out")
		second.Press("Sign in") // the house asks nothing
	}
	second.See("Hello, " + drive.Newcomer.Email)
	second.Press("Load the shows")
	second.See(aShow)

	b.Press("Sign out")
	b.At(v.home)
	b.See("You are signed out")
	other.Reload()
	other.See("You are signed out")

	second.Press("Renew the token")
	second.Wait("the SDK is refused", func() bool {
		text := second.Text()
		return strings.Contains(text, "No token: ") || strings.Contains(text, "You are signed out")
	})
	second.Lacks("Good until")
	second.Reload()
	second.See("You are signed out")
}

// leave finds the person signed out.
func (v *visit) leave(b *drive.Tab) {
	b.Reload()
	b.See("You are signed out")
	b.Press("Profile")
	b.At(v.house.Issuer) // who is signed out is sent to sign in, and asked
	b.See("E-mail address", "Password")
	b.Back()
	b.At(v.home)
	b.See("You are signed out")
}

// popup signs in in a small window.
func (v *visit) popup(b *drive.Tab) {
	b.Open(v.home)
	b.See("You are signed out")
	small := b.Opened("to sign in", func() { b.Press("Sign in by popup") })
	small.Keep("static-popup")
	v.me.SignIn(small, drive.Newcomer)
	b.See("Hello, " + drive.Newcomer.Email)
	b.Press("Load the shows")
	b.See(aShow)
	b.Press("Sign out")
	b.See("You are signed out")
}

// asked returns the paths that a tab has asked the house for since.
func (v *visit) asked(b *drive.Tab, since int) []string {
	var out []string
	for _, address := range b.Requested()[since:] {
		if u, err := url.Parse(address); err == nil && strings.HasPrefix(address, v.house.Issuer) {
			out = append(out, u.Path)
		}
	}
	return out
}

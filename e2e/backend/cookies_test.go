package backend

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// What browsers keep of a cookie at most (RFC 6265bis section 5.6), and what Node.js reads of all
// headers of a request.
const (
	maxCookie  = 4096
	maxHeaders = 16 << 10
)

// A person with fifty permissions, in an application that asks for all of them by name, so that each stands in
// the access token twice, fits into the cookies of each SDK: no cookie is too large to be kept, and none of its
// pieces gets lost.
func TestCookieSizes(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	scope := "openid profile email offline_access read:shows"
	for _, p := range h.GrantFifty(h.Client(nextjsAuth0V4.name).Audience, h.User(drive.Alice)) {
		scope += " " + p
	}
	for _, e := range examples() {
		a := start(t, h, e, h.API(), "AUTH0_SCOPE="+scope)
		me := drive.NewProfile(t)
		b := me.Tab()
		a.demand(b, "/profile")
		me.SignIn(b, h.User(drive.Alice))
		b.At(a.origin)
		b.See("Your profile", aShow, fmt.Sprintf("%s-%02d:manage", "department", 50))
		b.Reload()
		b.See("Your profile", aShow) // what was kept can be read again

		cookies, whole := a.sessionCookies(b), 0
		largest := slices.MaxFunc(cookies, func(a, b *network.Cookie) int { return cmp.Compare(a.Size, b.Size) })
		for _, c := range cookies {
			whole += int(c.Size) + len("=; ")
		}
		if largest.Size >= maxCookie {
			t.Errorf("%s: cookie %s has %d bytes", e.name, largest.Name, largest.Size)
		}
		if whole >= maxHeaders {
			t.Errorf("%s: the cookies have %d bytes", e.name, whole)
		}
		t.Logf("| `%s` | %d | %d | %d |", e.name, len(cookies), largest.Size, whole)
	}
}

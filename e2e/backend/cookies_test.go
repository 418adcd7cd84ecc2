package backend

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
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

// A person with fifty permissions, in an application that asks for all of them, fits into the cookies of
// each SDK: no cookie is too large to be kept, and none of its pieces gets lost.
func TestCookieSizes(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	scope := "openid profile email offline_access read:shows"
	for _, p := range grantFifty(t, h) {
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

// grantFifty invents fifty permissions and gives them to Alice.
func grantFifty(t *testing.T, h *drive.House) []string {
	t.Helper()
	audience := h.Client(nextjsAuth0V4.name).Audience
	scopes, given, names := []drive.Object{{"value": "read:shows"}, {"value": "write:shows"}}, []drive.Object{}, []string{}
	for i := range 50 {
		name := fmt.Sprintf("department-%02d:manage", i+1)
		names = append(names, name)
		scopes = append(scopes, drive.Object{"value": name})
		given = append(given, drive.Object{"permission_name": name, "resource_server_identifier": audience})
	}
	manage := func(method, path string, body drive.Object) drive.Object {
		return drive.Must[drive.Object](t)(h.Manage(method, path, body))
	}
	first := func(list any) string { return fmt.Sprint(list.([]any)[0].(map[string]any)["id"]) }
	api := first(manage(http.MethodGet, "resource-servers?include_totals=true&identifier="+url.QueryEscape(audience), nil)["resource_servers"])
	manage(http.MethodPatch, "resource-servers/"+api, drive.Object{"scopes": scopes})
	alice := manage(http.MethodGet, "users?include_totals=true&email="+url.QueryEscape(h.User(drive.Alice).Email), nil)["users"].([]any)[0].(map[string]any)
	manage(http.MethodPost, fmt.Sprintf("users/%s/permissions", strings.ReplaceAll(fmt.Sprint(alice["user_id"]), "|", "%7C")), drive.Object{"permissions": given})
	return names
}

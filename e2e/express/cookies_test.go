package express

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// What browsers keep of a cookie at most (RFC 6265bis section 5.6), and what Node.js reads of all headers
// of a request.
const (
	maxCookie  = 4096
	maxHeaders = 16 << 10
)

// measured is an example and what it keeps in a browser.
type measured struct {
	name   string
	cookie string // what the names of its cookies begin with
	site   site
	page   string // which calls the API
}

// A person with fifty permissions, in an application that asks for all of them, fits into the cookies of each custom server: no cookie is too large to
// be kept, and none of its pieces gets lost.
func TestCookieSizes(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	all := h.GrantFifty(h.Client(openIDConnectClient).Audience, h.User(drive.Alice))
	withCode := startOpenIDConnect(t, h, byCode, "SCOPE=openid profile email offline_access read:shows "+strings.Join(all, " "))
	posted := startOpenIDConnect(t, h, byFormPost)
	change(t, h, openIDConnectClient, drive.Object{
		"callbacks":            []string{withCode.origin + "/callback", posted.origin + "/callback"},
		"default_redirect_uri": withCode.origin + "/callback",
	})
	for _, m := range []measured{
		{"express-openid-connect, by code", "express_oidc", withCode, "/shows"},
		{"express-openid-connect, by form_post", "express_oidc", posted, "/profile"},
		{"go-oidc-server", "watchlist_session", startWatchlist(t, h), "/shows"},
		{"tvshows, rendered", "tvshows_rendered_session", site{origin: strings.TrimSuffix(h.Demo("Server-rendered"), "/")}, "/shows"},
	} {
		m.measure(t, h)
	}
}

// measure signs Alice in, and reads back what her browser keeps.
func (m measured) measure(t *testing.T, h *drive.House) {
	t.Helper()
	me := drive.NewProfile(t)
	b := me.Tab()
	b.Open(m.site.origin + m.page)
	me.SignIn(b, h.User(drive.Alice))
	b.At(m.site.origin + m.page)
	b.See("Alice Archer")
	b.Reload()
	b.See("Alice Archer") // what was kept can be read again

	n, largest, whole := 0, 0, 0
	for _, c := range cookiesOf(b, m.site.origin) {
		if !strings.HasPrefix(c.Name, m.cookie) {
			continue
		}
		size := len(c.Name) + len(c.Value)
		n, largest, whole = n+1, max(largest, size), whole+size+len("=; ")
	}
	if n == 0 || largest >= maxCookie || whole >= maxHeaders {
		t.Errorf("%s: %d cookies, the largest of %d bytes, %d in all", m.name, n, largest, whole)
	}
	t.Logf("| `%s` | %d | %d | %d |", m.name, n, largest, whole)
}

// measurePassport does the same with sessions in Redis, and tells what lies there.
func measurePassport(t *testing.T, dist string) {
	h := drive.OpenHouse(t)
	h.GrantFifty(h.Client(passportClient).Audience, h.User(drive.Alice))
	s, redis := place(t, h, passportClient, "/callback"), startRedis(t)
	startPassport(t, s, dist, redis)
	measured{"express-passport", "express_passport", s, "/shows"}.measure(t, h)
	session := redisCLI(t, redis, "--raw", "GET", strings.TrimSpace(redisCLI(t, redis, "--raw", "KEYS", "express-passport:*")))
	if !strings.Contains(session, "Alice Archer") {
		t.Fatalf("there is no session in Redis, but %.100q", session)
	}
	t.Logf("express-passport: a session of %d bytes in Redis", len(session))
}

func redisCLI(t *testing.T, redis string, arguments ...string) string {
	t.Helper()
	out, err := exec.Command("redis-cli", append([]string{"-u", redis}, arguments...)...).CombinedOutput()
	if err != nil {
		t.Fatal(fmt.Errorf("redis-cli %q: %w\n%s", arguments, err, out))
	}
	return string(out)
}

// A cookie jar that is full of what other applications of the same host keep stops nobody: the examples
// read headers of a size that a browser may send.
func TestForeignCookiesDoNoHarm(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	for name, s := range map[string]site{openIDConnectClient: startOpenIDConnect(t, h, byFormPost), watchlistClient: startWatchlist(t, h)} {
		r := drive.Must[*http.Request](t)(http.NewRequest(http.MethodGet, s.origin, nil))
		for i := range 3 {
			r.AddCookie(&http.Cookie{Name: fmt.Sprintf("foreign.%d", i), Value: strings.Repeat("x", 4000)})
		}
		res := drive.Must[*http.Response](t)((&http.Client{}).Do(r))
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
}

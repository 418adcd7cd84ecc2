// Package express drives the custom servers of the examples: Express with express-openid-connect, with
// passport-auth0 before Next.js and Redis, and the same application in Go.
package express

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

func TestMain(m *testing.M) { drive.Main(m) }

// aShow is a title that the TV Shows API knows.
const aShow = "The Lamplighters of Ostrava Lane"

// site is an example that is running.
type site struct {
	address string // to listen at
	origin  string
	dev     string // the file with its configuration
}

// place finds an address for an example and tells the house that its client is there, with these paths
// for callbacks.
func place(t *testing.T, h *drive.House, client string, callbacks ...string) site {
	t.Helper()
	address := strings.Replace(drive.FreeAddress(t), "127.0.0.1", "localhost", 1)
	s := site{address: address, origin: "http://" + address, dev: writeDev(t, h)}
	for i, path := range callbacks {
		callbacks[i] = s.origin + path
	}
	change(t, h, client, drive.Object{"callbacks": callbacks, "default_redirect_uri": callbacks[0], "allowed_logout_urls": []string{s.origin, s.origin + "/"}})
	return s
}

func change(t *testing.T, h *drive.House, client string, fields drive.Object) {
	t.Helper()
	if _, err := h.Manage(http.MethodPatch, "clients/"+h.Client(client).ClientID, fields); err != nil {
		t.Fatal(err)
	}
}

// port is what stands behind the colon.
func (s site) port() string { return s.address[strings.LastIndexByte(s.address, ':')+1:] }

// cookiesOf returns what a browser would send to an origin.
func cookiesOf(b *drive.Tab, origin string) []*network.Cookie {
	b.T.Helper()
	got, err := chromedp.Call(b.Ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{origin}})
	if err != nil {
		b.T.Fatal(err)
	}
	return got.Cookies
}

// writeDev writes what the examples read, as `gatehouse dev` does.
func writeDev(t *testing.T, h *drive.House) string {
	t.Helper()
	var clients, apis []drive.Object
	for _, c := range h.Clients {
		clients = append(clients, drive.Object{"name": c.Name, "client_id": c.ClientID, "client_secret": c.ClientSecret, "audience": c.Audience})
	}
	for _, a := range h.APIs {
		apis = append(apis, drive.Object{"audience": a.Audience, "url": a.URL})
	}
	raw := drive.Must[[]byte](t)(json.Marshal(drive.Object{"issuer": h.Issuer, "clients": clients, "apis": apis}))
	file := filepath.Join(t.TempDir(), "dev.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

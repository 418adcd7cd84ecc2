package server_test

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

func behindProxy(c *config.Config) {
	c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.0.0.0/8")}
}

// addressSeen signs a person in with these headers and returns where that came from, as the
// audit log has it; empty when the request was refused with 400.
func addressSeen(t testing.TB, i *servertest.Instance, headers http.Header) string {
	t.Helper()
	b := i.NewBrowser(t)
	form := b.Get("/u/sign-in").Hidden()
	if form.Get("flow") == "" { // a proxy may not leave out the header in some tests
		t.Fatal("no form")
	}
	for name, values := range map[string]string{"action": "sign_in", "email": demo.Reader, "password": i.Password(t, demo.Reader)} {
		form.Set(name, values)
	}
	b.Header = headers
	p := b.Post("/u/sign-in", form)
	if p.StatusCode == http.StatusBadRequest {
		return ""
	}
	if p.StatusCode != http.StatusSeeOther {
		t.Fatalf("%v: %s", headers, p.Status)
	}
	var address string
	err := i.House.DB.System().QueryRow(context.Background(), "SELECT address FROM audit_events WHERE event = 'sign_in.succeeded' ORDER BY id DESC LIMIT 1").Scan(&address)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func TestThreat_HT01_ForwardedHeadersOfStrangers(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	want := addressSeen(t, i, http.Header{})
	if want != "127.0.0.1" && want != "::1" {
		t.Fatalf("the peer is %q", want)
	}
	for _, name := range []string{"X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For", "X-Real-Ip", "Forwarded", "Client-Ip", "True-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Cf-Connecting-Ip", "X-Originating-Ip", "X-Remote-Ip"} {
		for _, value := range []string{"203.0.113.9", "for=203.0.113.9", "garbage", ""} {
			if got := addressSeen(t, i, http.Header{name: {value}}); got != want {
				t.Errorf("%s: %s makes the peer %q", name, value, got)
			}
		}
	}
}

func TestThreat_HT01_ForwardedHeadersOfTheProxy(t *testing.T) {
	i := servertest.New(t, servertest.Options{Configure: behindProxy})
	for chain, want := range map[string]string{
		"203.0.113.9":                          "203.0.113.9",
		"198.51.100.1, 203.0.113.9":            "203.0.113.9", // what stands before it was said by a stranger
		"198.51.100.1,203.0.113.9,10.1.2.3":    "203.0.113.9", // a proxy in front of the proxy
		"garbage, 203.0.113.9":                 "203.0.113.9",
		"10.9.9.9, 10.1.2.3":                   "10.9.9.9", // nobody but proxies
		"2001:db8::1":                          "2001:db8::1",
		"::ffff:203.0.113.9":                   "203.0.113.9",
		"203.0.113.9, garbage":                 "",
		"garbage":                              "",
		"203.0.113.9:4711":                     "",
		"[2001:db8::1]":                        "",
		"203.0.113.9,":                         "",
		",203.0.113.9, ":                       "",
		"203.0.113.009":                        "",
		"203.0.113.9 198.51.100.1":             "",
		"unknown":                              "",
		"_hidden":                              "",
		"198.51.100.1, , 203.0.113.9,10.0.0.1": "203.0.113.9",
		"198.51.100.1, , 10.0.0.1":             "",
	} {
		if got := addressSeen(t, i, http.Header{"X-Forwarded-For": {chain}}); got != want {
			t.Errorf("%q: %q, want %q", chain, got, want)
		}
	}
	if got := addressSeen(t, i, http.Header{"X-Forwarded-For": {"198.51.100.1", "203.0.113.9"}}); got != "203.0.113.9" {
		t.Errorf("two headers: %q", got)
	}
	if got := addressSeen(t, i, http.Header{"X_forwarded_for": {"198.51.100.1"}, "X-Forwarded-For": {"203.0.113.9"}}); got != "203.0.113.9" {
		t.Errorf("an underscore spelling: %q", got)
	}
	if got := addressSeen(t, i, http.Header{"Forwarded": {"for=198.51.100.1"}, "X-Real-Ip": {"198.51.100.1"}}); got != "127.0.0.1" && got != "::1" {
		t.Errorf("a proxy that says nothing stands for itself: %q", got)
	}
}

// What limits count is the network of the real peer, whatever else changes from try to try.
func TestThreat_HT02_LimitsCountTheRealPeer(t *testing.T) {
	tries := func(i *servertest.Instance, n int, change func(b *servertest.Browser, form url.Values, n int)) []int {
		var out []int
		for k := range n {
			b := i.NewBrowser(t)
			form := b.Get("/u/sign-in").Hidden()
			form.Set("action", "sign_in")
			form.Set("email", demo.Reader)
			form.Set("password", "not-the-password")
			change(b, form, k)
			out = append(out, b.Post("/u/sign-in", form).StatusCode)
		}
		return out
	}
	limited := []int{422, 422, 422, 422, 422, 429, 429}
	address := func(n int) string { return "203.0.113." + string(rune('1'+n)) }
	for name, change := range map[string]func(b *servertest.Browser, form url.Values, n int){
		"headers": func(b *servertest.Browser, _ url.Values, n int) {
			for _, h := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "Client-Ip", "User-Agent", "Accept-Language"} {
				b.Header.Set(h, address(n))
			}
		},
		"fields of the form": func(_ *servertest.Browser, form url.Values, n int) {
			for _, f := range []string{"ip", "address", "remote_addr", "client_id", "username", "x"} {
				form.Set(f, address(n))
			}
		},
		"spellings of the name": func(_ *servertest.Browser, form url.Values, n int) {
			form.Set("email", []string{"alice@example.com", "ALICE@example.com", "Alice@Example.Com", " alice@example.com ", "alice@EXAMPLE.com", "aLICE@example.com", "alice@example.com"}[n])
		},
		"devices": func(b *servertest.Browser, _ url.Values, n int) {
			b.SetCookie("gatehouse_device", strings.Repeat(string(rune('a'+n)), 60))
		},
	} {
		if got := tries(servertest.New(t, servertest.Options{}), 7, change); !slices.Equal(got, limited) {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name, addresses := range map[string][]string{
		"one /64":      {"2001:db8::1", "2001:db8::2", "2001:db8::ffff", "2001:db8:0:0:1::", "2001:db8::a:b", "2001:db8::c", "2001:db8::d"},
		"IPv4 in IPv6": {"203.0.113.9", "::ffff:203.0.113.9", "::ffff:cb00:7109", "203.0.113.9", "::ffff:203.0.113.9", "203.0.113.9", "::ffff:203.0.113.9"},
		"said by them": {"1.1.1.1, 203.0.113.9", "2.2.2.2, 203.0.113.9", "3.3.3.3,203.0.113.9", "203.0.113.9", "x, 203.0.113.9", "4.4.4.4, 203.0.113.9", "203.0.113.9"},
	} {
		got := tries(servertest.New(t, servertest.Options{Configure: behindProxy}), 7, func(b *servertest.Browser, _ url.Values, n int) { b.Header.Set("X-Forwarded-For", addresses[n]) })
		if !slices.Equal(got, limited) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// In a house of development another name of this machine leads to the issuer, and nowhere else.
func TestThreat_BR14_OtherNamesOfThisMachine(t *testing.T) {
	i := servertest.New(t, servertest.Options{})
	b := i.NewBrowser(t)
	port := i.URL[strings.LastIndexByte(i.URL, ':'):]
	for _, host := range []string{"127.0.0.1" + port, "[::1]" + port, "localhost", "app.localhost" + port, "127.0.0.1:1", "127.0.0.2" + port} {
		for _, path := range []string{"/", "/u/sign-in", "/authorize?client_id=x&state=a%2Bb", "//evil.test/"} {
			r := b.Request(http.MethodGet, path, "")
			r.Host = host
			p := b.Send(r)
			r = b.Request(http.MethodHead, path, "")
			r.Host = host
			if head := b.Send(r); head.StatusCode != http.StatusFound || head.Header.Get("Location") != i.URL+path {
				t.Errorf("HEAD of %s at %s: %s", path, host, head.Status)
			}
			if p.StatusCode != http.StatusFound || p.Header.Get("Location") != i.URL+path || p.Header.Get("Cache-Control") != "no-store" || len(p.Cookies()) > 0 {
				t.Errorf("%s at %s: %s to %q", path, host, p.Status, p.Header.Get("Location"))
			}
		}
		r := b.Request(http.MethodPost, "/u/sign-in", "")
		r.Host = host
		if p := b.Send(r); p.StatusCode != http.StatusMisdirectedRequest || !strings.Contains(p.Body, i.URL+"/") {
			t.Errorf("POST at %s: %s %s, which does not name the issuer", host, p.Status, p.Body)
		}
	}
	for _, host := range []string{"evil.test", "localhost.evil.test", "127.0.0.1.evil.test", "evil.test" + port, "192.0.2.1" + port, "0.0.0.0" + port, "localhost@evil.test"} {
		r := b.Request(http.MethodGet, "/", "")
		r.Host = host
		if p := b.Send(r); p.StatusCode != http.StatusMisdirectedRequest || p.Header.Get("Location") != "" || strings.Contains(p.Body, i.URL) {
			t.Errorf("%s: %s to %q", host, p.Status, p.Header.Get("Location"))
		}
	}
	// A request line that is no path makes no address.
	for _, target := range []string{"x:@evil.test", "http:@evil.test", "x:.evil.test/", "*"} {
		resp := raw(t, i, "GET "+target+" HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\n\r\n")
		if location := resp.Header.Get("Location"); location != "" && !strings.HasPrefix(location, i.URL+"/") {
			t.Errorf("%s leads to %q", target, location)
		}
	}
}

func TestThreat_BR14_OneHostHasSeveralSpellings(t *testing.T) {
	for _, c := range []struct {
		issuer, host, asked string
		want                bool
	}{
		{"https://login.example.com/", "login.example.com", "login.example.com", true},
		{"https://login.example.com/", "login.example.com", "Login.EXAMPLE.com", true},
		{"https://login.example.com/", "login.example.com", "login.example.com:443", true},
		{"https://login.example.com/", "login.example.com", "login.example.com:80", false},
		{"https://login.example.com/", "login.example.com", "login.example.com:8443", false},
		{"https://login.example.com/", "login.example.com", "login.example.com.", false},
		{"https://login.example.com/", "login.example.com", "login.example.com:443:443", false},
		{"https://login.example.com/", "login.example.com", "login.example.com:0443", false},
		{"https://login.example.com/", "login.example.com", "x.login.example.com", false},
		{"https://login.example.com/", "login.example.com", "login.example.com@evil.test", false},
		{"https://login.example.com/", "login.example.com", "", false},
		{"https://login.example.com:8443/", "login.example.com:8443", "LOGIN.example.com:8443", true},
		{"https://login.example.com:8443/", "login.example.com:8443", "login.example.com", false},
		{"https://login.example.com:8443/", "login.example.com:8443", "login.example.com:443", false},
		{"http://localhost/", "localhost", "localhost:80", true},
		{"http://localhost/", "localhost", "localhost:443", false},
		{"https://k.example.com/", "k.example.com", "\u212a.example.com", false}, // the sign for Kelvin
	} {
		if got := server.IsHost(&tenant.Tenant{Issuer: c.issuer, Host: c.host}, c.asked); got != c.want {
			t.Errorf("%q at %s: %v", c.asked, c.issuer, got)
		}
	}
}

func TestThreat_HT07_StrictTransportSecurity(t *testing.T) {
	secure, clear := servertest.New(t, servertest.Options{TLS: true}), servertest.New(t, servertest.Options{})
	for _, path := range []string{"/u/sign-in", "/authorize", "/.well-known/jwks.json", "/nowhere", "/oauth/token", "/v2/logout"} {
		if got := secure.NewBrowser(t).Get(path).Header.Get("Strict-Transport-Security"); !strings.HasPrefix(got, "max-age=31536000") {
			t.Errorf("%s on https: %q", path, got)
		}
		if got := clear.NewBrowser(t).Get(path).Header.Get("Strict-Transport-Security"); got != "" {
			t.Errorf("%s on http: %q", path, got)
		}
	}
}

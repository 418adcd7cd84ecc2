package outbound_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/outbound"
)

// canary counts who knocks.
type canary struct {
	net.Listener
	knocks atomic.Int64
}

func newCanary(t *testing.T) *canary {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &canary{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.knocks.Add(1)
			_ = conn.Close()
		}
	}()
	return c
}

func (c *canary) port() string {
	return netip.MustParseAddrPort(c.Addr().String()).String()[len("127.0.0.1:"):]
}

func do(t *testing.T, c *outbound.Client, address string) (*http.Response, error) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		return nil, err // not even an address
	}
	req := (&http.Request{Method: http.MethodPost, URL: u, Header: http.Header{}, Body: http.NoBody}).WithContext(t.Context())
	res, err := c.Do(req)
	if err == nil {
		_ = res.Body.Close()
	}
	return res, err
}

// nobody is a resolver that knows no name; what the machine's would say must not decide.
func nobody(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }

func leadsTo(addresses ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) (out []netip.Addr, err error) {
		for _, a := range addresses {
			out = append(out, netip.MustParseAddr(a))
		}
		return out, nil
	}
}

// However this machine, its networks, and what clouds tell their machines are spelled, and whatever a name
// says of them: nobody is called.
func TestThreat_SR01_NothingInsideIsCalled(t *testing.T) {
	c := newCanary(t)
	strict := outbound.New(outbound.Options{Resolve: nobody})
	for _, host := range []string{
		"127.0.0.1", "127.1", "127.0.1", "127.0.0.2", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.0.0.1.",
		"0", "0.0.0.0", "000.000.000.000", "localhost", "LOCALHOST", "LocalHost.", "foo.localhost", "a.b.localhost.",
		"[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "[::7f00:1]",
		"[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::]", "[2001:0:7f00:1::1]", "[::1%25lo]", "[fe80::1%25eth0]",
		"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1", "100.64.0.1", "100.127.255.254", "169.254.1.1", "169.254.169.254", "[::ffff:169.254.169.254]", "[::ffff:10.0.0.1]",
		"[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd12:3456:789a::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]", "[100::1]",
		"192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16", "100.100.100.200",
	} {
		for _, scheme := range []string{"https", "http"} {
			if _, err := do(t, strict, scheme+"://"+host+":"+c.port()+"/"); err == nil {
				t.Errorf("%s %s was called", scheme, host)
			}
		}
		literal, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil {
			continue
		}
		named := outbound.New(outbound.Options{Resolve: leadsTo(literal.String())})
		if _, err := do(t, named, "https://innocent.example:"+c.port()+"/"); !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("a name that leads to %s: %v", host, err)
		}
		mixed := outbound.New(outbound.Options{Resolve: leadsTo("8.8.8.8", literal.String())})
		if _, err := do(t, mixed, "https://innocent.example:"+c.port()+"/"); !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("a name that leads to %s too: %v", host, err)
		}
	}
	for _, address := range []string{
		"https://user:secret@127.0.0.1:" + c.port() + "/", "https://innocent.example@127.0.0.1:" + c.port() + "/", "ftp://127.0.0.1:" + c.port() + "/",
		"gopher://127.0.0.1:" + c.port() + "/", "file:///etc/passwd", "https:///", "//127.0.0.1:" + c.port() + "/",
	} {
		if _, err := do(t, strict, address); err == nil {
			t.Errorf("%s was called", address)
		}
	}
	// What no name can be allowed to lead to: credentials of machines in clouds.
	trusted := outbound.New(outbound.Options{InternalHosts: []string{"app.internal"}, Resolve: leadsTo("169.254.169.254")})
	if _, err := do(t, trusted, "https://app.internal/"); !errors.Is(err, outbound.ErrRefused) {
		t.Errorf("an internal name that leads to the metadata of the cloud: %v", err)
	}
	if n := c.knocks.Load(); n != 0 {
		t.Errorf("the canary was reached %d times", n)
	}
}

// A name is resolved once, and the connection goes to what was judged.
func TestThreat_SR02_Rebinding(t *testing.T) {
	c, asked := newCanary(t), 0
	client := outbound.New(outbound.Options{Resolve: func(context.Context, string) ([]netip.Addr, error) {
		if asked++; asked == 1 {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}})
	for range 2 {
		if _, err := do(t, client, "https://rebinding.example:"+c.port()+"/"); !errors.Is(err, outbound.ErrRefused) {
			t.Error(err)
		}
	}
	if asked != 2 || c.knocks.Load() != 0 {
		t.Errorf("resolved %d times for 2 calls, %d knocks", asked, c.knocks.Load())
	}
}

func TestThreat_SR02_RedirectsAndProxiesLeadNowhere(t *testing.T) {
	c := newCanary(t)
	t.Setenv("HTTP_PROXY", "http://"+c.Addr().String())
	t.Setenv("HTTPS_PROXY", "http://"+c.Addr().String())
	web := httptest.NewServer(http.RedirectHandler("http://"+c.Addr().String()+"/", http.StatusFound))
	defer web.Close()
	client := outbound.New(outbound.Options{Loopback: true, Resolve: nobody})
	res, err := do(t, client, web.URL)
	if err != nil || res.StatusCode != http.StatusFound {
		t.Fatalf("%v %v", res, err)
	}
	if _, err := do(t, client, "https://away.example/"); err == nil || c.knocks.Load() != 0 {
		t.Errorf("%v, %d knocks", err, c.knocks.Load())
	}
}

// What is allowed beyond that, and nothing beside it.
func TestThreat_SR01_WhatIsAllowed(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer plain.Close()
	secure := httptest.NewTLSServer(plain.Config.Handler)
	defer secure.Close()
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	port := func(s *httptest.Server) string { return s.URL[strings.LastIndexByte(s.URL, ':'):] }
	for name, try := range map[string]struct {
		options outbound.Options
		address string
		ok      bool
	}{
		"development, by address":             {outbound.Options{Loopback: true}, plain.URL, true},
		"development, by name":                {outbound.Options{Loopback: true}, "http://localhost" + port(plain), true},
		"production":                          {outbound.Options{}, "http://localhost" + port(plain), false},
		"production, internal host":           {outbound.Options{InternalHosts: []string{"localhost"}}, "http://localhost" + port(plain), true},
		"internal host, another":              {outbound.Options{InternalHosts: []string{"localhost"}}, plain.URL, false},
		"internal name in plain http":         {outbound.Options{InternalHosts: []string{"example.com"}, Resolve: leadsTo("127.0.0.1")}, "http://example.com" + port(plain), false},
		"internal name":                       {outbound.Options{InternalHosts: []string{"Example.COM."}, Resolve: leadsTo("127.0.0.1"), RootCAs: roots}, "https://example.com" + port(secure), true},
		"internal name, a dot at the end":     {outbound.Options{InternalHosts: []string{"example.com"}, Resolve: leadsTo("127.0.0.1"), RootCAs: roots}, "https://example.com." + port(secure), true},
		"internal name, nobody's certificate": {outbound.Options{InternalHosts: []string{"example.com"}, Resolve: leadsTo("127.0.0.1")}, "https://example.com" + port(secure), false},
		"a name for loopback in development":  {outbound.Options{Loopback: true, Resolve: leadsTo("127.0.0.1"), RootCAs: roots}, "https://example.com" + port(secure), false},
	} {
		if _, err := do(t, outbound.New(try.options), try.address); (err == nil) != try.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An answer is not inflated, and nobody need read it to its end.
func TestThreat_SR03_HostileAnswers(t *testing.T) {
	stop := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/headers":
			w.Header().Set("X", strings.Repeat("x", 64<<10))
		case "/zipped":
			if r.Header.Get("Accept-Encoding") != "" {
				t.Error("asks for compression")
			}
			w.Header().Set("Content-Encoding", "gzip")
		case "/endless":
			for {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<20)); err != nil {
					return
				}
			}
		case "/slow":
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		}
	}))
	defer web.Close()
	defer close(stop)
	client := outbound.New(outbound.Options{Loopback: true, Timeout: time.Minute})
	for path, ok := range map[string]bool{"/headers": false, "/zipped": true, "/endless": true} {
		if _, err := do(t, client, web.URL+path); (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
	}
	hasty := outbound.New(outbound.Options{Loopback: true, Timeout: time.Second})
	if _, err := do(t, hasty, web.URL+"/slow?secret=1"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("slow: %v", err)
	}
}

package main

import (
	"log/slog"
	"net"
	"strings"
	"testing"
)

// A browser that goes to port 80 says Host: localhost, and an issuer with the port in it would be another host.
func TestDevIssuerIsWhatBrowsersSend(t *testing.T) {
	for port, want := range map[int]string{80: "http://localhost/", 8080: "http://localhost:8080/", 443: "http://localhost:443/"} {
		if got := devIssuer(port); got != want {
			t.Errorf("%d: %s", port, got)
		}
	}
}

// Browsers try ::1 first for localhost. Where nobody of ours listened there, a stranger could, and be given the codes
// that are meant for a demo.
func TestDemosListenWhereBrowsersLook(t *testing.T) {
	probe, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return // a machine without IPv6
	}
	probe.Close()
	d, err := startDemos("http://localhost:1/", t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	for _, s := range d.all() {
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.url(), "http://"))
		for _, host := range []string{"127.0.0.1", "::1"} {
			conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err != nil {
				t.Errorf("%s: %v", s.name, err)
				continue
			}
			conn.Close()
		}
	}
}

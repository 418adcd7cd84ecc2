package main

import "testing"

// A browser that goes to port 80 says Host: localhost, and an issuer with the port in it would be another host.
func TestDevIssuerIsWhatBrowsersSend(t *testing.T) {
	for port, want := range map[int]string{80: "http://localhost/", 8080: "http://localhost:8080/", 443: "http://localhost:443/"} {
		if got := devIssuer(port); got != want {
			t.Errorf("%d: %s", port, got)
		}
	}
}

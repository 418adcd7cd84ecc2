package address_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/guard/internal/address"
)

func TestOrigin(t *testing.T) {
	for text, want := range map[string]string{
		"https://app.example":         "https://app.example",
		"https://app.example/":        "https://app.example",
		"https://App.EXAMPLE:443":     "https://app.example",
		"HTTPS://app.example:":        "https://app.example",
		"https://app.example:80":      "https://app.example:80",
		"https://app.example:8443":    "https://app.example:8443",
		"https://xn--bcher-kva.de":    "https://xn--bcher-kva.de",
		"http://localhost:80":         "http://localhost",
		"http://localhost:3000":       "http://localhost:3000",
		"http://app.localhost":        "http://app.localhost",
		"http://[::1]:8080":           "http://[::1]:8080",
		"http://127.0.0.1":            "http://127.0.0.1",
		"":                            "",
		"app.example":                 "",
		"//app.example":               "",
		"https://":                    "",
		"https://:443":                "",
		"https:app.example":           "",
		"https://app.example/x":       "",
		"https://app.example?":        "",
		"https://app.example?x=1":     "",
		"https://app.example#x":       "",
		"https://user@app.example":    "",
		"https://bücher.de":           "",
		"https://app.example\\x":      "",
		"https://app.example%20":      "",
		"http://app.example":          "",
		"http://localhost.example":    "",
		"ftp://app.example":           "",
		"javascript://app.example/%0": "",
		"https://app.example\n":       "",
	} {
		got, secure, err := address.Origin("BaseURL", text, false)
		if got != want || (err == nil) != (want != "") || secure != strings.HasPrefix(want, "https:") {
			t.Errorf("%q: %q, %v, %v", text, got, secure, err)
		}
		if err != nil && !strings.Contains(err.Error(), "BaseURL") {
			t.Errorf("%q: %v does not say which", text, err)
		}
	}
	if got, secure, err := address.Origin("BaseURL", "http://app.example", true); got != "http://app.example" || secure || err != nil {
		t.Errorf("http that is allowed: %q, %v, %v", got, secure, err)
	}
}

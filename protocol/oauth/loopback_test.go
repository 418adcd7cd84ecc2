package oauth_test

import (
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "app.localhost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "notlocalhost": false, "localhost.example": false, "127.0.0.1.example": false, "127.1": false, "0.0.0.0": false, "::": false,
		"10.0.0.1": false, "[::1]": false, "localhost:80": false, "LOCALHOST.": false,
	} {
		if got := oauth.IsLoopback(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

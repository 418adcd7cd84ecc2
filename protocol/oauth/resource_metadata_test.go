package oauth_test

import (
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func TestResourceMetadataURL(t *testing.T) {
	for resource, want := range map[string]string{
		"https://api.example.com":             "https://api.example.com/.well-known/oauth-protected-resource",
		"https://api.example.com/":            "https://api.example.com/.well-known/oauth-protected-resource",
		"https://api.example.com/v1/shows":    "https://api.example.com/.well-known/oauth-protected-resource/v1/shows",
		"https://api.example.com/v1?tenant=1": "https://api.example.com/.well-known/oauth-protected-resource/v1?tenant=1",
		"http://localhost:8080":               "http://localhost:8080/.well-known/oauth-protected-resource",
		"https://api.example.com/#a":          "",
		"https://a@api.example.com/":          "",
		"urn:example:api":                     "",
		"api.example.com":                     "",
		"":                                    "",
	} {
		if got, err := oauth.ResourceMetadataURL(resource); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", resource, got, err)
		}
	}
}

package oauth_test

import (
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func TestMergeAudience(t *testing.T) {
	for _, c := range []struct {
		audience  string
		resources []string
		want      string
		ok        bool
	}{
		{"", nil, "", true},
		{"my-api", nil, "my-api", true},
		{"", []string{"https://api/"}, "https://api/", true},
		{"https://api/", []string{"https://api/"}, "https://api/", true},
		{"", []string{""}, "", true},
		{"", []string{"urn:api:shows"}, "urn:api:shows", true},
		{"https://api", []string{"https://api/"}, "", false},
		{"a", []string{"https://api/"}, "", false},
		{"", []string{"https://a/", "https://b/"}, "", false},
		{"", []string{"https://a/", "https://a/"}, "", false},
		{"", []string{"/api"}, "", false},
		{"", []string{"api"}, "", false},
		{"", []string{"https://api/#f"}, "", false},
		{"", []string{"https://api/#"}, "", false},
		{"", []string{"https://"}, "", false},
		{"", []string{"https://a b/"}, "", false},
		{"", []string{"https://a\n/"}, "", false},
		{"", []string{"//api"}, "", false},
	} {
		got, err := oauth.MergeAudience(c.audience, c.resources)
		if got != c.want || (err == nil) != c.ok || err != nil && oauth.CodeOf(err) != oauth.InvalidTarget {
			t.Errorf("%q %q: %q, %v", c.audience, c.resources, got, err)
		}
	}
}

package oauth_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

var hostileReturns = []string{
	"", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, `\/evil.example`, "/%09/evil.example", "/\t/evil.example", "/\n/evil.example", "/\r\n/evil.example", "\t//evil.example", " /x", "/%0d%0aSet-Cookie:x=y",
	"https:evil.example", "https://evil.example", "javascript:alert(1)", "/..//evil.example", "/.//evil.example", "/a/..//evil.example", "/%2e%2e//evil.example", "/../x", "/x/..", "/%5cevil.example", "/%2f/evil.example", "/%2fevil.example", "evil", "?x", "#x", "/x\x00", "/x\x7f", "/\xff", "/%", "/%zz", "/a//b", "/\u2028\\",
	"/x?a b", `/x?a\b`, "/x?\u00e4", "/" + strings.Repeat("a", 4<<10), "/" + strings.Repeat(">", 2000),
}

func TestThreat_LO02_ReturnTo(t *testing.T) {
	for _, s := range hostileReturns {
		if got := oauth.SafeReturnTo(s); got != "/" {
			t.Errorf("%.60q: %q", s, got)
		}
	}
	for s, want := range map[string]string{
		"/": "/", "/account": "/account", "/a/b?x=1&y=%2F": "/a/b?x=1&y=%2F", "/a%20b": "/a%20b", "/a?u=https://evil.example": "/a?u=https://evil.example", "/a#frag": "/a", "/a:b": "/a:b", "/ä": "/%C3%A4", "/x?": "/x", "/a?//b": "/a?//b",
	} {
		if got := oauth.SafeReturnTo(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func FuzzThreat_LO02_ReturnTo(f *testing.F) {
	for _, s := range hostileReturns {
		f.Add(s)
	}
	f.Add("/a/b?x=1")
	f.Fuzz(func(t *testing.T, s string) {
		got := oauth.SafeReturnTo(s)
		// A browser on this page must stay on this site, whichever way it reads.
		if host, ok := browserHost("https://house.example" + got); !ok || host != "house.example" {
			t.Fatalf("%q became %q", s, got)
		}
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t\x00 ") {
			t.Fatalf("%q became %q", s, got)
		}
		base, _ := url.Parse("https://house.example/login")
		u, err := base.Parse(got)
		if err != nil || u.Host != "house.example" || u.Scheme != "https" || strings.HasPrefix(u.Path, "//") {
			t.Fatalf("%q became %q: %v", s, got, err)
		}
		if again := oauth.SafeReturnTo(got); again != got {
			t.Fatalf("%q became %q, then %q", s, got, again)
		}
	})
}

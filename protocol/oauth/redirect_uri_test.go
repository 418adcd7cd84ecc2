package oauth_test

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// mutantsOf returns URIs that differ from uri a little: every one must be
// refused.
func mutantsOf(uri string) []string {
	var mutants []string
	add := func(s string) {
		if s != uri && !slices.Contains(mutants, s) {
			mutants = append(mutants, s)
		}
	}
	for i := range len(uri) {
		add(uri[:i] + uri[i+1:])                                    // left out
		add(uri[:i] + uri[i:i+1] + uri[i:])                         // doubled
		add(uri[:i] + strings.ToUpper(uri[i:i+1]) + uri[i+1:])      // upper case
		add(uri[:i] + fmt.Sprintf("%%%02x", uri[i]) + uri[i+1:])    // encoded
		add(uri[:i] + fmt.Sprintf("%%25%02X", uri[i]) + uri[i+1:])  // encoded twice
		add(uri[:i] + strings.Repeat("é", 1) + uri[i:])             // something foreign
		add(uri[:i])                                                // a prefix
		add(uri[i:])                                                // a suffix
		for _, s := range []string{"\t", "\n", "\x00", " ", "\\"} { // what parsers drop or turn around
			add(uri[:i] + s + uri[i:])
		}
	}
	for _, s := range []string{"/", "//", "?", "#", "?a=b", "&a=b", "#a", "/..", "/../callback", "/.", "%2e", "%2e%2e", "%00", ".evil.example", "@evil.example", ":443", "*", ";a", "x", "\u200b", "/../../evil"} {
		add(uri + s)
	}
	for old, replacements := range map[string][]string{
		"https://":        {"http://", "https:/", "https:///", "https:\\\\", "//", "https://https://", "javascript:", "HTTPS://", "https://user@", "https://user:pw@"},
		"app.example.com": {"app.example.com:443", "app.example.com:8443", "app.example.com.", "evil.com", "app.example.com.evil.com", "evilapp.example.com", "x.app.example.com", "example.com", "APP.example.com", "app.example.com@evil.com", "evil.com#@app.example.com", "evil.com\\@app.example.com", "app.exаmple.com", "app%2eexample.com", "app。example.com"},
		"/auth/callback":  {"/auth//callback", "//auth/callback", "/auth/./callback", "/auth/x/../callback", "/auth/%2e%2e/auth/callback", "/AUTH/callback", "/auth/Callback", "/auth", "/", "", "/auth/callback2", "/auth/callbac", "/auth%2fcallback", "\\auth\\callback", "/auth;x/callback", "/auth/callback/x"},
	} {
		for _, r := range replacements {
			add(strings.Replace(uri, old, r, 1))
		}
	}
	return mutants
}

func TestThreat_AZ01_Mutants(t *testing.T) {
	const uri = "https://app.example.com/auth/callback"
	registered := []string{"https://other.example.com/cb", uri, "https://app.example.com/auth/callback3?x=1"}
	mutants := mutantsOf(uri)
	if len(mutants) < 200 {
		t.Fatalf("only %d mutants", len(mutants))
	}
	for _, native := range []bool{false, true} {
		for _, m := range mutants {
			if oauth.MatchRedirectURI(registered, m, native) {
				t.Errorf("native %v: %q matched", native, m)
			}
		}
		for _, r := range registered {
			if !oauth.MatchRedirectURI(registered, r, native) {
				t.Errorf("native %v: %q did not match itself", native, r)
			}
		}
	}
	for _, nothing := range [][]string{nil, {}, {""}} {
		for _, presented := range []string{"", uri, "/"} {
			if oauth.MatchRedirectURI(nothing, presented, true) {
				t.Errorf("%q matched %q", presented, nothing)
			}
		}
	}
}

func TestThreat_AZ01_BareOrigin(t *testing.T) {
	for _, registered := range []string{"http://localhost:3000", "http://localhost:3000/"} {
		for presented, want := range map[string]bool{
			"http://localhost:3000": true, "http://localhost:3000/": true, "http://localhost:3000//": false, "http://localhost:3000/?": false, "http://localhost:3000?": false,
			"http://localhost:3000/x": false, "http://localhost:30000": false, "http://localhost:300": false, "http://localhost": false, "https://localhost:3000": false, "": false, "/": false,
		} {
			if got := oauth.MatchRedirectURI([]string{registered}, presented, false); got != want {
				t.Errorf("%q for %q: %v", presented, registered, got)
			}
		}
	}
	if oauth.MatchRedirectURI([]string{"https://app.example.com/cb"}, "https://app.example.com/cb/", false) {
		t.Error("a slash more on a path matched")
	}
}

// hostile are URIs of which two readers see different hosts.
var hostile = []string{
	"https://good.example@evil.example/", "https://good.example:pw@evil.example/", `https://evil.example\@good.example/`, `https://good.example\.evil.example/`, "https://good.example#@evil.example/",
	"https://good.example\t.evil.example/", "https://good.example\n/", "https://good.example\x00.evil.example/", "ht\ntps://good.example/", " https://good.example/", "https://good.example/ ",
	"https://gооd.example/", "https://xn--a.example\u3002evil.example/", "https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[::ffff:127.0.0.1]/", "https://[::1]x/", "https://[::1", "https://::1/", "https://[0:0:0:0:0:0:0:1]/",
	"//evil.example", "/evil", "https:evil.example", "https:/evil.example", "https:///evil.example", "https:////evil.example", `https:\\evil.example`, "https://", "https://?", "https:///", "https://:443/", "https://.example/", "https://a..b/", "https://a.example./",
	"https://127.1/", "https://0x7f.1/", "https://2130706433/", "https://0177.0.0.1/", "https://127.0.0.1.", "https://1.2.3.4.5/", "https://127.0.0.01/", "https://example.0x1/", "https://1.2.3.256/",
	"https://good%2eexample/", "https://good.example%00/", "https://good.example%2f@evil.example/", "https://GOOD.example/", "https://good.example:99999/", "https://good.example:0/", "https://good.example:/", "https://good.example:080/", "https://good.example:443x/", "https://good.example:-1/", "https://good.example:4 3/",
	"https://a\u00adb.example/", "https://good.example<evil>/", "https://good.example|evil/", "https://good.example^/", "https://{tenant}.example/", "https://good example/", "https://-a.example/",
}

func TestThreat_AZ02_HostConfusionAtRegistration(t *testing.T) {
	for _, uri := range hostile {
		for _, native := range []bool{false, true} {
			if err := oauth.ValidateRedirectURI(uri, native); oauth.CodeOf(err) != oauth.InvalidRedirectURI {
				t.Errorf("native %v: %q may be registered: %v", native, uri, err)
			}
		}
		if oauth.MatchRedirectURI([]string{"https://good.example/", "https://good.example", "http://127.0.0.1/", "http://[::1]/"}, uri, true) {
			t.Errorf("%q matched", uri)
		}
	}
	for _, uri := range []string{
		"https://app.example.com", "https://app.example.com/", "https://app.example.com/cb?x=1&y=%20", "https://app.example.com:8443/a/b~c/@d;e,f", "https://xn--bcher-kva.example/", "https://192.0.2.1/cb",
		"https://[2001:db8::1]/cb", "https://[2001:db8::1]:8443/cb", "http://localhost/cb", "http://localhost:3000", "http://app.localhost:3000/cb", "http://127.0.0.1:3000/cb", "http://[::1]:3000/cb", "https://my_app.internal/cb", "https://3d.example/",
	} {
		if err := oauth.ValidateRedirectURI(uri, false); err != nil {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

// browserHost is the host a browser goes to, after the URL Standard, cut down
// to special schemes: what it strips, what it takes for a slash, where it looks
// for the user name, how it reads numbers.
func browserHost(s string) (host string, ok bool) {
	s = strings.Trim(s, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f ")
	s = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(s)
	scheme, rest, found := strings.Cut(s, ":")
	if scheme = strings.ToLower(scheme); !found || scheme != "https" && scheme != "http" {
		return "", false
	}
	rest = strings.TrimLeft(rest, `/\`)
	if end := strings.IndexAny(rest, `/\?#`); end >= 0 {
		rest = rest[:end]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if end := strings.LastIndexByte(rest, ':'); end > strings.LastIndexByte(rest, ']') {
		rest = rest[:end]
	}
	if strings.HasPrefix(rest, "[") {
		return strings.Trim(rest, "[]"), true
	}
	if decoded, err := url.PathUnescape(rest); err == nil {
		rest = decoded
	}
	rest = strings.ToLower(rest)
	if v4, isNumber := browserIPv4(rest); isNumber {
		return v4, v4 != ""
	}
	return rest, rest != ""
}

// browserIPv4 reads 127.1, 0x7f.1, 017700000001 and the like.
func browserIPv4(host string) (addr string, isNumber bool) {
	parts := strings.Split(strings.TrimSuffix(host, "."), ".")
	last := parts[len(parts)-1]
	if _, err := strconv.ParseUint(last, 0, 64); err != nil && strings.Trim(last, "0123456789") != "" {
		return "", false
	}
	if len(parts) > 4 {
		return "", true
	}
	var n uint64
	for i, part := range parts {
		v, err := strconv.ParseUint(part, 0, 32)
		switch {
		case err != nil:
			return "", true
		case i < len(parts)-1 && v > 255:
			return "", true
		case i < len(parts)-1:
			n |= v << (8 * (3 - i))
		default:
			n |= v
		}
	}
	return fmt.Sprintf("%d.%d.%d.%d", byte(n>>24), byte(n>>16), byte(n>>8), byte(n)), true
}

func FuzzThreat_AZ02_OneHostForAllReaders(f *testing.F) {
	for _, uri := range hostile {
		f.Add(uri)
	}
	for _, uri := range mutantsOf("https://app.example.com/auth/callback")[:60] {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if oauth.ValidateRedirectURI(uri, false) != nil {
			return
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatalf("%q was accepted, net/url says %v", uri, err)
		}
		host, ok := browserHost(uri)
		if !ok || u.Hostname() != host {
			t.Fatalf("%q: net/url sees %q, a browser %q", uri, u.Hostname(), host)
		}
		if u.User != nil || u.Fragment != "" || u.Opaque != "" || u.Scheme == "http" && host != "localhost" && !strings.HasSuffix(host, ".localhost") && host != "127.0.0.1" && host != "::1" {
			t.Fatalf("%q was accepted", uri)
		}
		if origin, ok := oauth.Origin(uri); !ok || !strings.HasPrefix(uri, strings.TrimSuffix(origin, ":443")) {
			t.Fatalf("%q has the origin %q", uri, origin)
		}
	})
}

func TestThreat_AZ03_NoWildcards(t *testing.T) {
	for _, uri := range []string{
		"https://*.example.com/cb", "https://app.example.com/*", "https://*/cb", "*", "https://app.example.com/cb*", "https://app.example.com:*/cb", "com.example.app:/*",
		"^https://app\\.example\\.com/.*$", "https://app.example.com/[a-z]+", "https://app-(.*).example.com/cb", "https://app.example.com/{path}", "https://app.example.com/cb|https://evil.example/",
	} {
		for _, native := range []bool{false, true} {
			if err := oauth.ValidateRedirectURI(uri, native); oauth.CodeOf(err) != oauth.InvalidRedirectURI {
				t.Errorf("%q may be registered", uri)
			}
		}
	}
	for uri, hint := range map[string]string{"https://*.example.com/cb": "Wildcards do not exist", "https://good@evil.example/": "user name or password", "https://a.example/#x": "fragment", "http://a.example/": "Use https"} {
		if err := oauth.AsError(oauth.ValidateRedirectURI(uri, false)); !strings.Contains(err.Hint, hint) {
			t.Errorf("%s: the hint does not say why: %s", uri, err.Hint)
		}
	}
	// Should one be stored all the same, it means itself only.
	if oauth.MatchRedirectURI([]string{"https://*.example.com/cb"}, "https://evil.example.com/cb", true) {
		t.Error("a wildcard matched")
	}
}

func TestThreat_AZ04_Loopback(t *testing.T) {
	registered := []string{"http://127.0.0.1/cb", "http://[::1]:1234/cb?x=1", "http://localhost:3000/cb"}
	for _, c := range []struct {
		presented   string
		native, web bool
	}{
		{"http://127.0.0.1/cb", true, true},
		{"http://127.0.0.1:80/cb", true, false},
		{"http://127.0.0.1:51234/cb", true, false},
		{"http://[::1]:1234/cb?x=1", true, true},
		{"http://[::1]:1/cb?x=1", true, false},
		{"http://[::1]/cb?x=1", true, false},
		{"http://localhost:3000/cb", true, true},
		{"http://localhost:3001/cb", false, false},
		{"http://localhost/cb", false, false},
		{"http://127.0.0.1:51234/cb2", false, false},
		{"http://127.0.0.1:51234/", false, false},
		{"http://127.0.0.1:51234", false, false},
		{"http://127.0.0.1:51234/cb?x=1", false, false},
		{"http://127.0.0.1:51234/cb#x", false, false},
		{"http://127.0.0.1:0/cb", false, false},
		{"http://127.0.0.1:65536/cb", false, false},
		{"http://127.0.0.1:0080/cb", false, false},
		{"http://127.0.0.1:/cb", false, false},
		{"http://127.0.0.1:+80/cb", false, false},
		{"http://127.0.0.1:80:80/cb", false, false},
		{"http://127.0.0.1:80@evil.example/cb", false, false},
		{"http://127.0.0.1@evil.example/cb", false, false},
		{"http://127.0.0.1.evil.example/cb", false, false},
		{"http://127.0.0.1evil.example/cb", false, false},
		{`http://127.0.0.1\@evil.example/cb`, false, false},
		{"http://127.0.0.1#@evil.example/cb", false, false},
		{"http://localhost.evil.example/cb", false, false},
		{"http://localhost.evil.example:3000/cb", false, false},
		{"https://127.0.0.1:51234/cb", false, false},
		{"HTTP://127.0.0.1:51234/cb", false, false},
		{"http://0.0.0.0:51234/cb", false, false},
		{"http://127.0.0.2:51234/cb", false, false},
		{"http://127.1:51234/cb", false, false},
		{"http://2130706433/cb", false, false},
		{"http://[::ffff:127.0.0.1]:51234/cb", false, false},
		{"http://[0:0:0:0:0:0:0:1]:1/cb?x=1", false, false},
		{"http://[::1%25lo]:1/cb?x=1", false, false},
		{"http://[::1]evil.example/cb?x=1", false, false},
		{"http://127.0.0.1:1234/cb?x=1", false, false}, // the other family's path
	} {
		if got := oauth.MatchRedirectURI(registered, c.presented, true); got != c.native {
			t.Errorf("native: %q: %v", c.presented, got)
		}
		if got := oauth.MatchRedirectURI(registered, c.presented, false); got != c.web {
			t.Errorf("not native: %q: %v", c.presented, got)
		}
	}
}

func TestThreat_AZ05_DangerousSchemes(t *testing.T) {
	for _, uri := range []string{
		"javascript:alert(1)", "javascript://app.example.com/%0aalert(1)", "JavaScript:alert(1)", "java\tscript:alert(1)", "data:text/html,x", "data:text/html;base64,AA==", "vbscript:x", "file:///etc/passwd", "blob:https://app.example.com/x",
		"about:blank", "view-source:https://app.example.com/", "ws://app.example.com/", "ftp://app.example.com/", "mailto:a@b", "tel:1", "intent://x#Intent;end", "myapp:/cb", "myapp://cb", "x-callback:cb", "", ":", "://", "1.a:/cb", "filesystem:https://a/", "http://app.example.com/cb", "http://192.168.1.1/cb", "http://localhost.example/cb",
	} {
		for _, native := range []bool{false, true} {
			if err := oauth.ValidateRedirectURI(uri, native); oauth.CodeOf(err) != oauth.InvalidRedirectURI {
				t.Errorf("native %v: %q may be registered", native, uri)
			}
		}
	}
	for _, uri := range []string{"com.example.app:/cb", "com.example.app://cb/path", "com.example.app:/", "com.example-one.app2:/oauth?x=1"} {
		if err := oauth.ValidateRedirectURI(uri, true); err != nil {
			t.Errorf("%q: %v", uri, err)
		}
		if err := oauth.ValidateRedirectURI(uri, false); err == nil {
			t.Errorf("%q may be registered for the web", uri)
		}
	}
}

func TestThreat_AZ02_DotSegments(t *testing.T) {
	for _, path := range []string{"/../x", "/a/../x", "/a/..", "/.", "/a/./b", "/%2e%2e/x", "/a/%2E%2e", "/.%2e/x", "/a%", "/a%2", "/a%zz", "/a%0d%0aSet-Cookie:x", "/a%00", "/[a]"} {
		if err := oauth.ValidateRedirectURI("https://app.example.com"+path, false); err == nil {
			t.Errorf("%q may be registered", path)
		}
	}
}

func TestThreat_LO01_LogoutURI(t *testing.T) {
	registered := []string{"http://localhost:3000", "https://app.example.com/bye"}
	for presented, want := range map[string]bool{
		"http://localhost:3000": true, "http://localhost:3000/": true, "https://app.example.com/bye": true,
		"https://app.example.com/bye/": false, "https://app.example.com/bye?x=1": false, "https://app.example.com/": false, "https://app.example.com": false, "http://localhost:3001": false, "": false, "http://localhost:3000.evil.example": false, "http://localhost:3000@evil.example": false,
	} {
		if got := oauth.MatchLogoutURI(registered, presented); got != want {
			t.Errorf("%q: %v", presented, got)
		}
	}
	for _, uri := range mutantsOf("https://app.example.com/auth/callback") {
		if oauth.MatchLogoutURI([]string{"https://app.example.com/auth/callback"}, uri) {
			t.Errorf("%q matched", uri)
		}
	}
	if oauth.MatchLogoutURI([]string{"http://127.0.0.1/bye"}, "http://127.0.0.1:99/bye") {
		t.Error("the port of a logout URI may differ")
	}
}

func TestOrigin(t *testing.T) {
	for uri, want := range map[string]string{
		"https://app.example.com/cb?x=https://evil.example": "https://app.example.com", "https://app.example.com:443/cb": "https://app.example.com", "http://localhost:80": "http://localhost", "http://localhost:3000/": "http://localhost:3000",
		"https://[2001:db8::1]:443?x": "https://[2001:db8::1]", "https://a.example:80/": "https://a.example:80", "com.example.app:/cb": "", "https://good@evil.example/": "", "": "", "javascript://x/": "",
	} {
		if got, ok := oauth.Origin(uri); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", uri, got, ok)
		}
	}
}

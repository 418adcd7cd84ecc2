package people

import (
	netmail "net/mail"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
)

// All spellings of one mailbox are one name, whatever they are asked as.
func TestThreat_PW04_SpellingsOfOneName(t *testing.T) {
	for _, c := range []struct {
		name      string
		spellings []string
	}{
		{"ada@example.com", []string{"ada@example.com", "Ada@Example.COM", " ADA@example.com\n", "ada@example.com.", "\tada@EXAMPLE.com."}},
		{"jos\u00e9@example.com", []string{"jos\u00e9@example.com", "jose\u0301@example.com", "JOS\u00c9@example.com", "JOSE\u0301@EXAMPLE.COM."}},
		{"ada@xn--bcher-kva.example", []string{"ada@b\u00fccher.example", "ada@B\u00dcCHER.example", "ada@bu\u0308cher.example", "ada@xn--bcher-kva.example", "ada@XN--BCHER-KVA.Example."}},
		{"stra\u00dfe", []string{"Stra\u00dfe", "STRASSE"}}, // no address, still one name
	} {
		want := LoginKey(c.spellings[0])
		for _, s := range c.spellings {
			if got := LoginKey(s); got != want {
				t.Errorf("%s: LoginKey(%q) = %q; want %q", c.name, s, got, want)
			}
		}
	}
}

// What only looks alike belongs to somebody else.
func TestAddressesThatLookAlikeStayApart(t *testing.T) {
	seen := map[string]string{}
	for _, s := range []string{
		"ada@example.com", "\u0430da@example.com" /* Cyrillic a */, "ada@ex\u0430mple.com", "a.da@example.com", "ada+1@example.com",
		"ada@example.co", "\u0131da@example.com" /* dotless i */, "ida@example.com",
	} {
		key := LoginKey(s)
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q are both %q", s, other, key)
		}
		seen[key] = s
	}
}

var hostile = []string{
	"", "@", "ada", "ada@", "@example.com", "ada@localhost", "ada@@example.com", "ada@b@example.com",
	"ada@example.com,bob@example.com", "ada@example.com bob@example.com", "ada@example.com;bob@example.com",
	"Ada <ada@example.com>", "<ada@example.com>", "ada@example.com (Ada)", "(Ada)ada@example.com", `"ada"@example.com`, `"ada bob"@example.com`,
	`"a@b"@example.com`, `a\@b@example.com`, "ada@example.com\r\nBcc: bob@example.com", "ada\n@example.com", "ada@exam\rple.com", "ada@example.com\x00", "a\x00da@example.com",
	".ada@example.com", "ada.@example.com", "a..da@example.com", "ada@.example.com", "ada@example..com", "ada@example.com..", "ada@-example.com", "ada@example-.com",
	"ada@[127.0.0.1]", "ada@[IPv6:::1]", "ada@127.0.0.1", "ada@exam_ple.com", "ada@exam ple.com", "ada bob@example.com", "ada\u00a0@example.com",
	"bob%example.org@example.com", "example.org!bob@example.com", "ada:bob@example.com",
	"\uff41da@example.com" /* full width */, "ada@\uff45xample.com", "ada\u200b@example.com" /* zero width */, "ada@example\u3002com", "\u202eada@example.com",
	"ad\xffa@example.com", "ada@ex\xffample.com", "\u0301ada@example.com",
	strings.Repeat("a", 65) + "@example.com", "ada@" + strings.Repeat("a", 64) + ".com", "ada@" + strings.Repeat("a.", 130) + "com",
	"mailto:ada@example.com", "ada@example.com?cc=bob@example.com", "ada@xn--b\u00fccher.example",
}

func TestThreat_EM05_OneMailboxOrNone(t *testing.T) {
	for _, s := range hostile {
		a, err := ParseAddress(s)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("ParseAddress(%q) = %+v, %v; want a fault", s, a, err)
		}
	}
	for s, want := range map[string]Address{
		"Ada.Lovelace+tv@Example.com":    {"Ada.Lovelace+tv@example.com", "ada.lovelace+tv@example.com"},
		"o'hara@example.com":             {"o'hara@example.com", "o'hara@example.com"},
		"a@b.cd":                         {"a@b.cd", "a@b.cd"},
		"\u6b23@\u4f8b\u3048.jp":         {"\u6b23@xn--r8jz45g.jp", "\u6b23@xn--r8jz45g.jp"},
		"ada@sub-1.EXAMPLE.museum.":      {"ada@sub-1.example.museum", "ada@sub-1.example.museum"},
		"1@1.example1":                   {"1@1.example1", "1@1.example1"},
		"Stra\u00dfe@stra\u00dfe.de":     {"Stra\u00dfe@xn--strae-oqa.de", "strasse@xn--strae-oqa.de"},
		"\u03a3\u03af\u03c3@example.com": {"\u03a3\u03af\u03c3@example.com", "\u03c3\u03af\u03c3@example.com"},
	} {
		if got, err := ParseAddress(s); err != nil || got != want {
			t.Errorf("ParseAddress(%q) = %+v, %v; want %+v", s, got, err, want)
		}
	}
}

func FuzzThreat_EM05_Address(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	for _, s := range []string{"ada@example.com", "jos\u00e9@b\u00fccher.example", "a+b.c@x-y.z1", "\u1e9e@example.com", "\u0130@example.com", "a@\u06f1.example"} {
		f.Add(s)
	}
	known := map[string]bool{}
	for _, s := range hostile {
		known[s] = true
	}
	f.Fuzz(func(t *testing.T, s string) {
		key := LoginKey(s)
		if !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
			t.Errorf("LoginKey(%q) = %q", s, key)
		}
		a, err := ParseAddress(s)
		if err != nil {
			if !strings.HasPrefix(key, "name:") {
				t.Errorf("LoginKey(%q) = %q looks like an address", s, key)
			}
			return
		}
		if key != a.Key || LoginKey(key) != key {
			t.Errorf("LoginKey(%q) = %q, whose key is %q", s, key, LoginKey(key))
		}
		if known[s] {
			t.Errorf("ParseAddress(%q) = %+v", s, a)
		}
		again, err := ParseAddress(a.Text)
		if err != nil || again != a {
			t.Errorf("ParseAddress(%q) = %+v, but of that %+v, %v", s, a, again, err)
		}
		if canon, err := ParseAddress(a.Key); err != nil || canon.Key != a.Key {
			t.Errorf("the key %q of %q is itself %+v, %v", a.Key, s, canon, err)
		}
		if strings.Count(a.Text, "@") != 1 || strings.ContainsFunc(a.Text, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("<>()[],;:\\\"%!", r)
		}) || !utf8.ValidString(a.Text) {
			t.Errorf("ParseAddress(%q) = %+v", s, a)
		}
		list, err := netmail.ParseAddressList(a.Text)
		if err != nil || len(list) != 1 || list[0].Address != a.Text || list[0].Name != "" {
			t.Errorf("net/mail reads %q as %v, %v", a.Text, list, err)
		}
		_, domain, _ := strings.Cut(a.Text, "@")
		if strings.ContainsFunc(domain, func(r rune) bool { return r >= utf8.RuneSelf || unicode.IsUpper(r) }) {
			t.Errorf("domain %q of %q is not canonical", domain, s)
		}
	})
}

// RFC 3492, section 7.1, without the examples whose letters case folding would change.
func TestPunycode(t *testing.T) {
	for in, want := range map[string]string{
		"\u0644\u064a\u0647\u0645\u0627\u0628\u062a\u0643\u0644\u0645\u0648\u0634\u0639\u0631\u0628\u064a\u061f":                               "egbpdaj6bu4bxfgehfvwxn",
		"\u4ed6\u4eec\u4e3a\u4ec0\u4e48\u4e0d\u8bf4\u4e2d\u6587":                                                                               "ihqwcrb4cv8a8dqg056pqjye",
		"\u4ed6\u5011\u7232\u4ec0\u9ebd\u4e0d\u8aaa\u4e2d\u6587":                                                                               "ihqwctvzc91f659drss3x8bo0yb",
		"\u05dc\u05de\u05d4\u05d4\u05dd\u05e4\u05e9\u05d5\u05d8\u05dc\u05d0\u05de\u05d3\u05d1\u05e8\u05d9\u05dd\u05e2\u05d1\u05e8\u05d9\u05ea": "4dbcagdahymbxekheh6e0a7fei0b",
		"\u306a\u305c\u307f\u3093\u306a\u65e5\u672c\u8a9e\u3092\u8a71\u3057\u3066\u304f\u308c\u306a\u3044\u306e\u304b":                         "n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa",
		"3\u5e74b\u7d44\u91d1\u516b\u5148\u751f":                                                                                               "3b-ww4c5e180e575a65lsy2b",
		"\u305d\u306e\u30b9\u30d4\u30fc\u30c9\u3067":                                                                                           "d9juau41awczczp",
		"b\u00fccher": "bcher-kva",
	} {
		if got := punycode(in); got != want {
			t.Errorf("punycode(%q) = %q; want %q", in, got, want)
		}
	}
}

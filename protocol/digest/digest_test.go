package digest_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/digest"
)

// The examples of RFC 7616 §3.9. The second one's figures are those of its
// erratum 4897: the ones in the text were made with SHA-512 cut short.
func TestVectors(t *testing.T) {
	const mufasa = `Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", ` +
		`nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", ` +
		`qop=auth, opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", `
	tests := []struct {
		name               string
		header             string
		username, password string
	}{
		{"MD5", mufasa + `algorithm=MD5, response="8ca523f5e9506fed4657c9700eebdbec"`, "Mufasa", "Circle of Life"},
		{"MD5 by default", mufasa + `response="8ca523f5e9506fed4657c9700eebdbec"`, "Mufasa", "Circle of Life"},
		{"SHA-256", mufasa + `algorithm=SHA-256, response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"`, "Mufasa", "Circle of Life"},
		{
			"SHA-512-256, the name hashed",
			`Digest username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b", realm="api@example.org", uri="/doe.json", ` +
				`algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", nc=00000001, cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", ` +
				`qop=auth, response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5", ` +
				`opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", userhash=true`,
			"Jäsøn Doe", "Secret, or not?",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := digest.ParseCredentials(tt.header)
			if err != nil {
				t.Fatal(err)
			}
			if c.Hashed {
				if got := digest.Userhash(c.Algorithm, tt.username, c.Realm); got != c.Username {
					t.Errorf("userhash %s, want %s", got, c.Username)
				}
			} else if c.Username != tt.username {
				t.Errorf("username %q", c.Username)
			}
			ha1 := digest.HA1(c.Algorithm, tt.username, c.Realm, tt.password)
			if got := c.Expected(ha1, "GET", nil); got != c.Response {
				t.Errorf("response %s, want %s", got, c.Response)
			}
			if c.Expected(ha1, "POST", nil) == c.Response {
				t.Error("the method is not covered")
			}
			if c.Count != 1 {
				t.Errorf("count %d", c.Count)
			}
		})
	}
}

const whole = `Digest username="a", realm="r", nonce="n", uri="/", response="00", qop=auth, cnonce="c", nc=00000001, algorithm=SHA-256`

func TestThreat_AK10_ParseCredentials(t *testing.T) {
	without := func(parameter string) string {
		var kept []string
		for _, p := range strings.Split(strings.TrimPrefix(whole, "Digest "), ", ") {
			if !strings.HasPrefix(p, parameter+"=") {
				kept = append(kept, p)
			}
		}
		return "Digest " + strings.Join(kept, ", ")
	}
	named := func(username string) string { return without("username") + ", " + username }
	tests := []struct {
		name   string
		header string
		want   string // the user name; "error" if malformed
	}{
		{"whole", whole, "a"},
		{"case of scheme and names", strings.Replace(strings.Replace(whole, "Digest", "dIGEST", 1), "nonce=", "NONCE=", 1), "a"},
		{"spaces around the sign", strings.Replace(whole, `realm="r"`, "realm \t=  \"r\"", 1), "a"},
		{"no spaces after commas", strings.ReplaceAll(whole, ", ", ","), "a"},
		{"empty elements of the list", strings.ReplaceAll(whole, ", ", ", ,,  ") + ",", "a"},
		{"quoted where tokens belong", strings.NewReplacer("qop=auth", `qop="auth"`, "SHA-256", `"SHA-256"`, "nc=00000001", `nc="00000001"`).Replace(whole), "a"},
		{"a parameter of the future", whole + `, session="x"`, "a"},
		{"an escape", named(`username="a\"b\\c\d"`), `a"b\cd`},
		{"a comma inside quotes", named(`username="a, realm=\"x\""`), `a, realm="x"`},
		{"raw UTF-8", named(`username="jürgen"`), "jürgen"},
		{"extended", named(`username*=UTF-8''j%C3%BCrgen`), "jürgen"},
		{"extended, with a language", named(`username*=utf-8'de'j%c3%bcrgen%20k`), "jürgen k"},
		{"no name", named(`username=""`), ""},
		{"userhash", named(`username="00ff", userhash=true`), "00ff"},
		{"userhash not used", named(`username="00ff", userhash=false`), "00ff"},

		{"both names", whole + `, username*=UTF-8''a`, "error"},
		{"both names, otherwise round", named(`username*=UTF-8''a, username="a"`), "error"},
		{"extended and hashed", named(`username*=UTF-8''a, userhash=true`), "error"},
		{"a third value of userhash", whole + `, userhash=maybe`, "error"},
		{"name twice", whole + `, username="a"`, "error"},
		{"name twice, in other case", whole + `, USERNAME="b"`, "error"},
		{"nonce twice", whole + `, nonce="n"`, "error"},
		{"unknown twice", whole + `, x=1, x=1`, "error"},
		{"extended in Latin-1", named(`username*=ISO-8859-1''j%FCrgen`), "error"},
		{"extended in Latin-1, all ASCII", named(`username*=ISO-8859-1''jurgen`), "error"},
		{"extended, not UTF-8 inside", named(`username*=UTF-8''j%FCrgen`), "error"},
		{"extended, one quote", named(`username*=UTF-8'jurgen`), "error"},
		{"extended, no quotes", named(`username*=jurgen`), "error"},
		{"extended, quoted", named(`username*="UTF-8''a b"`), "error"},
		{"extended, half an escape", named(`username*=UTF-8''a%C`), "error"},
		{"extended, NUL", named(`username*=UTF-8''a%00`), "error"},
		{"extended, a line's end", named(`username*=UTF-8''a%0D%0A`), "error"},
		{"raw Latin-1", named("username=\"j\xfcrgen\""), "error"},
		{"a control character", named("username=\"a\x01\""), "error"},
		{"an escaped control character", named("username=\"a\\\x01\""), "error"},
		{"a quote that does not end", whole + `, x="abc`, "error"},
		{"an escape at the end", whole + `, x="abc\`, "error"},
		{"no comma", strings.Replace(whole, `, realm`, ` realm`, 1), "error"},
		{"no value", whole + ", x=", "error"},
		{"no name", whole + `, ="x"`, "error"},
		{"neither", whole + ", x", "error"},
		{"garbage behind a quote", strings.Replace(whole, `"r"`, `"r"r`, 1), "error"},
		{"nothing", "Digest", "error"},
		{"nothing but a space", "Digest ", "error"},
		{"without username", without("username"), "error"},
		{"without realm", without("realm"), "error"},
		{"without nonce", without("nonce"), "error"},
		{"without uri", without("uri"), "error"},
		{"without response", without("response"), "error"},
		{"without cnonce", without("cnonce"), "error"},
		{"without nc", without("nc"), "error"},
		{"nc too short", strings.Replace(whole, "00000001", "1", 1), "error"},
		{"nc too long", strings.Replace(whole, "00000001", "000000001", 1), "error"},
		{"nc not hexadecimal", strings.Replace(whole, "00000001", "0000000g", 1), "error"},
		{"nc with a sign", strings.Replace(whole, "00000001", "+0000001", 1), "error"},
		{"nc with an underscore", strings.Replace(whole, "00000001", "0000_001", 1), "error"},
		{"a tab behind the scheme", strings.Replace(whole, " ", "\t", 1), "error"},
		{"very many parameters", whole + strings.Repeat(", x=y", 1000), "error"},
		{"very long", whole + `, x="` + strings.Repeat("y", 1<<20) + `"`, "error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := digest.ParseCredentials(tt.header)
			switch {
			case tt.want == "error":
				if err == nil {
					t.Errorf("read as %+v", c)
				}
				if errors.Is(err, digest.ErrNotDigest) {
					t.Error("taken for another scheme's")
				}
			case err != nil:
				t.Error(err)
			case c.Username != tt.want:
				t.Errorf("username %q, want %q", c.Username, tt.want)
			}
		})
	}
	for _, other := range []string{"", "Basic YTpi", "Bearer abc", "Digestive x=y"} {
		if _, err := digest.ParseCredentials(other); !errors.Is(err, digest.ErrNotDigest) {
			t.Errorf("%q: %v", other, err)
		}
	}
	// A client of RFC 2069 is understood, so that it can be told what is asked for.
	if c, err := digest.ParseCredentials(`Digest username="a", realm="r", nonce="n", uri="/", response="00"`); err != nil || c.QOP != "" || c.Algorithm != digest.MD5 {
		t.Errorf("%+v %v", c, err)
	}
}

func FuzzThreat_AK10_ParseCredentials(f *testing.F) {
	for _, seed := range []string{whole, `Digest username*=UTF-8''%e2%82%ac`, `Digest a="\"`, `Digest a=b,,c="d\\e"`, "Digest \x00", `digest userhash=true`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c, err := digest.ParseCredentials(header)
		if err != nil {
			return
		}
		if strings.ContainsAny(c.Username+c.Realm+c.Nonce+c.URI+c.CNonce+c.Response, "\x00\r\n\x7f") {
			t.Fatalf("%+v holds control characters", c)
		}
		if c.Algorithm.Known() && c.QOP != "" {
			c.Expected("x", "GET", []byte("body"))
			// What we write must read as we meant it.
			info := "Digest username=\"\", realm=\"r\", nonce=\"n\", uri=\"/\", response=\"x\", " +
				strings.Replace(c.AuthenticationInfo("x", "next"), "qop=auth, ", "qop=auth, ", 1)
			again, err := digest.ParseCredentials(info)
			if len(info) < 8<<10 && (err != nil || again.CNonce != c.CNonce || again.Count != c.Count) {
				t.Fatalf("%q: %v", info, err)
			}
		}
	})
}

func TestThreat_AK09_BodyIsCovered(t *testing.T) {
	c, err := digest.ParseCredentials(strings.Replace(whole, "qop=auth", "qop=auth-int", 1))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, body := range []string{"", "a", "b", "a\x00"} {
		r := c.Expected("ha1", "POST", []byte(body))
		if other, twice := seen[r]; twice {
			t.Errorf("%q and %q have one response", body, other)
		}
		seen[r] = body
	}
	c.QOP = digest.Auth
	if _, same := seen[c.Expected("ha1", "POST", nil)]; same {
		t.Error("a response of one quality is good for the other")
	}
}

func TestChallenge(t *testing.T) {
	got := digest.Challenge{
		Realm: "api@example.org", Nonce: "abc", Algorithm: digest.SHA256, QOP: []digest.QOP{digest.Auth, digest.AuthInt}, Stale: true, Userhash: true,
	}.String()
	want := `Digest realm="api@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="abc", stale=true, charset=UTF-8, userhash=true`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	got = digest.Challenge{Realm: `a"b\c`, Nonce: "abc", Algorithm: digest.MD5, QOP: []digest.QOP{digest.Auth}}.String()
	if want = `Digest realm="a\"b\\c", qop="auth", algorithm=MD5, nonce="abc", charset=UTF-8`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestAuthenticationInfo(t *testing.T) {
	c, err := digest.ParseCredentials(whole)
	if err != nil {
		t.Fatal(err)
	}
	plain, next := c.AuthenticationInfo("ha1", ""), c.AuthenticationInfo("ha1", "n2")
	if !strings.HasPrefix(plain, `qop=auth, rspauth="`) || !strings.HasSuffix(plain, `", cnonce="c", nc=00000001`) {
		t.Error(plain)
	}
	if next != `nextnonce="n2", `+plain {
		t.Error(next)
	}
	if strings.Contains(plain, c.Expected("ha1", "GET", nil)) {
		t.Error("the proof of the server is the client's own")
	}
}

func TestThreat_AK08_Nonces(t *testing.T) {
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	start := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	here := digest.Nonces{Keys: [][]byte{key(1)}, Realm: "here", Life: time.Minute}
	nonce, err := here.New(start, bytes.NewReader(make([]byte, 12)))
	if err != nil {
		t.Fatal(err)
	}
	foreign := here
	foreign.Realm = "there"
	rotated := here
	rotated.Keys = [][]byte{key(2), key(1)}
	gone := here
	gone.Keys = [][]byte{key(2)}
	flipped := func(i int) string {
		b := []byte(nonce)
		if b[i] ^= 1; b[i] == nonce[i] {
			t.Fatal("nothing flipped")
		}
		return string(b)
	}
	tests := []struct {
		name  string
		by    digest.Nonces
		nonce string
		after time.Duration
		want  error
	}{
		{"fresh", here, nonce, 0, nil},
		{"nearly a minute old", here, nonce, time.Minute - time.Millisecond, nil},
		{"a minute old", here, nonce, time.Minute, digest.ErrNonceExpired},
		{"of another server, a little ahead", here, nonce, -30 * time.Second, nil},
		{"of tomorrow", here, nonce, -24 * time.Hour, digest.ErrNonceExpired},
		{"of another realm", foreign, nonce, 0, digest.ErrNonceForeign},
		{"after the secret was rotated", rotated, nonce, 0, nil},
		{"of a secret that is gone", gone, nonce, 0, digest.ErrNonceForeign},
		{"another time", here, flipped(3), 0, digest.ErrNonceForeign},
		{"another number", here, flipped(20), 0, digest.ErrNonceForeign},
		{"another MAC", here, flipped(40), 0, digest.ErrNonceForeign},
		{"cut", here, nonce[:len(nonce)-1], 0, digest.ErrNonceForeign},
		{"longer", here, nonce + "AAAA", 0, digest.ErrNonceForeign},
		{"broken up", here, nonce[:44] + "\r\n\r\n", 0, digest.ErrNonceForeign},
		{"empty", here, "", 0, digest.ErrNonceForeign},
		{"a client's own", here, strings.Repeat("A", len(nonce)), 0, digest.ErrNonceForeign},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			made, err := tt.by.Check(tt.nonce, start.Add(tt.after))
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if tt.want != digest.ErrNonceForeign && !made.Equal(start) {
				t.Errorf("made %v", made)
			}
		})
	}
	if other, _ := here.New(start, bytes.NewReader(bytes.Repeat([]byte{9}, 12))); other == nonce {
		t.Error("two nonces of a moment are one")
	}
}

func BenchmarkDigestParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := digest.ParseCredentials(whole); err != nil {
			b.Fatal(err)
		}
	}
}

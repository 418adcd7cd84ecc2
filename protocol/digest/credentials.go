package digest

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Credentials is what a client sends in its Authorization header (RFC 7616
// §3.4), its strings freed of quotes and escapes.
type Credentials struct {
	// Username is the user's name, or its Userhash if Hashed. It is UTF-8 without
	// control characters, and may be empty.
	Username string
	// Hashed says that Username is a hash.
	Hashed bool
	// Realm, Nonce and URI are what the client says it answers and asks for. None
	// of them is to be believed before it was compared.
	Realm, Nonce, URI string
	// Algorithm is the one the client used: MD5 if it named none. It may be one
	// this package does not know.
	Algorithm Algorithm
	// Response is the proof.
	Response string
	// QOP is the quality used. It is empty for a client of RFC 2069, which has no
	// CNonce and no NC either.
	QOP QOP
	// CNonce is the client's contribution to the hash.
	CNonce string
	// NC is the nonce count as it was written: eight hexadecimal digits.
	NC string
	// Count is its value.
	Count uint32
}

// ErrNotDigest is returned for a header of another scheme.
var ErrNotDigest = errors.New("digest: not Digest credentials")

const (
	// maxHeader and maxParameters bound what is read.
	maxHeader     = 8 << 10
	maxParameters = 32
)

// ParseCredentials reads the value of an Authorization header. The error is
// ErrNotDigest, or says what is malformed without quoting it: a parameter that
// stands twice, a name both plain and encoded, something required that is
// missing. Parameters it does not know are passed over (RFC 7616 §3.4).
func ParseCredentials(header string) (*Credentials, error) {
	scheme, rest := token(header)
	if !strings.EqualFold(scheme, "Digest") {
		return nil, ErrNotDigest
	}
	if rest != "" && rest[0] != ' ' {
		return nil, malformed("no space behind the scheme")
	}
	if len(header) > maxHeader {
		return nil, malformed("they are too long")
	}
	p, err := parameters(rest)
	if err != nil {
		return nil, err
	}
	c := &Credentials{
		Realm: p["realm"], Nonce: p["nonce"], URI: p["uri"], Response: p["response"],
		Algorithm: named(p["algorithm"]), QOP: QOP(p["qop"]), CNonce: p["cnonce"], NC: p["nc"],
	}
	for _, required := range [...]string{"realm", "nonce", "uri", "response"} {
		if p[required] == "" {
			return nil, malformed(required + " is missing")
		}
	}
	if err := c.readUsername(p); err != nil {
		return nil, err
	}
	if c.QOP == "" {
		return c, nil
	}
	if c.CNonce == "" {
		return nil, malformed("cnonce is missing")
	}
	// Written as eight digits it reads the same in the hash and in the count.
	count, err := strconv.ParseUint(c.NC, 16, 32)
	if err != nil || len(c.NC) != 8 {
		return nil, malformed("nc is not eight hexadecimal digits")
	}
	c.Count = uint32(count)
	return c, nil
}

func (c *Credentials) readUsername(p map[string]string) error {
	plain, isPlain := p["username"]
	extended, isExtended := p["username*"]
	switch h, given := p["userhash"]; {
	case !given, strings.EqualFold(h, "false"):
	case strings.EqualFold(h, "true"):
		c.Hashed = true
	default:
		return malformed("userhash is neither true nor false")
	}
	switch {
	case isPlain && isExtended:
		return malformed("username stands beside username*")
	case isPlain:
		c.Username = plain
	case !isExtended:
		return malformed("username is missing")
	case c.Hashed:
		return malformed("a hash needs no username*")
	default:
		name, err := decodeExtended(extended)
		if err != nil {
			return err
		}
		c.Username = name
	}
	if !utf8.ValidString(c.Username) || strings.ContainsFunc(c.Username, unicode.IsControl) {
		return malformed("username is not text in UTF-8")
	}
	return nil
}

// decodeExtended reads an ext-value (RFC 8187 §3.2.1): charset'language'value,
// the value in percent-encoding. The charset must be UTF-8.
func decodeExtended(s string) (string, error) {
	charset, rest, ok := strings.Cut(s, "'")
	if !ok || !strings.EqualFold(charset, "UTF-8") {
		return "", malformed("username* is not in UTF-8")
	}
	_, value, ok := strings.Cut(rest, "'")
	if !ok || strings.ContainsFunc(value, notAttrChar) {
		return "", malformed("username* is not an extended value")
	}
	name, err := url.PathUnescape(value)
	if err != nil {
		return "", malformed("username* is not an extended value")
	}
	return name, nil
}

// notAttrChar reports what may not stand in an ext-value's value; a percent sign
// may, as the beginning of an escape.
func notAttrChar(c rune) bool {
	return c != '%' && (c > unicode.MaxASCII || strings.ContainsRune("*'", c) || !isTokenByte(byte(c)))
}

func malformed(what string) error { return fmt.Errorf("digest: malformed credentials: %s", what) }

// parameters reads a list of auth-params (RFC 9110 §11.2): names in lower case,
// values freed of quotes. Each may be a token or a quoted string, as clients
// disagree with the specification, and each other, on which needs which.
func parameters(s string) (map[string]string, error) {
	p := make(map[string]string, 12)
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return p, nil
		}
		if len(p) == maxParameters {
			return nil, malformed("too many parameters")
		}
		name, rest := token(s)
		rest = strings.TrimLeft(rest, " \t")
		if name == "" || !strings.HasPrefix(rest, "=") {
			return nil, malformed("a parameter without a name or a value")
		}
		name = strings.ToLower(name)
		rest = strings.TrimLeft(rest[1:], " \t")
		var value string
		if strings.HasPrefix(rest, `"`) {
			var ok bool
			if value, rest, ok = quoted(rest); !ok {
				return nil, malformed("a quoted string that does not end")
			}
		} else if value, rest = token(rest); value == "" {
			return nil, malformed("a parameter without a value")
		}
		if _, twice := p[name]; twice {
			return nil, malformed("a parameter stands twice")
		}
		p[name] = value
		s = strings.TrimLeft(rest, " \t")
		if s != "" && s[0] != ',' {
			return nil, malformed("parameters without a comma between them")
		}
	}
}

// token cuts a token (RFC 9110 §5.6.2) off the front of s.
func token(s string) (value, rest string) {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

func isTokenByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// quoted cuts a quoted string (RFC 9110 §5.6.4) off the front of s.
func quoted(s string) (value, rest string, ok bool) {
	end := strings.IndexAny(s[1:], `"\`)
	if end < 0 {
		return "", "", false
	}
	if s[1+end] == '"' { // nearly always: nothing is escaped
		return s[1 : 1+end], s[end+2:], plain(s[1 : 1+end])
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], plain(b.String())
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// plain reports whether no control character stands in s: neither a quoted
// string nor an escape may hold one.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

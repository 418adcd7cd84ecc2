package people

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
)

// Address is one mailbox.
type Address struct {
	// Text is where mail goes: the local part as its owner writes it, the domain in ASCII.
	Text string
	// Key is the canonical form: equal for two spellings of one mailbox, different for addresses
	// that only look alike.
	Key string
}

// The limits of RFC 5321, section 4.5.3.1, in bytes.
const (
	maxLocal   = 64
	maxDomain  = 253
	maxAddress = 254
)

// ParseAddress reads one mailbox, local@domain, and refuses everything else that RFC 5322 would
// allow in its place: display names, comments, quoted local parts, address literals, lists. Nor
// does it take % and !, with which a local part names a second host to some mail servers.
//
// White space around the address is dropped. Case is folded in the key, a dot at the end of the
// domain dropped, a domain of other alphabets written in ASCII (RFC 5891); dots and + suffixes in
// the local part mean what its host wants them to mean and stay. Letters that look like others
// stay what they are, and characters that Unicode calls mere forms of others are refused.
//
// The error is a fault about the field "email".
func ParseAddress(s string) (Address, error) {
	s = strings.Trim(s, " \t\r\n")
	if len(s) > maxAddress || !utf8.ValidString(s) {
		return Address{}, notAnAddress()
	}
	local, domain, ok := strings.Cut(s, "@")
	if !ok {
		return Address{}, notAnAddress()
	}
	local = norm.NFC.String(local)
	if !validLocal(local) {
		return Address{}, notAnAddress()
	}
	domain, ok = asciiDomain(domain)
	if !ok || len(local)+1+len(domain) > maxAddress {
		return Address{}, notAnAddress()
	}
	return Address{Text: local + "@" + domain, Key: fold(local) + "@" + domain}, nil
}

func notAnAddress() error {
	return fault.Field("email", "This is not an e-mail address. Write it like name@example.com.")
}

// LoginKey returns the canonical form of whatever somebody typed as their name: the key of the
// address if it is one, else the folded text behind a mark that no address has. Whoever counts
// attempts on a name counts under this form, so that two spellings never make two budgets.
func LoginKey(login string) string {
	if a, err := ParseAddress(login); err == nil {
		return a.Key
	}
	return "name:" + fold(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) { // which no database likes to store
			return unicode.ReplacementChar
		}
		return r
	}, strings.TrimSpace(login)))
}

// fold makes upper and lower case equal, in every script. Folding can undo the normal form, so it
// is made anew.
func fold(s string) string { return norm.NFC.String(cases.Fold().String(norm.NFC.String(s))) }

// validLocal reports whether s is a dot-atom (RFC 5322, section 3.2.3) of plain characters.
func validLocal(s string) bool {
	if s == "" || len(s) > maxLocal || len(fold(s)) > maxLocal || !norm.NFKC.IsNormalString(s) {
		return false
	}
	for _, atom := range strings.Split(s, ".") {
		if atom == "" {
			return false
		}
		for i, r := range atom {
			switch {
			case r >= utf8.RuneSelf:
				if !letterOrDigit(r) && (i == 0 || !unicode.IsMark(r)) {
					return false
				}
			case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			case strings.ContainsRune("#$&'*+-/=?^_`{|}~", r):
			default:
				return false
			}
		}
	}
	return true
}

func letterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// asciiDomain returns the domain in lower case, with labels of other alphabets as "xn--" labels.
func asciiDomain(s string) (string, bool) {
	s = strings.TrimSuffix(norm.NFC.String(s), ".")
	labels := strings.Split(s, ".")
	if len(labels) < 2 {
		return "", false
	}
	for i, label := range labels {
		ascii, ok := asciiLabel(strings.ToLower(label))
		if !ok {
			return "", false
		}
		labels[i] = ascii
	}
	// A last label of digits makes the whole an IPv4 address (RFC 3696, section 2).
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return "", false
	}
	s = strings.Join(labels, ".")
	return s, len(s) <= maxDomain
}

func asciiLabel(s string) (string, bool) {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return "", false
	}
	ascii := true
	for i, r := range s {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-':
		case r >= utf8.RuneSelf && (letterOrDigit(r) || i > 0 && unicode.IsMark(r)):
			ascii = false
		default:
			return "", false
		}
	}
	if !ascii {
		// A label of another alphabet has one spelling: lower case, composed, and no ASCII that
		// already looks encoded.
		s = norm.NFC.String(s)
		if !norm.NFKC.IsNormalString(s) || len(s) > 4*63 || strings.HasPrefix(s, "xn--") || strings.ToLower(s) != s {
			return "", false
		}
		s = "xn--" + punycode(s)
	}
	return s, len(s) <= 63
}

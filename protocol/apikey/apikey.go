package apikey

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"strings"
)

// Kind says what a key is for. It is the first part of its text.
type Kind string

// The kinds of keys.
const (
	// Secret acts for its owner. It belongs on a server.
	Secret Kind = "sk"
	// Restricted acts for its owner within scopes that were named when it was issued.
	Restricted Kind = "rk"
	// Publishable names an application and stands in pages and apps for all to
	// read. It must never be enough for anything that not everybody may do.
	Publishable Kind = "pk"
)

// Environment keeps keys for trying things out apart from those that count.
type Environment string

// The environments.
const (
	Live Environment = "live"
	Test Environment = "test"
)

// The parts of a key.
const (
	// RandomBytes is how much randomness goes into a key.
	RandomBytes = 32

	prefixLen   = len("sk_live_")
	randomLen   = 43 // 62^43 is just above 2^256
	checksumLen = 6  // 62^6 is above 2^32
	bodyLen     = prefixLen + randomLen

	// Len is the length of every key.
	Len = bodyLen + len("_") + checksumLen
)

// Pattern is a regular expression that finds keys in other text, for secret
// scanners: RE2 syntax, which PCRE and RE2 engines alike understand. What it
// finds should go through [Parse], whose checksum a text that merely looks like
// a key passes once in four thousand million times.
const Pattern = `\b[srp]k_(?:live|test)_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}\b`

// alphabet is base 62 in the order of ASCII, so that texts compare as the numbers they are.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// largest is 2^256-1: no key has a larger number.
const largest = "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1"

var (
	// ErrMalformed says that a text does not have the form of a key.
	ErrMalformed = errors.New("apikey: not the form of an API key")
	// ErrChecksum says that a text has the form of a key, and was never issued:
	// mistyped, cut out wrongly, or made up.
	ErrChecksum = errors.New("apikey: wrong checksum")
)

// Key is a key whose form and checksum are right. Whether it was ever issued is
// another question.
//
// It prints as its prefix and its last four characters through fmt, log/slog and
// encoding/json, whatever the verb. The text lies behind a pointer, so even a
// struct that holds a Key in an unexported field, where fmt cannot call its
// methods, prints an address and not the key.
type Key struct{ text *string }

// New makes a key of 32 random bytes. Anything but 32 bytes, or a kind or an
// environment that does not exist, is an error.
func New(random []byte, kind Kind, env Environment) (Key, error) {
	if len(random) != RandomBytes {
		return Key{}, fmt.Errorf("apikey: %d random bytes, want %d", len(random), RandomBytes)
	}
	if !kind.Valid() {
		return Key{}, fmt.Errorf("apikey: kind %q is none of sk, rk, pk", string(kind))
	}
	if !env.Valid() {
		return Key{}, fmt.Errorf("apikey: environment %q is none of live, test", string(env))
	}
	text := make([]byte, 0, Len)
	text = append(text, kind...)
	text = append(text, '_')
	text = append(text, env...)
	text = append(text, '_')
	text = appendNumber(text, new(big.Int).SetBytes(random))
	sum := checksum(string(text))
	text = append(text, '_')
	return newKey(string(append(text, sum[:]...))), nil
}

// appendNumber writes n in base 62 at the full width.
func appendNumber(text []byte, n *big.Int) []byte {
	var digits [randomLen]byte
	base, digit := big.NewInt(int64(len(alphabet))), new(big.Int)
	for i := len(digits) - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		digits[i] = alphabet[digit.Int64()]
	}
	return append(text, digits[:]...)
}

// checksum returns the CRC-32 (IEEE) of s in base 62. It walks the table itself because
// crc32.ChecksumIEEE wants bytes, and s would have to be copied to the heap at every request.
func checksum(s string) (out [checksumLen]byte) {
	n := ^uint32(0)
	for i := range len(s) {
		n = crc32.IEEETable[byte(n)^s[i]] ^ n>>8
	}
	n = ^n
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = alphabet[n%uint32(len(alphabet))]
		n /= uint32(len(alphabet))
	}
	return out
}

func newKey(text string) Key { return Key{text: &text} }

// Parse reads a key. The error is [ErrMalformed] for anything that is not
// exactly a key, white space around it included, and [ErrChecksum] for what has
// the form alone. It looks at [Len] bytes at most, and at the key's randomness
// only to compute the checksum, which an attacker can do as well.
func Parse(s string) (Key, error) {
	if err := Check(s); err != nil {
		return Key{}, err
	}
	return newKey(strings.Clone(s)), nil
}

// Check is Parse for whoever needs no [Key]. It allocates nothing.
func Check(s string) error {
	if len(s) != Len || !hasPrefix(s) || s[bodyLen] != '_' {
		return ErrMalformed
	}
	random, sum := s[prefixLen:bodyLen], s[bodyLen+1:]
	if !isAlphabet(random) || !isAlphabet(sum) || random > largest {
		return ErrMalformed
	}
	if want := checksum(s[:bodyLen]); string(want[:]) != sum {
		return ErrChecksum
	}
	return nil
}

// Looks reports whether s begins as a key does: enough to tell a key, good or
// bad, from tokens of other kinds that travel in the same place.
func Looks(s string) bool { return len(s) >= prefixLen && hasPrefix(s) }

func hasPrefix(s string) bool {
	return Kind(s[:2]).Valid() && s[2] == '_' && Environment(s[3:7]).Valid() && s[7] == '_'
}

func isAlphabet(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// Contains reports whether something that looks like a key stands anywhere in s:
// in a URL, where none must be. A key with a mistake in it counts.
func Contains(s string) bool {
	const enough = 20 // of the 43 random characters: no path has those by chance
	for {
		at := strings.Index(s, "k_")
		if at < 0 {
			return false
		}
		if at > 0 && Looks(s[at-1:]) {
			body := s[at-1+prefixLen:]
			if len(body) >= enough && isAlphabet(body[:enough]) {
				return true
			}
		}
		s = s[at+2:]
	}
}

// Valid reports whether the kind exists.
func (k Kind) Valid() bool { return k == Secret || k == Restricted || k == Publishable }

// Valid reports whether the environment exists.
func (e Environment) Valid() bool { return e == Live || e == Test }

// Reveal returns the key itself. What it returns is shown to its owner once, and
// must not reach a log, a URL, a database or an error.
func (k Key) Reveal() string {
	if k.text == nil {
		return ""
	}
	return *k.text
}

// Hash returns the SHA-256 of the whole text: how a key is stored and found
// again. A key has 256 random bits, so nothing slower is needed.
func (k Key) Hash() [sha256.Size]byte { return Hash(k.Reveal()) }

// Hash is [Key.Hash] for a text. It allocates nothing if [Check] accepts it.
func Hash(s string) [sha256.Size]byte {
	if len(s) != Len {
		return sha256.Sum256([]byte(s))
	}
	var buf [Len]byte
	return sha256.Sum256(buf[:copy(buf[:], s)])
}

// Kind returns the kind of the key, empty for the zero Key.
func (k Key) Kind() Kind {
	if k.text == nil {
		return ""
	}
	return Kind(k.Reveal()[:2])
}

// Environment returns the environment of the key, empty for the zero Key.
func (k Key) Environment() Environment {
	if k.text == nil {
		return ""
	}
	return Environment(k.Reveal()[3:7])
}

// Hint returns the last four characters, by which owners tell their keys apart.
// They belong to the checksum: who sees them knows next to nothing of the key.
func (k Key) Hint() string {
	if k.text == nil {
		return ""
	}
	return k.Reveal()[Len-4:]
}

// String returns prefix and hint: sk_live_…3cD4.
func (k Key) String() string {
	if k.text == nil {
		return ""
	}
	return k.Reveal()[:prefixLen] + "…" + k.Hint()
}

// Format implements [fmt.Formatter]: no verb and no flag shows the key.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText implements [encoding.TextMarshaler], which JSON uses.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

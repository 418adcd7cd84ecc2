package people

import (
	_ "embed" // the list of common passwords
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
)

// common lists passwords, and the words they are made of, that everybody tries first: lower case,
// one to a line.
//
//go:embed common.txt
var common string

// Policy says which new passwords are taken. There are no rules about which characters must occur
// and none that makes a good password expire (NIST SP 800-63B-4, section 3.1.1): a password is
// refused for being short, for being among those that everybody tries, or for being made of the
// address or the house's name.
type Policy struct {
	MinLength int // characters
	common    map[string]struct{}
}

// NewPolicy returns the policy with this least length.
func NewPolicy(minLength int) Policy {
	p := Policy{MinLength: minLength, common: make(map[string]struct{}, 1024)}
	for word := range strings.Lines(common) {
		p.common[strings.TrimSpace(word)] = struct{}{}
	}
	return p
}

// Check returns nil or a fault about the field "password" that says the broken rule. context holds
// texts that belong to the user or the house, such as the address and the tenant's name.
func (p Policy) Check(password string, context ...string) error {
	if len(password) > MaxPassword {
		return tooLong()
	}
	password = norm.NFC.String(password)
	switch lower := strings.ToLower(password); {
	case utf8.RuneCountInString(password) < p.MinLength:
		return fault.Field("password", "Choose a password of at least %d characters. A few words in a row are easy to remember.", p.MinLength)
	case p.isCommon(lower):
		return fault.Field("password", "This password is among those that attackers try first. Choose another one.")
	case isPattern(lower):
		return fault.Field("password", "This password is a simple pattern. Choose another one.")
	case madeOf(lower, context):
		return fault.Field("password", "This password is made of your address or the name of this site. Choose another one.")
	}
	return nil
}

// isCommon finds a listed word as it stands, in the spelling of p4ssw0rd, and with a few digits or
// signs around it, as in Summer2024!.
func (p Policy) isCommon(lower string) bool {
	unit := period(lower)
	letters := strings.TrimFunc(unit, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, candidate := range []string{unit, letters} {
		if len(unit)-len(candidate) > 6 {
			continue
		}
		for _, word := range []string{candidate, plain(candidate)} {
			if _, ok := p.common[word]; ok {
				return true
			}
		}
	}
	return false
}

// plain undoes the best known replacements of letters.
func plain(s string) string {
	return strings.NewReplacer("0", "o", "1", "l", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i").Replace(s)
}

// period returns the shortest piece that s is a repetition of.
func period(s string) string {
	for n := 1; n <= len(s)/2; n++ {
		if len(s)%n == 0 && strings.Repeat(s[:n], len(s)/n) == s {
			return s[:n]
		}
	}
	return s
}

// isPattern finds few characters repeated, and runs of the alphabet, the digits or the keyboard.
func isPattern(lower string) bool {
	if utf8.RuneCountInString(period(lower)) <= 4 {
		return true
	}
	for _, row := range []string{"0123456789", "1234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "azertyuiopqsdfghjklmwxcvbn", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p"} {
		run := strings.Repeat(row, 2+len(lower)/len(row))
		if strings.Contains(run, lower) || strings.Contains(run, reverse(lower)) {
			return true
		}
	}
	return false
}

func reverse(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}

// madeOf reports whether little is left of a password without the texts of the context and their
// words.
func madeOf(lower string, context []string) bool {
	rest := lower
	for _, text := range context {
		text = strings.ToLower(norm.NFC.String(text))
		words := strings.FieldsFunc(text, func(r rune) bool { return !letterOrDigit(r) })
		for _, word := range append([]string{text}, words...) {
			if utf8.RuneCountInString(word) >= 4 {
				rest = strings.ReplaceAll(rest, word, "")
			}
		}
	}
	return rest != lower && utf8.RuneCountInString(strings.ReplaceAll(rest, " ", "")) < 8
}

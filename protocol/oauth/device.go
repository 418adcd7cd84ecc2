package oauth

import (
	"strings"
	"time"
)

// GrantDeviceCode is the grant type of a device that asks whether a person has
// approved it (RFC 8628 §3.4).
const GrantDeviceCode = "urn:ietf:params:oauth:grant-type:device_code"

// UserCodeAlphabet are the letters of a user code: consonants, which spell no
// word and are hard to take for digits (RFC 8628 §6.1).
const UserCodeAlphabet = "BCDFGHJKLMNPQRSTVWXZ"

// UserCodeLetters is the length of a user code. Eight of twenty letters are
// 25.6 billion codes, 34.6 bits.
const UserCodeLetters = 8

// UserCode returns the user code that belongs to a random number. All codes are
// equally likely to within one part in 700 million.
func UserCode(random uint64) string {
	var code [UserCodeLetters]byte
	for i := range code {
		code[i] = UserCodeAlphabet[random%uint64(len(UserCodeAlphabet))]
		random /= uint64(len(UserCodeAlphabet))
	}
	return string(code[:])
}

// ShowUserCode returns a user code as people read it best: WDJB-MJHT.
func ShowUserCode(code string) string {
	half := len(code) / 2
	return code[:half] + "-" + code[half:]
}

// separators are what people put between the letters of a code.
const separators = " \t\u00a0-\u2010\u2011\u2012\u2013\u2014\u2212_."

// ParseUserCode returns the user code that somebody typed, in any case and with
// the spaces and hyphens people put into it, and whether it can be one at all.
func ParseUserCode(typed string) (string, bool) {
	if len(typed) > 64 { // no spelling of eight letters
		return "", false
	}
	code := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case strings.ContainsRune(separators, r):
			return -1
		}
		return r
	}, typed)
	return code, len(code) == UserCodeLetters && strings.Trim(code, UserCodeAlphabet) == ""
}

// How often a device may ask.
const (
	// DeviceInterval is what it is told to wait between two questions (RFC 8628 §3.2).
	DeviceInterval = 5 * time.Second
	// slowDown is added to that, for good, whenever it asks too early (RFC 8628 §3.5).
	slowDown = 5 * time.Second
	// pollTolerance is by how much a question may come early: a device waits
	// from when it has read the last answer, but networks do not keep time.
	pollTolerance = time.Second
)

// Poll judges a question of a device whose last one was since ago, and which
// has been told to wait for interval: whether it came too early, and what the
// interval is from now on.
func Poll(interval, since time.Duration) (next time.Duration, tooEarly bool) {
	if since < interval-pollTolerance {
		return interval + slowDown, true
	}
	return interval, false
}

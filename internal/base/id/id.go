// Package id makes the identifiers and secrets of the house, all from crypto/rand, and the one
// hash under which secrets are stored.
package id

import (
	"crypto/rand"
	"crypto/sha256"

	"github.com/google/uuid"
)

// alphabet has only letters and digits, so that every way of encoding a value in a header, form
// or URL gives the same bytes.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// UUID returns a version 7 UUID, for rows: new ones sort after older ones.
func UUID() string { return uuid.Must(uuid.NewV7()).String() }

// IsUUID reports whether s has the form that UUID gives.
func IsUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// Sub returns a version 4 UUID, the "sub" of a user. It tells nothing, not even when the user
// signed up.
func Sub() string { return uuid.New().String() }

// Secret returns 256 bits of randomness in 43 letters and digits.
func Secret() string { return random(43) }

// ClientID returns 32 letters and digits. It can never equal a user's sub, which has dashes.
func ClientID() string { return random(32) }

// Digits returns n random decimal digits, for a code that a person types.
func Digits(n int) string { return draw("0123456789", n) }

// Hash returns the SHA-256 of s: how a secret of high entropy is stored and found again.
func Hash(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

func random(n int) string { return draw(alphabet, n) }

// draw picks n characters of set, each with the same probability: bytes beyond the largest
// multiple of len(set) are thrown away.
func draw(set string, n int) string {
	limit := 256 - 256%len(set)
	out := make([]byte, 0, n)
	buf := make([]byte, n+n/4+8)
	for {
		rand.Read(buf) // never fails: crypto/rand aborts the program instead
		for _, b := range buf {
			if int(b) >= limit {
				continue
			}
			out = append(out, set[int(b)%len(set)])
			if len(out) == n {
				return string(out)
			}
		}
	}
}

// Package opaque makes the names that stores give to sessions: random ones for
// the cookie, and their hashes for the store.
package opaque

import (
	"crypto/rand"
	"crypto/sha256"
)

// ID is how a store knows a name.
type ID [sha256.Size]byte

// Name returns 256 random bits and more, in 52 characters fit for a cookie.
func Name() string { return rand.Text() + rand.Text() }

// Of returns the id of name in one application: whoever reads the store learns
// no name, and one application's name is nothing to another.
func Of(app, name string) ID {
	h := sha256.New()
	h.Write([]byte(app))
	h.Write([]byte{0})
	h.Write([]byte(name))
	return ID(h.Sum(nil))
}

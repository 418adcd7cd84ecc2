package basic

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// ErrRefused is what a Verifier returns for a wrong password and for a name it
// does not know, without telling the two apart.
var ErrRefused = errors.New("basic: user name or password refused")

// Verifier knows passwords. It must be safe for concurrent use.
type Verifier interface {
	// Verify returns who username is if password is theirs, ErrRefused if it is
	// not or nobody has that name, a *guard.Error to answer something else, and
	// any other error when it could not tell.
	//
	// It must take the same time for a name nobody has as for a wrong password,
	// or names can be found out by the clock; and it must know nobody whose second
	// factor a password alone would pass by.
	//
	// A principal without Kind is a User, one without Subject is username.
	Verify(ctx context.Context, username, password string) (*guard.Principal, error)
}

// VerifierFunc is a function that is a Verifier.
type VerifierFunc func(ctx context.Context, username, password string) (*guard.Principal, error)

// Verify implements Verifier.
func (f VerifierFunc) Verify(ctx context.Context, username, password string) (*guard.Principal, error) {
	return f(ctx, username, password)
}

// Users returns a Verifier for a few users in memory, by name with their
// passwords: for a staging site or a handful of scripts. Names and passwords are
// held as keyed digests, and compared in a time that depends on neither.
//
// It fails when there are none, or when a name or password is empty or could not
// be sent: a name with a colon, a control character, text that is not UTF-8.
func Users(passwords map[string]string) (Verifier, error) {
	if len(passwords) == 0 {
		return nil, errors.New("basic: Users needs one user at least")
	}
	t := &table{users: make(map[digest]digest, len(passwords))}
	_, _ = rand.Read(t.key[:]) // never fails: crypto/rand.Read ends the program rather
	for name, password := range passwords {
		if name == "" || strings.Contains(name, ":") || !sendable(name) {
			return nil, fmt.Errorf("basic: %q cannot be a user name", name)
		}
		if password == "" || !sendable(password) {
			return nil, fmt.Errorf("basic: the password of %q is empty or cannot be sent", name)
		}
		t.users[t.digest(name)] = t.digest(password)
	}
	return t, nil
}

func sendable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

type digest [sha256.Size]byte

type table struct {
	key   [32]byte
	users map[digest]digest // by name: finding a digest tells nothing of the name
}

func (t *table) digest(s string) digest {
	mac := hmac.New(sha256.New, t.key[:])
	mac.Write([]byte(s))
	return digest(mac.Sum(nil))
}

func (t *table) Verify(_ context.Context, username, password string) (*guard.Principal, error) {
	want, known := t.users[t.digest(username)]
	got := t.digest(password)
	// For a stranger want is zero, which no password has for a digest.
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 || !known {
		return nil, ErrRefused
	}
	return &guard.Principal{}, nil
}

// Hashed is a Verifier over an application's own records, for passwords stored
// as slow hashes:
//
//	basic.Hashed{
//		Find:    func(ctx context.Context, name string) (*guard.Principal, []byte, error) { … },
//		Compare: bcrypt.CompareHashAndPassword,
//		Dummy:   hashOfNobodysPassword, // bcrypt.GenerateFromPassword of anything random, once
//	}
//
// A name nobody has costs the same comparison as a wrong password. All three
// fields are required.
type Hashed struct {
	// Find returns who username is and the hash of their password, or ErrRefused
	// when nobody has that name or may not sign in by password alone. Any other
	// error means that it could not tell.
	Find func(ctx context.Context, username string) (*guard.Principal, []byte, error)
	// Compare returns nil if password is the one hash was made of. It has the form
	// of bcrypt's.
	Compare func(hash, password []byte) error
	// Dummy is the hash of a password nobody has, made like all others: it is what
	// a name nobody has is compared with.
	Dummy []byte
}

// Verifier checks that nothing is missing and returns the Verifier. It compares
// as many passwords at a time as there are processors; others wait their turn
// for as long as their request lives, so that a flood of guesses costs time and
// not memory.
func (h Hashed) Verifier() (Verifier, error) {
	var problems []error
	if h.Find == nil {
		problems = append(problems, errors.New("Find is missing"))
	}
	if h.Compare == nil {
		problems = append(problems, errors.New("Compare is missing"))
	}
	if len(h.Dummy) == 0 {
		problems = append(problems, errors.New("Dummy is missing: without it, names can be found out by the time an answer takes"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("basic: Hashed: %w", err)
	}
	return &hashed{Hashed: h, gate: make(chan struct{}, runtime.GOMAXPROCS(0))}, nil
}

type hashed struct {
	Hashed
	gate chan struct{}
}

func (h *hashed) Verify(ctx context.Context, username, password string) (*guard.Principal, error) {
	who, hash, err := h.Find(ctx, username)
	unknown := errors.Is(err, ErrRefused) || err == nil && (who == nil || len(hash) == 0)
	if err != nil && !unknown {
		return nil, err
	}
	if unknown {
		hash = h.Dummy
	}
	select {
	case h.gate <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	err = func() error {
		defer func() { <-h.gate }()
		return h.Compare(hash, []byte(password))
	}()
	if err != nil || unknown {
		return nil, ErrRefused
	}
	return who, nil
}

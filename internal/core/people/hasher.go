package people

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/gate"
)

// MaxPassword is the length in bytes beyond which a password is refused before it is looked at.
const MaxPassword = 1024

// HasherOptions say how costly hashes are and how many may be under way. Zero values stand for the
// defaults named.
type HasherOptions struct {
	Params Params        // DefaultParams
	Width  int           // hashes at a time: GOMAXPROCS
	Queue  int           // callers that may wait: 64 for each hash at a time
	Wait   time.Duration // how long one waits at most: 3 s
}

// Hasher computes and checks password hashes behind a gate: each takes megabytes and a core, so
// only as many run as there are cores, first come first served, and a flood is turned away instead
// of piling up. It is safe for concurrent use.
//
// Passwords are brought to Unicode normal form C once, here, so that the same password typed on
// two keyboards is one password.
type Hasher struct {
	params Params
	gate   *gate.Gate
	work   atomic.Int64
	dummy  verifier
}

// NewHasher returns a hasher.
func NewHasher(o HasherOptions) *Hasher {
	if o.Params == (Params{}) {
		o.Params = DefaultParams()
	}
	h := &Hasher{params: o.Params, gate: gate.New(gate.Options{Width: o.Width, Queue: o.Queue, Wait: o.Wait})}
	// Nobody's password: its key is nothing that the salt and any password are known to give.
	h.dummy = argon2Hash{Params: o.Params, salt: make([]byte, saltSize), key: make([]byte, keySize)}
	return h
}

// Hashes returns how many password hashes were computed so far, of any kind and for any reason:
// equal work shows as equal numbers.
func (h *Hasher) Hashes() int64 { return h.work.Load() }

// Hash returns the Argon2id hash of password as a PHC string. It fails with a Busy fault when too
// many are waiting, and with a fault about the field "password" when it is longer than MaxPassword.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	plain, err := prepare(password)
	if err != nil {
		return "", err
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return h.params.hash(plain), nil
}

// Verify reports whether password is the one that hash was made of, and whether the hash is of an
// older kind that should be replaced now that the password is at hand. A hash that is empty or
// cannot be read matches nothing, after the same work as one that can: whether somebody has a
// password is not to be told by a clock. Errors are those of [Hasher.Hash].
func (h *Hasher) Verify(ctx context.Context, hash, password string) (ok, upgrade bool, err error) {
	plain, err := prepare(password)
	if err != nil {
		return false, false, err
	}
	v, weaker, malformed := h.params.parseHash(hash)
	if malformed != nil {
		v = h.dummy
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	ok = v.matches(plain) && malformed == nil
	return ok, ok && weaker, nil
}

func prepare(password string) ([]byte, error) {
	if len(password) > MaxPassword {
		return nil, tooLong()
	}
	return norm.NFC.Bytes([]byte(password)), nil
}

func tooLong() error {
	return fault.Field("password", "A password can have at most %d bytes.", MaxPassword)
}

// enter takes a place at the gate. The caller gives it back with leave.
func (h *Hasher) enter(ctx context.Context) (leave func(), err error) {
	leave, err = h.gate.Enter(ctx)
	if errors.Is(err, gate.ErrFull) {
		return nil, busy()
	}
	if err == nil {
		h.work.Add(1)
	}
	return leave, err
}

func busy() error {
	return &fault.Error{Code: fault.Busy, Message: "Too many people are signing in right now. Try again in a moment.", RetryAfter: 2 * time.Second}
}

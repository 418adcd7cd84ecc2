package people

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Params are the costs of one Argon2id hash (RFC 9106).
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes over the memory
	Threads uint8
}

// DefaultParams cost 19 MiB and some 30 ms of one core.
func DefaultParams() Params { return Params{Memory: 19 * 1024, Time: 2, Threads: 1} }

// What a hash from elsewhere may cost us at each sign-in: some twenty times the default. Beyond
// it, whoever brings the hash could stop the house with it.
const (
	maxMemory     = 128 * 1024 // KiB
	maxTime       = 16
	maxWork       = 512 * 1024 // KiB times passes
	maxThreads    = 16
	maxBcryptCost = 14
)

// ErrHashFormat is returned for a stored hash that is malformed, of an unknown kind, or too costly
// to check. The text after it says which; it never holds the hash.
var ErrHashFormat = errors.New("people: password hash not accepted")

const (
	saltSize = 16
	keySize  = 32
	phcStart = "$argon2id$v=19$"
)

// argon2Hash is a parsed PHC string.
type argon2Hash struct {
	Params
	salt, key []byte
}

// hash computes the PHC string of password with a fresh salt.
func (p Params) hash(password []byte) string {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	key := argon2.IDKey(password, salt, p.Time, p.Memory, p.Threads, keySize)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("%sm=%d,t=%d,p=%d$%s$%s", phcStart, p.Memory, p.Time, p.Threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

func (h argon2Hash) matches(password []byte) bool {
	key := argon2.IDKey(password, h.salt, h.Time, h.Memory, h.Threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

// parseArgon2 reads "$argon2id$v=19$m=…,t=…,p=…$salt$key" and nothing that is nearly that.
func parseArgon2(s string) (argon2Hash, error) {
	var h argon2Hash
	rest, ok := strings.CutPrefix(s, phcStart)
	parts := strings.Split(rest, "$")
	if !ok || len(parts) != 3 {
		return h, fmt.Errorf("%w: want %sm=…,t=…,p=…$salt$hash", ErrHashFormat, phcStart)
	}
	costs := strings.Split(parts[0], ",")
	if len(costs) != 3 {
		return h, fmt.Errorf("%w: want the parameters m, t and p", ErrHashFormat)
	}
	var mtp [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		text, ok := strings.CutPrefix(costs[i], name)
		n, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil || strconv.FormatUint(n, 10) != text {
			return h, fmt.Errorf("%w: parameter %s is not a number", ErrHashFormat, name[:1])
		}
		mtp[i] = n
	}
	m, t, p := mtp[0], mtp[1], mtp[2]
	if m > maxMemory || t > maxTime || p > maxThreads || m*t > maxWork || t < 1 || p < 1 || m < 8*p {
		return h, fmt.Errorf("%w: m=%d,t=%d,p=%d is out of range", ErrHashFormat, m, t, p)
	}
	h.Params = Params{Memory: uint32(m), Time: uint32(t), Threads: uint8(p)}
	b64 := base64.RawStdEncoding.Strict()
	var err1, err2 error
	h.salt, err1 = b64.DecodeString(parts[1])
	h.key, err2 = b64.DecodeString(parts[2])
	if err1 != nil || err2 != nil || strings.ContainsAny(s, "\r\n") || len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 {
		return h, fmt.Errorf("%w: salt or hash is not base64 of the right length", ErrHashFormat)
	}
	return h, nil
}

// bcryptHash is a checked "$2a$", "$2b$" or "$2y$" string.
type bcryptHash string

// matches compares. bcrypt reads 72 bytes and in some makes stops at a NUL: a password it would cut
// is not the one that was set, so it never matches, after the same work.
func (h bcryptHash) matches(password []byte) bool {
	cut := len(password) > 72 || strings.ContainsRune(string(password), 0)
	if cut {
		password = []byte("cut")
	}
	return bcrypt.CompareHashAndPassword([]byte(h), password) == nil && !cut
}

func parseBcrypt(s string) (bcryptHash, error) {
	if len(s) != 60 || !strings.HasPrefix(s, "$2") || !strings.ContainsRune("aby", rune(s[2])) || s[3] != '$' || s[6] != '$' {
		return "", fmt.Errorf("%w: want 60 characters that begin with $2a$, $2b$ or $2y$", ErrHashFormat)
	}
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	if strings.Trim(s[7:], alphabet) != "" {
		return "", fmt.Errorf("%w: not bcrypt's alphabet", ErrHashFormat)
	}
	cost, err := strconv.ParseUint(s[4:6], 10, 8)
	if err != nil || int(cost) < bcrypt.MinCost || cost > maxBcryptCost {
		return "", fmt.Errorf("%w: bcrypt cost is not within %d and %d", ErrHashFormat, bcrypt.MinCost, maxBcryptCost)
	}
	return bcryptHash(s), nil
}

// verifier is a parsed hash, whatever its kind.
type verifier interface{ matches(password []byte) bool }

// parseHash reads a stored or imported hash. weaker says that it is not Argon2id at these
// parameters, so that the next sign-in should replace it.
func (p Params) parseHash(s string) (v verifier, weaker bool, err error) {
	if strings.HasPrefix(s, "$2") {
		b, err := parseBcrypt(s)
		return b, true, err
	}
	a, err := parseArgon2(s)
	return a, a.Params != p, err
}

// CheckHash reports whether a hash from elsewhere can be imported: Argon2id as a PHC string or
// bcrypt, within bounds. The error wraps [ErrHashFormat].
func CheckHash(s string) error {
	_, _, err := Params{}.parseHash(s)
	return err
}

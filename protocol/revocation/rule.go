package revocation

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// ErrMalformed is wrapped by every error of a parser.
var ErrMalformed = errors.New("revocation: malformed")

// Kind says what the id of a rule names. The values stand in snapshots and never change.
type Kind uint8

// The kinds. Client and Tenant come with a time, for emergencies; the others end everything they
// name, since ids are never used twice.
const (
	Session Kind = 1 + iota // sid: a sign-in in one browser, and what is bound to it
	Grant                   // gid: one redeemed code, approved device or exchanged key
	Token                   // jti: one token
	Client                  // client: everything issued to a client up to a time
	Tenant                  // tenant: everything issued up to a time; the id is empty
	Key                     // kid: everything signed with a key that is not trusted any more
)

// Kinds is how many kinds there are: they count from 1 to Kinds.
const Kinds = int(Key)

// names of the kinds, in their order.
func (k Kind) name() string {
	switch k {
	case Session:
		return "sid"
	case Grant:
		return "gid"
	case Token:
		return "jti"
	case Client:
		return "client"
	case Tenant:
		return "tenant"
	case Key:
		return "kid"
	}
	return ""
}

// String returns the kind as it stands in JSON: sid, gid, jti, client, tenant or kid.
func (k Kind) String() string {
	if name := k.name(); name != "" {
		return name
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// ParseKind is the inverse of [Kind.String].
func ParseKind(name string) (Kind, error) {
	for k := Session; k <= Key; k++ {
		if k.name() == name {
			return k, nil
		}
	}
	return 0, fmt.Errorf("%w: unknown kind %.16q", ErrMalformed, name)
}

// Timed reports whether rules of this kind end only what was issued up to a time.
func (k Kind) Timed() bool { return k == Client || k == Tenant }

// Digest stands for the id of what a rule ends: its sieve in four bytes, and 96 bits of a SHA-256 of
// kind and id. No id can be found on purpose that shares the digest of another, and none does by
// chance.
type Digest [16]byte

// Digests are separated from every other use of the hash. With a UUID it all fits one block.
const domain = "gatehouse:"

// DigestOf returns the digest of an id of a kind.
func DigestOf(k Kind, id string) (d Digest) {
	var space [128]byte
	text := append(space[:0], domain...)
	text = append(text, k.name()...)
	text = append(text, ':')
	text = append(text, id...)
	sum := sha256.Sum256(text)
	binary.BigEndian.PutUint32(d[:4], SieveOf(k, id))
	copy(d[4:], sum[:])
	return d
}

// SieveOf returns the first part of the digest of an id of a kind, which is quickly made: FNV-1a in
// 32 bits over the kind's number and the id. Whoever has many rules sorts out by it nearly every id
// that none of them matches, and need not hash it. It proves nothing.
func SieveOf(k Kind, id string) uint32 {
	const offset, prime = 2166136261, 16777619
	h := (offset ^ uint32(k)) * prime
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * prime
	}
	return h
}

// Sieve returns the first part of the digest.
func (d Digest) Sieve() uint32 { return binary.BigEndian.Uint32(d[:4]) }

// String returns the digest in base64url, 22 characters.
func (d Digest) String() string { return base64.RawURLEncoding.EncodeToString(d[:]) }

// ParseDigest is the inverse of [Digest.String].
func ParseDigest(s string) (d Digest, err error) {
	if len(s) != base64.RawURLEncoding.EncodedLen(len(d)) {
		return d, fmt.Errorf("%w: a digest of %d characters", ErrMalformed, len(s))
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return d, fmt.Errorf("%w: digest: %w", ErrMalformed, err)
	}
	return Digest(raw), nil
}

// Rule is one thing that was taken back. Times are seconds since 1970, up to the year 2106.
type Rule struct {
	// N is the rule's number, from 1; zero in a snapshot, which has one number for all.
	N      int64
	Kind   Kind
	Digest Digest
	// Until is when the last thing the rule can match has expired, and the rule may be forgotten.
	Until uint32
	// IssuedBy bounds rules of the kinds that are timed: they match what was issued at this second or
	// before. Zero for all others.
	IssuedBy uint32
}

// line is a rule in JSON.
type line struct {
	N        int64  `json:"n"`
	Kind     string `json:"kind"`
	Digest   string `json:"digest"`
	Until    uint32 `json:"until"`
	IssuedBy uint32 `json:"issued_by,omitempty"`
}

// MarshalJSON writes {"n":…,"kind":"sid","digest":"…","until":…}, with issued_by for timed kinds.
func (r Rule) MarshalJSON() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return json.Marshal(line{r.N, r.Kind.String(), r.Digest.String(), r.Until, r.IssuedBy})
}

// ParseRule reads what [Rule.MarshalJSON] writes. Members of other names are passed over.
func ParseRule(data []byte) (Rule, error) {
	var l line
	if err := jose.Decode(data, &l); err != nil {
		return Rule{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return l.rule()
}

func (l line) rule() (r Rule, err error) {
	r = Rule{N: l.N, Until: l.Until, IssuedBy: l.IssuedBy}
	if r.Kind, err = ParseKind(l.Kind); err != nil {
		return Rule{}, err
	}
	if r.Digest, err = ParseDigest(l.Digest); err != nil {
		return Rule{}, err
	}
	if err := r.check(); err != nil {
		return Rule{}, err
	}
	return r, nil
}

// check reports what no rule on the wire may be.
func (r Rule) check() error {
	switch {
	case r.Kind.name() == "":
		return fmt.Errorf("%w: unknown kind %d", ErrMalformed, r.Kind)
	case r.N < 1:
		return fmt.Errorf("%w: number %d", ErrMalformed, r.N)
	case r.Until == 0:
		return fmt.Errorf("%w: a rule without an end", ErrMalformed)
	case r.Kind.Timed() != (r.IssuedBy != 0):
		return fmt.Errorf("%w: a rule of kind %s with the time %d", ErrMalformed, r.Kind, r.IssuedBy)
	}
	return nil
}

// Seconds returns a time in seconds since 1970 as it stands in a [Rule], cut to what fits.
func Seconds(unix int64) uint32 { return uint32(min(max(unix, 0), math.MaxUint32)) }

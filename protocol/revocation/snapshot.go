package revocation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// MediaTypeSnapshot is what a snapshot is served as. A change of the format changes its version.
const MediaTypeSnapshot = "application/vnd.gatehouse.revocations.v1"

// magic begins a snapshot.
const magic = "GHR1"

// Sizes of one rule in a snapshot.
const (
	ruleBytes      = 16 + 4
	timedRuleBytes = ruleBytes + 4
)

// ErrTooMany is returned by [ParseSnapshot] for more rules than its caller has room for.
var ErrTooMany = errors.New("revocation: too many rules")

// Snapshot is every rule in force at one number.
type Snapshot struct {
	// N is the number of the newest rule in it, zero before the first.
	N int64
	// Rules are without numbers of their own, in no order.
	Rules []Rule
}

// MaxSnapshotBytes is the longest a snapshot of so many rules can be.
func MaxSnapshotBytes(rules int) int64 {
	return int64(len(magic)) + 9 + int64(Kinds)*10 + int64(rules)*timedRuleBytes
}

// Encode returns the snapshot in binary: the magic bytes "GHR1", N in eight bytes, the number of
// groups in one; then for each kind that has rules, in the order of kinds, the kind in one byte, how
// many rules in eight, and each rule as its digest, its end in four bytes and, for timed kinds, its
// time in four. Numbers are big-endian.
func (s Snapshot) Encode() []byte {
	var counts [Kinds + 1]int
	for _, r := range s.Rules {
		counts[r.Kind]++
	}
	groups := 0
	for _, n := range counts {
		if n > 0 {
			groups++
		}
	}
	out := make([]byte, 0, MaxSnapshotBytes(len(s.Rules)))
	out = append(out, magic...)
	out = binary.BigEndian.AppendUint64(out, uint64(s.N))
	out = append(out, byte(groups))
	for k := Session; k <= Key; k++ {
		if counts[k] == 0 {
			continue
		}
		out = append(out, byte(k))
		out = binary.BigEndian.AppendUint64(out, uint64(counts[k]))
		for _, r := range s.Rules {
			if r.Kind == k {
				out = appendRule(out, r)
			}
		}
	}
	return out
}

func appendRule(out []byte, r Rule) []byte {
	out = append(out, r.Digest[:]...)
	out = binary.BigEndian.AppendUint32(out, r.Until)
	if r.Kind.Timed() {
		out = binary.BigEndian.AppendUint32(out, r.IssuedBy)
	}
	return out
}

// ParseSnapshot reads what [Snapshot.Encode] writes: all of data, at most so many rules. The error
// wraps ErrMalformed or ErrTooMany. It makes room for no more than data can hold.
func ParseSnapshot(data []byte, maxRules int) (Snapshot, error) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok || len(rest) < 9 {
		return Snapshot{}, fmt.Errorf("%w: not a snapshot", ErrMalformed)
	}
	n, groups := binary.BigEndian.Uint64(rest), rest[8]
	if n > math.MaxInt64 {
		return Snapshot{}, fmt.Errorf("%w: number %d", ErrMalformed, n)
	}
	s, last := Snapshot{N: int64(n)}, Kind(0)
	rest = rest[9:]
	for range groups {
		if len(rest) < 9 {
			return Snapshot{}, fmt.Errorf("%w: cut short", ErrMalformed)
		}
		kind, count := Kind(rest[0]), binary.BigEndian.Uint64(rest[1:])
		rest = rest[9:]
		if kind <= last || kind.name() == "" || count == 0 {
			return Snapshot{}, fmt.Errorf("%w: a group of %d rules of kind %d after %d", ErrMalformed, count, kind, last)
		}
		size := ruleBytes
		if kind.Timed() {
			size = timedRuleBytes
		}
		if count > uint64(len(rest)/size) {
			return Snapshot{}, fmt.Errorf("%w: cut short", ErrMalformed)
		}
		if len(s.Rules)+int(count) > maxRules {
			return Snapshot{}, fmt.Errorf("%w: more than %d", ErrTooMany, maxRules)
		}
		var err error
		if s.Rules, err = appendParsed(s.Rules, kind, rest[:int(count)*size], size); err != nil {
			return Snapshot{}, err
		}
		rest, last = rest[int(count)*size:], kind
	}
	if len(rest) > 0 {
		return Snapshot{}, fmt.Errorf("%w: %d bytes after the end", ErrMalformed, len(rest))
	}
	if s.N == 0 && len(s.Rules) > 0 {
		return Snapshot{}, fmt.Errorf("%w: rules before the first number", ErrMalformed)
	}
	return s, nil
}

func appendParsed(rules []Rule, kind Kind, data []byte, size int) ([]Rule, error) {
	if rules == nil {
		rules = make([]Rule, 0, len(data)/size)
	}
	for ; len(data) > 0; data = data[size:] {
		r := Rule{N: 1, Kind: kind, Digest: Digest(data[:16]), Until: binary.BigEndian.Uint32(data[16:])}
		if kind.Timed() {
			r.IssuedBy = binary.BigEndian.Uint32(data[20:])
		}
		if err := r.check(); err != nil {
			return nil, err
		}
		r.N = 0
		rules = append(rules, r)
	}
	return rules, nil
}

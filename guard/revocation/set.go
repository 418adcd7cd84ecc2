package revocation

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

// set is the rules known here. Any number of goroutines ask it without waiting for
// anybody; one at a time changes it.
//
// Every change has a number of this process, one higher than that before; a set
// without any is at number 1. Who has read number n sees every rule up to n: numbers
// are given out after the rules are in place.
type set struct {
	table atomic.Pointer[table]
	timed atomic.Pointer[timedRules]
	// newest is, for each kind, the number of the change that brought its newest rule.
	newest [revocation.Kinds + 1]atomic.Uint64

	number  uint64 // of the last change; for who changes the set
	max     int
	pruneAt time.Time
}

// timedRule ends what was issued up to a time.
type timedRule struct{ issuedBy, until uint32 }

// timedRules never change: a change makes others.
type timedRules struct {
	rules  map[revocation.Digest]timedRule
	sieves map[uint32]struct{}
}

func newTimedRules() *timedRules {
	return &timedRules{map[revocation.Digest]timedRule{}, map[uint32]struct{}{}}
}

func (t *timedRules) put(d revocation.Digest, rule timedRule) {
	t.rules[d] = rule
	t.sieves[d.Sieve()] = struct{}{}
}

// grace is how long a rule is kept past its end, for clocks that differ.
const grace = 60 // seconds

// pruneEvery is how often rules past their end are looked for.
const pruneEvery = 5 * time.Minute

func newSet(most int) *set {
	s := &set{number: 1, max: most}
	s.table.Store(newTable(0))
	s.timed.Store(newTimedRules())
	return s
}

// add takes rules in and returns the number of the change: a new one if any of them
// was new. What is known already is no news, so a snapshot can be taken in again.
func (s *set) add(rules []revocation.Rule, now time.Time) (uint64, error) {
	news := s.number + 1
	changed := false
	for _, r := range rules {
		added, err := s.insert(r, now)
		if err != nil {
			return s.number, err
		}
		if added {
			s.newest[r.Kind].Store(news)
			changed = true
		}
	}
	if changed {
		s.number = news
	}
	if !now.Before(s.pruneAt) {
		s.pruneAt = now.Add(pruneEvery)
		s.prune(now)
	}
	return s.number, nil
}

func (s *set) insert(r revocation.Rule, now time.Time) (added bool, err error) {
	if int64(r.Until)+grace < now.Unix() {
		return false, nil
	}
	if r.Kind.Timed() {
		return s.insertTimed(r)
	}
	t := s.table.Load()
	if 2*(t.used+1) > len(t.slots) {
		t = t.rebuilt(now)
		if t.used >= s.max {
			return false, revocation.ErrTooMany
		}
		s.table.Store(t)
	}
	if t.used >= s.max && !t.has(r.Digest) {
		return false, revocation.ErrTooMany
	}
	return t.insert(r.Digest, r.Until), nil
}

// insertTimed copies, since such rules are for emergencies and few.
func (s *set) insertTimed(r revocation.Rule) (added bool, err error) {
	old := s.timed.Load()
	had, known := old.rules[r.Digest]
	if known && had.issuedBy >= r.IssuedBy && had.until >= r.Until {
		return false, nil
	}
	if len(old.rules) >= s.max {
		return false, revocation.ErrTooMany
	}
	fresh := newTimedRules()
	for d, t := range old.rules {
		fresh.put(d, t)
	}
	fresh.put(r.Digest, timedRule{max(had.issuedBy, r.IssuedBy), max(had.until, r.Until)})
	s.timed.Store(fresh)
	return true, nil
}

// prune forgets what is over, when that is much.
func (s *set) prune(now time.Time) {
	if t := s.table.Load(); 4*t.over(now) > t.used {
		s.table.Store(t.rebuilt(now))
	}
	fresh := newTimedRules()
	for d, t := range s.timed.Load().rules {
		if int64(t.until)+grace >= now.Unix() {
			fresh.put(d, t)
		}
	}
	s.timed.Store(fresh)
}

// dead reports whether a rule matches p, of those that came after the change
// numbered since.
func (s *set) dead(p *guard.Principal, since uint64) bool {
	t := s.table.Load()
	return s.ended(t, revocation.Session, p.SessionID, since) ||
		s.ended(t, revocation.Grant, p.GrantID, since) ||
		s.ended(t, revocation.Token, p.TokenID, since) ||
		s.ended(t, revocation.Key, p.KeyID, since) ||
		p.ClientID != "" && s.issuedTooEarly(revocation.Client, p.ClientID, p, since) ||
		s.issuedTooEarly(revocation.Tenant, "", p, since)
}

// ended hashes an id only if the sieve lets it through.
func (s *set) ended(t *table, kind revocation.Kind, id string, since uint64) bool {
	if id == "" || s.newest[kind].Load() <= since || !t.mayHave(revocation.SieveOf(kind, id)) {
		return false
	}
	return t.has(revocation.DigestOf(kind, id))
}

// issuedTooEarly: of a credential whose age is not known, the worst is assumed.
func (s *set) issuedTooEarly(kind revocation.Kind, id string, p *guard.Principal, since uint64) bool {
	if s.newest[kind].Load() <= since {
		return false
	}
	timed := s.timed.Load()
	if _, may := timed.sieves[revocation.SieveOf(kind, id)]; !may {
		return false
	}
	rule, is := timed.rules[revocation.DigestOf(kind, id)]
	return is && p.IssuedAt.Unix() <= int64(rule.issuedBy)
}

// table is a set of digests with open addressing. It is filled in place: a slot
// counts once its first half is set, and a rule once its sieve is, which is done last.
type table struct {
	sieve []atomic.Uint64 // a bit for each sieve, of which as many share one as the size demands
	slots []slot
	until []uint32 // of each slot; for who changes the table
	used  int
}

type slot struct{ first, second atomic.Uint64 }

// smallest is how many slots a table has at least.
const smallest = 64

// newTable returns a table with room for twice so many rules.
func newTable(rules int) *table {
	size := smallest
	for size < 4*rules {
		size *= 2
	}
	return &table{sieve: make([]atomic.Uint64, size/8), slots: make([]slot, size), until: make([]uint32, size)}
}

// bit returns where the sieve of a digest is noted. There are eight bits for each slot,
// so of sixteen ids that are not in the table at most one gets through.
func (t *table) bit(sieve uint32) (word *atomic.Uint64, mask uint64) {
	i := sieve & uint32(min(64*len(t.sieve)-1, math.MaxUint32))
	return &t.sieve[i/64], 1 << (i % 64)
}

// mayHave reports false for most digests that are not in the table, and true for all
// that are.
func (t *table) mayHave(sieve uint32) bool {
	word, mask := t.bit(sieve)
	return word.Load()&mask != 0
}

// halves of a digest. Zero stands for an empty slot.
func halves(d revocation.Digest) (first, second uint64) {
	return max(binary.BigEndian.Uint64(d[:8]), 1), binary.BigEndian.Uint64(d[8:])
}

func (t *table) has(d revocation.Digest) bool {
	first, second := halves(d)
	mask := uint64(len(t.slots) - 1)
	for i := second & mask; ; i = (i + 1) & mask {
		switch t.slots[i].first.Load() {
		case 0:
			return false
		case first:
			if t.slots[i].second.Load() == second {
				return true
			}
		}
	}
}

func (t *table) insert(d revocation.Digest, until uint32) (added bool) {
	first, second := halves(d)
	return t.place(first, second, until)
}

func (t *table) place(first, second uint64, until uint32) (added bool) {
	mask := uint64(len(t.slots) - 1)
	i := second & mask
	for ; ; i = (i + 1) & mask {
		at := t.slots[i].first.Load()
		if at == 0 {
			break
		}
		if at == first && t.slots[i].second.Load() == second {
			t.until[i] = max(t.until[i], until)
			return false
		}
	}
	t.until[i] = until
	t.slots[i].second.Store(second)
	t.slots[i].first.Store(first)
	word, bit := t.bit(uint32(first >> 32))
	word.Or(bit)
	t.used++
	return true
}

// over counts the rules past their end.
func (t *table) over(now time.Time) (n int) {
	for i := range t.slots {
		if t.slots[i].first.Load() != 0 && int64(t.until[i])+grace < now.Unix() {
			n++
		}
	}
	return n
}

// rebuilt returns a table with the rules that are not over, and room for more.
func (t *table) rebuilt(now time.Time) *table {
	fresh := newTable(t.used - t.over(now))
	for i := range t.slots {
		if first := t.slots[i].first.Load(); first != 0 && int64(t.until[i])+grace >= now.Unix() {
			fresh.place(first, t.slots[i].second.Load(), t.until[i])
		}
	}
	return fresh
}

package revocation

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

func noon() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

func ruleOf(kind revocation.Kind, id string, life time.Duration) revocation.Rule {
	r := revocation.Rule{N: 1, Kind: kind, Digest: revocation.DigestOf(kind, id), Until: revocation.Seconds(noon().Add(life).Unix())}
	if kind.Timed() {
		r.IssuedBy = revocation.Seconds(noon().Unix())
	}
	return r
}

func add(t testing.TB, s *set, now time.Time, rules ...revocation.Rule) uint64 {
	t.Helper()
	n, err := s.add(rules, now)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestThreat_JW14_SetMatchesEveryKind(t *testing.T) {
	for _, c := range []struct {
		rule revocation.Rule
		dead guard.Principal
		live guard.Principal
	}{
		{ruleOf(revocation.Session, "x", time.Hour), guard.Principal{SessionID: "x"}, guard.Principal{GrantID: "x", TokenID: "x", KeyID: "x", ClientID: "x", SessionID: "y"}},
		{ruleOf(revocation.Grant, "x", time.Hour), guard.Principal{GrantID: "x"}, guard.Principal{SessionID: "x", TokenID: "x", KeyID: "x", ClientID: "x"}},
		{ruleOf(revocation.Token, "x", time.Hour), guard.Principal{TokenID: "x"}, guard.Principal{SessionID: "x", GrantID: "x"}},
		{ruleOf(revocation.Key, "x", time.Hour), guard.Principal{KeyID: "x"}, guard.Principal{TokenID: "x"}},
		{ruleOf(revocation.Client, "x", time.Hour), guard.Principal{ClientID: "x", IssuedAt: noon()}, guard.Principal{ClientID: "x", IssuedAt: noon().Add(time.Second)}},
		{ruleOf(revocation.Client, "x", time.Hour), guard.Principal{ClientID: "x"}, guard.Principal{ClientID: "y"}},
		{ruleOf(revocation.Tenant, "", time.Hour), guard.Principal{IssuedAt: noon()}, guard.Principal{IssuedAt: noon().Add(time.Second)}},
	} {
		s := newSet(10)
		if s.dead(&c.dead, 0) {
			t.Errorf("%s: dead before", c.rule.Kind)
		}
		before := s.number
		after := add(t, s, noon(), c.rule)
		if !s.dead(&c.dead, 0) || !s.dead(&c.dead, before) || s.dead(&c.live, 0) {
			t.Errorf("%s: dead %v, since the change %v; another %v", c.rule.Kind, s.dead(&c.dead, 0), s.dead(&c.dead, before), s.dead(&c.live, 0))
		}
		if s.dead(&c.dead, after) {
			t.Errorf("%s: what was cleared at the newest number is looked up again", c.rule.Kind)
		}
		if again := add(t, s, noon(), c.rule); again != after {
			t.Errorf("%s: what is known already is news: %d after %d", c.rule.Kind, again, after)
		}
	}
	if s := newSet(10); s.dead(&guard.Principal{}, 0) {
		t.Error("a principal without marks is dead")
	}
}

// However many there are, none is lost, and none is invented; what is over makes room.
func TestSetGrowsAndForgets(t *testing.T) {
	const many = 5000
	s := newSet(2 * many)
	for i := range many {
		life := time.Hour
		if i%2 == 1 {
			life = time.Minute
		}
		add(t, s, noon(), ruleOf(revocation.Token, fmt.Sprint(i), life))
	}
	dead := func() (n int) {
		for i := range 2 * many {
			if s.dead(&guard.Principal{TokenID: fmt.Sprint(i)}, 0) {
				n++
			}
		}
		return n
	}
	if got := dead(); got != many {
		t.Errorf("%d are dead, want %d", got, many)
	}
	add(t, s, noon().Add(10*time.Minute), ruleOf(revocation.Client, "app", time.Hour))
	if got := dead(); got != many/2 || s.table.Load().used != many/2 {
		t.Errorf("later %d are dead in a table of %d, want half", got, s.table.Load().used)
	}
	add(t, s, noon().Add(3*time.Hour))
	if got := dead(); got != 0 || s.table.Load().used != 0 || len(s.timed.Load().rules) != 0 {
		t.Errorf("in the end %d are dead", got)
	}
	if n := add(t, s, noon().Add(3*time.Hour), ruleOf(revocation.Token, "late", time.Hour)); n != s.number || s.table.Load().used != 0 {
		t.Error("a rule that was over when it came was taken in")
	}
}

func TestSetIsBounded(t *testing.T) {
	s := newSet(100)
	for i := range 100 {
		add(t, s, noon(), ruleOf(revocation.Session, fmt.Sprint(i), time.Hour))
	}
	if _, err := s.add([]revocation.Rule{ruleOf(revocation.Session, "more", time.Hour)}, noon()); !errors.Is(err, revocation.ErrTooMany) {
		t.Errorf("the next: %v", err)
	}
	add(t, s, noon(), ruleOf(revocation.Session, "7", time.Hour)) // which is known
}

// Whoever reads a number sees every rule up to it, while others come in and the table
// is replaced.
func TestThreat_JW14_ReadersSeeWhatTheirNumberSays(t *testing.T) {
	f, err := newFeed(Options{Issuer: "http://localhost/", ClientID: "c", ClientSecret: "s", Clock: noon, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	const many = 3000
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				current := f.current.Load()
				if current < 2 {
					continue
				}
				newest := int(current) - 2 // rule i comes with number i+2
				for _, i := range []int{newest, newest / 2, 0} {
					if !f.rules.dead(&guard.Principal{TokenID: fmt.Sprint(i)}, 0) {
						t.Errorf("at number %d rule %d is not seen", current, i)
						return
					}
				}
				if newest == many-1 {
					return
				}
			}
		})
	}
	for i := range many {
		if err := f.take(int64(i+1), []revocation.Rule{ruleOf(revocation.Token, fmt.Sprint(i), time.Hour)}, i == 0); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	f.end()
}

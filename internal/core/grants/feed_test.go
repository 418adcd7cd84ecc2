package grants_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

// follow reads the feed of a node from n on, page by page, as a guard would.
func follow(t *testing.T, at node, n int64, limit int) (digests []revocation.Digest, reached int64, changed <-chan struct{}) {
	t.Helper()
	for {
		p, err := at.RulesAfter(bg, at.tn, n, limit)
		if err != nil {
			t.Fatal(err)
		}
		if p.Snapshot != nil {
			s, err := revocation.ParseSnapshot(p.Snapshot, 1<<20)
			if err != nil || s.N != p.N {
				t.Fatalf("snapshot %d of page %d: %v", s.N, p.N, err)
			}
			p.Rules, digests = s.Rules, nil
		}
		for _, r := range p.Rules {
			digests = append(digests, r.Digest)
		}
		if n = p.N; !p.More {
			return digests, n, p.Changed
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A rule is in the feed of the node that wrote it at once, and of others when they have caught up;
// it comes once, in order, and wakes those who wait.
func TestThreat_JW14_FeedHasEveryRuleOnce(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		digests, n, waits := follow(t, w.node, 0, 2)
		_, _, waitsThere := follow(t, w.other, 0, 2)
		if len(digests) != 0 || n != 0 {
			t.Fatalf("in the beginning: %v, %d", digests, n)
		}
		r := w.family(t, spa, "ada")
		w.write(t, func(tx *db.Tx) error { return w.RevokeGrant(tx, r.GID, "") })
		w.write(t, func(tx *db.Tx) error { return w.EndSession(tx, "sid", "") })
		w.write(t, func(tx *db.Tx) error { return w.RevokeToken(tx, "jti") })
		w.write(t, func(tx *db.Tx) error { return w.RevokeKey(tx, "kid") })
		w.write(t, func(tx *db.Tx) error { return w.RevokeTokensOfClient(tx, "app@home", noon) })
		w.write(t, func(tx *db.Tx) error { return w.RevokeAllTokens(tx, noon) })
		want := []revocation.Digest{
			revocation.DigestOf(revocation.Grant, r.GID), revocation.DigestOf(revocation.Session, "sid"), revocation.DigestOf(revocation.Token, "jti"),
			revocation.DigestOf(revocation.Key, "kid"), revocation.DigestOf(revocation.Client, "app@home"), revocation.DigestOf(revocation.Tenant, ""),
		}
		if !isClosed(waits) {
			t.Error("who waits here was not woken")
		}
		got, n, waits := follow(t, w.node, 0, 2)
		if !slices.Equal(got, want) || n != int64(len(want)) || isClosed(waits) {
			t.Errorf("%v up to %d, want %v", got, n, want)
		}
		if err := w.other.CatchUp(bg, w.other.tn.DB); err != nil {
			t.Fatal(err)
		}
		if !isClosed(waitsThere) {
			t.Error("who waits there was not woken")
		}
		if got, n, _ := follow(t, w.other, 2, 3); !slices.Equal(got, want[2:]) || n != int64(len(want)) {
			t.Errorf("there, after 2: %v up to %d", got, n)
		}
		if got, n, _ := follow(t, w.other, 1000, 3); len(got) != len(want) || n != int64(len(want)) {
			t.Errorf("a reader from the future got %d rules up to %d", len(got), n)
		}
		w.Beat()
		if !isClosed(waits) {
			t.Error("a beat was not heard")
		}
	})
}

// Who begins to follow on a node that has heard of nothing yet gets what the database has.
func TestThreat_TK11_SnapshotHasEverythingCommitted(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		if _, err := w.other.Grants.Snapshot(bg, w.other.tn); err != nil {
			t.Fatal(err)
		}
		w.write(t, func(tx *db.Tx) error { return w.RevokeToken(tx, "jti") })
		p, err := w.other.Grants.Snapshot(bg, w.other.tn)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := revocation.ParseSnapshot(p.Snapshot, 10); err != nil || s.N != 1 || len(s.Rules) != 1 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// Rules past their time are dropped from memory, and a reader who slept meanwhile misses nothing
// that matters.
func TestFeedIsCompacted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.write(t, func(tx *db.Tx) error { return w.RevokeToken(tx, "old") })
		_, n, _ := follow(t, w.node, 0, 10)
		w.now.Advance(time.Hour + time.Minute)
		w.write(t, func(tx *db.Tx) error { return w.RevokeToken(tx, "new") })
		want := []revocation.Digest{revocation.DigestOf(revocation.Token, "new")}
		if _, at, _ := follow(t, w.node, n, 10); at != n+1 {
			t.Errorf("reached %d", at)
		}
		if got, _, _ := follow(t, w.node, 0, 10); !slices.Equal(got, want) {
			t.Errorf("%v is kept, want the new rule alone", got)
		}
		if w.revoked(t, "", "", "old") || !w.revoked(t, "", "", "new") {
			t.Error("the wrong rule was dropped")
		}
	})
}

// Who is far behind gets a snapshot, which many share.
func TestFeedLeapsForThoseFarBehind(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const many = revocation.MaxAnswerRules + 1
		w.revokeTokens(t, many)
		p, err := w.RulesAfter(bg, w.tn, 0, 10)
		if err != nil || p.Snapshot == nil || p.N != many {
			t.Fatalf("snapshot of %d bytes at %d, %v", len(p.Snapshot), p.N, err)
		}
		again, err := w.Grants.Snapshot(bg, w.tn)
		if err != nil || &again.Snapshot[0] != &p.Snapshot[0] {
			t.Errorf("the snapshot was made twice, %v", err)
		}
		if p, err := w.RulesAfter(bg, w.tn, 1, 10); err != nil || len(p.Rules) != 10 || !p.More || p.N != 11 {
			t.Errorf("within reach: %d rules up to %d, %v", len(p.Rules), p.N, err)
		}
	})
}

func TestThreat_KY02_RulesOfEmergencies(t *testing.T) {
	two(t, func(t *testing.T, w *world) {
		revoked := func(at node, m grants.Marks) bool {
			t.Helper()
			dead, err := at.Revoked(bg, at.tn, m)
			if err != nil {
				t.Fatal(err)
			}
			return dead
		}
		w.write(t, func(tx *db.Tx) error {
			if err := w.RevokeTokensOfClient(tx, "app", noon); err != nil {
				return err
			}
			return w.RevokeKey(tx, "stolen")
		})
		for name, at := range map[string]node{"here": w.node, "there": w.other} {
			for _, c := range []struct {
				what string
				m    grants.Marks
				dead bool
			}{
				{"of the client, before", grants.Marks{ClientID: "app", IssuedAt: noon.Add(-time.Second)}, true},
				{"of the client, in the same second", grants.Marks{ClientID: "app", IssuedAt: noon}, true},
				{"of the client, after", grants.Marks{ClientID: "app", IssuedAt: noon.Add(time.Second)}, false},
				{"of another client", grants.Marks{ClientID: "app2", IssuedAt: noon.Add(-time.Second)}, false},
				{"of the key, whenever", grants.Marks{ClientID: "app2", KeyID: "stolen", IssuedAt: noon.Add(time.Hour)}, true},
				{"of another key", grants.Marks{KeyID: "safe", IssuedAt: noon}, false},
				{"of none", grants.Marks{}, false},
			} {
				if dead := revoked(at, c.m); dead != c.dead {
					t.Errorf("%s: a token %s is dead: %v", name, c.what, dead)
				}
			}
		}
		w.write(t, func(tx *db.Tx) error { return w.RevokeAllTokens(tx, noon.Add(-time.Minute)) })
		w.write(t, func(tx *db.Tx) error { return w.RevokeTokensOfClient(tx, "app", noon.Add(-time.Hour)) })
		if !revoked(w.node, grants.Marks{ClientID: "app2", IssuedAt: noon.Add(-time.Minute)}) || revoked(w.node, grants.Marks{ClientID: "app2", IssuedAt: noon}) {
			t.Error("the rule of the whole tenant")
		}
		if !revoked(w.node, grants.Marks{ClientID: "app", IssuedAt: noon}) {
			t.Error("an earlier time took back a later one")
		}
	})
}

// Who stole a key signs with it for as long as some guard has it among ours: a day, if it can not fetch
// what we publish. The rule must not be over before.
func TestThreat_KY02_RuleOutlivesWhatGuardsHold(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.write(t, func(tx *db.Tx) error { return w.RevokeKey(tx, "stolen") })
		w.now.Advance(24 * time.Hour)
		w.write(t, func(tx *db.Tx) error { return w.RevokeToken(tx, "jti") }) // whatever is over is dropped
		if _, err := w.RulesAfter(bg, w.tn, 0, 10); err != nil {
			t.Fatal(err)
		}
		dead, err := w.Revoked(bg, w.tn, grants.Marks{KeyID: "stolen", IssuedAt: w.now.Now()})
		if err != nil || !dead {
			t.Errorf("a token of a stolen key is alive after a day: %v, %v", dead, err)
		}
	})
}

// A node that can not ask the database any more does not go on saying that there is nothing new: not
// from what it knew a while ago, and not while somebody waits for the database.
func TestThreat_DB14_NoAnswerFromALongTimeAgo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		gone, cancel := context.WithCancel(bg)
		cancel()
		ask := func(want bool, when string) {
			t.Helper()
			if _, err := w.RulesAfter(gone, w.tn, 0, 10); (err == nil) != want {
				t.Errorf("%s: %v", when, err)
			}
		}
		ask(false, "before the first reading")
		if _, err := w.RulesAfter(bg, w.tn, 0, 10); err != nil {
			t.Fatal(err)
		}
		ask(true, "from memory")
		w.now.Advance(4 * time.Second)
		w.Beat()
		ask(true, "after a beat")
		w.now.Advance(4 * time.Second)
		ask(false, "from a memory of four seconds ago")
		if _, err := w.RulesAfter(bg, w.tn, 0, 10); err != nil {
			t.Fatal(err)
		}
		ask(true, "after a reading")
		if err := w.CatchUp(gone, w.tn.DB); err == nil {
			t.Fatal("caught up without a database")
		}
		ask(false, "after a reading that failed")
		if _, err := w.RulesAfter(bg, w.tn, 0, 10); err != nil {
			t.Fatal(err)
		}
		ask(true, "after one that did not")
	})
}

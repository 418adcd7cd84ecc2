package keys_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// node is the keys in one process, told of changes as a house is.
type node struct {
	*keys.Keys
	tn    *tenant.Tenant
	watch *feed.Watcher
}

// nodes are two processes on one database, with a clock that stands still.
func nodes(t *testing.T, a, b *db.DB) (one, two node, now *clock.Virtual) {
	t.Helper()
	now = clock.NewVirtual(noon)
	start := func(d *db.DB) node {
		tn, err := tenant.Ensure(context.Background(), d, "one", "https://one.example.com/", tenant.Settings{}, noon)
		if err != nil {
			t.Fatal(err)
		}
		n := node{keys.New(now, ring(t, 1)), tn, feed.NewWatcher(d)}
		n.watch.Subscribe(feed.Configuration, func(_ context.Context, tenantID string) error { n.Forget(tenantID); return nil })
		return n
	}
	return start(a), start(b), now
}

// sign makes a token, and returns it with the kid that signed it.
func (n node) sign(t *testing.T) (token, kid string) {
	t.Helper()
	signer, err := n.Signer(t.Context(), n.tn, jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	token, err = signer.Sign("JWT", []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	return token, signer.Public().KeyID
}

func (n node) verifies(t *testing.T, token string) bool {
	t.Helper()
	r, err := n.Ring(t.Context(), n.tn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = jose.Verify(token, jose.Expect{Types: []string{"JWT"}, Algs: []jose.Alg{jose.ES256}}, r.Lookup)
	return err == nil
}

// published returns the kids in the key set, as somebody has it who fetched it at this moment.
func (n node) published(t *testing.T) string {
	t.Helper()
	r, err := n.Ring(t.Context(), n.tn)
	if err != nil {
		t.Fatal(err)
	}
	return string(r.JWKS())
}

func (n node) poll(t *testing.T) {
	t.Helper()
	if err := n.watch.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// python-jose, given a whole set, tries key after key and fails at the first of another type than
// the token's, so the key of an ID token stands before all others, whenever it was made.
func TestKeySet_RSAFirst(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) {
		one, _, now := nodes(t, a, b)
		one.sign(t)
		now.Advance(time.Second)
		for _, alg := range []jose.Alg{jose.PS256, jose.EdDSA, jose.RS256} {
			if _, err := one.Signer(t.Context(), one.tn, alg); err != nil {
				t.Fatal(err)
			}
			now.Advance(time.Second)
		}
		if err := one.Rotate(t.Context(), one.tn, []jose.Alg{jose.ES256, jose.RS256}, audit.System()); err != nil {
			t.Fatal(err)
		}
		set, err := jose.ParseSet([]byte(one.published(t)))
		if err != nil {
			t.Fatal(err)
		}
		var algs []jose.Alg
		for _, k := range set {
			algs = append(algs, k.Alg)
		}
		if want := []jose.Alg{jose.RS256, jose.RS256, jose.PS256, jose.ES256, jose.EdDSA, jose.ES256}; !slices.Equal(algs, want) {
			t.Errorf("%v, want %v", algs, want)
		}
	})
}

// Whatever is signed at any moment verifies by every key set that was fetched in the ten minutes
// before, on either node, from before a rotation until after the old key is gone.
func TestThreat_KY01_RotationBreaksNobody(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) {
		one, two, now := nodes(t, a, b)
		first, oldKID := one.sign(t)
		type fetched struct {
			at  time.Time
			set string
		}
		var caches []fetched
		kids := map[string]bool{}
		caches = append(caches, fetched{now.Now(), one.published(t)})
		if err := one.Rotate(t.Context(), one.tn, []jose.Alg{jose.ES256}, audit.System()); err != nil {
			t.Fatal(err)
		}
		if err := two.Rotate(t.Context(), two.tn, []jose.Alg{jose.ES256}, audit.System()); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second rotation at once: %v", err)
		}
		two.poll(t)
		for range 40 {
			for _, n := range []node{one, two} {
				caches = append(caches, fetched{now.Now(), n.published(t)})
				token, kid := n.sign(t)
				kids[kid] = true
				for _, c := range caches {
					if now.Now().Sub(c.at) < keys.CacheFor && !strings.Contains(c.set, kid) {
						t.Fatalf("%v after the rotation %s signs, which a set of %v ago does not have", now.Now().Sub(noon), kid, now.Now().Sub(c.at))
					}
				}
				if !one.verifies(t, token) || !two.verifies(t, token) || !two.verifies(t, first) {
					t.Fatal("a token does not verify")
				}
			}
			now.Advance(30 * time.Second)
		}
		if len(kids) != 2 {
			t.Errorf("%d keys have signed, want the old and the new", len(kids))
		}
		now.Advance(31 * 24 * time.Hour)
		if two.verifies(t, first) || strings.Contains(one.published(t), oldKID) {
			t.Error("the old key is published for ever")
		}
		if err := one.Sweep(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		all, err := two.List(t.Context(), two.tn)
		if err != nil || slices.ContainsFunc(all, func(i keys.Info) bool { return i.KeyID == oldKID }) || len(all) != 2 {
			t.Errorf("after the sweep: %+v, %v", all, err)
		}
	})
}

// Packages that read key sets take so many keys at most, the guard's among them. A rotation that would make
// the set longer than that is refused, until old keys are dropped.
func TestThreat_KY01_TheKeySetStaysReadable(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		n, _, now := nodes(t, d, d)
		n.published(t)
		rotations := 0
		elliptic := []jose.Alg{jose.ES256} // an RSA key takes a while to find
		for ; rotations < 100; rotations++ {
			err := n.Rotate(t.Context(), n.tn, elliptic, audit.System())
			if fault.Is(err, fault.Conflict) && strings.Contains(err.Error(), "are published") {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			n.Forget(n.tn.ID)
			if _, err := jose.ParseSet([]byte(n.published(t))); err != nil {
				t.Fatalf("after %d rotations: %v", rotations+1, err)
			}
			now.Advance(keys.CacheFor + time.Minute)
		}
		if rotations < 50 || rotations == 100 {
			t.Errorf("%d rotations in hours", rotations)
		}
		now.Advance(31 * 24 * time.Hour)
		if err := n.Sweep(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if err := n.Rotate(t.Context(), n.tn, elliptic, audit.System()); err != nil {
			t.Errorf("a month later: %v", err)
		}
	})
}

func TestThreat_KY01_KeysRotateByThemselves(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) {
		one, two, now := nodes(t, a, b)
		_, before := one.sign(t)
		due := func() {
			t.Helper()
			for _, n := range []node{one, two} {
				if err := n.RotateDue(t.Context(), n.tn); err != nil {
					t.Fatal(err)
				}
			}
		}
		now.Advance(89 * 24 * time.Hour)
		due()
		if all, err := one.List(t.Context(), one.tn); err != nil || len(all) != 2 {
			t.Fatalf("too early: %+v, %v", all, err)
		}
		now.Advance(2 * 24 * time.Hour)
		due()
		due()
		if all, err := one.List(t.Context(), one.tn); err != nil || len(all) != 4 {
			t.Fatalf("two keys of two algorithms each are wanted: %+v, %v", all, err)
		}
		now.Advance(12 * time.Minute)
		if _, after := one.sign(t); after == before {
			t.Error("the old key signs still")
		}
	})
}

// A key that was made this moment signs on a node whose clock is behind, too, and after a clock was set back.
func TestThreat_KY01_ClocksThatAreBehindSign(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) {
		one, two, _ := nodes(t, a, b)
		_, first := one.sign(t)
		behind := node{keys.New(clock.NewVirtual(noon.Add(-time.Hour)), ring(t, 1)), two.tn, two.watch}
		if token, kid := behind.sign(t); kid != first || !one.verifies(t, token) {
			t.Errorf("%s signs, and not %s", kid, first)
		}
		if err := one.Revoke(t.Context(), one.tn, first, func(*db.Tx, string) error { return nil }, audit.System()); err != nil {
			t.Fatal(err)
		}
		behind.Forget(behind.tn.ID)
		_, second := one.sign(t)
		if _, kid := behind.sign(t); kid != second || second == first {
			t.Errorf("after a revocation %s signs, and not %s", kid, second)
		}
	})
}

// One command: the key is out of the set, another signs, what it signed is dead, and it is on record.
func TestThreat_KY02_RevokedKeyIsGoneAtOnce(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, n node){
		"the only one": func(*testing.T, node) {},
		"while one is ready": func(t *testing.T, n node) {
			must(t, n.Rotate(t.Context(), n.tn, []jose.Alg{jose.ES256}, audit.System()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) {
				one, two, _ := nodes(t, a, b)
				token, stolen := one.sign(t)
				prepare(t, one)
				two.poll(t)
				var ruled []string
				rule := func(tx *db.Tx, kid string) error {
					ruled = append(ruled, kid)
					_, err := feed.Bump(tx, feed.Revocation)
					return err
				}
				if err := one.Revoke(t.Context(), one.tn, "ES256-unknown", rule, audit.System()); !fault.Is(err, fault.NotFound) || len(ruled) != 0 {
					t.Errorf("an unknown key: %v, %v", err, ruled)
				}
				must(t, one.Revoke(t.Context(), one.tn, stolen, rule, audit.System()))
				if len(ruled) == 0 || ruled[0] != stolen {
					t.Errorf("rules about %v", ruled)
				}
				two.poll(t)
				for where, n := range map[string]node{"here": one, "there": two} {
					next, kid := n.sign(t)
					if kid == stolen || n.verifies(t, token) || !n.verifies(t, next) || strings.Contains(n.published(t), stolen) || !strings.Contains(n.published(t), kid) {
						t.Errorf("%s: %s signs; the stolen one verifies: %v", where, kid, n.verifies(t, token))
					}
				}
				events, err := audit.List(t.Context(), one.tn, audit.Query{})
				if err != nil || !slices.ContainsFunc(events, func(e audit.Event) bool { return e.Type == audit.SigningKeyRevoked && e.Detail["kid"] == stolen }) {
					t.Errorf("the record has no such event: %v", err)
				}
			})
		})
	}
}

// A rule that can not be written leaves the key where it is: nothing is half revoked.
func TestThreat_KY02_RevocationIsWhole(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		one, _, _ := nodes(t, d, d)
		token, kid := one.sign(t)
		boom := fault.New(fault.Busy, "boom")
		if err := one.Revoke(t.Context(), one.tn, kid, func(*db.Tx, string) error { return boom }, audit.System()); !fault.Is(err, fault.Busy) {
			t.Errorf("%v", err)
		}
		if one.Forget("one"); !one.verifies(t, token) {
			t.Error("the key is gone without its rule")
		}
	})
}

// While the database is away the keys that are known go on to sign, to check and to be published,
// and the database is not asked for them at every request.
func TestThreat_DB07_KeysOutliveTheDatabase(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) {
		one, two, now := nodes(t, a, b)
		token, kid := one.sign(t)
		two.poll(t)
		two.sign(t)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 { // the watcher lost sight of the database, and has everything read again
			if err := two.watch.Poll(gone); err == nil {
				t.Fatal("polled without a database")
			}
		}
		if err := b.Close(); err != nil { // closing again returns the same, so the test may end as ever
			t.Fatal(err)
		}
		for range 3 {
			two.Forget("one")
			again, by := two.sign(t)
			if by != kid || !two.verifies(t, token) || !two.verifies(t, again) || !strings.Contains(two.published(t), kid) {
				t.Error("the node lost its keys with the database")
			}
			now.Advance(time.Minute)
		}
		stranger := keys.New(now, ring(t, 1))
		if _, err := stranger.Ring(t.Context(), two.tn); err == nil {
			t.Error("a node that never read any has keys")
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

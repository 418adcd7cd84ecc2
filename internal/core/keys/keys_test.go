package keys_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

var firstDay = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

func masterRing(t *testing.T, seeds ...byte) *seal.Keyring {
	t.Helper()
	var all []seal.MasterKey
	for _, seed := range seeds {
		all = append(all, seal.NewMasterKey([32]byte{seed}))
	}
	ring, err := seal.New(all)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func openKeys(t *testing.T, d *db.DB, id string, ring *seal.Keyring) (*keys.Keys, *tenant.Tenant) {
	t.Helper()
	tn, err := tenant.Ensure(context.Background(), d, id, "https://"+id+".example.com/", tenant.Settings{}, firstDay)
	if err != nil {
		t.Fatal(err)
	}
	return keys.New(clock.NewVirtual(firstDay), ring), tn
}

func TestKeysAreMadeOnceByAnyNumberOfNodes(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, a, b *db.DB) {
		var mu sync.Mutex
		var all sync.WaitGroup
		sets := map[string]bool{}
		ring := masterRing(t, 1)
		for i := range 4 {
			k, tn := openKeys(t, []*db.DB{a, b}[i%2], "one", ring)
			for range 4 {
				all.Go(func() {
					r, err := k.Ring(t.Context(), tn)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					sets[string(r.JWKS())] = true
				})
			}
		}
		all.Wait()
		if len(sets) != 1 {
			t.Errorf("%d different key sets", len(sets))
		}
		var n int
		if err := a.Tenant("one").QueryRow(t.Context(), `SELECT COUNT(*) FROM signing_keys WHERE tenant_id = $1`).Scan(&n); err != nil || n != len(keys.Standard) {
			t.Errorf("%d keys were made, want %d; %v", n, len(keys.Standard), err)
		}
	})
}

func TestSignerMakesTheKeyItLacks(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		k, tn := openKeys(t, d, "one", masterRing(t, 1))
		for _, alg := range []jose.Alg{jose.EdDSA, jose.PS256, jose.ES256, jose.RS256} {
			signer, err := k.Signer(t.Context(), tn, alg)
			if err != nil {
				t.Fatal(err)
			}
			token, err := signer.Sign("JWT", []byte(`{"a":1}`))
			if err != nil {
				t.Fatal(err)
			}
			ring, err := k.Ring(t.Context(), tn)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := jose.Verify(token, jose.Expect{Types: []string{"JWT"}, Algs: []jose.Alg{alg}}, ring.Lookup); err != nil {
				t.Errorf("%s: %v", alg, err)
			}
		}
		for _, alg := range []jose.Alg{jose.HS256, "none", ""} {
			if _, err := k.Signer(t.Context(), tn, alg); err == nil {
				t.Errorf("a key was made for %q", alg)
			}
		}
		if ring, _ := k.Ring(t.Context(), tn); ring.Algorithms()[0] != "RS256" || len(ring.Algorithms()) != 4 {
			t.Errorf("algorithms %v", ring.Algorithms())
		}
	})
}

func TestThreat_KY03_PrivateKeysStayInside(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		k, tn := openKeys(t, d, "one", masterRing(t, 1))
		ring, err := k.Ring(t.Context(), tn)
		if err != nil {
			t.Fatal(err)
		}
		for _, member := range []string{`"d"`, `"p"`, `"q"`, `"dp"`, `"dq"`, `"qi"`, `"k"`, `"oct"`} {
			if strings.Contains(string(ring.JWKS()), member) {
				t.Errorf("the key set has %s", member)
			}
		}
		rows, err := tn.DB.Query(t.Context(), `SELECT public_jwk, private_sealed FROM signing_keys WHERE tenant_id = $1`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var public string
			var sealed []byte
			if err := rows.Scan(&public, &sealed); err != nil {
				t.Fatal(err)
			}
			// A private key in PKCS #8 names its algorithm in clear.
			if strings.Contains(public, `"d"`) || bytes.Contains(sealed, []byte{0x06, 0x09, 0x2a, 0x86, 0x48}) || bytes.Contains(sealed, []byte{0x06, 0x07, 0x2a, 0x86, 0x48}) {
				t.Error("a private key is stored in clear")
			}
		}
	})
}

// A key is bound to its tenant and its row: copied to another, it does not open.
func TestThreat_KY05_KeysOfTenantsAreApart(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		ring := masterRing(t, 1)
		k, one := openKeys(t, d, "one", ring)
		_, two := openKeys(t, d, "two", ring)
		first, err := k.Ring(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		second, err := k.Ring(t.Context(), two)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := k.Signer(t.Context(), one, jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		if _, found := second.Lookup(signer.Public().KeyID, jose.ES256); found {
			t.Error("a tenant knows the key of another")
		}
		if _, found := first.Lookup(signer.Public().KeyID, jose.RS256); found {
			t.Error("a key is found under another algorithm")
		}
		err = d.System().Write(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE signing_keys SET private_sealed = (SELECT s.private_sealed FROM signing_keys s WHERE s.tenant_id = 'one' AND s.alg = 'ES256') WHERE tenant_id = 'two' AND alg = 'ES256'`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		k.Forget("two")
		if _, err := k.Ring(t.Context(), two); err == nil {
			t.Error("a key of another tenant opened")
		}
	})
}

func TestThreat_KY04_WrongMasterKeyIsNoticedAtOnce(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		check := func(seeds ...byte) error { return keys.CheckMaster(ctx, d, masterRing(t, seeds...), firstDay, false) }
		if err := check(1); err != nil {
			t.Fatalf("a new database: %v", err)
		}
		if err := check(2); err == nil || !strings.Contains(err.Error(), masterRing(t, 1).CurrentID()) {
			t.Errorf("another master key: %v; want the id of the one it needs", err)
		}
		if err := check(2, 1); err != nil {
			t.Errorf("a new key in front of the old: %v", err)
		}
		// Two keys that claim one id: the database was sealed with the other.
		impostor, err := seal.New([]seal.MasterKey{{ID: masterRing(t, 1).CurrentID(), Key: [32]byte{9}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := keys.CheckMaster(ctx, d, impostor, firstDay, false); err == nil {
			t.Error("a key that only bears the id was taken")
		}
	})
}

// Where the keys can not be opened, nothing is signed and nothing made anew.
func TestThreat_KY04_NoKeysAreMadeBesideThoseThatDoNotOpen(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		k, tn := openKeys(t, d, "one", masterRing(t, 1))
		if _, err := k.Ring(t.Context(), tn); err != nil {
			t.Fatal(err)
		}
		stranger, _ := openKeys(t, d, "one", masterRing(t, 2))
		if _, err := stranger.Ring(t.Context(), tn); err == nil {
			t.Error("keys opened with another master key")
		}
		if _, err := stranger.Signer(t.Context(), tn, jose.EdDSA); err == nil {
			t.Error("a key was made beside those that do not open")
		}
	})
}

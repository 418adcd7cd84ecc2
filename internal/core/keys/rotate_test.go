package keys_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

var noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

// master returns a master key of the tests.
func master(seed byte) seal.MasterKey { return seal.NewMasterKey([32]byte{seed}) }

func ring(t *testing.T, seeds ...byte) *seal.Keyring {
	t.Helper()
	var list []seal.MasterKey
	for _, seed := range seeds {
		list = append(list, master(seed))
	}
	r, err := seal.New(list)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// furnish makes tenants with a signing key each, sealed by the ring, as a server would.
func furnish(t *testing.T, d *db.DB, r *seal.Keyring, n int) []*tenant.Tenant {
	t.Helper()
	ctx := context.Background()
	if err := keys.CheckMaster(ctx, d, r, noon, false); err != nil {
		t.Fatal(err)
	}
	var out []*tenant.Tenant
	k := keys.New(clock.NewVirtual(noon), r)
	for i := range n {
		tn, err := tenant.Ensure(ctx, d, fmt.Sprintf("t%d", i), fmt.Sprintf("https://t%d.example/", i), tenant.Settings{}, noon)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Signer(ctx, tn, jose.EdDSA); err != nil {
			t.Fatal(err)
		}
		out = append(out, tn)
	}
	return out
}

// opens counts the tenants whose keys a ring opens.
func opens(r *seal.Keyring, tenants []*tenant.Tenant) (n int) {
	k := keys.New(clock.NewVirtual(noon), r)
	for _, tn := range tenants {
		if _, err := k.Ring(context.Background(), tn); err == nil {
			n++
		}
	}
	return n
}

func TestRotation(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		tenants := furnish(t, d, ring(t, 1), 2)
		both := ring(t, 2, 1)
		if err := keys.CheckMaster(ctx, d, both, noon, false); err != nil {
			t.Fatal(err)
		}
		waiting := keys.Dependence{KeyID: master(1).ID, What: "refresh token families", Count: 3, Until: noon.Add(time.Hour)}
		rotation := keys.Rotation{
			DB: d, Ring: both,
			Subjects: map[string]func(context.Context) (int, error){"letters": func(context.Context) (int, error) { return 0, nil }},
			Waiting: []func(context.Context, *db.DB, time.Time) ([]keys.Dependence, error){
				func(context.Context, *db.DB, time.Time) ([]keys.Dependence, error) {
					return []keys.Dependence{waiting, {KeyID: master(2).ID, Count: 9}}, nil
				},
			},
		}
		report, err := rotation.Run(ctx, noon)
		want := &keys.Report{Current: master(2).ID, Resealed: map[string]int{"signing keys": 6, "letters": 0}, Waiting: []keys.Dependence{waiting}}
		if diff := cmp.Diff(want, report); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
		if n := opens(ring(t, 2), tenants); n != 2 {
			t.Errorf("the new key alone opens %d tenants of 2", n)
		}
		if events, err := audit.List(ctx, tenants[1], audit.Query{}); err != nil || events[0].Type != audit.MasterKeyRotated {
			t.Errorf("the record: %v %v", events, err)
		}
		// The old key is still needed, so a start without it is refused; once nothing waits, it can go.
		if err := keys.CheckMaster(ctx, d, ring(t, 2), noon, false); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), master(1).ID) {
			t.Errorf("a start without a key that is needed: %v", err)
		}
		rotation.Waiting = nil
		report, err = rotation.Run(ctx, noon)
		want = &keys.Report{Current: master(2).ID, Resealed: map[string]int{"signing keys": 0, "letters": 0}, Retired: []string{master(1).ID}}
		if diff := cmp.Diff(want, report); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
		if err := keys.CheckMaster(ctx, d, ring(t, 2), noon, false); err != nil {
			t.Errorf("a start with the new key alone: %v", err)
		}
	})
}

// A rotation that stops half-way leaves everything readable, and goes on where it stopped.
func TestThreat_KY04_RotationIsResumable(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		tenants := furnish(t, d, ring(t, 1), 4) // three keys each
		both := ring(t, 2, 1)
		if err := keys.CheckMaster(context.Background(), d, both, noon, false); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := 0
		rotation := keys.Rotation{DB: d, Ring: both, Batch: 5, Progress: func(_ string, n int) {
			if done += n; done == 5 {
				stop()
			}
		}}
		report, err := rotation.Run(ctx, noon)
		if !errors.Is(err, context.Canceled) || report.Resealed["signing keys"]+len(report.Retired) > 5 {
			t.Fatalf("interrupted: %+v %v", report, err)
		}
		if n := opens(both, tenants); n != 4 {
			t.Errorf("half-way, both keys open %d tenants of 4", n)
		}
		if n := opens(ring(t, 2), tenants); n == 4 || n == 0 {
			t.Errorf("half-way, the new key alone opens %d tenants of 4", n)
		}
		// Half-way nobody can start with one of the keys alone.
		for _, alone := range []byte{1, 2, 3} {
			if err := keys.CheckMaster(context.Background(), d, ring(t, alone), noon, false); !fault.Is(err, fault.Invalid) {
				t.Errorf("half-way, a start with key %d alone: %v", alone, err)
			}
		}
		report, err = rotation.Run(context.Background(), noon)
		if err != nil || report.Resealed["signing keys"] != 7 || len(report.Retired) != 1 {
			t.Errorf("resumed: %+v %v", report, err)
		}
		if n := opens(ring(t, 2), tenants); n != 4 {
			t.Errorf("afterwards the new key alone opens %d tenants of 4", n)
		}
	})
}

// A key that is lost, wrong or unknown stops the start in words, and nothing is changed by it.
func TestThreat_KY04_WrongKeysAreRefused(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		tenants := furnish(t, d, ring(t, 1), 1)
		forged := master(9)
		forged.ID = master(1).ID // says that it is the first
		wrong, err := seal.New([]seal.MasterKey{forged})
		if err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]*seal.Keyring{"lost": ring(t, 3), "wrong": wrong} {
			if err := keys.CheckMaster(ctx, d, r, noon, false); err == nil || !strings.Contains(err.Error(), master(1).ID) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A rotation that meets a value it can not open says which key is missing.
		report, err := keys.Rotation{DB: d, Ring: ring(t, 3)}.Run(ctx, noon)
		if !fault.Is(err, fault.Invalid) || !errors.Is(err, seal.ErrUnknownKey) || !strings.Contains(err.Error(), master(1).ID) || len(report.Retired) != 0 {
			t.Errorf("rotation without the old key: %+v %v", report, err)
		}
		if n := opens(ring(t, 1), tenants); n != 1 {
			t.Error("the right key does not open any more")
		}
		if err := keys.CheckMaster(ctx, d, ring(t, 1), noon, false); err != nil {
			t.Errorf("the right key: %v", err)
		}
	})
}

// A command beside running servers seals with nothing they could not open.
func TestGuestsWaitForTheServers(t *testing.T) {
	d := dbtest.SQLite(t, schema.Files)
	ctx := context.Background()
	if err := keys.CheckMaster(ctx, d, ring(t, 1), noon, true); err != nil {
		t.Errorf("a fresh database: %v", err)
	}
	if err := keys.CheckMaster(ctx, d, ring(t, 2, 1), noon, true); !fault.Is(err, fault.Invalid) {
		t.Errorf("a key no server has started with: %v", err)
	}
	if err := keys.CheckMaster(ctx, d, ring(t, 1, 2), noon, true); err != nil {
		t.Errorf("the new key behind the old one: %v", err)
	}
}

package keys

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/gate"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// Signatures beyond what the machine can make are refused honestly, and said to be beforehand.
func TestThreat_OV05_SignaturesPassAGate(t *testing.T) {
	at := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	ring, err := seal.New([]seal.MasterKey{seal.NewMasterKey([32]byte{1})})
	if err != nil {
		t.Fatal(err)
	}
	tn, err := tenant.Ensure(t.Context(), dbtest.SQLite(t, schema.Files), "one", "https://one.example.com/", tenant.Settings{}, at)
	if err != nil {
		t.Fatal(err)
	}
	k := New(clock.NewVirtual(at), ring)
	k.gate = gate.New(gate.Options{Width: 1, Queue: 1, Wait: time.Hour})
	sign := func(ctx context.Context) error {
		_, err := k.Sign(ctx, tn, jose.ES256, "JWT", []byte(`{}`))
		return err
	}
	if err := sign(t.Context()); err != nil || k.gate.Inside() != 0 || k.Room() != nil {
		t.Fatalf("at rest: %v, %d inside, room: %v", err, k.gate.Inside(), k.Room())
	}
	leave, err := k.gate.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- sign(context.Background()) }()
	for k.gate.Waiting() == 0 {
		if len(waiting) > 0 {
			t.Fatalf("signed beside the gate: %v", <-waiting)
		}
		runtime.Gosched()
	}
	hurried, cancel := context.WithCancel(t.Context())
	cancel() // so that a gate that lets it wait does not make the test wait
	if err := sign(hurried); !fault.Is(err, fault.Busy) || !fault.Is(k.Room(), fault.Busy) {
		t.Errorf("one too many: %v, room: %v", err, k.Room())
	}
	leave()
	if err := <-waiting; err != nil {
		t.Errorf("the one that waited: %v", err)
	}
}

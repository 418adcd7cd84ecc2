package grants

import (
	"context"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

// While somebody reads what was written, what is in memory is not handed out in its place; and who
// waits for that gives up when nobody waits for them.
func TestThreat_DB14_AReadingUnderWayIsNoAnswer(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := newRules()
	r.add("one", revocation.Token, now.Add(time.Hour), "jti")
	set := r.set("one")
	set.complete, set.sureAt = true, now
	_, wanted, first := r.startReading("one")
	if first || !r.toRead("one", now) {
		t.Error("answered from memory while the database is read")
	}
	set.served = wanted
	if r.toRead("one", now) {
		t.Error("read twice")
	}
	done, err := r.turn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.turn(gone); err == nil {
		t.Error("two read at once")
	}
	done()
	if done, err = r.turn(t.Context()); err != nil {
		t.Fatal(err)
	}
	done()
}

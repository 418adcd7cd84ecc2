package drive

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// ClockHouse is a house in the test's own process, behind a FaultProxy and by a clock that the test
// moves; it begins at the real time, which browsers compare with.
type ClockHouse struct {
	*House
	Clock *clock.Virtual
	Proxy *FaultProxy
}

// OpenClockHouse opens one. It has no demo applications beside it.
func OpenClockHouse(t *testing.T) *ClockHouse {
	t.Helper()
	h := &ClockHouse{Clock: clock.NewVirtual(time.Now()), Proxy: NewFaultProxy(t)}
	node := servertest.New(t, servertest.Options{Clock: h.Clock, Configure: func(c *config.Config) { c.Issuer = h.Proxy.Origin + "/" }})
	if err := h.Proxy.Forward(node.URL); err != nil {
		t.Fatal(err)
	}
	h.House = &House{T: t}
	if err := json.Unmarshal(Must[[]byte](t)(json.Marshal(node.Content)), h.House); err != nil {
		t.Fatal(err)
	}
	h.Issuer, h.Inbox = h.Proxy.Origin+"/", h.Proxy.Origin+"/dev/inbox"
	return h
}

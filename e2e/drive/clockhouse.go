package drive

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-dev/gatehouse/examples/tvshows"
	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// ClockHouse is a house in the test's own process, behind a FaultProxy and by a clock that the test
// moves. It has no demo applications beside it.
type ClockHouse struct {
	*House
	Clock *Clock
	Proxy *FaultProxy

	node            *servertest.Instance
	served, refused atomic.Int64 // calls of the API
}

// OpenClockHouse opens one whose clock stands at the real time, which browsers compare with.
func OpenClockHouse(t *testing.T) *ClockHouse {
	t.Helper()
	return OpenHouseBy(t, NewClock(t, 0))
}

// OpenHouseBy opens one that goes by this clock, with the TV Shows API beside it, which does, too. It
// writes a dev.json, as `gatehouse dev` does.
func OpenHouseBy(t *testing.T, c *Clock) *ClockHouse {
	t.Helper()
	h := &ClockHouse{Clock: c, Proxy: NewFaultProxy(t), House: &House{T: t, Folder: t.TempDir()}}
	h.node = servertest.New(t, servertest.Options{Clock: c.Virtual, Configure: func(c *config.Config) { c.Issuer = h.Proxy.Origin + "/" }})
	if err := h.Proxy.Forward(h.node.URL); err != nil {
		t.Fatal(err)
	}
	content := h.node.Content
	var origins []string
	for _, c := range content.Clients {
		origins = append(origins, c.WebOrigins...)
	}
	api := httptest.NewServer(h.count(Must[http.Handler](t)(tvshows.NewAPI(tvshows.APIOptions{
		Issuer: h.Proxy.Origin + "/", Audience: demo.Audience, AllowedOrigins: origins, Clock: c.Now,
	}))))
	t.Cleanup(api.Close)
	for i := range content.APIs {
		if content.APIs[i].Audience == demo.Audience {
			content.APIs[i].URL = api.URL
		}
	}
	raw := Must[[]byte](t)(json.Marshal(struct {
		Issuer string `json:"issuer"`
		Inbox  string `json:"inbox"`
		*demo.Content
	}{h.Proxy.Origin + "/", h.Proxy.Origin + "/dev/inbox", content}))
	if err := os.WriteFile(filepath.Join(h.Folder, "dev.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, h.House); err != nil {
		t.Fatal(err)
	}
	return h
}

// count counts the calls of an API.
func (h *ClockHouse) count(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &status{w, http.StatusOK}
		api.ServeHTTP(answer, r)
		if r.Header.Get("Authorization") == "" {
			return // a preflight
		}
		h.served.Add(1)
		if answer.code >= http.StatusBadRequest {
			h.refused.Add(1)
		}
	})
}

// status remembers what an answer says first.
type status struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Served is how many calls with a token the API has answered, well or not.
func (h *ClockHouse) Served() int64 { return h.served.Load() }

// RotateKeys gives the house new signing keys, so many times, and has somebody look at each of three
// moments: before anything has changed, when the next keys are published, and when they sign. No look may
// fail, and no call of the API be refused. A look begins after the last one has ended: when a clock jumps, what is under way seems to take minutes.
func (h *ClockHouse) RotateKeys(times int, look func() error) {
	h.T.Helper()
	looks, failed, served := 0, 0, h.served.Load()
	lookNow := func(when string) {
		looks++
		refused := h.refused.Load()
		err := look()
		if n := h.refused.Load() - refused; n > 0 {
			err = errors.Join(err, fmt.Errorf("the API refused %d calls", n))
		}
		if err != nil {
			failed++
			h.T.Errorf("%s: %v", when, err)
		}
	}
	lookNow("before keys change")
	for n := range times {
		before := h.signing()
		h.node.RotateKeys(h.T)
		lookNow(fmt.Sprintf("rotation %d: while the next keys are published", n+1))
		h.Clock.Advance(servertest.KeyLead)
		after := h.signing()
		for kid := range before {
			if after[kid] {
				h.T.Errorf("key %s signs still", kid)
			}
		}
		if len(after) != len(before) {
			h.T.Errorf("%d keys sign in place of %d", len(after), len(before))
		}
		lookNow(fmt.Sprintf("rotation %d: when the next keys sign", n+1))
	}
	h.T.Logf("keys changed %d times: looked %d times, with %d calls of the API; %d failed", times, looks, h.served.Load()-served, failed)
}

// signing is which keys sign.
func (h *ClockHouse) signing() map[string]bool {
	h.T.Helper()
	out := map[string]bool{}
	for _, k := range Must[[]keys.Info](h.T)(h.node.House.Keys.List(h.T.Context(), h.node.House.Tenant)) {
		if k.State == keys.Signing {
			out[k.KeyID] = true
		}
	}
	return out
}

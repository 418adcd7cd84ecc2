package revocations

import (
	"net/http"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/revocation"
)

const (
	// writeTime is what a reader has to take one event. One that is slower is cut off, and goes on
	// from its number when it comes back.
	writeTime = 10 * time.Second
	// recheckEvery is after how many beats a reader's right is looked at again, even though
	// nothing has happened.
	recheckEvery = 10
)

// stream sends rules as they come into force, until the reader leaves, its token ends, or the house
// does. It keeps nothing for the reader: it remembers a number, and reads on from there.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, tn *tenant.Tenant, after int64) error {
	most := s.Listeners
	if most == 0 {
		most = MaxListeners
	}
	defer s.listening.Add(-1)
	if s.listening.Add(1) > int64(most) {
		return busy("Too many readers listen here.")
	}
	select {
	case <-s.Leaving:
		w.Header().Set("Connection", "close")
		return busy("The house is about to stop.")
	default:
	}

	page, err := s.Grants.RulesAfter(r.Context(), tn, after, revocation.MaxEventRules)
	if err != nil {
		return err
	}
	if page.Snapshot != nil {
		return &refusal{status: http.StatusGone, Code: "too_far", Message: "There is too much between that number and now. Read the snapshot."}
	}
	out := &writer{w: w, control: http.NewResponseController(w)}
	out.begin()
	for beats := 0; ; {
		if err := out.send(revocation.Event{N: page.N, Rules: page.Rules}); err != nil {
			return nil // the reader is gone, or too slow
		}
		after = page.N
		if !page.More {
			select {
			case <-page.Changed:
			case <-r.Context().Done():
				return nil
			case <-s.Leaving:
				return nil
			}
		}
		page, err = s.Grants.RulesAfter(r.Context(), tn, after, revocation.MaxEventRules)
		if err != nil {
			// No beat without having made sure. The next change or beat of the node tries again.
			s.Log.WarnContext(r.Context(), "rules could not be read for a stream", "error", err)
			return nil
		}
		if page.Snapshot != nil {
			return nil // it comes back, and is told to read the snapshot
		}
		if beats++; len(page.Rules) > 0 || beats%recheckEvery == 0 {
			if err := s.authorize(r, tn); err != nil {
				s.Log.DebugContext(r.Context(), "a stream was ended: its reader may not read on", "error", err)
				return nil
			}
		}
	}
}

// writer writes events, each with a deadline of its own: those of the server are for answers that
// end.
type writer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buffer  []byte
}

func (o *writer) begin() {
	h := o.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx would gather events
	o.control.SetReadDeadline(time.Time{})
	o.w.WriteHeader(http.StatusOK)
}

func (o *writer) send(e revocation.Event) error {
	o.buffer = e.Append(o.buffer[:0])
	o.control.SetWriteDeadline(clock.System{}.Now().Add(writeTime)) // of the machine's network, whatever time the house has
	if _, err := o.w.Write(o.buffer); err != nil {
		return err
	}
	return o.control.Flush()
}

package session

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/opaque"
)

// state is what a session remembers. Names are short: it may have to fit into a
// cookie. Times are in seconds.
type state struct {
	// Binding is random, and new whenever the token is: see Session.Binding.
	Binding  string                     `json:"b"`
	Began    int64                      `json:"t"`
	Seen     int64                      `json:"s"`
	Remember bool                       `json:"r,omitempty"`
	Identity *Identity                  `json:"id,omitempty"`
	Values   map[string]json.RawMessage `json:"v,omitempty"`
}

func (m *Manager) newState() state {
	now := m.now().Unix()
	return state{Binding: opaque.Name(), Began: now, Seen: now}
}

// expires is the earlier of the idle and the absolute limit.
func (m *Manager) expires(st state) time.Time {
	idle, absolute := m.limits(st)
	return time.Unix(min(st.Seen+int64(idle/time.Second), st.Began+int64(absolute/time.Second)), 0)
}

func (m *Manager) limits(st state) (idle, absolute time.Duration) {
	if st.Remember {
		return m.options.RememberIdleTimeout, m.options.RememberAbsoluteTimeout
	}
	return m.options.IdleTimeout, m.options.AbsoluteTimeout
}

func (m *Manager) encode(st state, version int64) (Record, error) {
	data, err := json.Marshal(st)
	if err != nil {
		return Record{}, fmt.Errorf("session: %w", err)
	}
	rec := Record{App: m.app, Data: data, Expires: m.expires(st), Version: version}
	if st.Identity != nil {
		rec.Subject, rec.SessionID = st.Identity.Subject, upstream(st.Identity.Issuer, st.Identity.SessionID)
	}
	return rec, nil
}

// decode reads a record and judges its age anew: the limits may be shorter today
// than when it was written.
func (m *Manager) decode(rec Record) (st state, err error) {
	if err := json.Unmarshal(rec.Data, &st); err != nil {
		return state{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if st.Binding == "" || st.Identity != nil && st.Identity.Subject == "" || !m.now().Before(m.expires(st)) {
		return state{}, ErrNotFound
	}
	return st, nil
}

func (st *state) put(key string, value json.RawMessage) {
	if st.Values == nil {
		st.Values = map[string]json.RawMessage{}
	}
	st.Values[key] = value
}

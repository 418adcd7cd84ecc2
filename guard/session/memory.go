package session

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/opaque"
)

// MemoryStore keeps sessions in this process: gone with it, unknown to others.
type MemoryStore struct {
	now func() time.Time

	mu        sync.Mutex
	sessions  map[opaque.ID]held
	bySubject map[owner]map[opaque.ID]struct{}
	bySID     map[owner]map[opaque.ID]struct{}
	locks     map[string]*lock
	uses      uint64 // counts writes, so that the later can be told from the earlier
	sweepAt   int    // number of sessions at which to look for expired ones
}

type (
	// owner is a key of an index: a person, or a provider's session.
	owner struct{ app, name string }
	held  struct {
		Record
		used uint64
	}
	lock struct{ until time.Time }
)

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore { return NewMemoryStoreClock(time.Now) }

// NewMemoryStoreClock returns an empty store that asks now for the time.
func NewMemoryStoreClock(now func() time.Time) *MemoryStore {
	return &MemoryStore{
		now:       now,
		sessions:  map[opaque.ID]held{},
		bySubject: map[owner]map[opaque.ID]struct{}{},
		bySID:     map[owner]map[opaque.ID]struct{}{},
		locks:     map[string]*lock{},
		sweepAt:   1024,
	}
}

// Create implements Store.
func (s *MemoryStore) Create(_ context.Context, rec Record) (string, error) {
	token := opaque.Name()
	rec.Version = 1
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	s.put(opaque.Of(rec.App, token), rec)
	return token, nil
}

// Find implements Store.
func (s *MemoryStore) Find(_ context.Context, app, token string) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := s.find(opaque.Of(app, token))
	h.Data = bytes.Clone(h.Data)
	return h.Record, err
}

// Update implements Store.
func (s *MemoryStore) Update(_ context.Context, token string, rec Record) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := opaque.Of(rec.App, token)
	h, err := s.find(id)
	if err != nil {
		return "", err
	}
	if h.Version != rec.Version {
		return "", ErrConflict
	}
	rec.Version++
	s.drop(id)
	s.put(id, rec)
	return token, nil
}

// Delete implements Store.
func (s *MemoryStore) Delete(_ context.Context, app, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(opaque.Of(app, token))
	return nil
}

// List implements Index.
func (s *MemoryStore) List(_ context.Context, app, subject string) ([]Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type used struct {
		Entry
		at uint64
	}
	var found []used
	for id := range s.bySubject[owner{app, subject}] {
		if h, err := s.find(id); err == nil {
			h.Data = bytes.Clone(h.Data)
			found = append(found, used{Entry{ID: hex.EncodeToString(id[:]), Record: h.Record}, h.used})
		}
	}
	slices.SortFunc(found, func(a, b used) int { return cmp.Compare(b.at, a.at) })
	entries := make([]Entry, len(found))
	for i, f := range found {
		entries[i] = f.Entry
	}
	return entries, nil
}

// DeleteEntry implements Index.
func (s *MemoryStore) DeleteEntry(_ context.Context, app, subject, id string) error {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != len(opaque.ID{}) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, theirs := s.bySubject[owner{app, subject}][opaque.ID(raw)]; theirs {
		s.drop(opaque.ID(raw))
	}
	return nil
}

// DeleteSubject implements Index.
func (s *MemoryStore) DeleteSubject(_ context.Context, app, subject, except string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropAll(s.bySubject[owner{app, subject}], opaque.Of(app, except)), nil
}

// DeleteSession implements Index.
func (s *MemoryStore) DeleteSession(_ context.Context, app, sessionID string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropAll(s.bySID[owner{app, sessionID}], opaque.ID{}), nil
}

// TryLock implements Locker, for the goroutines of this process.
func (s *MemoryStore) TryLock(_ context.Context, key string, ttl time.Duration) (func(context.Context) error, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if l := s.locks[key]; l != nil && now.Before(l.until) {
		return nil, false, nil
	}
	mine := &lock{until: now.Add(ttl)}
	s.locks[key] = mine
	return func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.locks[key] == mine {
			delete(s.locks, key)
		}
		return nil
	}, true, nil
}

// find and what follows expect that the caller holds s.mu.
func (s *MemoryStore) find(id opaque.ID) (held, error) {
	h, ok := s.sessions[id]
	if !ok || !s.now().Before(h.Expires) {
		return held{}, ErrNotFound
	}
	return h, nil
}

func (s *MemoryStore) put(id opaque.ID, rec Record) {
	s.uses++
	rec.Data = bytes.Clone(rec.Data)
	s.sessions[id] = held{rec, s.uses}
	note(s.bySubject, owner{rec.App, rec.Subject}, id)
	note(s.bySID, owner{rec.App, rec.SessionID}, id)
}

func (s *MemoryStore) drop(id opaque.ID) {
	h := s.sessions[id]
	delete(s.sessions, id)
	strike(s.bySubject, owner{h.App, h.Subject}, id)
	strike(s.bySID, owner{h.App, h.SessionID}, id)
}

func (s *MemoryStore) dropAll(ids map[opaque.ID]struct{}, except opaque.ID) (ended int) {
	for id := range ids {
		if id == except {
			continue
		}
		if _, err := s.find(id); err == nil {
			ended++
		}
		s.drop(id)
	}
	return ended
}

// note leaves out the nameless: a session of nobody is in nobody's list.
func note(index map[owner]map[opaque.ID]struct{}, whose owner, id opaque.ID) {
	if whose.name == "" {
		return
	}
	if index[whose] == nil {
		index[whose] = map[opaque.ID]struct{}{}
	}
	index[whose][id] = struct{}{}
}

func strike(index map[owner]map[opaque.ID]struct{}, whose owner, id opaque.ID) {
	delete(index[whose], id)
	if len(index[whose]) == 0 {
		delete(index, whose)
	}
}

// sweep forgets the expired whenever the number of sessions has doubled since
// it last did, so its cost per session is constant.
func (s *MemoryStore) sweep() {
	if len(s.sessions) < s.sweepAt {
		return
	}
	now := s.now()
	for id, h := range s.sessions {
		if !now.Before(h.Expires) {
			s.drop(id)
		}
	}
	for key, l := range s.locks {
		if !now.Before(l.until) {
			delete(s.locks, key)
		}
	}
	s.sweepAt = max(1024, 2*len(s.sessions))
}

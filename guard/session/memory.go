package session

import (
	"bytes"
	"context"
	"crypto/sha256"
	"sync"
	"time"
)

// MemoryStore keeps sessions in this process: gone with it, unknown to others.
type MemoryStore struct {
	now func() time.Time

	mu       sync.Mutex
	sessions map[[sha256.Size]byte]Record
	sweepAt  int // number of sessions at which to look for expired ones
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore { return NewMemoryStoreClock(time.Now) }

// NewMemoryStoreClock returns an empty store that asks now for the time.
func NewMemoryStoreClock(now func() time.Time) *MemoryStore {
	return &MemoryStore{now: now, sessions: map[[sha256.Size]byte]Record{}, sweepAt: 1024}
}

// Create implements Store.
func (s *MemoryStore) Create(_ context.Context, rec Record) (string, error) {
	token := newToken()
	rec.Version, rec.Data = 1, bytes.Clone(rec.Data)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	s.sessions[tokenHash(rec.App, token)] = rec
	return token, nil
}

// Find implements Store.
func (s *MemoryStore) Find(_ context.Context, app, token string) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(app, token)
}

func (s *MemoryStore) find(app, token string) (Record, error) {
	rec, ok := s.sessions[tokenHash(app, token)]
	if !ok || !s.now().Before(rec.Expires) {
		return Record{}, ErrNotFound
	}
	rec.Data = bytes.Clone(rec.Data)
	return rec, nil
}

// Update implements Store.
func (s *MemoryStore) Update(_ context.Context, token string, rec Record) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, err := s.find(rec.App, token)
	if err != nil {
		return "", err
	}
	if held.Version != rec.Version {
		return "", ErrConflict
	}
	rec.Version, rec.Data = rec.Version+1, bytes.Clone(rec.Data)
	s.sessions[tokenHash(rec.App, token)] = rec
	return token, nil
}

// Delete implements Store.
func (s *MemoryStore) Delete(_ context.Context, app, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, tokenHash(app, token))
	return nil
}

// sweep forgets the expired whenever the number of sessions has doubled since
// it last did, so its cost per session is constant.
func (s *MemoryStore) sweep() {
	if len(s.sessions) < s.sweepAt {
		return
	}
	now := s.now()
	for id, rec := range s.sessions {
		if !now.Before(rec.Expires) {
			delete(s.sessions, id)
		}
	}
	s.sweepAt = max(1024, 2*len(s.sessions))
}

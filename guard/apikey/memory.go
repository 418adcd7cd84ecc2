package apikey

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"
)

// MemoryStore keeps keys in this process and forgets them with it: for tests,
// and for keys that are issued from a configuration at every start.
type MemoryStore struct {
	mu     sync.RWMutex
	byID   map[string]*Record
	byHash map[[sha256.Size]byte]*Record
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{byID: map[string]*Record{}, byHash: map[[sha256.Size]byte]*Record{}}
}

// Create implements Store.
func (s *MemoryStore) Create(_ context.Context, r Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(r)
	return nil
}

func (s *MemoryStore) add(r Record) { s.byID[r.ID], s.byHash[r.Hash] = &r, &r }

// Find implements Store.
func (s *MemoryStore) Find(_ context.Context, hash [sha256.Size]byte) (Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return copied(s.byHash[hash])
}

// Get implements Store.
func (s *MemoryStore) Get(_ context.Context, id string) (Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return copied(s.byID[id])
}

func copied(r *Record) (Record, error) {
	if r == nil {
		return Record{}, ErrNotFound
	}
	return *r, nil
}

// List implements Store.
func (s *MemoryStore) List(_ context.Context, subject string) ([]Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Record
	for _, r := range s.byID {
		if subject == "" || r.Subject == subject {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b Record) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

// Rotate implements Store.
func (s *MemoryStore) Rotate(_ context.Context, id string, now, until time.Time, successor Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byID[id]
	switch {
	case r == nil:
		return ErrNotFound
	case r.Ended(now):
		return ErrEnded
	case r.Successor != "":
		return ErrRotated
	}
	r.Successor, r.ExpiresAt = successor.ID, until
	s.add(successor)
	return nil
}

// Revoke implements Store.
func (s *MemoryStore) Revoke(_ context.Context, id string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byID[id]
	if r == nil {
		return ErrNotFound
	}
	revoke(r, now)
	return nil
}

func revoke(r *Record, now time.Time) {
	if !r.Ended(now) {
		r.RevokedAt = now
	}
}

// RevokeAll implements Store.
func (s *MemoryStore) RevokeAll(_ context.Context, subject string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.byID {
		if r.Subject == subject {
			revoke(r, now)
		}
	}
	return nil
}

// Used implements Store.
func (s *MemoryStore) Used(_ context.Context, uses []Use) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range uses {
		if r := s.byID[u.ID]; r != nil {
			r.Uses += u.Count
			if u.At.After(r.LastUsedAt) {
				r.LastUsedAt = u.At
			}
		}
	}
	return nil
}

// DeleteEnded implements Store.
func (s *MemoryStore) DeleteEnded(_ context.Context, before time.Time, limit int) (n int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.byID {
		if n == int64(limit) {
			break
		}
		revokedLong := !r.RevokedAt.IsZero() && r.RevokedAt.Before(before)
		if revokedLong || r.RevokedAt.IsZero() && !r.ExpiresAt.IsZero() && r.ExpiresAt.Before(before) {
			delete(s.byID, id)
			delete(s.byHash, r.Hash)
			n++
		}
	}
	return n, nil
}

var _ Store = (*MemoryStore)(nil)

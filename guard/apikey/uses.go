package apikey

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// flushEvery is how often uses are written.
	flushEvery = time.Minute
	// maxPending bounds what waits to be written; a use beyond is not noted.
	maxPending = 10_000
)

// uses notes when keys were last used: counted in memory, and written at most
// once a minute beside the request that finds it is time.
type uses struct {
	store Store
	log   *slog.Logger

	mu      sync.Mutex
	pending map[string]*Use
	flushed time.Time
	writing bool
}

func (u *uses) add(id string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if use := u.pending[id]; use != nil {
		use.At = now
		use.Count++
	} else if len(u.pending) < maxPending {
		u.pending[id] = &Use{ID: id, At: now, Count: 1}
	}
	if u.writing || now.Sub(u.flushed) < flushEvery {
		return
	}
	u.writing, u.flushed = true, now
	go u.write(u.take()) // one at a time
}

// take empties what is pending. The caller holds mu.
func (u *uses) take() []Use {
	out := make([]Use, 0, len(u.pending))
	for _, use := range u.pending {
		out = append(out, *use)
	}
	u.pending = map[string]*Use{}
	return out
}

func (u *uses) write(list []Use) {
	ctx, cancel := context.WithTimeout(context.Background(), flushEvery/2)
	defer cancel()
	if err := u.store.Used(ctx, list); err != nil {
		u.log.Warn("guard: uses of API keys could not be noted", "error", err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.writing = false
}

// Flush writes when keys were last used, which else happens at most once a
// minute: call it before the program ends. Keys of a Gatehouse are noted there.
func (s *Scheme) Flush(ctx context.Context) error {
	if s.uses == nil {
		return nil
	}
	s.uses.mu.Lock()
	list := s.uses.take()
	s.uses.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	return s.uses.store.Used(ctx, list)
}

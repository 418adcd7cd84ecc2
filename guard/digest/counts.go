package digest

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Counts remembers how far each nonce was used, so that nothing overheard can be
// sent again. Servers that share a realm must share it, or a request seen by one
// could be replayed at another.
type Counts interface {
	// Use reports whether count is higher than every count used with nonce before,
	// and if so records it: one step, that two callers with the same count cannot
	// both win. After until the nonce is dead and may be forgotten; not before. An
	// error refuses the request.
	Use(ctx context.Context, nonce string, count uint32, until time.Time) (bool, error)
}

// maxNonces bounds the memory of one process: some 20 MB. A nonce takes its
// place only once a right password was proved with it.
const maxNonces = 1 << 17

var errFull = errors.New("digest: too many nonces are in use")

// memory is the Counts of a single process. Two generations, turned over when
// the newer is as old as a nonce can get, spare it all searching for dead ones.
type memory struct {
	now    func() time.Time
	period time.Duration // no nonce used now is good after so long

	mu            sync.Mutex
	recent, older map[string]uint32
	turned        time.Time
}

func newMemory(period time.Duration, now func() time.Time) *memory {
	return &memory{now: now, period: period, recent: map[string]uint32{}, older: map[string]uint32{}, turned: now()}
}

func (m *memory) Use(_ context.Context, nonce string, count uint32, _ time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.now(); now.Sub(m.turned) >= m.period {
		if m.older = m.recent; now.Sub(m.turned) >= 2*m.period {
			m.older = nil
		}
		m.recent, m.turned = map[string]uint32{}, now
	}
	last, known := m.recent[nonce]
	if !known {
		last = m.older[nonce]
	}
	if count <= last {
		return false, nil
	}
	// Forgetting a living nonce would let its requests be replayed: rather nobody
	// new gets in.
	if !known && len(m.recent) >= maxNonces {
		return false, errFull
	}
	m.recent[nonce] = count
	return true, nil
}

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

var errFull = errors.New("digest: too many nonces are in use")

// memory is the Counts of a single process.
type memory struct {
	now func() time.Time

	mu   sync.Mutex
	used generations[uint32]
}

func newMemory(period time.Duration, now func() time.Time) *memory {
	return &memory{now: now, used: generations[uint32]{period: period}}
}

func (m *memory) Use(_ context.Context, nonce string, count uint32, _ time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last, _ := m.used.get(nonce, m.now()); count <= last {
		return false, nil
	}
	// Forgetting a living nonce would let its requests be replayed: rather nobody
	// new gets in.
	if !m.used.set(nonce, count) {
		return false, errFull
	}
	return true, nil
}

// proven remembers whose password was proved with which nonce in this process.
// Guesses with such a nonce are not counted: whoever saw it in use saw a proof,
// and can guess at that without asking us. So a page that loads a hundred
// pictures at once is not a hundred attempts at once.
type proven struct {
	mu    sync.Mutex
	users generations[string]
}

func (p *proven) by(username, nonce string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	user, known := p.users.get(nonce, now)
	return known && user == username
}

func (p *proven) note(username, nonce string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if user, known := p.users.get(nonce, now); !known || user != username {
		p.users.set(nonce, username)
	}
}

// maxNonces bounds what a process remembers: some 20 MB. A nonce takes its place
// only once a right password was proved with it.
const maxNonces = 1 << 17

// generations is a map that forgets. There are two, turned over when the newer
// is as old as a key can get: nobody has to search for what is dead.
type generations[V any] struct {
	period        time.Duration // no key set now matters after so long
	turned        time.Time
	recent, older map[string]V
}

func (g *generations[V]) get(key string, now time.Time) (v V, ok bool) {
	if age := now.Sub(g.turned); age >= g.period {
		if g.older = g.recent; age >= 2*g.period {
			g.older = nil
		}
		g.recent, g.turned = map[string]V{}, now
	}
	if v, ok = g.recent[key]; !ok {
		v, ok = g.older[key]
	}
	return v, ok
}

// set reports whether there was room. get was called before.
func (g *generations[V]) set(key string, v V) bool {
	if _, known := g.recent[key]; !known && len(g.recent) >= maxNonces {
		return false
	}
	g.recent[key] = v
	return true
}

package basic

import (
	"container/list"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// memory keeps credentials that were right, for a while, and lets requests that
// bring the same ones together share one verification. Wrong ones are not kept:
// an attacker could fill it with them.
type memory struct {
	ttl  time.Duration // 0: nothing is kept
	size int
	macs sync.Pool // of hash.Hash, under a key nobody else has

	mu      sync.Mutex
	kept    map[digest]*list.Element // of *verified
	recent  list.List                // of *verified, the last used in front
	flights map[digest]*flight
	epoch   uint64 // grows when something is forgotten
}

// verified is a principal and what it is known by.
type verified struct {
	credentials digest
	username    string
	until       time.Time
	principal   *guard.Principal
	cleared     atomic.Uint64 // of guard.Revocations
}

// flight is a verification under way.
type flight struct {
	done  chan struct{} // closed when found and err stand
	found *verified
	err   error
}

func newMemory(ttl time.Duration, size int) *memory {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand.Read ends the program rather
	return &memory{
		ttl: ttl, size: size,
		macs:    sync.Pool{New: func() any { return hmac.New(sha256.New, key) }},
		kept:    map[digest]*list.Element{},
		flights: map[digest]*flight{},
	}
}

// digest names credentials without holding them.
func (m *memory) digest(username, password string) (d digest) {
	mac := m.macs.Get().(hash.Hash)
	defer m.macs.Put(mac)
	mac.Reset()
	// With its length in front no name can run over into the password.
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 128), uint32(len(username)))
	b = append(append(b, username...), password...)
	mac.Write(b)
	mac.Sum(d[:0])
	return d
}

// errPanicked is what those get who waited for a verification that panicked.
var errPanicked = errors.New("the verification panicked")

// once returns what is known of these credentials, or has verify find out, one
// call for all who ask meanwhile. Who waits for another's call stops when ctx
// does.
func (m *memory) once(ctx context.Context, now time.Time, username, password string, verify func() (*guard.Principal, error)) (*verified, error) {
	key := m.digest(username, password)
	m.mu.Lock()
	if e := m.kept[key]; e != nil {
		v := e.Value.(*verified)
		if now.Before(v.until) {
			m.recent.MoveToFront(e)
			m.mu.Unlock()
			return v, nil
		}
		m.drop(e)
	}
	if f := m.flights[key]; f != nil {
		m.mu.Unlock()
		select {
		case <-f.done:
			return f.found, f.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f := &flight{done: make(chan struct{}), err: errPanicked}
	m.flights[key] = f
	epoch := m.epoch
	m.mu.Unlock()

	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.flights[key] == f {
			delete(m.flights, key)
		}
		// What was forgotten meanwhile was verified too early to be kept.
		if f.err == nil && m.epoch == epoch {
			m.keep(f.found, now)
		}
		close(f.done)
	}()
	p, err := verify()
	if f.err = err; err == nil {
		f.found = &verified{credentials: key, username: username, principal: p, until: now.Add(m.ttl)}
	}
	return f.found, f.err
}

// keep puts v in front. m.mu is held.
func (m *memory) keep(v *verified, now time.Time) {
	if end := v.principal.Expiry; !end.IsZero() && end.Before(v.until) {
		v.until = end
	}
	if !now.Before(v.until) {
		return
	}
	if e := m.kept[v.credentials]; e != nil {
		m.drop(e)
	}
	for len(m.kept) >= m.size {
		m.drop(m.recent.Back())
	}
	m.kept[v.credentials] = m.recent.PushFront(v)
}

// drop removes one. m.mu is held.
func (m *memory) drop(e *list.Element) {
	m.recent.Remove(e)
	delete(m.kept, e.Value.(*verified).credentials)
}

// forget drops what matches. Nobody who asks from now on joins a verification
// that began before.
func (m *memory) forget(matches func(*verified) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	clear(m.flights)
	for e := m.recent.Front(); e != nil; {
		next := e.Next()
		if matches(e.Value.(*verified)) {
			m.drop(e)
		}
		e = next
	}
}

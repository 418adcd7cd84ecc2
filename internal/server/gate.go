package server

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/gatehouse-dev/gatehouse/internal/base/limit"
)

// gate is a listener that closes connections of a network that holds too many already, so that one
// neighbour can not take every connection there is.
type gate struct {
	net.Listener
	most   int
	exempt func(netip.Addr) bool

	mu      sync.Mutex
	held    map[string]int
	open    atomic.Int64
	refused atomic.Int64
}

func newGate(l net.Listener, most int, exempt func(netip.Addr) bool) *gate {
	return &gate{Listener: l, most: most, exempt: exempt, held: map[string]int{}}
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		network := g.networkOf(conn)
		if g.enter(network) {
			return &held{Conn: conn, leave: sync.OnceFunc(func() { g.leave(network) })}, nil
		}
		g.refused.Add(1)
		conn.Close()
	}
}

// networkOf returns what a connection is counted for, or nothing.
func (g *gate) networkOf(conn net.Conn) string {
	peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil || g.exempt(peer.Addr()) {
		return ""
	}
	return limit.Network(peer.Addr())
}

func (g *gate) enter(network string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if network != "" {
		if g.held[network] >= g.most {
			return false
		}
		g.held[network]++
	}
	g.open.Add(1)
	return true
}

func (g *gate) leave(network string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open.Add(-1)
	if network == "" {
		return
	}
	if g.held[network]--; g.held[network] == 0 {
		delete(g.held, network)
	}
}

// held is a connection that is counted until it is closed.
type held struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *held) Close() error {
	c.leave()
	return c.Conn.Close()
}

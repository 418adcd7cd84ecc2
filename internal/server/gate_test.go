package server

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

// pipes is a listener whose connections come from where the test says.
type pipes struct {
	net.Listener
	from chan string
	far  chan net.Conn
}

type comesFrom struct {
	net.Conn
	peer string
}

func (c comesFrom) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.peer))
}

func (p *pipes) Accept() (net.Conn, error) {
	near, far := net.Pipe()
	peer := <-p.from
	p.far <- far
	return comesFrom{near, peer}, nil
}

// One neighbour can not take every connection there is; proxies, which speak for many, can.
func TestThreat_OV01_ConnectionsOfOneNetworkAreBounded(t *testing.T) {
	proxy := netip.MustParseAddr("10.0.0.1")
	p := &pipes{from: make(chan string), far: make(chan net.Conn)}
	g := newGate(p, 2, func(a netip.Addr) bool { return a == proxy })
	accepted := make(chan net.Conn)
	go func() {
		for {
			conn, err := g.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	// dial reports whether a connection is let in.
	dial := func(peer string) net.Conn {
		p.from <- peer
		far := <-p.far
		closed := make(chan struct{})
		go func() {
			far.Read(make([]byte, 1)) // ends when the other side is closed
			close(closed)
		}()
		select {
		case conn := <-accepted:
			return conn
		case <-closed:
			return nil
		}
	}
	first := dial("203.0.113.7:1000")
	if first == nil || dial("203.0.113.7:1001") == nil {
		t.Fatal("the first two of an address")
	}
	for _, peer := range []string{"203.0.113.7:1002", "[::ffff:203.0.113.7]:1003"} {
		if dial(peer) != nil {
			t.Errorf("a third of one address, as %s", peer)
		}
	}
	if dial("203.0.113.8:1000") == nil {
		t.Error("another address")
	}
	if dial("[2001:db8::1]:1") == nil || dial("[2001:db8::2]:1") == nil || dial("[2001:db8::3]:1") != nil || dial("[2001:db8:0:1::1]:1") == nil {
		t.Error("an IPv6 network is counted as one, and its neighbour apart")
	}
	for range 5 {
		if dial("10.0.0.1:1") == nil {
			t.Error("the proxy")
		}
	}
	first.Close()
	first.Close() // is counted once
	if dial("203.0.113.7:1004") == nil {
		t.Error("after one was closed")
	}
	if dial("203.0.113.7:1005") != nil {
		t.Error("and again one too many")
	}
	if g.refused.Load() != 4 {
		t.Errorf("%d refused, want 4", g.refused.Load())
	}
}

// Who sends a header, a body or nothing slowly, and who reads slowly, is let go.
func TestThreat_OV01_NobodyHoldsAConnectionBySlowness(t *testing.T) {
	s := newHTTPServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	for name, limit := range map[string][2]time.Duration{
		"header": {s.ReadHeaderTimeout, 5 * time.Second}, "body": {s.ReadTimeout, 10 * time.Second},
		"answer": {s.WriteTimeout, 20 * time.Second}, "idle": {s.IdleTimeout, 60 * time.Second},
	} {
		if limit[0] <= 0 || limit[0] > limit[1] {
			t.Errorf("%s: %s, want at most %s", name, limit[0], limit[1])
		}
	}
	if s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 64<<10 {
		t.Errorf("headers of %d bytes", s.MaxHeaderBytes)
	}
}

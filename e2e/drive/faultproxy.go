package drive

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// FaultProxy stands in front of a house, at the address that is its issuer, and loses answers: the
// house has done what it was asked, and who asked never hears of it.
type FaultProxy struct {
	Origin string // where it listens

	mu     sync.Mutex
	to     *httputil.ReverseProxy
	faults map[string][]Fault // what is to come, by path
	lost   int
}

// Fault is a way to lose an answer.
type Fault int

// The ways. NoAnswer closes the connection before the first byte; HalfAnswer in the middle of the body.
const (
	NoAnswer Fault = iota
	HalfAnswer
)

// NewFaultProxy listens on a free port of localhost until the test ends.
func NewFaultProxy(t *testing.T) *FaultProxy {
	t.Helper()
	p := &FaultProxy{faults: map[string][]Fault{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Origin = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return p
}

// Forward says where requests go. What is forwarded looks as it came: the house has no proxy to trust.
func (p *FaultProxy) Forward(origin string) error {
	to, err := url.Parse(origin)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	return nil
}

// Lose spoils the next POSTs to a path, in this order; later ones are answered again.
func (p *FaultProxy) Lose(path string, faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[path] = append(p.faults[path], faults...)
}

// Lost is how many answers were lost so far.
func (p *FaultProxy) Lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// ServeHTTP implements http.Handler.
func (p *FaultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	to, next := p.to, p.faults[r.URL.Path]
	spoil := r.Method == http.MethodPost && len(next) > 0
	if spoil {
		p.faults[r.URL.Path] = next[1:]
		p.lost++
	}
	p.mu.Unlock()
	if !spoil {
		to.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	to.ServeHTTP(answer, r) // all of it, before anything is lost
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer connection.Close()
	if next[0] == HalfAnswer {
		body := answer.Body.Bytes()
		answer.Header().Set("Content-Length", fmt.Sprint(len(body)))
		fmt.Fprintf(connection, "HTTP/1.1 %d %s\r\n", answer.Code, http.StatusText(answer.Code))
		_ = answer.Header().Write(connection)
		_, _ = fmt.Fprintf(connection, "\r\n%s", body[:len(body)/2])
		return
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, as from a machine that went away
	}
}

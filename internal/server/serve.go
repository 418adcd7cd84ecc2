package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What a connection is given. A body is at most a mebibyte, so whoever needs longer for one is slow
// on purpose; an answer may wait for its turn at the password hasher.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 20 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 64 << 10
	// maxConnections are those of one IPv4 address or one IPv6 /64 at a time. Configured proxies,
	// which speak for many, are not counted.
	maxConnections = 1024
	// drainTimeout is what requests under way are given to finish.
	drainTimeout = 25 * time.Second
)

// Service is a house on its listeners.
type Service struct {
	house      *House
	listener   *gate
	server     *http.Server
	operations net.Listener // nil for none
	state
}

// state is what operations may know.
type state struct {
	ready    atomic.Bool
	requests atomic.Int64
	inFlight atomic.Int64
	started  time.Time
}

// Listen opens the listeners that the configuration names. The house must have been validated; what
// can still fail is that a port is taken.
func (h *House) Listen() (*Service, error) {
	handler, err := h.Handler()
	if err != nil {
		return nil, err
	}
	s := &Service{house: h, state: state{started: h.Clock.Now()}}
	l, err := net.Listen("tcp", h.Config.Listen)
	if err != nil {
		return nil, fmt.Errorf("server: listen: %w", err)
	}
	s.listener = newGate(l, maxConnections, h.isProxy)
	s.server = newHTTPServer(s.counted(s.named(handler)), h.Log)
	s.server.RegisterOnShutdown(h.EndStreams)
	if h.Config.TLS.CertFile != "" {
		certificate := &certificate{certFile: h.Config.TLS.CertFile, keyFile: h.Config.TLS.KeyFile, clock: h.Clock, log: h.Log}
		if err := certificate.load(); err != nil {
			return nil, errors.Join(err, l.Close())
		}
		s.server.TLSConfig = tlsConfig(certificate)
	}
	if address := h.Config.Operations.Listen; address != "" {
		if s.operations, err = net.Listen("tcp", address); err != nil {
			return nil, errors.Join(fmt.Errorf("server: listen for operations: %w", err), l.Close())
		}
	}
	return s, nil
}

func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Addr returns where the house listens.
func (s *Service) Addr() net.Addr { return s.listener.Addr() }

// OperationsAddr returns where operations are answered, or nil.
func (s *Service) OperationsAddr() net.Addr {
	if s.operations == nil {
		return nil
	}
	return s.operations.Addr()
}

// Run serves until ctx ends, and does the background work. Then it says that it is not ready any
// more, goes on for as long as notice returns, so that a load balancer sees it and sends nothing
// more, and lets requests under way finish, for 25 seconds in all. Nil stands for no notice.
func (s *Service) Run(ctx context.Context, notice func() time.Duration) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	work.Go(func() { s.house.Run(background) })

	failed := make(chan error, 2)
	if s.operations != nil {
		operations := newHTTPServer(s.operationsHandler(), s.house.Log)
		defer operations.Close() // last: until then it tells that the house is draining
		go func() { failed <- operations.Serve(s.operations) }()
	}
	go func() {
		if s.server.TLSConfig != nil {
			failed <- s.server.ServeTLS(s.listener, "", "")
		} else {
			failed <- s.server.Serve(s.listener)
		}
	}()
	s.ready.Store(true)
	select {
	case err := <-failed:
		s.ready.Store(false)
		return errors.Join(fmt.Errorf("server: %w", err), s.server.Close())
	case <-ctx.Done():
	}

	s.ready.Store(false)
	drain, cancel := context.WithTimeout(background, drainTimeout)
	defer cancel()
	s.server.SetKeepAlivesEnabled(false)
	if notice != nil {
		select {
		case <-time.After(notice()):
		case <-drain.Done():
		}
	}
	if err := s.server.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("server: requests were cut off: %w", err), s.server.Close())
	}
	return nil
}

// counted counts requests.
func (s *Service) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		s.inFlight.Add(1)
		defer s.inFlight.Add(-1)
		next.ServeHTTP(w, r)
	})
}

// named refuses a request for another host than the connection was made to: a certificate was
// checked for that one.
func (s *Service) named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && r.TLS.ServerName != "" {
			host, _, err := net.SplitHostPort(r.Host)
			if err != nil {
				host = r.Host
			}
			if !strings.EqualFold(host, r.TLS.ServerName) {
				s.house.misdirected(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// tlsConfig speaks TLS 1.3, and 1.2 with suites that keep a session secret when the key leaks later
// and that authenticate what they encrypt.
func tlsConfig(c *certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		GetCertificate: c.get,
	}
}

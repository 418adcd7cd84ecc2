package server

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"
)

const systemPing = `SELECT 1`

// operationsHandler answers whoever runs the house, on a listener of its own: there are no
// credentials, and nothing of a tenant's.
func (s *Service) operationsHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]func() (int, string){
			"/livez":   func() (int, string) { return http.StatusOK, "alive\n" },
			"/readyz":  func() (int, string) { return s.readiness(r.Context()) },
			"/metrics": func() (int, string) { return http.StatusOK, s.metrics(r.Context()) },
		}[r.URL.EscapedPath()]
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case answer == nil:
			w.WriteHeader(http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			status, text := answer()
			w.WriteHeader(status)
			fmt.Fprint(w, text)
		}
	})
}

// readiness is whether new requests should come here: the house serves, is not about to leave, and
// its database answers.
func (s *Service) readiness(ctx context.Context) (int, string) {
	if !s.ready.Load() {
		return http.StatusServiceUnavailable, "leaving\n"
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var one int
	if err := s.house.DB.System().QueryRow(ctx, systemPing).Scan(&one); err != nil {
		s.house.Log.WarnContext(ctx, "the database does not answer", "error", err)
		return http.StatusServiceUnavailable, "the database does not answer\n"
	}
	return http.StatusOK, "ready\n"
}

// metrics is a few figures in the text format of Prometheus.
func (s *Service) metrics(ctx context.Context) string {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	ready := 0
	if status, _ := s.readiness(ctx); status == http.StatusOK {
		ready = 1
	}
	var b strings.Builder
	write := func(name, kind, help string, value any) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n%s %v\n", name, help, name, kind, name, value)
	}
	write("gatehouse_ready", "gauge", "Whether new requests should come here.", ready)
	write("gatehouse_http_requests_total", "counter", "Requests since the start.", s.requests.Load())
	write("gatehouse_http_requests_in_flight", "gauge", "Requests being answered.", s.inFlight.Load())
	write("gatehouse_connections_open", "gauge", "Open connections.", s.listener.open.Load())
	write("gatehouse_connections_refused_total", "counter", "Connections of networks that held too many.", s.listener.refused.Load())
	write("gatehouse_start_time_seconds", "gauge", "When the house was opened, in seconds since 1970.", s.started.Unix())
	write("go_goroutines", "gauge", "Goroutines.", runtime.NumGoroutine())
	write("go_memstats_heap_alloc_bytes", "gauge", "Bytes on the heap.", memory.HeapAlloc)
	return b.String()
}

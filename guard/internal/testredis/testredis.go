// Package testredis runs a Redis server for a test.
package testredis

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Server is a Redis server of the test's own, on a socket in a directory of its
// own, empty and without persistence.
type Server struct {
	// URL is where it listens.
	URL string

	program string
	dir     string
	process *exec.Cmd
}

// Start runs a server until the test ends. A machine without Redis fails the
// test, or skips it with -short.
func Start(t testing.TB) *Server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil && testing.Short() {
		t.Skip("Redis is left out with -short where it is not installed")
	}
	if err != nil {
		t.Fatal("redis-server is not on PATH: install Redis 6.2 or newer, or test with -short")
	}
	dir, err := os.MkdirTemp("", "guard-redis") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{program: program, dir: dir, URL: "unix://" + filepath.Join(dir, "s")}
	t.Cleanup(s.Stop)
	s.Restart(t)
	return s
}

// keeper runs the server until its standard input ends: when the test is done,
// and also when its process is killed.
const keeper = `"$@" >/dev/null 2>&1 & cat >/dev/null; kill -KILL $!; wait`

// Restart runs the server again, empty.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	socket := filepath.Join(s.dir, "s")
	s.process = exec.Command("sh", "-c", keeper, "keeper", s.program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", s.dir)
	stdin, err := s.process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	s.process.Cancel = stdin.Close
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	for range 4000 {
		if conn, err := net.Dial("unix", socket); err == nil {
			_ = conn.Close()
			return
		}
		<-retry.C
	}
	t.Fatal("redis-server does not answer")
}

// Stop kills the server, as a crash would; stopping twice is one stop.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	_ = s.process.Cancel()
	_ = s.process.Wait()
	_ = os.Remove(filepath.Join(s.dir, "s"))
	s.process = nil
}

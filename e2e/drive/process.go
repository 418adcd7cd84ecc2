package drive

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Gatehouse returns the command under test, built once.
func Gatehouse(t *testing.T) string {
	t.Helper()
	return Must[string](t)(shared.gatehouse())
}

// buildGatehouse builds the command as its module does, without this workspace's say in versions.
func (w *workshop) buildGatehouse() (string, error) {
	return w.build("./cmd/gatehouse")
}

func (w *workshop) build(pkg string) (string, error) {
	binary := filepath.Join(w.dir, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", binary, pkg)
	cmd.Dir, cmd.Env = Root(), append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return binary, nil
}

// Build builds a command of the repository's module, "./examples/go-server" say, and returns where
// it is until the package's tests have ended. Two commands need two base names.
func Build(t *testing.T, pkg string) string {
	t.Helper()
	return Must[string](t)(shared.build(pkg))
}

// NPMPackage returns the folder of an installed npm package of the examples.
func NPMPackage(name string) (string, error) {
	dir := filepath.Join(Root(), "examples", "node_modules", filepath.FromSlash(name))
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("the npm package %s is not installed; run: scripts/prerequisites (or npm --prefix examples ci)", name)
	}
	return dir, nil
}

// Process is a program that a test started.
type Process struct {
	cmd   *exec.Cmd
	said  *output
	ended chan error
	once  sync.Once
	err   error
}

// Start starts a program that serves at origin and waits until it answers there. It is asked to end,
// with all that it started, when the test ends; what it said is told if the test fails.
func Start(t *testing.T, origin string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{cmd: cmd, said: &output{}, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = p.said, p.said, 10*time.Second
	// npm and next start processes of their own: a group is what can be ended as a whole.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		_ = p.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd, p.said)
		}
	})
	// Where a server redirects to is no part of whether it answers.
	client := &http.Client{Timeout: Patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	err := WaitFor(t.Context(), func() error {
		select {
		case err := <-p.ended:
			t.Fatalf("%s ended: %v\n%s", cmd, err, p.said)
		default:
		}
		res, err := client.Get(origin)
		if err == nil {
			res.Body.Close()
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s does not answer at %s: %v\n%s", cmd, origin, err, p.said)
	}
	return p
}

// Stop asks the program to end and returns how it did. Who does not end is killed.
func (p *Process) Stop() error {
	p.once.Do(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
		select {
		case p.err = <-p.ended:
		case <-time.After(Patience):
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			p.err = fmt.Errorf("%s did not end when it was asked to: %w", p.cmd, <-p.ended)
		}
	})
	return p.err
}

// Said returns what the program has printed.
func (p *Process) Said() string { return p.said.String() }

// output is what a program prints while others read it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// FreeAddress returns a loopback address below the ports that systems give to outgoing connections. Until
// the test ends nobody else is given it, in whatever process: a program takes seconds to listen.
func FreeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		n := Must[*big.Int](t)(rand.Int(rand.Reader, big.NewInt(10_000)))
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+n.Int64())
		held, err := net.ListenPacket("udp4", address) // whoever looks for an address takes this first
		if err != nil {
			continue
		}
		if l, err := net.Listen("tcp4", address); err == nil {
			l.Close()
			t.Cleanup(func() { held.Close() })
			return address
		}
		held.Close()
	}
	t.Fatal("no port is free")
	return ""
}

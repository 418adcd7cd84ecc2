package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is a running server process.
type process struct {
	cmd                  *exec.Cmd
	stdin                io.Closer
	house, bare, control string // addresses
	client               *http.Client
	took                 time.Duration // from exec to the first answer
}

// startTime is how long a server may take to answer first.
const startTime = 20 * time.Second

// startServer starts a server on a database and waits for its first answer.
func startServer(ctx context.Context, database string) (_ *process, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{client: &http.Client{Timeout: time.Minute}}
	if p.house, err = freeAddress(); err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, self, "-serve", database, "-listen", p.house)
	p.cmd.Stdout, p.cmd.Stderr = os.Stdout, os.Stderr
	for _, addr := range []*string{&p.bare, &p.control} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		*addr = l.Addr().String()
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, f)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for {
		err := p.firstAnswer()
		p.took = time.Since(began)
		switch {
		case err == nil:
			return p, nil
		case p.took > startTime:
			return nil, errors.Join(fmt.Errorf("the server does not answer: %w", err), p.stop())
		}
		<-time.NewTimer(askEvery).C
	}
}

// askEvery is how soon a starting server is asked again; starts are told no finer.
const askEvery = 200 * time.Microsecond

func (p *process) firstAnswer() error {
	c, err := dial(p.house)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(startTime))
	a, err := c.do(get(c.begin(), discoveryPath))
	if err != nil {
		return err
	}
	return a.expect(http.StatusOK)
}

// freeAddress returns an address on loopback where nobody listens. Its port is below those that
// systems give to outgoing connections, of which the load makes many: the server must find it free
// at each of its starts.
func freeAddress() (string, error) {
	for range 100 {
		var random [2]byte
		rand.Read(random[:])
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+int(binary.BigEndian.Uint16(random[:]))%10_000)
		if l, err := net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("no free port between 20000 and 30000")
}

// stop ends the server and waits for it.
func (p *process) stop() error {
	p.stdin.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("the server ended badly: %w", err)
	}
	return nil
}

// ask sends a request to the control of the process.
func (p *process) ask(method, path string) ([]byte, error) {
	r, err := http.NewRequest(method, "http://"+p.control+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s", method, path, body)
	}
	return body, err
}

// resident returns the memory of the process in bytes, or 0 where the system does not tell.
func (p *process) resident() int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range bytes.Lines(status) {
		if value, ok := strings.CutPrefix(string(line), "VmRSS:"); ok {
			kB, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kB << 10
		}
	}
	return 0
}

// cpu returns the processor time the process has used, or 0 where the system does not tell.
func (p *process) cpu() time.Duration { return cpuOf(strconv.Itoa(p.cmd.Process.Pid)) }

// cpuOf is cpu of any process; "self" is this one.
func cpuOf(pid string) time.Duration {
	stat, _ := os.ReadFile("/proc/" + pid + "/stat")
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond // ticks of 100 Hz
}

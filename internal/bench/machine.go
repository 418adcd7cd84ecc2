package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// facts are what the figures depend on beside the code.
type facts struct {
	when                   time.Time
	commit                 string
	cpu, kernel, toolchain string
	cores                  int
	syncs                  float64 // per second, of a file that grows by a page
	loadBefore, loadAfter  string
}

// machine looks the machine over. dir is where the database will be.
func machine(dir string) facts {
	f := facts{
		when: time.Now().UTC(), cpu: "unknown", kernel: "unknown", toolchain: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
		cores: runtime.GOMAXPROCS(0), syncs: syncs(dir), loadBefore: loadAverage(),
	}
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				f.cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	if raw, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		f.kernel = strings.TrimSpace(string(raw))
	}
	if raw, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		f.commit = string(bytes.TrimSpace(raw))
	}
	return f
}

// syncs measures how often per second a grown file can be made durable: what bounds single commits.
func syncs(dir string) float64 {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page, n, began := make([]byte, 4096), 0, time.Now()
	for time.Since(began) < time.Second {
		if _, err := f.Write(page); err != nil {
			return 0
		}
		if err := f.Sync(); err != nil {
			return 0
		}
		n++
	}
	return float64(n) / time.Since(began).Seconds()
}

// loadAverage returns how many programs wanted to run in the last minute.
func loadAverage() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(raw), " ")
	return one
}

func (f facts) text() string {
	return fmt.Sprintf("%s, %d cores, kernel %s, %s, %.0f syncs/s, load %s\n", f.cpu, f.cores, f.kernel, f.toolchain, f.syncs, f.loadBefore)
}

package drive

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// shared is made once for all tests of a package, when the first one asks for it.
var shared workshop

// workshop holds what is costly to make: the command under test, the browser.
type workshop struct {
	dir       string // gone when the tests are over
	gatehouse func() (string, error)
	chromium  func() (context.Context, error)
	closers   []func()
}

// Main is what TestMain of a package that uses this one calls: it runs the tests, ends what they
// share, and the process.
func Main(m *testing.M) {
	os.Exit(shared.run(m))
}

func (w *workshop) run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gatehouse-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	w.dir = dir
	w.gatehouse = sync.OnceValues(w.buildGatehouse)
	w.chromium = sync.OnceValues(w.startChromium)
	code := m.Run()
	for _, closeIt := range w.closers {
		closeIt()
	}
	return code
}

// Dir is a folder that all tests of the package share; it is gone when they are over.
func Dir() string { return shared.dir }

// Root is the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Must is for what a test cannot go on without.
func Must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Patience is how long a test waits for something that should happen at once, on a machine that is busy with
// several browsers, builds and race detectors. No test waits for all of it and goes on.
const Patience = time.Minute

// WaitFor asks again and again until ok, and returns what was wrong last if it never was.
func WaitFor(ctx context.Context, ok func() error) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	again := time.NewTicker(25 * time.Millisecond)
	defer again.Stop()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", Patience, err)
		case <-again.C:
		}
	}
}

// fileName makes a test's name one of a file.
func fileName(t *testing.T) string {
	return strings.NewReplacer("/", "_", " ", "_").Replace(t.Name())
}

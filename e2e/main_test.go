package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// shared is made once for all tests, when the first one asks for it.
var shared workshop

// workshop holds what is costly to make: the command under test, the browser, the React example.
type workshop struct {
	dir       string // gone when the tests are over
	gatehouse func() (string, error)
	chromium  func() (context.Context, error)
	react     func() (string, error)
	closers   []func()
}

func TestMain(m *testing.M) {
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
	w.react = sync.OnceValues(w.buildReact)
	code := m.Run()
	for _, closeIt := range w.closers {
		closeIt()
	}
	return code
}

// root is the repository.
func root() string {
	dir, err := filepath.Abs("..")
	if err != nil {
		panic(err)
	}
	return dir
}

// buildGatehouse builds the command as its module does, without this workspace's say in versions.
func (w *workshop) buildGatehouse() (string, error) {
	binary := filepath.Join(w.dir, "gatehouse")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/gatehouse")
	cmd.Dir, cmd.Env = root(), append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building gatehouse: %w\n%s", err, out)
	}
	return binary, nil
}

// npmPackage returns the folder of an installed npm package of the examples.
func npmPackage(name string) (string, error) {
	dir := filepath.Join(root(), "examples", "node_modules", filepath.FromSlash(name))
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("the npm package %s is not installed; run: scripts/prerequisites (or npm --prefix examples ci)", name)
	}
	return dir, nil
}

// buildReact bundles the React example and returns the folder of what is to be served.
func (w *workshop) buildReact() (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("npm is not installed; run: scripts/prerequisites (Debian: apt-get install npm)")
	}
	if _, err := npmPackage("esbuild"); err != nil {
		return "", err
	}
	example, out := filepath.Join(root(), "examples", "static-react"), filepath.Join(w.dir, "static-react")
	if err := os.CopyFS(out, os.DirFS(filepath.Join(example, "public"))); err != nil {
		return "", err
	}
	cmd := exec.Command(npm, "run", "--silent", "bundle", "--", "--minify", "--outdir="+out)
	cmd.Dir = example
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building static-react: %w\n%s", err, said)
	}
	return out, nil
}

// must is for what a test cannot go on without.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// patience is how long a test waits for something that should happen at once, on a busy machine.
const patience = 30 * time.Second

// waitFor asks again and again until ok, and returns what was wrong last if it never was.
func waitFor(ctx context.Context, ok func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
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
			return fmt.Errorf("after %s: %w", patience, err)
		case <-again.C:
		}
	}
}

// fileName makes a test's name one of a file.
func fileName(t *testing.T) string {
	return strings.NewReplacer("/", "_", " ", "_").Replace(t.Name())
}

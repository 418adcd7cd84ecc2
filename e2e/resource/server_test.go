package resource

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// server is a resource server that runs.
type server struct {
	name, origin string
	client       *http.Client
}

// answer is what a server said.
type answer struct {
	status    int
	challenge string // WWW-Authenticate
	body      string
}

// get asks with a token, or with none if that is empty.
func (s server) get(path, token string) (answer, error) {
	r, err := http.NewRequest(http.MethodGet, s.origin+path, nil)
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := s.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, strings.Join(res.Header.Values("WWW-Authenticate"), ", "), string(body)}, err
}

// expect asks once and demands this status.
func (s server) expect(status int, path, token string) error {
	a, err := s.get(path, token)
	if err == nil && a.status != status {
		err = fmt.Errorf("%s answers %s with %d, not %d: %s %s", s.name, path, a.status, status, a.challenge, a.body)
	}
	return err
}

func start(t *testing.T, name, address, devJSON string, cmd *exec.Cmd) server {
	t.Helper()
	cmd.Env = append(cmd.Environ(), "GATEHOUSE_DEV="+devJSON)
	s := server{name: name, origin: "http://" + address, client: &http.Client{Timeout: drive.Patience}}
	drive.Start(t, s.origin, cmd)
	return s
}

// startSpring starts examples/spring-api for the house that this dev.json describes.
func startSpring(t *testing.T, devJSON string, args ...string) server {
	t.Helper()
	jar := drive.Must[string](t)(springJar())
	address := drive.FreeAddress(t)
	_, port, _ := strings.Cut(address, ":")
	// It has a few requests to answer: what is quick to start is better than what is quick later.
	cmd := exec.Command("java", append([]string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", jar, "--server.address=127.0.0.1", "--server.port=" + port}, args...)...)
	return start(t, "Spring", address, devJSON, cmd)
}

// springJar builds the example as its README does, once.
var springJar = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(drive.Root(), "examples", "spring-api")
	cmd := exec.Command("mvn", "-B", "-q", "package")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building spring-api: %w\n%s", err, out)
	}
	return filepath.Join(dir, "target", "spring-api.jar"), nil
})

// startPython starts examples/python-api for the house that this dev.json describes.
func startPython(t *testing.T, devJSON string) server {
	t.Helper()
	dir := filepath.Join(drive.Root(), "examples", "python-api")
	python := filepath.Join(dir, ".venv", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		t.Fatalf("the example's packages are not installed; run: scripts/prerequisites\n%v", err)
	}
	address := drive.FreeAddress(t)
	_, port, _ := strings.Cut(address, ":")
	cmd := exec.Command(python, "api.py")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PORT="+port)
	return start(t, "Python", "localhost:"+port, devJSON, cmd)
}

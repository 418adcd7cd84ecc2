package digest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/digest"
)

// run runs a client of somebody else's and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// seen is a server behind Digest, and the algorithm its last client used.
func seen(t *testing.T, o digest.Options) (address string, algorithm func() string) {
	var mu sync.Mutex
	var last string
	h := guard.Require(build(t, o))(http.HandlerFunc(whoami))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization"); a != "" {
			_, after, _ := strings.Cut(a, "algorithm=")
			after, _, _ = strings.Cut(strings.Trim(after, `"`), ",")
			mu.Lock()
			last = strings.Trim(after, `"`)
			mu.Unlock()
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() string {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}

var offers = []struct {
	name    string
	options digest.Options
	curl    string // the algorithm that curl chooses
	python  string // the one that requests chooses: of several the last
}{
	{"SHA-256", digest.Options{}, "SHA-256", "SHA-256"},
	{"MD5", digest.Options{Algorithms: []digest.Algorithm{digest.MD5}, InsecureMD5: true}, "MD5", "MD5"},
	{"both", digest.Options{Algorithms: []digest.Algorithm{digest.SHA256, digest.MD5}, InsecureMD5: true}, "SHA-256", "MD5"},
	{"both qualities", digest.Options{QOP: []digest.QOP{digest.Auth, digest.AuthInt}}, "SHA-256", "SHA-256"},
}

func TestCurl(t *testing.T) {
	if testing.Short() {
		t.Skip("runs curl")
	}
	curl := func(user string, args ...string) string {
		return run(t, "curl", append([]string{"--silent", "--show-error", "--digest", "--user", user, "--write-out", " %{http_code}"}, args...)...)
	}
	for _, tt := range offers {
		t.Run(tt.name, func(t *testing.T) {
			address, algorithm := seen(t, tt.options)
			// Twice on one connection: curl goes on with its nonce and counts.
			if got := curl("alice:"+password, address+"/dir/?a=1&b=%20", address+"/other"); got != "alice 200alice 200" {
				t.Errorf("GET: %s", got)
			}
			if algorithm() != tt.curl {
				t.Errorf("curl chose %q", algorithm())
			}
			if got := curl("alice:"+password, "--data", "hello", address); got != "alicehello 200" {
				t.Errorf("POST: %s", got)
			}
			if got := curl("jürgen:"+password, address); got != "jürgen 200" {
				t.Errorf("UTF-8: %s", got)
			}
			if got := curl("alice:guess", address); !strings.HasSuffix(got, " 401") {
				t.Errorf("a wrong password: %s", got)
			}
		})
	}
	t.Run("userhash", func(t *testing.T) {
		address, _ := seen(t, digest.Options{Userhash: true})
		if got := curl("alice:"+password, address); got != "alice 200" {
			t.Error(got)
		}
	})
	t.Run("auth-int", func(t *testing.T) { // curl covers no body of its own, but a request without one
		address, _ := seen(t, digest.Options{QOP: []digest.QOP{digest.AuthInt}})
		if got := curl("alice:"+password, address); got != "alice 200" {
			t.Error(got)
		}
	})
}

func TestPythonRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Python")
	}
	const script = `
import sys, requests
from requests.auth import HTTPDigestAuth
address, name, password = sys.argv[1:4]
with requests.Session() as s:
    s.auth = HTTPDigestAuth(name, password)
    # Three of one session: the first asks, the others go on with its nonce and count.
    for answer in s.get(address + "/dir/?a=1&b=%20"), s.get(address + "/other"), s.post(address, data="hello"):
        print(answer.status_code, answer.text if answer.ok else "", end=";")
`
	for _, tt := range offers {
		t.Run(tt.name, func(t *testing.T) {
			address, algorithm := seen(t, tt.options)
			if got := run(t, "python3", "-c", script, address, "alice", password); got != "200 alice;200 alice;200 alicehello;" {
				t.Error(got)
			}
			if algorithm() != tt.python {
				t.Errorf("requests chose %q", algorithm())
			}
			if got := run(t, "python3", "-c", script, address, "alice", "guess"); got != "401 ;401 ;401 ;" {
				t.Errorf("a wrong password: %s", got)
			}
		})
	}
}

// A camera's page, for clients that speak Digest.
func ExampleNew() {
	sealer, err := digest.NewSealer("32 random bytes from the secrets") // not these
	if err != nil {
		fmt.Println(err)
		return
	}
	find, err := sealer.Users("cameras", map[string]string{"viewer": "correct horse battery staple"})
	if err != nil {
		fmt.Println(err)
		return
	}
	scheme, err := digest.New(digest.Options{Realm: "cameras", Sealer: sealer, Find: find})
	if err != nil {
		fmt.Println(err)
		return
	}
	camera := guard.Require(scheme)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		fmt.Fprint(w, "hello ", who.Subject)
	}))

	w := httptest.NewRecorder()
	camera.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	asked, _, _ := strings.Cut(w.Header().Get("WWW-Authenticate"), ", nonce=")
	fmt.Println(w.Code, asked)
	// Output: 401 Digest realm="cameras", qop="auth", algorithm=SHA-256
}

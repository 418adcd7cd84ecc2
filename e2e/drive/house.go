package drive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// House is a running `gatehouse dev`, as its dev.json describes it.
type House struct {
	Issuer string
	Inbox  string
	Demos  []struct{ Name, URL string }
	Users  []Person
	APIs   []struct {
		Audience    string
		Permissions []string
		URL         string
	}
	Clients []Client

	Folder   string `json:"-"` // where it keeps what it has: --data for other commands, and dev.json
	T        *testing.T
	managing string // the token of manage
}

type Person struct{ Email, Password string }

type Client struct {
	Name         string
	Type         string
	ThirdParty   bool     `json:"third_party"`
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"`
	RedirectURIs []string `json:"redirect_uris"`
	Audience     string
}

// OpenHouse starts a house in an empty folder. It is closed when the test ends.
func OpenHouse(t *testing.T) *House {
	t.Helper()
	binary, data := Gatehouse(t), t.TempDir()
	said := &bytes.Buffer{}
	cmd := exec.Command(binary, "dev", "--addr", "localhost:0", "--data", data)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = said, said, 10*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("gatehouse dev ended with %v", err)
			}
		case <-time.After(Patience):
			_ = cmd.Process.Kill()
			<-ended
			t.Error("gatehouse dev did not end when it was asked to")
		}
		if t.Failed() {
			t.Logf("gatehouse dev said:\n%s", said)
		}
	})
	h := &House{Folder: data, T: t}
	err := WaitFor(t.Context(), func() error {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("gatehouse dev did not start: %v", err)
		default:
		}
		raw, err := os.ReadFile(filepath.Join(data, "dev.json"))
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, h)
	})
	if err != nil {
		t.Fatalf("gatehouse dev did not start: %v", err)
	}
	return h
}

// Origin is the house's address without the slash.
func (h *House) Origin() string { return strings.TrimSuffix(h.Issuer, "/") }

// Demo returns the address of a Demo.
func (h *House) Demo(name string) string {
	h.T.Helper()
	for _, d := range h.Demos {
		if d.Name == name {
			return d.URL
		}
	}
	h.T.Fatalf("no demo %q, but %v", name, h.Demos)
	return ""
}

// API returns the address of the TV Shows API.
func (h *House) API() string {
	h.T.Helper()
	for _, a := range h.APIs {
		if a.URL != "" {
			return strings.TrimSuffix(a.URL, "/")
		}
	}
	h.T.Fatalf("no API says where it is: %v", h.APIs)
	return ""
}

// User returns a demo account.
func (h *House) User(name string) Person {
	h.T.Helper()
	i := slices.IndexFunc(h.Users, func(p Person) bool { return strings.HasPrefix(p.Email, name+"@") })
	if i < 0 {
		h.T.Fatalf("no user %s in %v", name, h.Users)
	}
	return h.Users[i]
}

// Client returns a demo Client.
func (h *House) Client(name string) Client {
	h.T.Helper()
	i := slices.IndexFunc(h.Clients, func(c Client) bool { return c.Name == name })
	if i < 0 {
		h.T.Fatalf("no client %s in %v", name, h.Clients)
	}
	return h.Clients[i]
}

// The people and clients of a house of development that the tests use.
const (
	Alice        = "alice" // may read shows
	Bob          = "bob"   // may not
	SPAClient    = "TV Shows SPA"
	WebClient    = "TV Shows Web"
	NobodyKnows  = "Popcorn Planner" // a third party's
	ManagerOfAll = "Management"
)

// Serve answers on a free port of localhost, and tells the house that this is where its demo clients
// are. It returns the origin.
func (h *House) Serve(handler http.Handler) string {
	h.T.Helper()
	server := httptest.NewServer(handler)
	h.T.Cleanup(server.Close)
	origin := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	for _, name := range []string{SPAClient, WebClient, NobodyKnows} {
		change := Object{"callbacks": []string{origin, origin + "/callback"}, "default_redirect_uri": origin, "allowed_logout_urls": []string{origin, origin + "/left"}}
		if name == SPAClient {
			change["web_origins"] = []string{origin}
		}
		if _, err := h.Manage(http.MethodPatch, "clients/"+h.Client(name).ClientID, change); err != nil {
			h.T.Fatal(err)
		}
	}
	return origin
}

// ServeAtHome answers on a port that the demo clients are registered for from the start, which the
// demo API knows, too: one of these, or of those of every demo client. Where all are taken, by another
// run of these tests say, it waits for one.
func ServeAtHome(t *testing.T, handler http.Handler, ports ...string) string {
	t.Helper()
	if len(ports) == 0 {
		ports = []string{"5173", "8000", "3000"}
	}
	var l net.Listener
	err := WaitFor(t.Context(), func() error {
		var busy []error
		for _, port := range ports {
			var err error
			if l, err = net.Listen("tcp4", "127.0.0.1:"+port); err == nil {
				return nil
			}
			busy = append(busy, err)
		}
		return errors.Join(busy...)
	})
	if err != nil {
		t.Fatalf("this test needs one of the ports %s: %v", strings.Join(ports, ", "), err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler, ReadHeaderTimeout: Patience}}
	s.Start()
	t.Cleanup(s.Close)
	return fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)
}

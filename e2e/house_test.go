package e2e

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

// house is a running `gatehouse dev`, as its dev.json describes it.
type house struct {
	Issuer string
	Inbox  string
	Demos  []struct{ Name, URL string }
	Users  []person
	APIs   []struct {
		Audience    string
		Permissions []string
		URL         string
	}
	Clients []client

	t        *testing.T
	managing string // the token of manage
}

type person struct{ Email, Password string }

type client struct {
	Name         string
	Type         string
	ThirdParty   bool     `json:"third_party"`
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"`
	RedirectURIs []string `json:"redirect_uris"`
	Audience     string
}

// openHouse starts a house in an empty folder. It is closed when the test ends.
func openHouse(t *testing.T) *house {
	t.Helper()
	binary, data := must[string](t)(shared.gatehouse()), t.TempDir()
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
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
			t.Error("gatehouse dev did not end when it was asked to")
		}
		if t.Failed() {
			t.Logf("gatehouse dev said:\n%s", said)
		}
	})
	h := &house{t: t}
	err := waitFor(t.Context(), func() error {
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

// origin is the house's address without the slash.
func (h *house) origin() string { return strings.TrimSuffix(h.Issuer, "/") }

// demo returns the address of a demo.
func (h *house) demo(name string) string {
	h.t.Helper()
	for _, d := range h.Demos {
		if d.Name == name {
			return d.URL
		}
	}
	h.t.Fatalf("no demo %q, but %v", name, h.Demos)
	return ""
}

// api returns the address of the TV Shows API.
func (h *house) api() string {
	h.t.Helper()
	for _, a := range h.APIs {
		if a.URL != "" {
			return strings.TrimSuffix(a.URL, "/")
		}
	}
	h.t.Fatalf("no API says where it is: %v", h.APIs)
	return ""
}

// user returns a demo account.
func (h *house) user(name string) person {
	h.t.Helper()
	i := slices.IndexFunc(h.Users, func(p person) bool { return strings.HasPrefix(p.Email, name+"@") })
	if i < 0 {
		h.t.Fatalf("no user %s in %v", name, h.Users)
	}
	return h.Users[i]
}

// client returns a demo client.
func (h *house) client(name string) client {
	h.t.Helper()
	i := slices.IndexFunc(h.Clients, func(c client) bool { return c.Name == name })
	if i < 0 {
		h.t.Fatalf("no client %s in %v", name, h.Clients)
	}
	return h.Clients[i]
}

// The people and clients of a house of development that the tests use.
const (
	alice        = "alice" // may read shows
	bob          = "bob"   // may not
	spaClient    = "TV Shows SPA"
	webClient    = "TV Shows Web"
	nobodyKnows  = "Popcorn Planner" // a third party's
	managerOfAll = "Management"
)

// serve answers on a free port of localhost, and tells the house that this is where its demo clients
// are. It returns the origin.
func (h *house) serve(handler http.Handler) string {
	h.t.Helper()
	server := httptest.NewServer(handler)
	h.t.Cleanup(server.Close)
	origin := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	for _, name := range []string{spaClient, webClient, nobodyKnows} {
		change := object{"callbacks": []string{origin, origin + "/callback"}, "default_redirect_uri": origin, "allowed_logout_urls": []string{origin, origin + "/left"}}
		if name == spaClient {
			change["web_origins"] = []string{origin}
		}
		if _, err := h.manage(http.MethodPatch, "clients/"+h.client(name).ClientID, change); err != nil {
			h.t.Fatal(err)
		}
	}
	return origin
}

// serveAtHome answers on a port that the demo clients are registered for from the start, which the
// demo API knows, too. Where all are taken, by another run of these tests say, it waits for one.
func serveAtHome(t *testing.T, handler http.Handler) string {
	t.Helper()
	var l net.Listener
	err := waitFor(t.Context(), func() error {
		var busy []error
		for _, port := range []string{"5173", "8000", "3000"} {
			var err error
			if l, err = net.Listen("tcp4", "127.0.0.1:"+port); err == nil {
				return nil
			}
			busy = append(busy, err)
		}
		return errors.Join(busy...)
	})
	if err != nil {
		t.Fatalf("this test needs one of the ports 5173, 8000 and 3000: %v", err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler, ReadHeaderTimeout: patience}}
	s.Start()
	t.Cleanup(s.Close)
	return fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)
}

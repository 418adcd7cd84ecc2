// Package native drives the examples without pages of their own: the command-line program, which signs
// a person in by a code or by the browser of the machine, and the service that signs in nobody.
package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

func TestMain(m *testing.M) { drive.Main(m) }

const (
	alice = "alice"
	// aShow is a title that the TV Shows API knows.
	aShow = "The Lamplighters of Ostrava Lane"
)

// build builds an example, which is a module of its own.
func build(t *testing.T, example string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), example)
	cmd := exec.Command("go", "build", "-o", binary, ".")
	cmd.Dir, cmd.Env = filepath.Join(drive.Root(), "examples", example), append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", example, err, out)
	}
	return binary
}

// terminal is where somebody has the command-line program.
type terminal struct {
	t      *testing.T
	binary string
	dev    string
	tokens string // the file where it keeps them
}

func openTerminal(t *testing.T, h *drive.House, binary string) terminal {
	return terminal{t, binary, filepath.Join(h.Folder, "dev.json"), filepath.Join(t.TempDir(), "shows", "tokens.json")}
}

// command is the program while it runs.
type command struct {
	t     *testing.T
	said  *screen
	ended chan error
}

// screen is what a program has written so far.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// start runs the program beside what the person does.
func (m terminal) start(args ...string) *command {
	m.t.Helper()
	c := &command{m.t, &screen{}, make(chan error, 1)}
	cmd := exec.CommandContext(m.t.Context(), m.binary, append([]string{"-dev", m.dev, "-tokens", m.tokens}, args...)...)
	cmd.Stdout, cmd.Stderr = c.said, c.said
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	go func() { c.ended <- cmd.Wait() }()
	return c
}

// run runs the program to its end, which is to be good, and returns what it said.
func (m terminal) run(args ...string) string {
	m.t.Helper()
	return m.start(args...).end(true)
}

// says waits until the program has written what matches, and returns the first group.
func (c *command) says(pattern string) string {
	c.t.Helper()
	var found []string
	err := drive.WaitFor(c.t.Context(), func() error {
		if found = regexp.MustCompile(pattern).FindStringSubmatch(c.said.String()); found == nil {
			return errors.New("it does not say so")
		}
		return nil
	})
	if err != nil {
		c.t.Fatalf("waiting for %s: %v. It says:\n%s", pattern, err, c.said)
	}
	return found[len(found)-1]
}

// end waits until the program has ended, well or not, and returns what it said.
func (c *command) end(well bool) string {
	c.t.Helper()
	select {
	case err := <-c.ended:
		if (err == nil) != well {
			c.t.Fatalf("it ended with %v, and says:\n%s", err, c.said)
		}
	case <-time.After(drive.Patience):
		c.t.Fatalf("it does not end. It says:\n%s", c.said)
	}
	return c.said.String()
}

func want(t *testing.T, said, words string) {
	t.Helper()
	if !strings.Contains(said, words) {
		t.Errorf("it does not say %q, but:\n%s", words, said)
	}
}

// kept is what the program keeps.
func (m terminal) kept() map[string]any {
	m.t.Helper()
	var token map[string]any
	raw := drive.Must[[]byte](m.t)(os.ReadFile(m.tokens))
	if err := json.Unmarshal(raw, &token); err != nil {
		m.t.Fatal(err)
	}
	return token
}

// age makes the access token one that is about to expire.
func (m terminal) age() {
	m.t.Helper()
	token := m.kept()
	token["expiry"] = "2026-01-01T00:00:00Z"
	m.keep(token)
}

func (m terminal) keep(token map[string]any) {
	m.t.Helper()
	if err := os.WriteFile(m.tokens, drive.Must[[]byte](m.t)(json.Marshal(token)), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// Somebody new types a code, a wrong one first, and is in; the device stays in when the browser is
// signed out, and until it says goodbye itself.
func TestDevice(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	m := openTerminal(t, h, build(t, "cli"))
	me := drive.NewProfile(t)
	shows := m.start("-device")
	code := shows.says(`code:\s+([B-Z]{4}-[B-Z]{4})`)
	b := me.Tab()
	b.Open(shows.says(`(http\S+/device)\s`))
	b.See("A device waits for you")
	b.Press("Create an account")
	me.SignUp(b, h, drive.Newcomer)

	b.See("Connect a device", drive.Newcomer.Email)
	b.Accessible("device code")
	b.Keep("device-code")
	b.Fill("Code on your device", "BCDF-GHJK")
	b.Press("Continue")
	b.See("No device shows this code")
	b.Fill("Code on your device", strings.ToLower(strings.ReplaceAll(code, "-", " ")))
	b.Press("Continue")
	b.See("Let this device in?", "TV Shows CLI", code, "where you are, too", "See the list of TV shows", "Keep this access while you are away", drive.Newcomer.Email)
	b.Accessible("device confirm")
	b.Keep("device-confirm")
	b.Press("I started this: let it in") // the browser itself asks for the tick first
	b.See("Let this device in?")
	b.Click("the tick", `document.getElementById("started")`)
	b.Press("I started this: let it in")
	b.See("Your device is connected")
	b.Accessible("device done")
	b.Keep("device-done")
	said := shows.end(true)
	want(t, said, "You are signed in.")
	want(t, said, aShow)
	if info, err := os.Stat(m.tokens); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the tokens are kept with mode %v, %v", info.Mode(), err)
	}

	// The code is used up; going back leads nowhere bad.
	b.Open(h.Origin() + "/device?user_code=" + code)
	b.Press("Continue")
	b.See("This code was used already")

	first := m.kept()
	want(t, m.run(), aShow)
	if m.kept()["access_token"] != first["access_token"] {
		t.Error("a good token was renewed")
	}
	m.age()
	want(t, m.run(), aShow)
	renewed := m.kept()
	if renewed["access_token"] == first["access_token"] || renewed["refresh_token"] == first["refresh_token"] {
		t.Error("an old token was not renewed")
	}

	b.Open(h.Origin() + "/u/sign-in")
	b.Press("Sign out")
	b.See("You are signed out")
	m.age()
	want(t, m.run(), aShow)

	last := m.kept()
	want(t, m.run("logout"), "You are signed out.")
	want(t, m.run("logout"), "Nobody was signed in.")
	m.keep(last)
	m.age()
	want(t, m.start().end(false), "you are signed out")
}

// Who did not start it turns the device away.
func TestDeviceTurnedAway(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	m := openTerminal(t, h, build(t, "cli"))
	me := drive.NewProfile(t)
	shows := m.start("-device", "login")
	code := shows.says(`code:\s+([B-Z]{4}-[B-Z]{4})`)
	b := me.Tab()
	b.Open(h.Origin() + "/device?user_code=" + code)
	me.SignIn(b, h.User(alice))
	b.See("Connect a device", "came with the link")
	b.Press("Continue")
	b.See("Let this device in?")
	b.Press("Turn it away")
	b.See("The device was turned away", "Never type a code that somebody else gave you")
	b.Accessible("device denied")
	b.Keep("device-denied")
	want(t, shows.end(false), "you said no")
	if _, err := os.Stat(m.tokens); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was kept: %v", err)
	}
}

// A link with the code and a session do not let a device in; nor does it take scripts to.
func TestThreat_DV02_TheLinkApprovesNothing(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	m := openTerminal(t, h, build(t, "cli"))
	me := drive.NewProfile(t)
	b := me.Tab(drive.WithoutJavaScript)
	b.Open(h.Origin() + "/u/sign-in")
	me.SignIn(b, h.User(alice))
	b.See("You are signed in")
	shows := m.start("-device")
	link := h.Origin() + "/device?user_code=" + shows.says(`code:\s+([B-Z]{4}-[B-Z]{4})`)
	for range 2 {
		b.Open(link)
		b.See("Connect a device", "came with the link")
	}
	b.Press("Continue")
	b.See("Let this device in?")
	// The box is in the page for the browser, and in the house for everybody.
	if b.Harmless(); strings.Contains(shows.said.String(), "signed in") {
		t.Fatal("the device is in")
	}
	b.Click("the tick", `document.getElementById("started")`)
	b.Press("I started this: let it in")
	b.See("Your device is connected")
	want(t, shows.end(true), aShow)
}

// The browser of the machine signs in, and its answer comes to a port that nobody registered. The house
// changes its keys, and nobody notices.
func TestLoopback(t *testing.T) {
	t.Parallel()
	h := openClockHouse(t)
	m := openTerminal(t, h.House, build(t, "cli"))
	me := drive.NewProfile(t)
	shows := m.start("-no-open")
	address := shows.says(`(http\S+/authorize\S+)`)
	callback := regexp.MustCompile(`redirect_uri=http%3A%2F%2F(127\.0\.0\.1)%3A(\d+)%2Fcallback`).FindStringSubmatch(address)
	if callback == nil {
		t.Fatalf("no redirect_uri on loopback: %s", address)
	}
	back := "http://" + callback[1] + ":" + callback[2] + "/callback"
	b := me.Tab()
	b.Open(back + "?code=stolen&state=guessed") // another page of this browser has a try
	b.See("This is not the answer to what was asked.")
	b.Open(address)
	me.SignIn(b, h.User(alice))
	b.At(back)
	b.See("You are signed in", "Close this tab")
	b.Keep("loopback-done")
	want(t, shows.end(true), aShow)
	h.RotateKeys(proof.Times(2, 25), func() error {
		m.age()
		want(t, m.run(), aShow)
		// A second time, the person is known, and asked whether it is this program that they let in.
		again := m.start("-no-open", "login")
		b.Open(again.says(`(http\S+/authorize\S+)`))
		b.See("You are signed in", h.User(alice).Email)
		b.Press("Continue to TV Shows CLI")
		b.See("You are signed in", "Close this tab")
		want(t, again.end(true), "You are signed in.")
		want(t, m.run(), aShow)
		return nil
	})
	want(t, m.run("logout"), "You are signed out.")
}

// A service asks for one token and uses it again and again, and for another when it starts anew, while
// the house changes its keys.
func TestMachine(t *testing.T) {
	t.Parallel()
	h := openClockHouse(t)
	binary := build(t, "machine")
	calls := func(times string) ([]string, error) {
		cmd := exec.CommandContext(t.Context(), binary, "-dev", filepath.Join(h.Folder, "dev.json"), "-every", "1100ms", "-times", times)
		out, err := cmd.CombinedOutput()
		return strings.Split(strings.TrimSpace(string(out)), "\n"), err
	}
	lines, err := calls("3")
	if err != nil || len(lines) != 3 || !strings.Contains(lines[0], "shows, with the token") || lines[0] != lines[1] || lines[1] != lines[2] {
		t.Errorf("%v:\n%s", err, lines)
	}
	h.RotateKeys(proof.Times(2, 25), func() error {
		said, err := calls("1")
		if err != nil {
			return fmt.Errorf("%w:\n%s", err, said)
		}
		return nil
	})
}

// openClockHouse opens a house whose clock is the machine's, until keys change.
func openClockHouse(t *testing.T) *drive.ClockHouse {
	t.Helper()
	clock := drive.NewClock(t, 0)
	clock.Run()
	return drive.OpenHouseBy(t, clock)
}

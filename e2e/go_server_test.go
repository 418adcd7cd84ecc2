package e2e

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// startNotebook builds examples/go-server as its module does and runs it in an empty folder. It
// returns the origin.
func startNotebook(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "go-server")
	build := exec.Command("go", "build", "-o", binary, "./examples/go-server")
	build.Dir, build.Env = root(), append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building go-server: %v\n%s", err, out)
	}
	address := freeAddress(t)
	origin := "http://" + address
	var said bytes.Buffer
	run := exec.Command(binary, "-addr", address, "-url", origin, "-data", filepath.Join(dir, "data"))
	run.Stdout, run.Stderr = &said, &said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGTERM)
		if err := run.Wait(); err != nil || t.Failed() {
			t.Errorf("go-server ended with %v and said:\n%s", err, &said)
		}
	})
	client := &http.Client{}
	if err := waitFor(t.Context(), func() error {
		res, err := client.Get(origin)
		if err == nil {
			res.Body.Close()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return origin
}

// The example with users of its own, in two browsers. One of them runs no scripts: nothing needs one.
func TestNotebook(t *testing.T) {
	t.Parallel()
	origin := startNotebook(t)
	b := newProfile(t).tab()

	b.open(origin + "/login")
	b.accessible("notebook sign-in")
	b.open(origin)
	b.accessible("notebook welcome")
	b.press("Open a notebook")
	b.fill("Name", "Ada")
	b.fill("Password", "correct horse battery")
	b.accessible("notebook sign-up")
	b.press("Open it")
	b.see("Welcome to your notebook, ada.", "The first page is empty.")
	b.fill("A new note", "brass gears,\n40 teeth")
	b.press("Write it down")
	b.see("brass gears", "Delete")
	b.lacks("Welcome to your notebook")
	b.accessible("notebook notes")

	// A second browser is listed, and ended from the first one. Its tab is out at its next click.
	other := newProfile(t).tab(withoutJavaScript)
	other.open(origin + "/account")
	other.at(origin + "/login?returnTo=%2Faccount")
	other.fill("Name", "ada")
	other.fill("Password", "wrong horse battery")
	other.press("Sign in")
	other.see("Name or password is wrong.")
	other.fill("Password", "correct horse battery")
	other.click("the box", `document.querySelector("[name=remember]")`)
	other.press("Sign in")
	other.at(origin + "/account")
	other.see("Chrome on Linux", "remembered")
	b.press("Account")
	b.see("remembered", "this browser")
	b.accessible("notebook account")
	b.press("Sign out everywhere else")
	b.see("One other browser is signed out.")
	other.press("Notes")
	other.see("A notebook of your own")

	// A key is shown once, and works until it is revoked.
	b.press("API keys")
	b.press("New key")
	b.fill("What is it for?", "The e-reader")
	b.press("Make the key")
	b.see("Copy it now.")
	b.accessible("notebook key")
	key := script[string](b, `document.querySelector(".secret").innerText.trim()`)
	notes := func(want int) {
		t.Helper()
		r := must[*http.Request](t)(http.NewRequest(http.MethodGet, origin+"/api/notes", nil))
		r.Header.Set("X-API-Key", key)
		res := must[*http.Response](t)((&http.Client{}).Do(r))
		defer res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("/api/notes: %s, want %d", res.Status, want)
		}
	}
	notes(http.StatusOK)
	b.press("I have it")
	b.see("The e-reader")
	b.lacks(key)
	b.accessible("notebook keys")
	b.press("Revoke")
	b.see("works no more")
	notes(http.StatusUnauthorized)

	b.press("People")
	b.see("ada", "admin")
	b.accessible("notebook people")

	// Where the password is asked for again, and on to what it was asked for.
	b.open(origin + "/login?max_age=300&returnTo=/account/delete")
	b.see("Is it you?")
	b.accessible("notebook confirm")
	b.fill("Password", "correct horse battery")
	b.press("Go on")
	b.at(origin + "/account/delete")
	b.accessible("notebook delete")
	b.press("Delete everything")
	b.see("Your account is deleted", "A notebook of your own")
	b.harmless()
}

// A page of another origin sends a form to the notebook. To the browser a port makes no other site, so
// the cookies come along.
func TestNotebookRefusesForeignForms(t *testing.T) {
	t.Parallel()
	origin := startNotebook(t)
	me := newProfile(t)
	b := me.tab()
	b.open(origin + "/signup")
	b.fill("Name", "ada")
	b.fill("Password", "correct horse battery")
	b.press("Open it")
	b.see("Welcome")

	foreign := serveForm(t, origin+"/notes")
	evil := me.tab()
	evil.open(foreign)
	evil.press("Win a prize")
	evil.at(origin + "/notes")
	evil.see("Nothing was changed")
	b.reload()
	b.see("The first page is empty.")
}

// serveForm is a page with a form that is sent to target.
func serveForm(t *testing.T, target string) string {
	t.Helper()
	address := freeAddress(t)
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<form method="post" action="` + target + `"><input type="hidden" name="text" value="forged"><button>Win a prize</button></form>`))
	})}
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + address
}

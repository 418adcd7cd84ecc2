package e2e

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// startNotebook builds examples/go-server as its module does and runs it in an empty folder. It
// returns the origin.
func startNotebook(t *testing.T) string {
	t.Helper()
	address := drive.FreeAddress(t)
	origin := "http://" + address
	p := drive.Start(t, origin, exec.Command(drive.Build(t, "./examples/go-server"), "-addr", address, "-url", origin, "-data", filepath.Join(t.TempDir(), "data")))
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("go-server ended with %v", err)
		}
	})
	return origin
}

// The example with users of its own, in two browsers. One of them runs no scripts: nothing needs one.
func TestNotebook(t *testing.T) {
	t.Parallel()
	origin := startNotebook(t)
	b := drive.NewProfile(t).Tab()

	b.Open(origin + "/login")
	b.Accessible("notebook sign-in")
	b.Open(origin)
	b.Accessible("notebook welcome")
	b.Press("Open a notebook")
	b.Fill("Name", "Ada")
	b.Fill("Password", "correct horse battery")
	b.Accessible("notebook sign-up")
	b.Press("Open it")
	b.See("Welcome to your notebook, ada.", "The first page is empty.")
	b.Fill("A new note", "brass gears,\n40 teeth")
	b.Press("Write it down")
	b.See("brass gears", "Delete")
	b.Lacks("Welcome to your notebook")
	b.Accessible("notebook notes")

	// A second browser is listed, and ended from the first one. Its tab is out at its next click.
	other := drive.NewProfile(t).Tab(drive.WithoutJavaScript)
	other.Open(origin + "/account")
	other.At(origin + "/login?returnTo=%2Faccount")
	other.Fill("Name", "ada")
	other.Fill("Password", "wrong horse battery")
	other.Press("Sign in")
	other.See("Name or password is wrong.")
	other.Fill("Password", "correct horse battery")
	other.Click("the box", `document.querySelector("[name=remember]")`)
	other.Press("Sign in")
	other.At(origin + "/account")
	other.See("Chrome on Linux", "remembered")
	b.Press("Account")
	b.See("remembered", "this browser")
	b.Accessible("notebook account")
	b.Press("Sign out everywhere else")
	b.See("One other browser is signed out.")
	other.Press("Notes")
	other.See("A notebook of your own")

	// A key is shown once, and works until it is revoked.
	b.Press("API keys")
	b.Press("New key")
	b.Fill("What is it for?", "The e-reader")
	b.Press("Make the key")
	b.See("Copy it now.")
	b.Accessible("notebook key")
	key := drive.Script[string](b, `document.querySelector(".secret").innerText.trim()`)
	notes := func(want int) {
		t.Helper()
		r := drive.Must[*http.Request](t)(http.NewRequest(http.MethodGet, origin+"/api/notes", nil))
		r.Header.Set("X-API-Key", key)
		res := drive.Must[*http.Response](t)((&http.Client{}).Do(r))
		defer res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("/api/notes: %s, want %d", res.Status, want)
		}
	}
	notes(http.StatusOK)
	b.Press("I have it")
	b.See("The e-reader")
	b.Lacks(key)
	b.Accessible("notebook keys")
	b.Press("Revoke")
	b.See("works no more")
	notes(http.StatusUnauthorized)

	b.Press("People")
	b.See("ada", "admin")
	b.Accessible("notebook people")

	// Where the password is asked for again, and on to what it was asked for.
	b.Open(origin + "/login?max_age=300&returnTo=/account/delete")
	b.See("Is it you?")
	b.Accessible("notebook confirm")
	b.Fill("Password", "correct horse battery")
	b.Press("Go on")
	b.At(origin + "/account/delete")
	b.Accessible("notebook delete")
	b.Press("Delete everything")
	b.See("Your account is deleted", "A notebook of your own")
	b.Harmless()
}

// A page of another origin sends a form to the notebook. To the browser a port makes no other site, so
// the cookies come along.
func TestNotebookRefusesForeignForms(t *testing.T) {
	t.Parallel()
	origin := startNotebook(t)
	me := drive.NewProfile(t)
	b := me.Tab()
	b.Open(origin + "/signup")
	b.Fill("Name", "ada")
	b.Fill("Password", "correct horse battery")
	b.Press("Open it")
	b.See("Welcome")

	foreign := serveForm(t, origin+"/notes")
	evil := me.Tab()
	evil.Open(foreign)
	evil.Press("Win a prize")
	evil.At(origin + "/notes")
	evil.See("Nothing was changed")
	b.Reload()
	b.See("The first page is empty.")
}

// serveForm is a page with a form that is sent to target.
func serveForm(t *testing.T, target string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<form method="post" action="` + target + `"><input type="hidden" name="text" value="forged"><button>Win a prize</button></form>`))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

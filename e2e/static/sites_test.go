package static

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// site is a static site of the examples.
type site struct {
	name   string
	folder string
	script string // of its package.json, which bundles it
	ways   []way
	built  func() (string, error)
}

// way is a way in which a site renews its tokens.
type way struct {
	choice string
	asks   string // the path at the house that the tab is seen to ask for; a worker asks out of its sight
	// reopens: a reload, or another tab, finds the person signed in. A refresh token in memory is gone
	// with its page.
	reopens bool
	// stays: what another tab finds when the first signed out, and it reloads.
}

// The ways of the SDKs of Auth0.
func auth0Ways() []way {
	return []way{
		{"hidden iframe", "/authorize", true},
		{"refresh token, in memory", "", false},
		{"refresh token, in localStorage", "/oauth/token", true},
	}
}

func sites() []*site {
	v1 := auth0Ways()
	v1[1].reopens = true // version 1 falls back to the iframe
	oidc := auth0Ways()
	oidc[1] = way{"refresh token, in memory", "/oauth/token", true} // the example asks in an iframe when it starts
	return []*site{
		{name: "react", folder: "static-react", script: "bundle", ways: auth0Ways()},
		{name: "spa-js 2", folder: "static-spa-js", script: "bundle", ways: auth0Ways()},
		{name: "spa-js 1", folder: "static-spa-js", script: "bundle:1", ways: v1},
		{name: "oidc-client-ts", folder: "static-oidc-client-ts", script: "bundle", ways: oidc},
	}
}

var bundles sync.Map // folder and script: func() (string, error)

// bundle makes what is to be served of an example, once.
func (s *site) bundle() (string, error) {
	made, _ := bundles.LoadOrStore(s.folder+s.script, sync.OnceValues(func() (string, error) {
		npm, err := exec.LookPath("npm")
		if err != nil {
			return "", fmt.Errorf("npm is not installed; run: scripts/prerequisites (Debian: apt-get install npm)")
		}
		example, out := filepath.Join(drive.Root(), "examples", s.folder), filepath.Join(drive.Dir(), s.folder+"-"+path.Base(s.script))
		if err := os.MkdirAll(out, 0o700); err != nil {
			return "", err
		}
		page, err := os.ReadFile(filepath.Join(example, "public", "index.html"))
		if err == nil {
			err = os.WriteFile(filepath.Join(out, "index.html"), page, 0o600)
		}
		if err != nil {
			return "", err
		}
		cmd := exec.Command(npm, "run", "--silent", s.script, "--", "--minify", "--outdir="+out)
		cmd.Dir = example
		if said, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", s.folder, err, said)
		}
		return out, nil
	}))
	return made.(func() (string, error))()
}

// serve serves the site for one house, as any web server for static files does: a path that is no file
// is the application's own.
func (s *site) serve(t *testing.T, h *drive.House) string {
	t.Helper()
	dir := drive.Must[string](t)(s.bundle())
	return drive.ServeAtHome(t, s.handler(dir, h), "5173", "5174", "5175", "5176", "5177", "8000", "3000")
}

func (s *site) handler(dir string, h *drive.House) http.Handler {
	spa := h.Client(drive.SPAClient)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/config.json" {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]string{"domain": h.Origin(), "clientId": spa.ClientID, "audience": spa.Audience, "apiUrl": h.API()})
			return
		}
		name := filepath.Join(dir, filepath.FromSlash(path.Clean("/"+r.URL.Path)))
		if info, err := os.Stat(name); err != nil || info.IsDir() {
			name = filepath.Join(dir, "index.html")
		}
		page, err := os.ReadFile(name)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", map[string]string{".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css"}[filepath.Ext(name)])
		_, _ = w.Write(page)
	})
}

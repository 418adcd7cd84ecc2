package static

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// site is a static site of the examples.
type site struct {
	name   string
	folder string
	script string // of its package.json, which bundles it
	ways   []way
	// callback is the path, without its first slash, at which the house's answers arrive.
	callback string
}

// way is a way in which a site renews its tokens.
type way struct {
	choice string
	asks   string // the path at the house that the tab is seen to ask for; a worker asks out of its sight
	// reopens: another tab finds the person signed in. A refresh token in memory is its page's alone.
	reopens bool
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
		{name: "oidc-client-ts", folder: "static-oidc-client-ts", script: "bundle", ways: oidc, callback: "callback"},
	}
}

// bundle makes what is to be served of an example: a second's work.
func (s *site) bundle(t *testing.T) string {
	t.Helper()
	example, out := filepath.Join(drive.Root(), "examples", s.folder), t.TempDir()
	page := drive.Must[[]byte](t)(os.ReadFile(filepath.Join(example, "public", "index.html")))
	if err := os.WriteFile(filepath.Join(out, "index.html"), page, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("npm", "run", "--silent", s.script, "--", "--minify", "--outdir="+out)
	cmd.Dir = example
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("bundling %s: %v (is everything installed? run: scripts/prerequisites)\n%s", s.folder, err, said)
	}
	return out
}

// serve serves the site for one house, as any web server for static files does: a path that is no file
// is the application's own.
func (s *site) serve(t *testing.T, h *drive.House) string {
	t.Helper()
	dir, spa := s.bundle(t), h.Client(drive.SPAClient)
	return drive.ServeAtHome(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	}), "5173", "5174", "5175", "5176", "5177", "8000", "3000")
}

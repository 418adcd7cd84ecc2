package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// buildReact bundles the example and returns the folder of what is to be served.
func buildReact(t *testing.T) string {
	t.Helper()
	example, out := filepath.Join(drive.Root(), "examples", "static-react"), t.TempDir()
	if err := os.CopyFS(out, os.DirFS(filepath.Join(example, "public"))); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("npm", "run", "--silent", "bundle", "--", "--minify", "--outdir="+out)
	cmd.Dir = example
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building static-react: %v (is everything installed? run: scripts/prerequisites)\n%s", err, said)
	}
	return out
}

// serveReact serves the bundled example for one house, as any web server for static files does: a
// path that is no file is the application's own.
func serveReact(t *testing.T, h *drive.House) string {
	t.Helper()
	dir := buildReact(t)
	spa := h.Client(drive.SPAClient)
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
	}))
}

// Each way in which the SDK renews its tokens, and what it asks the house for then.
func renewals() []renewal {
	return []renewal{
		{"hidden iframe", "/authorize", true},
		{"refresh token, in memory", "", false}, // a worker asks, out of the tab's sight
		{"refresh token, in localStorage", "/oauth/token", true},
	}
}

type renewal struct {
	choice string
	asks   string // the path at the house that the tab is seen to ask for
	// kept: a reload finds the person signed in. A refresh token in memory is gone with the page, and
	// the SDK does not fall back to the iframe by itself.
	kept bool
}

// The unmodified @auth0/auth0-react signs a person in, renews, calls the API and signs out.
func TestStaticReact(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	home := serveReact(t, h) + "/"
	for _, way := range renewals() {
		t.Run(way.choice, func(t *testing.T) {
			me := drive.NewProfile(t)
			b := me.Tab()
			b.Open(home)
			b.See("You are signed out")
			if way.choice != "hidden iframe" {
				b.Choose("New access tokens come by", way.choice)
				b.Wait("the choice is kept", func() bool { return b.Query("renewal") != "" })
			}
			b.Press("Sign in")
			me.SignIn(b, h.User(drive.Alice))
			b.At(home)
			b.See("Hello, Alice Archer")

			b.Press("Load the shows")
			b.See(aShow, "read:shows")
			b.Accessible("static-react")
			tokenID := func() string { return drive.Script[string](b, `document.getElementById("token-id")?.innerText ?? ""`) }
			first, asked := tokenID(), len(b.Requested())
			b.Press("Load the shows")
			b.See(aShow)
			if again := tokenID(); again != first {
				t.Errorf("the SDK did not use the token it had: %s, then %s", first, again)
			}
			b.Press("Renew the token")
			b.Wait("there is another token", func() bool { id := tokenID(); return id != "" && id != first })
			if paths := pathsOf(b.Requested()[asked:], h); way.asks != "" && !slices.Contains(paths, way.asks) || slices.Contains(paths, "/authorize") != (way.asks == "/authorize") {
				t.Errorf("renewal by %s asked the house for %q", way.choice, paths)
			}
			b.Press("Load the shows")
			b.See(aShow)

			b.Press("Profile")
			b.See("Your profile", h.User(drive.Alice).Email)
			b.Reload()
			if !way.kept {
				b.At(home) // the protected page went by the house, which knew drive.Alice, and back
			}
			b.See("Your profile", h.User(drive.Alice).Email)

			b.Press("Sign out")
			b.At(home)
			b.See("You are signed out")
			b.Reload()
			b.See("You are signed out")
			b.Press("Profile")
			b.At(h.Issuer) // who is signed out is sent to sign in, and asked
			b.See("E-mail address", "Password")
		})
	}
}

// What was kept when the session ended elsewhere is worth nothing.
func TestStaticReactFindsItselfSignedOut(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	home := serveReact(t, h) + "/"
	for _, way := range renewals() {
		t.Run(way.choice, func(t *testing.T) {
			me := drive.NewProfile(t)
			b := me.Tab()
			b.Open(home)
			if way.choice != "hidden iframe" {
				b.Choose("New access tokens come by", way.choice)
				b.Wait("the choice is kept", func() bool { return b.Query("renewal") != "" })
			}
			b.Press("Sign in")
			me.SignIn(b, h.User(drive.Alice))
			b.See("Hello, Alice Archer")

			other := me.Tab()
			other.Open(h.Demo("Server-rendered"))
			other.Press("Sign in")
			other.See("Alice Archer")
			other.Press("Sign out")
			other.See(empty)

			b.Press("Renew the token")
			b.Wait("the SDK is refused", func() bool {
				text := b.Text()
				return strings.Contains(text, "invalid_grant") || strings.Contains(text, "login_required") || strings.Contains(text, "You are signed out")
			})
			b.Lacks("Good until")
		})
	}
}

// pathsOf returns the paths of what was asked of the house.
func pathsOf(addresses []string, h *drive.House) []string {
	var out []string
	for _, address := range addresses {
		if u, err := url.Parse(address); err == nil && strings.HasPrefix(address, h.Issuer) {
			out = append(out, u.Path)
		}
	}
	return out
}

package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// serveReact serves the bundled example for one house, as any web server for static files does: a
// path that is no file is the application's own.
func serveReact(t *testing.T, h *house) string {
	t.Helper()
	dir := must[string](t)(shared.react())
	spa := h.client(spaClient)
	return serveAtHome(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/config.json" {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]string{"domain": h.origin(), "clientId": spa.ClientID, "audience": spa.Audience, "apiUrl": h.api()})
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
	h := openHouse(t)
	home := serveReact(t, h) + "/"
	for _, way := range renewals() {
		t.Run(way.choice, func(t *testing.T) {
			me := newProfile(t)
			b := me.tab()
			b.open(home)
			b.see("You are signed out")
			if way.choice != "hidden iframe" {
				b.choose("New access tokens come by", way.choice)
				b.wait("the choice is kept", func() bool { return b.query("renewal") != "" })
			}
			b.press("Sign in")
			me.signIn(b, h.user(alice))
			b.at(home)
			b.see("Hello, Alice Archer")

			b.press("Load the shows")
			b.see(aShow, "read:shows")
			b.accessible("static-react")
			tokenID := func() string { return script[string](b, `document.getElementById("token-id")?.innerText ?? ""`) }
			first, asked := tokenID(), len(b.requested())
			b.press("Load the shows")
			b.see(aShow)
			if again := tokenID(); again != first {
				t.Errorf("the SDK did not use the token it had: %s, then %s", first, again)
			}
			b.press("Renew the token")
			b.wait("there is another token", func() bool { id := tokenID(); return id != "" && id != first })
			if paths := pathsOf(b.requested()[asked:], h); way.asks != "" && !slices.Contains(paths, way.asks) || slices.Contains(paths, "/authorize") != (way.asks == "/authorize") {
				t.Errorf("renewal by %s asked the house for %q", way.choice, paths)
			}
			b.press("Load the shows")
			b.see(aShow)

			b.press("Profile")
			b.see("Your profile", h.user(alice).Email)
			b.reload()
			if !way.kept {
				b.at(home) // the protected page went by the house, which knew Alice, and back
			}
			b.see("Your profile", h.user(alice).Email)

			b.press("Sign out")
			b.at(home)
			b.see("You are signed out")
			b.reload()
			b.see("You are signed out")
			b.press("Profile")
			b.at(h.Issuer) // who is signed out is sent to sign in, and asked
			b.see("E-mail address", "Password")
		})
	}
}

// What was kept when the session ended elsewhere is worth nothing.
func TestStaticReactFindsItselfSignedOut(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	home := serveReact(t, h) + "/"
	for _, way := range renewals() {
		t.Run(way.choice, func(t *testing.T) {
			me := newProfile(t)
			b := me.tab()
			b.open(home)
			if way.choice != "hidden iframe" {
				b.choose("New access tokens come by", way.choice)
				b.wait("the choice is kept", func() bool { return b.query("renewal") != "" })
			}
			b.press("Sign in")
			me.signIn(b, h.user(alice))
			b.see("Hello, Alice Archer")

			other := me.tab()
			other.open(h.demo("Server-rendered"))
			other.press("Sign in")
			other.see("Alice Archer")
			other.press("Sign out")
			other.see(empty)

			b.press("Renew the token")
			b.wait("the SDK is refused", func() bool {
				text := b.text()
				return strings.Contains(text, "invalid_grant") || strings.Contains(text, "login_required") || strings.Contains(text, "You are signed out")
			})
			b.lacks("Good until")
		})
	}
}

// pathsOf returns the paths of what was asked of the house.
func pathsOf(addresses []string, h *house) []string {
	var out []string
	for _, address := range addresses {
		if u, err := url.Parse(address); err == nil && strings.HasPrefix(address, h.Issuer) {
			out = append(out, u.Path)
		}
	}
	return out
}

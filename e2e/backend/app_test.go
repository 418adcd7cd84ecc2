package backend

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// example is a folder of examples, and the client of the same name.
type example struct {
	name      string
	callbacks []string // paths of its redirect URIs
	cookies   string   // what the names of the session's cookies begin with
	// margin is how many seconds before a token expires the SDK has it renewed.
	margin int
	// asks is what to press on the SDK's own page, where that comes before the house.
	asks string
	// again is a function that signs in, whoever is signed in already, and goes to a path.
	again string
	build func() (string, error) // returns the folder
}

// Each is built once, by the first test that needs it.
var (
	nextjsAuth0V4 = example{name: "nextjs-auth0-v4", callbacks: []string{"/auth/callback"}, cookies: "nextjs_auth0_v4", again: `(path) => location = "/auth/login?returnTo=" + encodeURIComponent(path)`, build: builder("nextjs-auth0-v4")}
	nextjsAuth0V3 = example{name: "nextjs-auth0-v3", callbacks: []string{"/api/auth/callback"}, cookies: "nextjs_auth0_v3", margin: 60, again: `(path) => location = "/api/auth/login?returnTo=" + encodeURIComponent(path)`, build: builder("nextjs-auth0-v3")}
	nextjsAuth0V2 = example{name: "nextjs-auth0-v2", callbacks: []string{"/api/auth/callback"}, cookies: "nextjs_auth0_v2", margin: 60, again: `(path) => location = "/api/auth/login?returnTo=" + encodeURIComponent(path)`, build: builder("nextjs-auth0-v2")}
	nextAuthV4    = example{name: "next-auth-v4", callbacks: callbacksOfNextAuth, cookies: "next-auth.session-token", asks: "Sign in with Auth0", again: postOfNextAuth, build: builder("next-auth-v4")}
	nextAuthV5    = example{name: "next-auth-v5", callbacks: callbacksOfNextAuth, cookies: "authjs.session-token", asks: "Sign in with Auth0", again: postOfNextAuth, build: builder("next-auth-v5")}

	callbacksOfNextAuth = []string{"/api/auth/callback/auth0", "/api/auth/callback/gatehouse"}
)

const postOfNextAuth = `(path) => fetch("/api/auth/csrf").then((answer) => answer.json()).then(({ csrfToken }) => {
	const form = document.createElement("form");
	form.method = "post";
	form.action = "/api/auth/signin/auth0";
	for (const [name, value] of Object.entries({ csrfToken, callbackUrl: location.origin + path })) {
		const field = document.createElement("input");
		field.name = name;
		field.value = value;
		form.append(field);
	}
	document.body.append(form);
	form.submit();
})`

func examples() []example {
	return []example{nextjsAuth0V4, nextjsAuth0V3, nextjsAuth0V2, nextAuthV4, nextAuthV5}
}

// app is an example that runs, for one house.
type app struct {
	example
	t      *testing.T
	h      *drive.House
	origin string
}

// start starts an example on a free port and tells the house where it is. More environment may follow.
func start(t *testing.T, h *drive.House, e example, api string, more ...string) *app {
	t.Helper()
	dir := drive.Must[string](t)(e.build())
	address := drive.FreeAddress(t)
	_, port, _ := strings.Cut(address, ":")
	a := &app{example: e, t: t, h: h, origin: "http://localhost:" + port}
	client := h.Client(e.name)
	var callbacks []string
	for _, path := range e.callbacks {
		callbacks = append(callbacks, a.origin+path)
	}
	a.setClient(drive.Object{"callbacks": callbacks, "default_redirect_uri": callbacks[0], "allowed_logout_urls": []string{a.origin}})

	next := drive.Must[string](t)(drive.NPMPackage("next"))
	cmd := exec.Command("node", filepath.Join(next, "dist", "bin", "next"), "start", "-H", "localhost", "-p", port)
	cmd.Dir, cmd.Env = dir, slices.Concat(os.Environ(), []string{
		"NEXT_TELEMETRY_DISABLED=1",
		// As `node ../dev-config.js --env` says it.
		"GATEHOUSE_DOMAIN=" + h.Origin(),
		"GATEHOUSE_CLIENT_ID=" + client.ClientID, "GATEHOUSE_CLIENT_SECRET=" + client.ClientSecret,
		"GATEHOUSE_AUDIENCE=" + client.Audience, "GATEHOUSE_API_URL=" + api,
		// Thirty-two bytes, in hexadecimal digits.
		"GATEHOUSE_COOKIE_SECRET=" + strings.Repeat("5e", 32),
		// Each SDK calls its own address by another name.
		"APP_BASE_URL=" + a.origin, "AUTH0_BASE_URL=" + a.origin, "NEXTAUTH_URL=" + a.origin, "AUTH_URL=" + a.origin,
	}, more)
	drive.Start(t, a.origin, cmd)
	return a
}

// setClient changes the example's client at the house.
func (a *app) setClient(change drive.Object) {
	a.t.Helper()
	if _, err := a.h.Manage(http.MethodPatch, "clients/"+a.h.Client(a.name).ClientID, change); err != nil {
		a.t.Fatal(err)
	}
}

// setTokenLifetime says how long new access tokens are good, in seconds.
func (a *app) setTokenLifetime(seconds int) {
	a.t.Helper()
	h := &drive.House{Issuer: a.h.Issuer, Clients: a.h.Clients, T: a.t} // without the token of an hour ago, by a clock that moved
	list, err := h.Manage(http.MethodGet, "resource-servers?include_totals=true&identifier="+url.QueryEscape(a.h.Client(a.name).Audience), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	api := list["resource_servers"].([]any)[0].(map[string]any)
	if _, err := h.Manage(http.MethodPatch, fmt.Sprint("resource-servers/", api["id"]), drive.Object{"token_lifetime": seconds}); err != nil {
		a.t.Fatal(err)
	}
}

// demand opens a page that is not for strangers and goes on to the house, which asks who is there.
func (a *app) demand(b *drive.Tab, path string) {
	a.t.Helper()
	b.Open(a.origin + path)
	if a.asks != "" {
		b.Press(a.asks)
	}
	b.At(a.h.Issuer)
	b.See("E-mail address", "Password")
}

// builder builds an example in a folder of the tests' own, where Next.js may leave its files.
func builder(name string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		dir, err := sources()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(dir, name)
		if _, err := os.Stat(filepath.Join(dir, ".next", "BUILD_ID")); err == nil {
			return dir, nil
		}
		if _, err := drive.NPMPackage("next"); err != nil {
			return "", err
		}
		cmd := exec.Command("npm", "run", "--silent", "build")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "NEXT_TELEMETRY_DISABLED=1")
		if said, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", name, err, said)
		}
		return dir, nil
	})
}

// sources copies what the examples are made of, and links their packages. With E2E_BUILDS, a folder, what
// was built from the same sources is kept there for the next run.
var sources = sync.OnceValues(func() (string, error) {
	from := filepath.Join(drive.Root(), "examples")
	files, hash := map[string][]byte{}, sha256.New()
	var links []string
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		top, _, below := strings.Cut(name, string(filepath.Separator))
		switch {
		case err != nil:
			return err
		case entry.Name() == "node_modules":
			links = append(links, name)
			if !entry.IsDir() {
				return nil // a link already
			}
			return filepath.SkipDir
		case entry.IsDir() && name != "." && top != "shared" && !strings.HasPrefix(top, "next"), entry.Name() == ".next":
			return filepath.SkipDir
		case entry.IsDir(), entry.Name() == ".env.local", filepath.Ext(name) == ".md", !below && name != "style.css":
			return nil
		}
		raw, err := os.ReadFile(path)
		files[name] = raw
		fmt.Fprintf(hash, "%s %d\n%s", name, len(raw), raw)
		return err
	})
	if err != nil {
		return "", err
	}
	to := filepath.Join(cmp.Or(os.Getenv("E2E_BUILDS"), drive.Dir()), fmt.Sprintf("examples-%.8x", hash.Sum(nil)))
	if _, err := os.Stat(to); err == nil {
		return to, nil
	}
	making, err := os.MkdirTemp(filepath.Dir(to), "making-")
	for name, raw := range files {
		target := filepath.Join(making, name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(target), 0o700), os.WriteFile(target, raw, 0o600))
	}
	for _, name := range links {
		if err == nil && (name == "node_modules" || files[filepath.Join(filepath.Dir(name), "package.json")] != nil) {
			err = os.Symlink(filepath.Join(from, name), filepath.Join(making, name))
		}
	}
	return to, errors.Join(err, os.Rename(making, to)) // what is there is whole
})

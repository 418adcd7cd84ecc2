package guide

import (
	"cmp"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

func TestMain(m *testing.M) { drive.Main(m) }

// printed is an application made of nothing but what is printed, and the page its framework starts with.
type printed struct {
	building, sdk string
	// page is index.html of a page that the browser makes by itself; empty for a server.
	page string
	// greets is what it says to Alice, and stranger what it says to nobody.
	greets, stranger string
	leave            func(b *drive.Tab, origin string)
}

func printedOnes() []printed {
	const anyPage = `<!doctype html><title>Mine</title><link rel="icon" href="data:,"><body><script type="module" src="/main.js"></script>`
	press := func(b *drive.Tab, _ string) { b.Press("Sign out") }
	return []printed{
		{"spa", "auth0-react", strings.Replace(anyPage, "<script", `<div id="root"></div><script`, 1), "Hello Alice Archer", "Sign in", press},
		{"spa", "auth0-spa-js", anyPage, "Hello Alice Archer", "You are signed out", press},
		{"spa", "auth0-spa-js-v1", anyPage, "Hello Alice Archer", "You are signed out", press},
		{"spa", "oidc-client-ts", anyPage, "Hello Alice Archer", "You are signed out", press},
		{"server-rendered", "express-openid-connect", "", "Profile", "Sign in", press},
		{"server-rendered", "passport-auth0", "", "Sign out", "Sign in", press},
	}
}

// What is printed is used as it is: by somebody who signs in, looks again, opens a second tab, signs out and is
// asked who it is.
func TestStepsSignPeopleIn(t *testing.T) {
	t.Parallel()
	h := drive.OpenHouse(t)
	for _, p := range printedOnes() {
		t.Run(p.sdk, func(t *testing.T) {
			t.Parallel()
			origin := p.start(t, h)
			me := drive.NewProfile(t)
			b := me.Tab()
			b.Open(origin)
			b.See(p.stranger)
			b.Press("Sign in")
			me.SignIn(b, h.User(drive.Alice))
			b.At(origin)
			b.See(p.greets)
			b.Reload()
			b.See(p.greets)
			second := me.Tab()
			second.Open(origin)
			second.See(p.greets)

			p.leave(b, origin)
			b.At(origin)
			b.See(p.stranger)
			second.Reload()
			second.See(p.stranger)
			second.Press("Sign in")
			second.At(h.Issuer)
			second.See("E-mail address", "Password")
		})
	}
}

// start has the house say what to write, writes it, and starts it. It returns where.
func (p printed) start(t *testing.T, h *drive.House) string {
	t.Helper()
	address := strings.Replace(drive.FreeAddress(t), "127.0.0.1", "localhost", 1)
	origin := "http://" + address
	house := &drive.House{Issuer: h.Issuer, Clients: h.Clients, T: t}
	answer := drive.Must[drive.Object](t)(house.Manage(http.MethodPost, "apps", drive.Object{
		"building": p.building, "sdk": p.sdk, "name": p.sdk, "origins": []string{origin}, "audience": "https://api/tv-shows",
	}))
	dir := t.TempDir()
	modules := filepath.Join(drive.Root(), "examples", "node_modules")
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	steps, _ := answer["steps"].([]any)
	command, entry := "", ""
	for _, raw := range steps {
		step, _ := raw.(map[string]any)
		where, _ := step["where"].(string)
		text, _ := step["text"].(string)
		switch {
		case where == "In a terminal" && entry != "":
			command = strings.TrimSpace(text)
		case where != "In a terminal":
			file := filepath.Join(dir, filepath.FromSlash(where))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			entry = cmp.Or(entry, where)
		}
	}
	if p.page == "" {
		cmd := exec.Command("sh", "-c", "exec "+command)
		cmd.Dir = dir
		drive.Start(t, origin, cmd)
		return origin
	}
	cmd := exec.Command(filepath.Join(modules, ".bin", "esbuild"), entry, "--bundle", "--format=esm", "--jsx=automatic", "--outfile=main.js",
		"--alias:@auth0/auth0-spa-js="+map[bool]string{true: "auth0-spa-js-1", false: "@auth0/auth0-spa-js"}[p.sdk == "auth0-spa-js-v1"])
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("bundling: %v\n%s", err, out)
	}
	serve(t, address, dir, p.page)
	return origin
}

// serve serves one page and its script, as any server of static files does.
func serve(t *testing.T, address, dir, page string) {
	t.Helper()
	server := &http.Server{Addr: address, ReadHeaderTimeout: drive.Patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Clean(r.URL.Path) == "/main.js" {
			http.ServeFile(w, r, filepath.Join(dir, "main.js"))
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(page))
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	t.Cleanup(func() { _ = server.Close(); <-ended })
	err := drive.WaitFor(t.Context(), func() error {
		res, err := http.Get("http://" + address)
		if err == nil {
			res.Body.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Package serverless drives the example whose pages are files and whose API is functions: once in
// Next.js, with express-oauth2-jwt-bearer, and once in Go, with the guard.
package serverless

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
	"github.com/gatehouse-dev/gatehouse/internal/proof"
)

func TestMain(m *testing.M) { drive.Main(m) }

const client = "nextjs-bearer"

// next is Next.js in the folder of the example, with the configuration of one house.
func next(h *drive.House, dist string, arguments ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(drive.Root(), "examples", "node_modules", ".bin", "next"), arguments...)
	cmd.Dir = filepath.Join(drive.Root(), "examples", "nextjs-bearer")
	cmd.Env = append(os.Environ(), "GATEHOUSE_DEV="+filepath.Join(h.Folder, "dev.json"), "NEXT_DIST_DIR="+dist, "NEXT_TELEMETRY_DISABLED=1", "NODE_ENV=production")
	return cmd
}

// build compiles the pages into a folder of the test's own, and returns its name.
func build(t *testing.T, h *drive.House) string {
	t.Helper()
	if _, err := drive.NPMPackage("next"); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(drive.Root(), "examples", "nextjs-bearer", ".next")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := drive.Must[string](t)(os.MkdirTemp(folder, "test-"))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	dist := filepath.Join(".next", filepath.Base(dir))
	if said, err := next(h, dist, "build").CombinedOutput(); err != nil {
		t.Fatalf("next build: %v\n%s", err, said)
	}
	return dist
}

// twin is the API in one of its languages.
type twin struct {
	name, checkedBy string
	origin          string
}

func TestBearer(t *testing.T) {
	t.Parallel()
	clock := drive.NewClock(t, 0)
	clock.Run()
	keeper := drive.OpenHouseBy(t, clock)
	h := keeper.House
	address := func() string { return strings.Replace(drive.FreeAddress(t), "127.0.0.1", "localhost", 1) }
	pages, inGo := address(), address()
	twins := []twin{{"Next.js", "express-oauth2-jwt-bearer", "http://" + pages}, {"Go", "guard/bearer", "http://" + inGo}}
	origins := []string{twins[0].origin, twins[1].origin}
	if _, err := h.Manage(http.MethodPatch, "clients/"+h.Client(client).ClientID, drive.Object{
		"callbacks": origins, "default_redirect_uri": origins[0], "allowed_logout_urls": origins, "web_origins": origins,
	}); err != nil {
		t.Fatal(err)
	}
	serve := next(h, build(t, h), "start", "--hostname", "localhost", "--port", pages[len("localhost:"):])
	serve.Env = append(serve.Env, clock.Environment()...)
	drive.Start(t, twins[0].origin, serve)
	drive.Start(t, twins[1].origin, exec.Command(drive.Build(t, "./examples/go-serverless"), "-addr", inGo, "-pages", twins[0].origin, "-issuer", h.Issuer))

	t.Run("a person", func(t *testing.T) {
		for _, twin := range twins {
			t.Run(twin.name, func(t *testing.T) { t.Parallel(); person(t, h, twin) })
		}
	})
	t.Run("tokens", func(t *testing.T) { sameAnswers(t, h, twins) })
	t.Run("the other dialect", func(t *testing.T) { otherDialect(t, h, twins) })
	t.Run("keys change", func(t *testing.T) { keysChange(t, keeper, twins[0]) }) // the other's clock is the machine's
}

func person(t *testing.T, h *drive.House, api twin) {
	me := drive.NewProfile(t)
	b := me.Tab()
	b.Open(api.origin)
	b.See("Billing without a server of your own", "Sign in")
	b.Press("Pricing")
	b.See("Workshop", "49 €") // for anybody
	b.Accessible("nextjs-bearer pricing")

	who := drive.Person{Email: strings.ToLower(api.name) + "." + drive.Newcomer.Email, Password: drive.Newcomer.Password}
	name := who.Email
	b.Open(api.origin + "/billing") // a deep link, while signed out
	b.At(h.Issuer)
	b.Press("Create an account")
	me.SignUp(b, h, who)
	b.At(api.origin + "/billing")
	b.See("Next invoice", "Workshop", api.checkedBy, name)
	b.Accessible("nextjs-bearer billing")

	first := tokenID(b)
	b.Press("Renew the token")
	b.Wait("there is another token", func() bool { id := tokenID(b); return id != "" && id != first })
	b.Reload() // the memory is gone, and the hidden frame brings another token
	b.See("Next invoice", name)
	if kept := drive.Script[int](b, "localStorage.length + sessionStorage.length"); kept != 0 {
		t.Errorf("%d values are stored where scripts of later pages find them", kept)
	}

	second := me.Tab()
	second.Open(api.origin + "/billing")
	second.See("Next invoice", name)

	b.Press("Sign out")
	b.At(api.origin)
	b.See("Sign in", "Billing without a server of your own")
	b.Back()
	b.At(h.Issuer) // the page before asks who is there, and nobody is
	b.See("E-mail address", "Password")
	second.Reload()
	second.At(h.Issuer)
	second.See("E-mail address", "Password")
	me.SignIn(second, who)
	second.At(api.origin + "/billing")
	second.See("Next invoice", name)
	second.Harmless()
}

// Both APIs let the same tokens in and refuse the same.
func sameAnswers(t *testing.T, h *drive.House, twins []twin) {
	bob := drive.NewProfile(t)
	b := bob.Tab()
	b.Open(twins[0].origin + "/billing")
	bob.SignIn(b, h.User(drive.Bob))
	b.See("Billing", "403")

	worker, other := machineToken(t, h, "TV Shows Worker"), machineToken(t, h, drive.ManagerOfAll)
	for _, c := range []struct {
		name, authorization string
		status              int
	}{
		{"nobody", "", http.StatusUnauthorized},
		{"no token", "Bearer x", http.StatusUnauthorized},
		{"for another API", "Bearer " + worker, http.StatusUnauthorized},
		{"for the house", "Bearer " + other, http.StatusUnauthorized},
	} {
		for _, api := range twins {
			r := drive.Must[*http.Request](t)(http.NewRequest(http.MethodGet, api.origin+"/api/billing-info", nil))
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
			res := drive.Must[*http.Response](t)((&http.Client{}).Do(r))
			body := drive.Must[[]byte](t)(io.ReadAll(res.Body))
			res.Body.Close()
			if res.StatusCode != c.status || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") || strings.Contains(string(body), "Workshop") {
				t.Errorf("%s, %s: %s %q %s", api.name, c.name, res.Status, res.Header.Get("WWW-Authenticate"), body)
			}
		}
	}
}

// Both APIs want access tokens that say so: of type at+jwt (RFC 9068), and not of a type that any JWT has.
func otherDialect(t *testing.T, h *drive.House, twins []twin) {
	setDialect(h, "auth0")
	defer setDialect(h, "rfc9068")
	me := drive.NewProfile(t)
	b := me.Tab()
	for i, api := range twins {
		b.Open(api.origin + "/billing")
		if i == 0 {
			me.SignIn(b, h.User(drive.Alice))
		}
		b.At(api.origin + "/billing")
		b.See("401: ")
		b.Lacks("Next invoice")
	}
}

func setDialect(h *drive.House, dialect string) {
	h.ChangeAPI(h.Client(client).Audience, drive.Object{"token_dialect": dialect})
}

// A person goes on while the house changes its keys: she is signed in anew with each page, and the API, which
// knows the keys from before, takes the token that the page got and the next.
func keysChange(t *testing.T, h *drive.ClockHouse, api twin) {
	me := drive.NewProfile(t)
	b := me.Tab()
	b.Open(api.origin + "/billing")
	me.SignIn(b, h.User(drive.Alice))
	b.At(api.origin + "/billing")
	h.RotateKeys(proof.Times(2, 25), func() error {
		b.Open(api.origin + "/billing")
		b.See("Next invoice", "Alice Archer")
		first := tokenID(b)
		b.Press("Renew the token")
		b.Wait("there is another token", func() bool { id := tokenID(b); return id != "" && id != first })
		return nil
	})
}

// tokenID is which access token the API says it was called with.
func tokenID(b *drive.Tab) string {
	id, _ := drive.Evaluate[string](b, `document.getElementById("token-id")?.innerText ?? ""`)
	return id
}

// machineToken gets an access token for what a client of the house speaks to in its own name.
func machineToken(t *testing.T, h *drive.House, name string) string {
	t.Helper()
	c := h.Client(name)
	body := drive.Must[[]byte](t)(json.Marshal(drive.Object{"grant_type": "client_credentials", "client_id": c.ClientID, "client_secret": c.ClientSecret, "audience": c.Audience}))
	res := drive.Must[*http.Response](t)((&http.Client{Timeout: drive.Patience}).Post(h.Issuer+"oauth/token", "application/json", strings.NewReader(string(body))))
	defer res.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("no token for %s: %s %v", name, res.Status, err)
	}
	return answer.AccessToken
}

// Package guide holds the JavaScript that gatehouse app create prints against the packages it is for.
package guide

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/guide"
)

// examples is which example has the packages of an SDK.
var examples = map[string]string{
	"auth0-react": "static-react", "auth0-spa-js": "static-spa-js", "oidc-client-ts": "static-oidc-client-ts",
	"nextjs-auth0": "nextjs-auth0-v4", "nextjs-auth0-v3": "nextjs-auth0-v3", "next-auth-v4": "next-auth-v4", "authjs": "next-auth-v5",
	"express-openid-connect": "express-openid-connect", "passport-auth0": "express-passport",
}

// Every file that is printed is bundled with the real packages: a syntax error, an import that is not
// there and a file that another one does not find would show.
func TestStepsFitThePackages(t *testing.T) {
	root, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	api := apps.NewAPI("https://api/tv-shows", "TV Shows")
	api.Permissions = []apps.Permission{{Value: "read:shows"}}
	seen := map[string]bool{}
	for _, b := range guide.Tree() {
		for _, s := range b.SDKs {
			if seen[s.ID] || examples[s.ID] == "" {
				continue
			}
			seen[s.ID] = true
			for _, with := range []*apps.API{api, nil} {
				a := guide.Answers{Building: b.ID, SDK: s.ID, Name: "My shop"}
				name := s.ID + " alone"
				if with != nil {
					a.Audience, name = with.Identifier, s.ID+" with an API"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					app, err := guide.Make(a, with)
					if err != nil {
						t.Fatal(err)
					}
					steps, err := app.Steps("http://localhost:8080/", "a secret of the session")
					if err != nil {
						t.Fatal(err)
					}
					bundle(t, steps, root, examples[s.ID])
				})
			}
		}
	}
	if len(seen) != len(examples) {
		t.Errorf("tried %d of %d", len(seen), len(examples))
	}
}

// bundle writes the steps as somebody would who copies them, and bundles each file.
func bundle(t *testing.T, steps []guide.Step, root, example string) {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for _, s := range steps {
		if ext := filepath.Ext(s.Where); ext != ".js" && ext != ".jsx" && ext != ".mjs" {
			continue
		}
		file := filepath.Join(dir, filepath.FromSlash(s.Where))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(s.Text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, s.Where)
	}
	if len(files) == 0 {
		t.Fatal("no JavaScript")
	}
	platform := "node"
	if strings.HasPrefix(example, "static-") {
		platform = "browser"
	}
	for i, file := range files {
		cmd := exec.Command(filepath.Join(root, "node_modules", ".bin", "esbuild"), "./"+file, "--bundle", "--format=esm", "--jsx=automatic", "--loader:.js=jsx",
			"--platform="+platform, "--external:next", "--external:next/*", "--log-level=warning", "--outfile="+filepath.Join(dir, "out", string(rune('a'+i))+".js"))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(root, example, "node_modules")+string(os.PathListSeparator)+filepath.Join(root, "node_modules"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

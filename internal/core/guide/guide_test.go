package guide_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/guide"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

var update = flag.Bool("update", false, "write the expected texts anew")

const issuer = "http://localhost:8080/"

func shows() *apps.API {
	api := apps.NewAPI("https://api/tv-shows", "TV Shows")
	api.Permissions = []apps.Permission{{Value: "read:shows"}, {Value: "write:shows"}}
	return api
}

// answer answers everything that is asked.
func answer(b guide.Building, s guide.SDK) guide.Answers {
	a := guide.Answers{Building: b.ID, SDK: s.ID, Name: "My shop", Audience: "https://api/tv-shows"}
	if guide.NeedsOf(b, s).Scope {
		a.Scope = []string{"read:shows"}
	}
	return a
}

// each runs a test for every leaf of the tree.
func each(t *testing.T, test func(t *testing.T, b guide.Building, s guide.SDK)) {
	for _, b := range guide.Tree() {
		for _, s := range b.SDKs {
			t.Run(b.ID+"/"+s.ID, func(t *testing.T) { test(t, b, s) })
		}
	}
}

func applicationFor(t *testing.T, a guide.Answers, api *apps.API) (*guide.Application, []guide.Step) {
	t.Helper()
	app, err := guide.Make(a, api)
	if err != nil {
		t.Fatal(err)
	}
	if app.Client != nil {
		app.Client.ClientID = "CLIENT-ID"
	}
	if app.Secret != "" {
		app.Secret = "CLIENT-SECRET"
	}
	steps, err := app.Steps(issuer, "SESSION-SECRET")
	if err != nil {
		t.Fatal(err)
	}
	return app, steps
}

// What a newcomer reads is read by us, too: the expected texts are in testdata.
func TestSteps(t *testing.T) {
	seen := map[string]bool{}
	each(t, func(t *testing.T, b guide.Building, s guide.SDK) {
		if seen[s.ID] && s.ID != "oidc" { // the same lines, whatever it serves
			return
		}
		seen[s.ID] = true
		app, steps := applicationFor(t, answer(b, s), shows())
		var out strings.Builder
		if c := app.Client; c != nil {
			fmt.Fprintf(&out, "%s, %s\ncallbacks %s\nlogout urls %s\nweb origins %s\ngrant types %s\n", c.Type, c.Profile, c.RedirectURIs, c.LogoutURLs, c.WebOrigins, c.GrantTypes)
		}
		for _, note := range app.Notes() {
			fmt.Fprintf(&out, "note: %s %s\n", note.Text, note.Command)
		}
		for _, s := range steps {
			fmt.Fprintf(&out, "\n---- %s\n%s", s.Where, s.Text)
		}
		golden(t, filepath.Join("testdata", s.ID, b.ID+".txt"), out.String())
	})
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what comes (go test -update writes it anew):\n%s", file, got)
	}
}

// No key is left out, and no placeholder left in, with an API and without.
func TestKeysAreFilledIn(t *testing.T) {
	each(t, func(t *testing.T, b guide.Building, s guide.SDK) {
		a := answer(b, s)
		for _, api := range []*apps.API{shows(), nil} {
			if api == nil {
				if a.Audience, a.Scope = "", nil; guide.NeedsOf(b, s).AudienceRequired {
					return
				}
			}
			app, steps := applicationFor(t, a, api)
			text := ""
			for _, s := range steps {
				if strings.TrimSpace(s.Text) == "" {
					t.Errorf("%q is empty", s.Where)
				}
				text += s.Text
			}
			for _, stray := range []string{"<no value>", "«", "»", "undefined:", "=\n", ": ,", "audience: ''", "audience', ''"} {
				if strings.Contains(text, stray) {
					t.Errorf("%q is left in:\n%s", stray, text)
				}
			}
			if app.Client != nil && !strings.Contains(text, "CLIENT-ID") || app.Secret != "" && strings.Count(text, app.Secret) != 1 {
				t.Errorf("the keys are not there, or the secret not once:\n%s", text)
			}
			if !strings.Contains(text, "localhost:8080") {
				t.Errorf("the house is not named:\n%s", text)
			}
			if api == nil && strings.Contains(text, "audience") {
				t.Errorf("an audience, without an API:\n%s", text)
			}
		}
	})
}

// The Go programs are programs: they are given to go vet, as if they lay beside their expected texts.
func TestGoStepsCompile(t *testing.T) {
	old := shows()
	old.TokenDialect = oauth.DialectAuth0
	vet := func(change func(*guide.Answers) *apps.API) {
		programs := map[string]string{}
		for _, b := range guide.Tree() {
			for _, s := range b.SDKs {
				a := answer(b, s)
				api := change(&a)
				if api == nil && guide.NeedsOf(b, s).AudienceRequired {
					continue
				}
				_, steps := applicationFor(t, a, api)
				if i := slices.IndexFunc(steps, func(s guide.Step) bool { return s.Where == "main.go" }); i >= 0 {
					programs[s.ID] = steps[i].Text
				}
			}
		}
		goVet(t, programs)
	}
	vet(func(a *guide.Answers) *apps.API { a.SessionStore = true; return shows() })
	vet(func(a *guide.Answers) *apps.API { a.Scope = nil; a.Audience = ""; return nil })
	vet(func(a *guide.Answers) *apps.API { return old })
}

// goVet checks programs by the name of their SDK.
func goVet(t *testing.T, programs map[string]string) {
	t.Helper()
	dir, root := t.TempDir(), "../../.."
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	overlay, args := map[string]string{}, []string{"vet", "-overlay", filepath.Join(dir, "overlay.json")}
	for sdk, text := range programs {
		file := filepath.Join(dir, sdk+".go")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if formatted, err := format.Source([]byte(text)); err != nil || string(formatted) != text {
			t.Errorf("%s is not formatted (%v):\n%s", sdk, err, text)
		}
		overlay[filepath.Join(here, "testdata", sdk, "main.go")] = file
		args = append(args, "./internal/core/guide/testdata/"+sdk)
	}
	raw, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(args[2], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	vet := exec.Command("go", args...)
	vet.Dir = root
	if out, err := vet.CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}

// The versions are those that the examples are tested with.
func TestVersionsAreThoseOfTheExamples(t *testing.T) {
	proven := map[string]bool{}
	files, err := filepath.Glob("../../../examples/*/package.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var p struct{ Dependencies map[string]string }
		if err := json.Unmarshal(raw, &p); err != nil {
			t.Fatal(err)
		}
		for name, version := range p.Dependencies {
			proven[strings.TrimPrefix(version, "npm:")] = true
			proven[name+"@"+version] = true
		}
	}
	pinned := regexp.MustCompile(`@\d`)
	each(t, func(t *testing.T, _ guide.Building, s guide.SDK) {
		if pinned.MatchString(s.Package) && !proven[s.Package] {
			t.Errorf("no example has %s", s.Package)
		}
	})
}

// Everything that is less strict than it could be has a reason, and everything else is as strict as
// it can be.
func TestDefaultsAreSafe(t *testing.T) {
	each(t, func(t *testing.T, b guide.Building, s guide.SDK) {
		app, _ := applicationFor(t, answer(b, s), shows())
		c := app.Client
		if c == nil {
			if b.ID != "api" {
				t.Error("no client")
			}
			return
		}
		if (c.Profile == apps.OIDCBasic) != (s.Basic != "") || c.InsecureUserinfoQueryToken && c.Profile != apps.OIDCBasic {
			t.Errorf("profile %s, because %q", c.Profile, s.Basic)
		}
		if c.Profile == apps.OAuth21 && c.Type != apps.Machine && !c.RequiresPKCE() {
			t.Error("no PKCE")
		}
		if c.ThirdParty || c.Disabled || (app.Secret != "") != c.Confidential() {
			t.Errorf("third party %v, disabled %v, secret %v", c.ThirdParty, c.Disabled, app.Secret != "")
		}
		if c.Type == apps.Machine && fmt.Sprint(c.Grants) != "map[https://api/tv-shows:read:shows]" {
			t.Errorf("grants %v", c.Grants)
		}
		if c.Type == apps.SPA && (len(c.WebOrigins) != 1 || c.DefaultRedirectURI == "") {
			t.Errorf("web origins %v, default callback %q", c.WebOrigins, c.DefaultRedirectURI)
		}
	})
}

func TestAnswersThatMakeNoSense(t *testing.T) {
	for _, c := range []struct {
		a     guide.Answers
		field string
		says  string
	}{
		{guide.Answers{}, "building", "one of server-rendered, spa"},
		{guide.Answers{Building: "toaster"}, "building", `"toaster" is none of`},
		{guide.Answers{Building: "spa", Name: "x"}, "sdk", "one of auth0-react"},
		{guide.Answers{Building: "spa", SDK: "angularjs", Name: "x"}, "sdk", "none of auth0-react"},
		{guide.Answers{Building: "spa", SDK: "auth0-react"}, "name", "1 to 200"},
		{guide.Answers{Building: "spa", SDK: "auth0-react", Name: "x", Origins: []string{"http://localhost:3000/"}}, "origin", "scheme, host and port"},
		{guide.Answers{Building: "spa", SDK: "auth0-react", Name: "x", Origins: []string{"https://shop.example.com/app"}}, "origin", "scheme, host and port"},
		{guide.Answers{Building: "spa", SDK: "auth0-react", Name: "x", Origins: []string{"http://shop.example.com"}}, "callbacks", "localhost only"},
		{guide.Answers{Building: "spa", SDK: "auth0-react", Name: "x", Audience: "https://nowhere/"}, "audience", "create it first"},
		{guide.Answers{Building: "spa", SDK: "auth0-react", Name: "x", Scope: []string{"read:shows"}}, "scope", "goes with an audience"},
		{guide.Answers{Building: "service", SDK: "curl", Name: "x"}, "audience", "is missing"},
		{guide.Answers{Building: "service", SDK: "curl", Name: "x", Origins: []string{"https://a.example"}, Audience: "https://api/tv-shows", Scope: []string{"read:shows"}}, "origin", "has none"},
		{guide.Answers{Building: "service", SDK: "curl", Name: "x", Audience: "https://api/tv-shows"}, "scope", "of: read:shows write:shows"},
		{guide.Answers{Building: "service", SDK: "curl", Name: "x", Audience: "https://api/tv-shows", Scope: []string{"fly"}}, "scope", "it has: read:shows"},
		{guide.Answers{Building: "script", SDK: "go-device", Name: "x", Callback: []string{"http://127.0.0.1/"}}, "callback", "has none"},
		{guide.Answers{Building: "mobile", Name: "x", Callback: []string{"myapp:/cb"}}, "callbacks", "reversed domain name"},
		{guide.Answers{Building: "api", SDK: "go-bearer", Name: "x"}, "audience", "is missing"},
		{guide.Answers{Building: "api", SDK: "go-bearer", Name: "x", Audience: "not a uri"}, "identifier", "absolute URI"},
	} {
		var api *apps.API
		if c.a.Audience == "https://api/tv-shows" {
			api = shows()
		}
		_, err := guide.Make(c.a, api)
		e, ok := err.(*fault.Error)
		if !ok || e.Field != c.field || !strings.Contains(e.Message, c.says) {
			t.Errorf("%+v: %v; want %s: …%s…", c.a, err, c.field, c.says)
		}
	}
}

// An API's identifier may hold what a string of some language ends with. It stays a string.
func TestThreat_AD05_AnswersStayStringsInTheCode(t *testing.T) {
	const evil = `https://api/'"` + "`" + `\$(touch x)${x}</script>;--`
	api := apps.NewAPI(strings.ReplaceAll(evil, " ", "+"), "x")
	api.Permissions = []apps.Permission{{Value: "read:it's$(x)"}}
	if err := api.Validate(); err != nil {
		t.Fatalf("nobody can register this, so choose another: %v", err)
	}
	for _, c := range []struct{ building, sdk, want string }{
		{"spa", "auth0-spa-js", `audience: 'https://api/\'"` + "`" + `\\$(touch+x)${x}\u003c/script\u003e;--'`},
		{"spa", "auth0-react", `audience: 'https://api/\'"`},
		{"server-rendered", "nextjs-auth0-v3", `AUTH0_AUDIENCE='https://api/'\''"`},
		{"service", "curl", `--data-urlencode 'audience=https://api/'\''"` + "`" + `\$(touch+x)`},
		{"service", "curl", `--data-urlencode 'scope=read:it'\''s$(x)'`},
		{"service", "go-client-credentials", `{"https://api/'\"` + "`" + `\\$(touch+x)`},
		{"api", "python-authlib", `AUDIENCE = "https://api/'\"` + "`" + `\\$(`},
		{"api", "spring-security", `audiences: "https://api/'\"`},
	} {
		a := guide.Answers{Building: c.building, SDK: c.sdk, Name: "x", Audience: api.Identifier, Scope: []string{"read:it's$(x)"}}
		_, steps := applicationFor(t, a, api)
		text := ""
		for _, s := range steps {
			text += s.Text
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%s lacks %s\n%s", c.sdk, c.want, text)
		}
	}
}

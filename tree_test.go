package gatehouse_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db/sqlcheck"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/tree"
)

// The rules of the tree, each with its reason. A rule that stands in the way of something good is
// changed here, with a better reason.

// floor says what the packages in a folder may import of this module, beside their own folder. The
// longest folder that fits a package is its floor.
type floor struct {
	folder string
	may    []string
	why    string
}

var (
	ground = []string{"internal/base", "protocol"}
	// Core subjects that every other subject stands on.
	groundOfCore = []string{"internal/base", "protocol", "internal/core/tenant", "internal/core/audit", "internal/core/outbox", "internal/core/mail"}
)

func with(list []string, more ...string) []string { return append(slices.Clone(list), more...) }

var floors = []floor{
	{"cmd", []string{".", "gatehousetest", "examples", "internal", "guard", "protocol"}, "the entrance may see the whole house, and nothing sees the entrance"},
	{"gatehousetest", []string{".", "internal", "guard", "protocol"}, "as cmd: it opens the real server for a test"},
	{".", []string{"internal", "guard", "protocol"}, "the embeddable server wires nothing itself: internal/server does"},

	{"internal/server", with(ground, "internal/core", "internal/endpoint", "internal/web", "guard"), "the one place that knows every room"},
	{"internal/endpoint", with(ground, "internal/core", "guard"), "faces for machines know nothing of faces for people; what they share is declared as an interface where it is used"},
	{"internal/web", with(ground, "internal/core", "guard"), "faces for people know nothing of faces for machines"},

	{"internal/core", groundOfCore, "a subject that is not named below stands on the ground of core alone"},
	{"internal/core/schema", nil, "data, without code"},
	{"internal/core/tenant", ground, "every subject imports it, so it can import none"},
	{"internal/core/audit", with(ground, "internal/core/tenant"), "written to in every subject's transactions"},
	{"internal/core/outbox", ground, "how things are sent does not depend on what they are"},
	{"internal/core/mail", with(ground, "internal/core/tenant", "internal/core/outbox"), "written to in every subject's transactions"},
	{"internal/core/backchannel", with(groundOfCore, "internal/core/apps", "internal/core/keys"), "an application is told of a sign-out by what is known of it and a key to sign with; signing in and grants hand it their transactions"},
	{"internal/core/people", groundOfCore, "who people are does not depend on how they sign in"},
	{"internal/core/signin", with(groundOfCore, "internal/core/people"), "one way: signing in knows people"},
	{"internal/core/browser", with(groundOfCore, "internal/core/signin"), "what a browser is handed includes the session's cookie"},
	{"internal/core/access", with(groundOfCore, "internal/core/apps", "internal/core/people"), "permissions belong to APIs, and API keys to people and clients; neither knows what they may do"},
	{"internal/core/grants", with(groundOfCore, "internal/core/signin", "internal/core/people", "internal/core/apps", "internal/core/access", "internal/core/keys"), "a grant brings a person, a client and permissions together; none of them knows grants"},
	{"internal/core/guide", with(groundOfCore, "internal/core/apps"), "it says what a client should be, and stores nothing"},
	{"internal/core/checkup", with(groundOfCore, "internal/core/apps", "internal/core/backchannel"), "it holds what came, and how telling of sign-outs went, against what a client registered"},
	{"internal/core/admin", with(groundOfCore, "internal/core/people", "internal/core/apps", "internal/core/access", "internal/core/grants", "internal/core/guide", "internal/core/checkup", "internal/core/backchannel"), "verbs of administrators end what stands on what they delete; nothing in core needs an administrator"},

	{"internal/base", []string{}, "ground: knows nothing of what stands on it"},
	{"protocol", []string{}, "formats and rules of the specifications, usable without the house"},
	{"guard", []string{"protocol"}, "the public SDK: an application that imports it takes none of the server along"},

	{"examples", []string{"guard"}, "applications of other people reach the house by HTTP"},
	{"internal/tree", nil, "reads code and runs none"},
	{"internal/proof", nil, "numbers for tests"},
	{"internal/mutants", []string{"internal/tree"}, "a tool beside the house"},
	{"internal/bench", []string{".", "gatehousetest", "internal", "guard", "protocol"}, "measures the house from outside and its parts from inside"},
}

func floorOf(dir string) (best floor, ok bool) {
	for _, f := range floors {
		if tree.Within(dir, f.folder) && len(f.folder) > len(best.folder) {
			best, ok = f, true
		}
	}
	return best, ok
}

func TestImportsGoDownOnly(t *testing.T) {
	m := load(t)
	for _, f := range m.Files {
		if f.Test { // tests stand outside the house and may look at all of it; Go refuses circles
			continue
		}
		on, ok := floorOf(f.Dir)
		if !ok {
			t.Errorf("%s stands on no floor; say in floors what its folder may import, and why", f.Path)
			continue
		}
		for _, path := range f.Imports() {
			dir, inside := m.Inside(path)
			if !inside || tree.Within(dir, on.may...) {
				continue
			}
			// Within a floor packages may know each other, subjects of core and single faces apart.
			if tree.Within(dir, on.folder) && on.folder != "internal/core" && on.folder != "." {
				continue
			}
			t.Errorf("%s imports %s, but %s may not: %s", f.Path, dir, on.folder, on.why)
		}
	}
}

// helpers are for tests alone.
var helpers = []string{
	"gatehousetest", "guard/guardtest", "guard/internal/limittest", "guard/internal/replaytest", "guard/internal/testclock", "guard/internal/testissuer",
	"guard/internal/testredis", "guard/session/sessiontest", "internal/base/db/dbtest", "internal/base/db/sqlcheck", "internal/proof",
	"internal/server/servertest", "internal/tree", "internal/web/page/gallery",
}

// Toolkits for tests must not slip into the product.
func TestTestHelpersStayInTests(t *testing.T) {
	m := load(t)
	for _, f := range m.Files {
		if f.Test || tree.Within(f.Dir, helpers...) || tree.Within(f.Dir, "internal/mutants", "internal/bench") {
			continue
		}
		for _, path := range f.Imports() {
			if dir, inside := m.Inside(path); inside && tree.Within(dir, helpers...) || path == "testing" {
				t.Errorf("%s imports %s, which is for tests", f.Path, path)
			}
		}
	}
}

func TestGuardAndProtocolNeedOnlyTheStandardLibrary(t *testing.T) {
	const jose = "github.com/go-jose/go-jose/v4"
	exempt := map[string]string{
		"guard/redisstore": "its whole purpose is a client library for Redis",
		"guard/grpcguard":  "its whole purpose is a gRPC interceptor",
	}
	m := load(t)
	for _, f := range m.Files {
		if f.Test || !tree.Within(f.Dir, "guard", "protocol") || exempt[f.Dir] != "" {
			continue
		}
		for _, path := range f.Imports() {
			_, inside := m.Inside(path)
			first, _, _ := strings.Cut(path, "/")
			if strings.Contains(first, ".") && !inside && path != jose && !strings.HasPrefix(path, jose+"/") {
				t.Errorf("%s imports %s: who protects an application with guard must not inherit our dependencies", f.Path, path)
			}
		}
	}
}

// Formats and rules get time, randomness and facts as arguments: that is what makes them testable
// without a clock and usable on any side of the wire.
func TestProtocolDoesNoInputOrOutput(t *testing.T) {
	for _, f := range load(t).Files {
		if f.Test || !tree.Within(f.Dir, "protocol") {
			continue
		}
		for _, path := range f.Imports() {
			if slices.Contains([]string{"os", "net", "io/fs", "os/exec", "log", "log/slog", "database/sql", "embed", "context", "sync"}, path) {
				t.Errorf("%s imports %s", f.Path, path)
			}
		}
		for _, use := range append(f.Uses("net/http", "Client", "Get", "Post", "Server", "ListenAndServe"), f.Uses("time", "After", "NewTimer", "Tick")...) {
			t.Errorf("%s: %s", use.At, use.Name)
		}
	}
}

// A name that may be mentioned in some places only, and why not elsewhere.
type restricted struct {
	pkg    string
	names  []string
	why    string
	except map[string]string // folder or file → why it may
	tests  bool              // the rule holds in tests, too
	calls  bool              // only calls and conversions count, not a mention as a type or a value
}

var restrictions = []restricted{
	{
		pkg: "time", names: []string{"Now", "Since", "Until"},
		why: "ask the Clock that was handed in: a test cannot turn the machine's",
		except: map[string]string{
			"internal/base/clock":               "is the clock",
			"cmd":                               "stands outside the house",
			"examples/go-server/main.go":        "hands the clock to its application",
			"internal/mutants":                  "a tool that tells how long it took",
			"internal/tree":                     "tools that tell how long they took",
			"internal/bench":                    "measures",
			"internal/proof":                    "measures",
			"internal/base/db/dbtest":           "waits for a server to start",
			"internal/base/db/sqlite_writer.go": "measures how long a group of verbs has been gathering, in a real process",
		},
	},
	{
		pkg: "time", names: []string{"Sleep"}, tests: true,
		why: "wait for what you are waiting for: a channel, a condition, the virtual clock. Sleeping is slow when it works and flaky when it does not",
		except: map[string]string{
			"internal/base/db/dbtest": "asks a starting server again and again",
		},
	},
	{
		pkg: "net/http", names: []string{"DefaultClient", "Get", "Head", "Post", "PostForm", "DefaultTransport"},
		why:    "it has no timeout, follows redirects and reaches addresses inside the network: use a client made for the purpose",
		except: map[string]string{"internal/bench": "its requests go to the house beside it"},
	},
	{
		pkg: "net/http", names: []string{"DefaultServeMux", "Handle", "HandleFunc", "ListenAndServe", "ListenAndServeTLS", "Serve"},
		why:    "routes registered for the whole program are seen by nobody, and a server without timeouts is held open by anybody",
		except: map[string]string{},
	},
	{
		pkg: "log/slog", names: []string{"Default", "SetDefault", "Info", "Warn", "Error", "Debug"},
		why:    "a logger is handed in, so that an embedding program decides where its lines go and a test can read them",
		except: map[string]string{"cmd": "decides where the lines go", "guard": "the default of an application that hands none in"},
	},
	{
		pkg: "os", names: []string{"Getenv", "LookupEnv", "Environ"},
		why: "the environment is configuration: cmd hands it to internal/base/config, which knows every variable and refuses unknown ones",
		except: map[string]string{
			"cmd":                     "hands it to config",
			"internal/mutants":        "hands its own to go test",
			"internal/base/db/dbtest": "finds the server of the test run",
			"internal/bench":          "finds the server of the run",
			"gatehousetest":           "finds the server of the test run",
			"internal/proof":          "finds whether this is a proof, and its seed",
			"examples/go-serverless":  "a function is told everything by its environment",
		},
	},
	{
		pkg: "crypto/sha1", names: []string{"New", "Sum"},
		why:    "SHA-1 is broken for everything we do",
		except: map[string]string{},
	},
	{
		pkg: "crypto/md5", names: []string{"New", "Sum"},
		why:    "MD5 is broken",
		except: map[string]string{"protocol/digest": "RFC 7616 keeps it for old equipment"},
	},
	{
		pkg: "html/template", names: []string{"HTML", "HTMLAttr", "JS", "JSStr", "URL", "CSS", "Srcset"},
		calls: true,
		why:   "switches off the escaping that keeps a name or an error from becoming a script",
		except: map[string]string{
			"internal/web/page/catalogue.go": "joins sentences out of parts that it escapes itself",
			"internal/web/page/render.go":    "puts in the scripts of this repository",
			"guard/csrf/token.go":            "puts a token, which is base64url, into an input",
		},
	},
	{
		pkg: "crypto/tls", names: []string{"VersionTLS10", "VersionTLS11", "VersionSSL30"},
		why:    "TLS below 1.2 is broken",
		except: map[string]string{},
	},
}

// A rule about a folder that has gone, or an exception for one, holds nobody to anything.
func TestRulesAreAboutWhatIsThere(t *testing.T) {
	var named []string
	for _, f := range floors {
		named = append(named, f.folder)
		named = append(named, f.may...)
	}
	for _, r := range restrictions {
		named = append(named, keys(r.except)...)
	}
	for _, path := range append(named, helpers...) {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the rules name %s, which is not there", path)
		}
	}
}

func TestNamesThatAreRestricted(t *testing.T) {
	m := load(t)
	for _, r := range restrictions {
		for _, f := range m.Files {
			if f.Test && !r.tests {
				continue
			}
			if slices.ContainsFunc(keys(r.except), func(where string) bool { return f.Path == where || tree.Within(f.Dir, where) }) {
				continue
			}
			for _, use := range f.Uses(r.pkg, r.names...) {
				if r.calls && !use.Called {
					continue
				}
				// guard is handed no clock by most applications, so it names one, and calls only what it was given.
				if use.Name == "time.Now" && !use.Called && tree.Within(f.Dir, "guard") {
					continue
				}
				t.Errorf("%s: %s: %s", use.At, use.Name, r.why)
			}
		}
	}
}

// Whoever can guess the next number of math/rand guesses ids, secrets and delays.
func TestThreat_KY06_RandomnessIsCryptographic(t *testing.T) {
	except := map[string]string{
		"internal/base/db/postgres.go": "spreads the retries of serializable transactions",
		"internal/proof/proof.go":      "draws what a test does, which its seed must repeat",
	}
	for _, f := range load(t).Files {
		if f.Test || except[f.Path] != "" {
			continue
		}
		for _, path := range f.Imports() {
			if path == "math/rand" || path == "math/rand/v2" {
				t.Errorf("%s imports %s; use crypto/rand", f.Path, path)
			}
		}
	}
}

func TestPackagesAndExportedNamesSayWhatTheyAre(t *testing.T) {
	for _, files := range packages(t) {
		report(t, tree.NoDoc(files))
	}
}

func TestNothingHappensBeforeMain(t *testing.T) {
	for _, f := range load(t).Files {
		report(t, tree.Inits(f))
	}
}

// State that is nobody's is everybody's: two servers in one program, or two tests, would share it.
func TestNoStateIsGlobal(t *testing.T) {
	except := map[string]string{
		"internal/base/db/dbtest/template.go":      "one template database serves all tests of a process",
		"internal/server/servertest/servertest.go": "likewise",
	}
	for _, files := range packages(t) {
		for _, breach := range tree.Globals(files) {
			if file, _, _ := strings.Cut(breach, ":"); except[file] == "" {
				t.Error(breach)
			}
		}
	}
}

// A transaction holds up all that share its commit. Mail, HTTP, hashing and signing come before it or after it.
func TestNothingSlowRunsInATransaction(t *testing.T) {
	slow := tree.Slow{
		Packages: []string{"net", "net/http", "net/smtp", "os/exec", "golang.org/x/crypto/argon2", "golang.org/x/crypto/bcrypt", "crypto/rsa", "crypto/ecdsa", "crypto/ed25519"},
		Methods:  []string{"Hasher.Hash", "Hasher.Verify", "Keys.Sign", "Sender.Send", "signer.Sign", "time.Sleep"},
	}
	root := load(t)
	for _, files := range packages(t) {
		report(t, tree.InVerbs(files, root.Module+"/internal/base/db", slow))
	}
}

func TestNoTestLeavesItselfOut(t *testing.T) {
	except := map[string]string{
		"internal/core/grants/model_test.go": "a step that has nothing to do in a run of a state machine, not a test",
	}
	for _, f := range load(t).Files {
		if except[f.Path] == "" {
			report(t, tree.Skips(f))
		}
	}
}

func TestThreatTestsAreNamedAfterTheirRow(t *testing.T) {
	for _, files := range packages(t) {
		_, malformed := tree.ThreatTests(files)
		report(t, malformed)
	}
}

// Every statement that touches a tenant's table binds the tenant. What is meant to reach across
// tenants, janitors above all, is named system….
func TestStatementsKeepToTheirTenant(t *testing.T) {
	findings, err := sqlcheck.Check(".", schema.Files, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		name := f.Name[strings.LastIndexByte(f.Name, '.')+1:]
		if !strings.HasPrefix(name, "system") {
			t.Error(f)
		}
	}
}

func TestModulesReplaceNothing(t *testing.T) {
	for _, path := range tracked(t) {
		if filepath.Base(path) == "go.mod" && regexp.MustCompile(`(?m)^\s*replace\b`).Match(read(t, path)) {
			t.Errorf("%s replaces a module: who imports us would not get the replacement", path)
		}
	}
}

// The tree must mean the same on every machine.
func TestNoMachineIsNamed(t *testing.T) {
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	homes := regexp.MustCompile(`(^|[^\w./-])/(home|Users|root)/\w`)
	for _, path := range tracked(t) {
		text := read(t, path)
		if bytes.IndexByte(text, 0) >= 0 {
			continue
		}
		if at := homes.FindIndex(text); at != nil {
			t.Errorf("%s:%d names somebody's home", path, 1+bytes.Count(text[:at[0]], []byte("\n")))
		}
		if strings.Count(root, "/") >= 2 && bytes.Contains(text, []byte(root+"/")) {
			t.Errorf("%s names this very folder, %s", path, root)
		}
	}
}

func load(t *testing.T) *tree.Tree {
	t.Helper()
	m, err := tree.Load(".")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func packages(t *testing.T) [][]*tree.File {
	t.Helper()
	var out [][]*tree.File
	for _, files := range load(t).Packages() {
		out = append(out, files)
	}
	return out
}

func report(t *testing.T, breaches []string) {
	t.Helper()
	for _, b := range breaches {
		t.Error(b)
	}
}

// tracked returns the files that are, or are about to be, under version control.
func tracked(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	var paths []string
	for path := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			paths = append(paths, path)
		}
	}
	return paths
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func keys(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

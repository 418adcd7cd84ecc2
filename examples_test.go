package gatehouse_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/models.md tells which versions of which packages the tests have proven. This writes that table from what
// the examples pin and from who tests them, and demands that it is the one in the page.
func TestVersionsInTheDocumentation(t *testing.T) {
	const begin = "| example | with | test |\n|---|---|---|\n"
	raw, err := os.ReadFile("docs/models.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(raw), begin)
	if !found {
		t.Fatalf("docs/models.md has no table that begins with\n%s", begin)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	if want := versions(t); strings.TrimSpace(table) != strings.TrimSpace(want) {
		t.Errorf("the table of versions in docs/models.md is out of date; write there:\n%s%s", begin, want)
	}
}

// versions returns the rows of the table.
func versions(t *testing.T) string {
	testers := testersOfExamples(t)
	var rows strings.Builder
	entries, err := os.ReadDir("examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		pinned := pinnedBy(t, filepath.Join("examples", name))
		if len(pinned) == 0 {
			continue
		}
		if len(testers[name]) == 0 {
			t.Errorf("no test in e2e names the example %q", name)
		}
		var with, by []string
		for _, pkg := range slices.Sorted(maps.Keys(pinned)) {
			for _, version := range pinned[pkg] {
				if !exactVersion.MatchString(version) {
					t.Errorf("examples/%s does not pin %s: %q", name, pkg, version)
				}
			}
			slices.Sort(pinned[pkg])
			with = append(with, fmt.Sprintf("`%s` %s", pkg, strings.Join(pinned[pkg], " and ")))
		}
		for _, dir := range testers[name] {
			by = append(by, fmt.Sprintf("[%s](../%s)", dir, dir))
		}
		fmt.Fprintf(&rows, "| [%s](../examples/%s) | %s | %s |\n", name, name, strings.Join(with, ", "), strings.Join(by, ", "))
	}
	return rows.String()
}

var exactVersion = regexp.MustCompile(`^v?[0-9]+\.[0-9]+\.[0-9]+(-[a-z]+\.[0-9]+)?$`)

// pinnedBy returns the versions of the packages that an example runs with, whatever it is written in.
func pinnedBy(t *testing.T, dir string) map[string][]string {
	out := map[string][]string{}
	pins := func(pkg, version string) { out[pkg] = append(out[pkg], version) }
	if raw, err := os.ReadFile(filepath.Join(dir, "package.json")); err == nil {
		var manifest struct{ Dependencies map[string]string }
		if err := json.Unmarshal(raw, &manifest); err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		for pkg, version := range manifest.Dependencies {
			if of, found := strings.CutPrefix(version, "npm:"); found { // under another name, beside another version
				at := strings.LastIndex(of, "@")
				pkg, version = of[:at], of[at+1:]
			}
			pins(pkg, version)
		}
	}
	if raw, err := os.ReadFile(filepath.Join(dir, "pom.xml")); err == nil {
		if m := springBoot.FindSubmatch(raw); m != nil {
			pins("spring-boot-starter-oauth2-resource-server", string(m[1]))
		}
	}
	if raw, err := os.ReadFile(filepath.Join(dir, "requirements.in")); err == nil {
		lock, err := os.ReadFile(filepath.Join(dir, "requirements.txt"))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range requirement.FindAllStringSubmatch(string(raw), -1) {
			pins(m[1], m[2])
			if !strings.Contains("\n"+string(lock), "\n"+strings.ToLower(m[0])+" ") {
				t.Errorf("%s/requirements.txt does not lock %s", dir, m[0])
			}
		}
	}
	if raw, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
		for _, m := range directModule.FindAllStringSubmatch(string(raw), -1) {
			pins(m[1], m[2])
		}
	}
	return out
}

var (
	springBoot  = regexp.MustCompile(`(?s)<artifactId>spring-boot-starter-parent</artifactId>\s*<version>([^<]+)</version>`)
	requirement = regexp.MustCompile(`(?m)^([A-Za-z][\w.-]*)==(\S+)$`)
	// directModule is a line of go.mod without the remark "// indirect".
	directModule = regexp.MustCompile(`(?m)^(?:require )?\s*([a-z][\w.-]*\.[a-z]+/\S+) (v\S+)$`)
)

// testersOfExamples returns, for everything that the tests in e2e quote, the packages that do.
func testersOfExamples(t *testing.T) map[string][]string {
	out := map[string][]string{}
	err := filepath.WalkDir("e2e", func(file string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(file)
		dir := path.Dir(filepath.ToSlash(file))
		for _, m := range quoted.FindAllStringSubmatch(string(raw), -1) {
			if name := path.Base(m[1]); !slices.Contains(out[name], dir) {
				out[name] = append(out[name], dir)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var quoted = regexp.MustCompile(`"([a-z0-9./-]+)"`)

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
)

func TestReferenceIsCurrent(t *testing.T) {
	want, err := page("../config.go")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../../docs/configuration.md")
	if err != nil || string(got) != want {
		t.Errorf("docs/configuration.md is not what the source says (%v); run: make generate", err)
	}
}

// What the page tells people to copy must be accepted, but for the files and keys that only they
// have.
func TestExampleOfTheReferenceIsAccepted(t *testing.T) {
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(head, -1)
	if len(examples) == 0 {
		t.Fatal("no example")
	}
	for _, e := range examples {
		path := filepath.Join(t.TempDir(), "gatehouse.yaml")
		if err := os.WriteFile(path, []byte(e[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Read(path, nil)
		if c == nil {
			t.Fatal(err)
		}
		for _, p := range c.Validate() {
			if !strings.Contains(p.Message, "cannot read its file") && !strings.Contains(p.Message, "cannot be read") && !strings.Contains(p.Message, "does not exist") {
				t.Errorf("%s", p)
			}
		}
	}
}

package main

import (
	"bytes"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every command in the documentation is one of ours, with flags that it has.
func TestCommandsInTheDocumentation(t *testing.T) {
	root := os.DirFS("../..")
	pages, err := fs.Glob(root, "docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := fs.Glob(root, "examples/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	called := regexp.MustCompile("(?m)(?:^|[\\s`(])(?:gatehouse|go run \\./cmd/gatehouse) ([a-z][a-z-]*)((?: [^\\n`#|)]*)?)")
	code := regexp.MustCompile("(?s)```.*?```|`[^`]+`")
	flag := regexp.MustCompile(`(?:^| )--(?:no-)?([a-z-]+)`)
	found := 0
	for _, page := range append(append(pages, examples...), "README.md", "examples/README.md") {
		text, err := fs.ReadFile(root, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range code.FindAllString(strings.ReplaceAll(string(text), "\\\n", " "), -1) {
			for _, m := range called.FindAllStringSubmatch(piece, -1) {
				if m[1] == "gatehouse" { // createdb --owner gatehouse gatehouse
					continue
				}
				found++
				help, ok := helpOf(m[1], m[2])
				if !ok {
					t.Errorf("%s: there is no command %q", page, strings.TrimSpace(m[0]))
					continue
				}
				for _, f := range flag.FindAllStringSubmatch(m[2], -1) {
					if !strings.Contains(help, "--"+f[1]) && !strings.Contains(help, "--[no-]"+f[1]) {
						t.Errorf("%s: gatehouse %s has no flag --%s", page, m[1], f[1])
					}
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d commands were found", found)
	}
}

// helpOf returns what a command says of itself, and of its verb where one follows.
func helpOf(command, rest string) (help string, ok bool) {
	words := []string{command}
	if verb, _, _ := strings.Cut(strings.TrimSpace(rest), " "); regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(verb) {
		words = append(words, verb)
	}
	var out bytes.Buffer
	code := run(append(words, "--help"), streams{In: strings.NewReader(""), Out: &out, Err: &out})
	return out.String(), code == 0
}

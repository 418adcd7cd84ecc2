package gatehouse_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Every link between the pages of this repository leads to a file that is there and, where it names one, to a
// heading in it.
func TestLinksInTheDocumentation(t *testing.T) {
	pages := markdown(t)
	if len(pages) < 20 {
		t.Fatalf("only %d pages were found", len(pages))
	}
	for _, page := range pages {
		for _, target := range links(string(read(t, page))) {
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file, heading, _ := strings.Cut(target, "#")
			file, err := url.PathUnescape(file)
			if err != nil {
				t.Errorf("%s: %s: %v", page, target, err)
			}
			at := page
			if file != "" {
				at = filepath.Join(filepath.Dir(page), file)
			}
			info, err := os.Stat(at)
			switch {
			case err != nil || strings.HasPrefix(filepath.ToSlash(at), ".."):
				t.Errorf("%s: %s leads nowhere", page, target)
			case heading != "" && (info.IsDir() || !anchors(string(read(t, at)))[heading]):
				t.Errorf("%s: %s has no heading for %s", page, at, target)
			}
		}
	}
}

// markdown returns the pages that are part of the repository: what packages bring along is not.
func markdown(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(tracked(t), func(file string) bool { return filepath.Ext(file) != ".md" })
}

var (
	fenced     = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	codeSpan   = regexp.MustCompile("`[^`\n]*`")
	linkTarget = regexp.MustCompile(`\]\(([^)\s]+)[^)]*\)`)
	linkText   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	headingAt  = regexp.MustCompile(`(?m)^#{1,6}[ \t]+(.+?)[ \t#]*$`)
	idAt       = regexp.MustCompile(`(?:id|name)="([^"]+)"`)
)

// links returns where the links of a page lead, code aside.
func links(page string) (targets []string) {
	page = codeSpan.ReplaceAllString(fenced.ReplaceAllString(page, ""), "")
	for _, m := range linkTarget.FindAllStringSubmatch(page, -1) {
		targets = append(targets, m[1])
	}
	return targets
}

// anchors returns what a link can name in a page, as GitHub makes it of the headings.
func anchors(page string) map[string]bool {
	page = fenced.ReplaceAllString(page, "")
	found := map[string]bool{}
	for _, m := range idAt.FindAllStringSubmatch(page, -1) {
		found[m[1]] = true
	}
	for _, m := range headingAt.FindAllStringSubmatch(page, -1) {
		text := strings.ToLower(linkText.ReplaceAllString(m[1], "$1"))
		found[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return r
			}
			return -1
		}, text)] = true
	}
	return found
}

// What the documentation tells people to type or to open is there: targets of make, and files and folders.
func TestNamesInTheDocumentation(t *testing.T) {
	targets := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z]+):`).FindAllStringSubmatch(string(read(t, "Makefile")), -1) {
		targets[m[1]] = true
	}
	made := regexp.MustCompile("(?m)(?:^|`|&& )make ([a-z]+)")
	named := regexp.MustCompile("(?:^|[\\s`('\"=])((?:\\./)?(?:cmd|docs|e2e|examples|gatehousetest|guard|internal|protocol|scripts|testdata|tools)/[\\w./-]*)")
	for _, page := range markdown(t) {
		text := string(read(t, page))
		for _, code := range slices.Concat(fenced.FindAllString(text, -1), codeSpan.FindAllString(fenced.ReplaceAllString(text, ""), -1)) {
			for _, m := range made.FindAllStringSubmatch(code, -1) {
				if !targets[m[1]] {
					t.Errorf("%s: there is no make %s", page, m[1])
				}
			}
			for _, m := range named.FindAllStringSubmatch(code, -1) {
				here, beside := strings.TrimRight(m[1], "."), filepath.Join(filepath.Dir(page), m[1])
				if !there(here) && !there(beside) && !strings.Contains(here, "DATE") {
					t.Errorf("%s: there is no %s", page, here)
				}
			}
		}
	}
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Who looks for something begins at the map.
func TestArchitectureNamesEveryFolder(t *testing.T) {
	page := string(read(t, "docs/architecture.md"))
	for _, floor := range []string{"internal", "internal/core", "internal/endpoint", "internal/web", "internal/base", "protocol", "guard"} {
		rooms, err := os.ReadDir(floor)
		if err != nil {
			t.Fatal(err)
		}
		for _, room := range rooms {
			hidden := room.Name() == "internal" || room.Name() == "testdata" // of those beside it
			if room.IsDir() && !hidden && !strings.Contains(page, room.Name()+"/") {
				t.Errorf("docs/architecture.md says nothing of %s/%s/", floor, room.Name())
			}
		}
	}
}

func TestLinksAreRead(t *testing.T) {
	page := "# A `code` and, *more*\n[a](b.md#c) ![p](img/x.png \"title\") `[no](x)`\n```sh\n[no](y)\n```\n"
	if got := strings.Join(links(page), " "); got != "b.md#c img/x.png" {
		t.Errorf("links: %s", got)
	}
	if !anchors(page)["a-code-and-more"] {
		t.Errorf("anchors: %v", anchors(page))
	}
}

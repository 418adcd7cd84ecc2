package page

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// usedInTemplates finds the literal ids in the templates.
var usedInTemplates = regexp.MustCompile(`\.(?:T|Text) "([a-z0-9_.]+)"`)

// TestCatalogueIsComplete: every id that a template or a constant names has a
// sentence, and every sentence is said somewhere.
func TestCatalogueIsComplete(t *testing.T) {
	all, err := readCatalogues(embedded)
	if err != nil {
		t.Fatal(err)
	}
	used := map[Message]bool{fallback: true}
	for name, text := range templateTexts(t) {
		for _, m := range usedInTemplates.FindAllStringSubmatch(text, -1) {
			used[Message(m[1])] = true
		}
		if !strings.Contains(name, "/base/") {
			base := strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], ".html")
			used[Message(base+".title")] = true
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), "messages.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for _, v := range spec.Values {
				if id, err := strconv.Unquote(v.(*ast.BasicLit).Value); err == nil {
					used[Message(id)] = true
				}
			}
		}
		return true
	})
	computed := regexp.MustCompile(`^(scope|error\.say|devstart\.demo)\.`)
	for lang, c := range all {
		for id := range used {
			if c[id] == "" {
				t.Errorf("%s: %s has no sentence", lang, id)
			}
		}
		for id := range c {
			if !used[id] && !computed.MatchString(string(id)) {
				t.Errorf("%s: nobody says %s", lang, id)
			}
		}
	}
}

// TestPlaceholders: a translation has the placeholders of the original.
func TestPlaceholders(t *testing.T) {
	all, err := readCatalogues(embedded)
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\{[^}]*\}`)
	known := map[string]bool{"{tenant}": true, "{client}": true, "{email}": true, "{min}": true, "{minutes}": true, "{host}": true, "{issuer}": true, "{file}": true, "{code}": true, "{network}": true}
	for lang, c := range all {
		for id, text := range c {
			for _, name := range names.FindAllString(text, -1) {
				if !known[name] {
					t.Errorf("%s: %s: nobody fills %s", lang, id, name)
				}
				if !strings.Contains(all["en"][id], name) {
					t.Errorf("%s: %s has %s, English has not", lang, id, name)
				}
			}
		}
	}
}

func TestSentence(t *testing.T) {
	c := catalogue{"a": "Hello {who}, {n} <times>", "open": "a {b", fallback: "general"}
	args := map[string]string{"who": "<b>{n}\u202e", "n": "3"}
	if got, want := string(c.html("a", args)), "Hello <bdi>&lt;b&gt;{n}\u202e</bdi>, 3 &lt;times&gt;"; got != want {
		t.Errorf("html: %q, want %q", got, want)
	}
	if got, want := c.text("a", args), "Hello <b>{n}\u202e, 3 <times>"; got != want {
		t.Errorf("text: %q, want %q", got, want)
	}
	if got := c.text("missing", nil); got != "general" {
		t.Errorf("a missing id says %q", got)
	}
}

// TestButtons: each action in the templates is a constant and each constant is
// in a template; the first button of a form, the one Enter presses, is the
// primary one wherever there is a primary one.
func TestButtons(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "page.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Action") {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			constants[value] = false
		}
		return true
	})
	action := regexp.MustCompile(`name="action" value="([a-z_]+)"`)
	forms := regexp.MustCompile(`(?s)<form.*?</form>`)
	button := regexp.MustCompile(`<button class="([a-z]+)"`)
	for name, text := range templateTexts(t) {
		for _, m := range action.FindAllStringSubmatch(text, -1) {
			if _, ok := constants[m[1]]; !ok {
				t.Errorf("%s: action %s has no constant", name, m[1])
			}
			constants[m[1]] = true
		}
		for _, form := range forms.FindAllString(text, -1) {
			if !strings.Contains(form, `method="post"`) {
				t.Errorf("%s: a form that does not post", name)
			}
			if first := button.FindStringSubmatch(form); strings.Contains(form, `class="primary"`) && first[1] != "primary" {
				t.Errorf("%s: Enter presses a %s button", name, first[1])
			}
		}
	}
	for value, used := range constants {
		if !used {
			t.Errorf("no page sends action %s", value)
		}
	}
}

func templateTexts(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := fs.WalkDir(embedded, "templates", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := embedded.ReadFile(name)
		texts[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestDirection(t *testing.T) {
	for lang, want := range map[string]string{"": "ltr", "en": "ltr", "en-GB": "ltr", "he": "rtl", "AR-eg": "rtl", "fa": "rtl", "art": "ltr"} {
		if got := direction(lang); got != want {
			t.Errorf("%q: %s", lang, got)
		}
	}
}

package gatehouse_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every piece of Go in the documentation compiles, once its gaps (…) are closed and the names that the reader is
// to fill in stand for something. What it imports is found by the names it uses.
func TestGoInTheDocumentation(t *testing.T) {
	snippets := snippetsOf(t)
	if len(snippets) < 50 {
		t.Fatalf("only %d pieces of Go were found", len(snippets))
	}
	known := packagesOfSnippets()
	exported := exportsOf(t, slices.Collect(maps.Values(known)))
	for _, s := range snippets {
		for _, problem := range s.check(known, exported) {
			t.Errorf("%s: %s", s.place, problem)
		}
	}
	// The check itself: what it must find, and what it must let pass.
	for text, want := range map[string]string{
		"mux.Handle(\"/\", guard.Require(tokens)(pages)) // …":                                                    "",
		"if err := logIn(); err != nil { … }":                                                                     "undefined: logIn",
		"handler := guard.Requires(tokens)(pages)":                                                                "undefined: guard.Requires",
		"handler := guard.Require(tokens)(shows)\n\nfunc shows(w http.ResponseWriter, r *http.Request) {\n\t…\n}": "cannot use shows",
		"handler := guard.Require(tokens, guard.Scopes(1))(pages)":                                                "cannot use 1",
		"handler := guard.Require(tokens)(pages":                                                                  "missing ','",
		"sessions := mystore.New()":                                                                               "undefined: mystore",
	} {
		got := fmt.Sprint(snippet{"here", text}.check(known, exported))
		if want == "" && got != "[]" || !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %q", text, got, want)
		}
	}
}

// stand are the names that a reader has something for, or had from the piece above, by their types.
func stand() map[string]string {
	stand := map[string]string{
		// what an application has
		"mux": "*http.ServeMux", "ctx": "context.Context", "r": "*http.Request", "w": "http.ResponseWriter", "req": "*http.Request", "t": "*testing.T", "err": "error",
		"db": "*sql.DB", "client": "rueidis.Client", "addr": "string", "secret": "string", "secrets": "[]string", "base": "string", "baseURL": "string",
		"issuer": "string", "audience": "string", "id": "string", "clientSecret": "string", "name": "string", "password": "string", "dummy": "[]byte",
		"user": "struct{ ID string }", "item": "Item", "data": "struct{ CSRF template.HTML }", "ErrNoUser": "error",
		"show": "func(string)", "checkPassword": "func(*http.Request) (struct{ ID string }, bool)", "passwordIsRight": "func(*http.Request) bool",
		"canonical": "func(string) string", "newApp": "func(guard.Authenticator) http.Handler", "findOld": "func(context.Context, string) (struct { UserID string; SignedIn time.Time }, bool)",
		"records": "interface { RolesOf(context.Context, string) ([]string, error) }",
		"users":   "interface { Find(context.Context, string) (struct{ Roles []string }, error) }",
		// what guard made for it
		"tokens": "*bearer.Scheme", "login": "*oidclogin.Login", "sessions": "*session.Manager", "protection": "*csrf.Protection", "scheme": "guard.Authenticator",
		"keys": "guard.Authenticator", "apiKeys": "guard.Authenticator", "store": "session.Store", "feed": "*revocation.Feed", "verifier": "basic.Verifier",
	}
	for _, handler := range []string{"orders", "shows", "pages", "account", "home", "site", "app", "api", "me", "admin", "remove", "profile"} {
		stand[handler] = "http.Handler"
	}
	return stand
}

// packagesOfSnippets are the packages that pieces may use, by their names.
func packagesOfSnippets() map[string]string {
	known := map[string]string{
		"clientcredentials": "golang.org/x/oauth2/clientcredentials", "bcrypt": "golang.org/x/crypto/bcrypt", "grpc": "google.golang.org/grpc",
		"rueidis": "github.com/redis/rueidis", "oauth": "github.com/gatehouse-dev/gatehouse/protocol/oauth",
		"gatehousetest": "github.com/gatehouse-dev/gatehouse/gatehousetest", "guard": "github.com/gatehouse-dev/gatehouse/guard",
		"sql": "database/sql", "template": "html/template", "http": "net/http", "httptest": "net/http/httptest", "netip": "net/netip", "url": "net/url",
	}
	for _, name := range []string{"context", "errors", "fmt", "io", "log", "os", "strings", "testing", "time"} {
		known[name] = name
	}
	for _, name := range []string{
		"apikey", "basic", "bearer", "csrf", "digest", "grpcguard", "guardtest", "oidclogin", "ratelimit", "redisstore", "revocation", "session",
	} {
		known[name] = "github.com/gatehouse-dev/gatehouse/guard/" + name
	}
	return known
}

// elsewhere are packages whose pieces are tested where they are, or that are the reader's own: such a piece has to
// be Go, and no more.
var elsewhere = regexp.MustCompile(`\b(chi\.Router|echo\.Wrap|gin\.Context|gateway\.Client)\b`)

// snippet is a piece of Go in a page.
type snippet struct{ place, text string }

var goFence = regexp.MustCompile("(?ms)^```go\n(.*?)^```")

func snippetsOf(t *testing.T) (found []snippet) {
	for _, page := range markdown(t) {
		if page != "README.md" && !strings.HasPrefix(page, "docs/") && !strings.HasPrefix(page, "examples/") {
			continue
		}
		text := string(read(t, page))
		for _, at := range goFence.FindAllStringSubmatchIndex(text, -1) {
			found = append(found, snippet{fmt.Sprintf("%s:%d", page, 1+strings.Count(text[:at[2]], "\n")), text[at[2]:at[3]]})
		}
	}
	return found
}

// check returns what is wrong with the piece.
func (s snippet) check(known, exported map[string]string) []string {
	var problems []string
	for _, source := range s.files() {
		file, fset, err := s.parse(source)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		if elsewhere.MatchString(s.text) {
			return nil
		}
		if problems = s.typed(fset, file, source, known, exported); len(problems) == 0 {
			return nil
		}
	}
	return problems
}

func (s snippet) parse(source string) (*ast.File, *token.FileSet, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, s.place, source, parser.SkipObjectResolution)
	return file, fset, err
}

var (
	closedGap = regexp.MustCompile(`\{ *…[^{}\n]*\}`)
	openGap   = regexp.MustCompile(`…,? ?`)
	field     = regexp.MustCompile(`^[A-Z]\w*: `)
)

// files returns the files that the piece may be meant as, all but a whole one with what is missing around it.
func (s snippet) files() []string {
	text := s.text
	if strings.HasPrefix(text, "package ") {
		return []string{text}
	}
	text = closed(text)
	if field.MatchString(text) { // of a literal
		var files []string
		for _, options := range []string{"session.Options", "oidclogin.Options"} {
			files = append(files, wrapped("", "_ = "+options+"{\n"+text+"}\n"))
		}
		return files
	}
	return []string{wrapped(apart(text))}
}

// apart tells what can only stand outside of functions from what can only stand inside. A function that does not
// end goes on in the reader's mind.
func apart(text string) (declarations, statements string) {
	var outside, inside strings.Builder
	within := false
	for line := range strings.Lines(text) {
		begins := strings.HasPrefix(line, "func ") || strings.HasPrefix(line, "type ")
		if begins || within {
			outside.WriteString(line)
		} else {
			inside.WriteString(line)
		}
		within = begins && strings.HasSuffix(line, "{\n") || within && line != "}\n"
	}
	if within {
		outside.WriteString("}\n")
	}
	return outside.String(), inside.String()
}

func wrapped(declarations, statements string) string {
	return "package piece\n\n" + declarations + "\n\ntype Item struct{}\n\nfunc _() {\n" + statements + "\n}\n"
}

// closed takes the gaps out, but for those in texts and comments.
func closed(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		code, comment, _ := strings.Cut(line, "//")
		if strings.Contains(line, `://`) { // an address is no comment
			code, comment = line, ""
		}
		code = closedGap.ReplaceAllString(strings.ReplaceAll(code, `"…"`, `"."`), "{}")
		code = openGap.ReplaceAllString(code, "")
		b.WriteString(strings.TrimRight(code, " \n"))
		if comment != "" {
			b.WriteString(" //" + strings.TrimRight(comment, "\n"))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

var qualifier = regexp.MustCompile(`\b(\w+)\.`)

// pardoned are complaints about what a piece leaves out.
var pardoned = regexp.MustCompile(`declared and not used|is not used|missing return|imported and not used`)

// typed checks the types of a file to which the imports and the names for what the reader has are added.
func (s snippet) typed(fset *token.FileSet, file *ast.File, source string, known, exported map[string]string) []string {
	if file.Name.Name == "piece" {
		var head, variables strings.Builder
		names := identifiers(file)
		used := maps.Clone(names)
		for name, kind := range stand() {
			if names[name] && !declares(file, name) {
				fmt.Fprintf(&variables, "var %s %s\n", name, kind)
			}
		}
		for _, word := range qualifier.FindAllStringSubmatch(variables.String(), -1) {
			used[word[1]] = true
		}
		for name, importPath := range known {
			if used[name] {
				fmt.Fprintf(&head, "import %s %q\n", name, importPath)
			}
		}
		full := strings.Replace(source, "package piece\n", "package piece\n\n"+head.String(), 1) + variables.String()
		var err error
		if file, fset, err = s.parse(full); err != nil {
			return []string{err.Error()}
		}
	}
	var problems []string
	config := types.Config{
		Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
			if exported[path] == "" {
				return nil, errors.New("not among the packages of the documentation")
			}
			return os.Open(exported[path])
		}),
		Error: func(err error) {
			var e types.Error
			if errors.As(err, &e) && !pardoned.MatchString(e.Msg) {
				problems = append(problems, e.Msg)
			}
		},
	}
	_, _ = config.Check("piece", fset, []*ast.File{file}, nil) // every error went to Error
	return problems
}

// identifiers are all names in a file.
func identifiers(file *ast.File) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if id, is := n.(*ast.Ident); is {
			names[id.Name] = true
		}
		return true
	})
	return names
}

// declares reports whether name is a function of the file.
func declares(file *ast.File, name string) bool {
	return slices.ContainsFunc(file.Decls, func(d ast.Decl) bool {
		f, is := d.(*ast.FuncDecl)
		return is && f.Recv == nil && f.Name.Name == name
	})
}

// exportsOf returns the files with the types of packages and of all they import, by their paths.
func exportsOf(t *testing.T, packages []string) map[string]string {
	t.Helper()
	list := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{if .Export}}{{.ImportPath}} {{.Export}}{{end}}"}, packages...)...)
	var problems bytes.Buffer
	list.Stderr = &problems
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &problems)
	}
	exported := map[string]string{}
	for line := range strings.Lines(string(out)) {
		importPath, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exported[path.Clean(importPath)] = file
	}
	return exported
}

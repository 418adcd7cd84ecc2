// Package tree reads the source of the module as data, so that tests can state rules about it: who
// imports whom, which calls are made where, what every package owes its reader. The rules with
// their reasons are in the test of the root package; here is what they ask with.
package tree

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Tree is all Go code of one module.
type Tree struct {
	Root   string // the folder of go.mod
	Module string // its module path
	Files  []*File
	fset   *token.FileSet
}

// File is one Go file.
type File struct {
	Path string // below the root, with slashes
	Dir  string // its folder, "." for the root
	Test bool
	AST  *ast.File
	tree *Tree
}

// Load parses the module in the folder root. Folders that the go tool passes over, node_modules
// and modules within the module are left out.
func Load(root string) (*Tree, error) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("tree: %w", err)
	}
	t := &Tree{Root: root, fset: token.NewFileSet()}
	for line := range strings.Lines(string(mod)) {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			t.Module = strings.TrimSpace(name)
		}
	}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != root && (skipped(d.Name()) || isModule(name)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return t.add(filepath.ToSlash(rel), source)
	})
	if err != nil {
		return nil, fmt.Errorf("tree: %w", err)
	}
	return t, nil
}

func skipped(dir string) bool {
	return strings.HasPrefix(dir, ".") || strings.HasPrefix(dir, "_") || dir == "testdata" || dir == "node_modules" || dir == "vendor"
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// add parses one file. Object resolution stays on: it tells a local name from a package's.
func (t *Tree) add(name string, source []byte) error {
	parsed, err := parser.ParseFile(t.fset, name, source, parser.ParseComments)
	if err != nil {
		return err
	}
	t.Files = append(t.Files, &File{Path: name, Dir: path.Dir(name), Test: strings.HasSuffix(name, "_test.go"), AST: parsed, tree: t})
	return nil
}

// Packages returns the files of every folder.
func (t *Tree) Packages() map[string][]*File {
	out := map[string][]*File{}
	for _, f := range t.Files {
		out[f.Dir] = append(out[f.Dir], f)
	}
	return out
}

// Inside returns where an imported package lies in the module ("." for its root), and whether it
// does.
func (t *Tree) Inside(importPath string) (dir string, ok bool) {
	if importPath == t.Module {
		return ".", true
	}
	return strings.CutPrefix(importPath, t.Module+"/")
}

// Imports returns the paths that the file imports.
func (f *File) Imports() []string {
	var out []string
	for _, spec := range f.AST.Imports {
		out = append(out, importPath(spec))
	}
	return out
}

// At returns a place of the file as file:line.
func (f *File) At(pos token.Pos) string {
	return f.Path + ":" + strconv.Itoa(f.tree.fset.Position(pos).Line)
}

// Use is one mention of a package's exported name.
type Use struct {
	At     string // file:line
	Name   string // as in time.Now
	Called bool   // time.Now(), and not time.Now handed on as a value
}

// Uses returns where the file mentions one of the names of the package with this path.
func (f *File) Uses(pkg string, names ...string) []Use {
	local := f.localNames(pkg)
	var out []Use
	var called ast.Expr
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			called = n.Fun
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && slices.Contains(local, x.Name) && x.Obj == nil && slices.Contains(names, n.Sel.Name) {
				out = append(out, Use{f.At(n.Pos()), path.Base(pkg) + "." + n.Sel.Name, called == n})
			}
		}
		return true
	})
	return out
}

// localNames returns what the file calls a package: nothing when it does not import it.
func (f *File) localNames(pkg string) []string {
	var out []string
	for _, spec := range f.AST.Imports {
		switch {
		case importPath(spec) != pkg:
		case spec.Name != nil:
			out = append(out, spec.Name.Name)
		default:
			base := path.Base(pkg)
			if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
				base = path.Base(path.Dir(pkg)) // math/rand/v2 is called rand
			}
			out = append(out, base)
		}
	}
	return out
}

func importPath(spec *ast.ImportSpec) string {
	p, _ := strconv.Unquote(spec.Path.Value)
	return p
}

// Within reports whether dir is one of the folders, or below one. The folder "." stands for the
// root package alone.
func Within(dir string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		return dir == folder || strings.HasPrefix(dir, folder+"/")
	})
}

// Package sqlcheck proves that the SQL of a tree of Go code keeps to its tenant: it reads every SQL text in the code and reports
// those that touch a table with a column tenant_id without comparing that column to $1, the value the
// tenant's handle binds.
//
// It is a lint for honest mistakes, not a wall against its authors. What it cannot see, it reports: a piece of SQL
// that names a tenant's table but is no statement by itself. What it accepts is narrow on purpose: a condition
// joined by AND alone, never under OR, NOT or CASE.
//
// Neighbours: package db binds the tenant at run time; sqltext reads the tokens.
package sqlcheck

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Finding is one SQL text that does not keep to its tenant.
type Finding struct {
	Pos token.Position
	// Name is what an exception would be listed under.
	Name    string
	Problem string
}

// String returns the finding as a compiler would print it.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Pos, f.Name, f.Problem) }

// Check reads all Go code below root, except tests, testdata and hidden folders, and returns its findings in order. The tables are
// read from the series of migrations.
//
// Exceptions name the statements meant for db.System, each with its reason: the folder below root, a dot, and the name of the
// constant or variable, or of the function a text stands in: "internal/core/grants.sweepCodes". An exception without a
// reason, or that excuses nothing, is itself a finding.
func Check(root string, migrations fs.FS, exceptions map[string]string) ([]Finding, error) {
	tables, err := tenantTables(migrations)
	if err != nil {
		return nil, err
	}
	c := &check{root: root, tables: tables, exceptions: exceptions, excused: make(map[string]bool)}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if name := entry.Name(); path != root && (name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		return c.folder(path)
	})
	if err != nil {
		return nil, fmt.Errorf("sqlcheck: %w", err)
	}
	for name, reason := range exceptions {
		switch {
		case reason == "":
			c.findings = append(c.findings, Finding{Name: name, Problem: "the exception gives no reason"})
		case !c.excused[name]:
			c.findings = append(c.findings, Finding{Name: name, Problem: "the exception excuses nothing any more"})
		}
	}
	slices.SortFunc(c.findings, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	return c.findings, nil
}

type check struct {
	root       string
	tables     map[string]bool
	exceptions map[string]string
	excused    map[string]bool
	findings   []Finding
}

// folder checks the package in one folder.
func (c *check) folder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil
	}
	rel, err := filepath.Rel(c.root, dir)
	if err != nil {
		return err
	}

	// The type checker folds the constants of the package. It is not told about imports, so its errors mean nothing here.
	info := &types.Info{
		Types: make(map[ast.Expr]types.TypeAndValue),
		Defs:  make(map[*ast.Ident]types.Object),
		Uses:  make(map[*ast.Ident]types.Object),
	}
	config := types.Config{Error: func(error) {}, Importer: noImports{}}
	config.Check(rel, fset, files, info)

	texts := collect(files, info)
	for _, t := range texts {
		c.text(fset.Position(t.pos), filepath.ToSlash(rel)+"."+t.name, t.sql)
	}
	return nil
}

// noImports makes every import fail.
type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("sqlcheck does not load %s", path)
}

func (c *check) text(pos token.Position, name, sql string) {
	problems := problems(sql, c.tables)
	if len(problems) == 0 {
		return
	}
	if c.exceptions[name] != "" {
		c.excused[name] = true
		return
	}
	for _, p := range problems {
		c.findings = append(c.findings, Finding{pos, name, p})
	}
}

// text is one SQL text as the program will send it, as far as can be told.
type text struct {
	pos  token.Pos
	name string
	sql  string
}

// unknown stands in a text for what is not constant.
const unknown = " ? "

// collect returns every largest string expression of the files.
func collect(files []*ast.File, info *types.Info) []text {
	partOnly := partsOnly(files, info)
	var texts []text
	var name string
	var visit func(n ast.Node) bool
	walk := func(n ast.Node, as string) {
		outer := name
		if as != "" {
			name = as
		}
		ast.Inspect(n, visit)
		name = outer
	}
	visit = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.FuncDecl:
			if n.Body != nil {
				walk(n.Body, funcName(n))
			}
			return false
		case *ast.ValueSpec:
			for i, v := range n.Values {
				if i < len(n.Names) {
					if partOnly[info.Defs[n.Names[i]]] {
						continue
					}
					walk(v, n.Names[i].Name)
				} else {
					walk(v, "")
				}
			}
			return false
		case *ast.BasicLit, *ast.BinaryExpr:
			if s, ok := fold(n.(ast.Expr), info); ok {
				texts = append(texts, text{n.Pos(), name, s})
				return false
			}
		}
		return true
	}
	for _, f := range files {
		walk(f, f.Name.Name)
	}
	return texts
}

// partsOnly returns the unexported constants that are only ever used inside a larger text, where they are seen.
func partsOnly(files []*ast.File, info *types.Info) map[types.Object]bool {
	inText, elsewhere := make(map[types.Object]bool), make(map[types.Object]bool)
	var visit func(n ast.Node, inside bool)
	visit = func(n ast.Node, inside bool) {
		ast.Inspect(n, func(m ast.Node) bool {
			switch m := m.(type) {
			case *ast.BinaryExpr:
				if m == n {
					return true
				}
				_, isText := fold(m, info)
				visit(m, isText)
				return false
			case *ast.CallExpr:
				if m != n && inside { // an argument of a call is a text of its own
					visit(m, false)
					return false
				}
			case *ast.Ident:
				if o, ok := info.Uses[m].(*types.Const); ok {
					if inside {
						inText[o] = true
					} else {
						elsewhere[o] = true
					}
				}
			}
			return true
		})
	}
	for _, f := range files {
		visit(f, false)
	}
	only := make(map[types.Object]bool)
	for o := range inText {
		exported := ast.IsExported(o.Name()) && o.Parent() == o.Pkg().Scope()
		if !elsewhere[o] && !exported {
			only[o] = true
		}
	}
	return only
}

// fold returns the text of a string expression, with unknown for the parts that are not constant. It is not
// ok for other expressions.
func fold(e ast.Expr, info *types.Info) (string, bool) {
	if v := info.Types[e].Value; v != nil {
		if v.Kind() != constant.String {
			return "", false
		}
		return constant.StringVal(v), true
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return fold(e.X, info)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		x, okX := fold(e.X, info)
		y, okY := fold(e.Y, info)
		switch {
		case okX && okY:
			return x + y, true
		case okX:
			return x + unknown, true
		case okY:
			return unknown + y, true
		}
	}
	return "", false
}

func funcName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

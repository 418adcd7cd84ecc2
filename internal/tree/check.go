package tree

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// NoDoc reports a package without a package comment, and exported names without a comment.
func NoDoc(files []*File) []string {
	var out []string
	documented, production := false, false
	for _, f := range files {
		if f.Test {
			continue
		}
		production = true
		documented = documented || f.AST.Doc != nil
		if f.AST.Name.Name == "main" {
			continue
		}
		for _, d := range f.AST.Decls {
			out = append(out, undocumented(f, d)...)
		}
	}
	if production && !documented {
		out = append(out, files[0].Dir+": the package has no comment that says what it is and who its neighbours are")
	}
	return out
}

// wellKnown are methods whose meaning the standard library fixes.
var wellKnown = []string{"Error", "String", "Unwrap", "Len", "Less", "Swap"}

func undocumented(f *File, d ast.Decl) []string {
	var out []string
	missing := func(name *ast.Ident) {
		out = append(out, fmt.Sprintf("%s: %s has no comment", f.At(name.Pos()), name.Name))
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && !(d.Recv != nil && slices.Contains(wellKnown, d.Name.Name)) {
			missing(d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
					missing(s.Name)
				}
			case *ast.ValueSpec: // one comment may stand for a block
				if d.Doc == nil && s.Doc == nil && s.Comment == nil && s.Names[0].IsExported() {
					missing(s.Names[0])
				}
			}
		}
	}
	return out
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// Inits reports init functions.
func Inits(f *File) []string {
	var out []string
	for _, d := range f.AST.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			out = append(out, f.At(fn.Pos())+": func init runs before anybody asked for it")
		}
	}
	return out
}

// pure are the calls that may give a package-level variable its value: they make something that
// never changes afterwards.
var pure = []string{
	"errors.New", "fmt.Errorf", "errors.Join", "regexp.MustCompile", "template.Must", "language.MustParse", "language.NewMatcher",
	"netip.MustParsePrefix", "netip.MustParseAddr", "strings.NewReplacer", "RawURLEncoding.Strict", "StdEncoding.Strict",
	"big.NewInt", "reflect.TypeFor", "reflect.TypeOf", "fault.New", "fault.Field", "fault.Wrap", "cases.Fold",
}

// Globals reports package-level variables that hold state: those that some code of the package,
// tests included, changes or takes the address of, those of the packages sync and atomic, and
// those made by a call that may keep state. It reads one package at a time and knows no types, so
// it cannot see a change through a pointer or a method.
func Globals(files []*File) []string {
	declared := map[string]*ast.ValueSpec{}
	var out []string
	for _, f := range files {
		if f.Test {
			continue
		}
		for _, d := range f.AST.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for _, name := range v.Names {
					declared[name.Name] = v
				}
				if why := stateful(v); why != "" {
					out = append(out, fmt.Sprintf("%s: %s %s", f.At(v.Pos()), v.Names[0].Name, why))
				}
			}
		}
	}
	for _, f := range files {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			for _, target := range changed(n) {
				if name := root(target); name != nil && name.Name != "_" && declared[name.Name] != nil && !local(name, declared[name.Name]) {
					out = append(out, fmt.Sprintf("%s: %s is changed here, but is shared by the whole program", f.At(n.Pos()), name.Name))
				}
			}
			return true
		})
	}
	return out
}

// stateful says why a variable's declaration shows that it holds state, or "".
func stateful(v *ast.ValueSpec) string {
	if v.Type != nil {
		if s, ok := v.Type.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") {
				return "is a " + x.Name + "." + s.Sel.Name + ": state that belongs into a value somebody owns"
			}
		}
	}
	if v.Names[0].Name == "_" {
		return ""
	}
	for _, value := range v.Values {
		why := ""
		ast.Inspect(value, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return false
			case *ast.CompositeLit:
				if s, ok := n.Type.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") {
						why = "holds a " + x.Name + "." + s.Sel.Name
					}
				}
			case *ast.CallExpr:
				if name := callee(n.Fun); name != "" && !slices.Contains(pure, name) {
					why = "is made by " + name + ", which is not known to make an unchanging value"
				}
			}
			return true
		})
		if why != "" {
			return why
		}
	}
	return ""
}

// callee names what is called, as pkg.Func or x.Method; "" for a conversion, a builtin, a function of
// the package itself, and for the last parts of a chain such as template.New("x").Parse(…), whose
// beginning is judged.
func callee(fun ast.Expr) string {
	s, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	switch x := s.X.(type) {
	case *ast.Ident:
		if x.Name == "template" && s.Sel.Name == "New" {
			return "" // always inside template.Must
		}
		return x.Name + "." + s.Sel.Name
	case *ast.SelectorExpr:
		return x.Sel.Name + "." + s.Sel.Name
	}
	return ""
}

// changed returns the expressions that a node changes, or whose address it takes.
func changed(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return []ast.Expr{n.Key, n.Value}
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && f.Obj == nil && (f.Name == "delete" || f.Name == "clear" || f.Name == "copy") && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// root returns the variable at the bottom of x[i].y.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// local reports whether the name means something else here than the package's variable.
func local(name *ast.Ident, v *ast.ValueSpec) bool {
	return name.Obj != nil && name.Obj.Decl != any(v)
}

// Skips reports tests that leave themselves out other than for testing.Short: a test that does not
// run proves nothing, and nobody notices.
func Skips(f *File) []string {
	var out []string
	var walk func(n ast.Node, short bool)
	walk = func(n ast.Node, short bool) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.IfStmt:
				if asksForShort(n.Cond) {
					if n.Init != nil {
						walk(n.Init, short)
					}
					walk(n.Body, true)
					if n.Else != nil {
						walk(n.Else, short)
					}
					return false
				}
			case *ast.CallExpr:
				s, ok := n.Fun.(*ast.SelectorExpr)
				if ok && !short && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, s.Sel.Name) {
					out = append(out, f.At(n.Pos())+": "+s.Sel.Name+" outside if testing.Short()")
				}
			}
			return true
		})
	}
	walk(f.AST, false)
	return out
}

func asksForShort(cond ast.Expr) bool {
	found := false
	ast.Inspect(cond, func(n ast.Node) bool {
		if u, ok := n.(*ast.UnaryExpr); ok && u.Op == token.NOT {
			return false
		}
		if b, ok := n.(*ast.BinaryExpr); ok && b.Op == token.LOR {
			return false
		}
		if c, ok := n.(*ast.CallExpr); ok && callee(c.Fun) == "testing.Short" {
			found = true
		}
		return true
	})
	return found
}

// ThreatTest is a test that stands for a row of the threat catalogue.
type ThreatTest struct {
	ID   string // such as AZ03
	Name string // the function
	Dir  string
	At   string
}

// ThreatTests returns the tests of the files that are named after a row, and complaints about names
// that look so but are not well formed: TestThreat_AZ03_WhatItShows, FuzzThreat_JW12.
func ThreatTests(files []*File) (tests []ThreatTest, malformed []string) {
	for _, f := range files {
		if !f.Test {
			continue
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil {
				continue
			}
			name := fn.Name.Name
			rest, isTest := strings.CutPrefix(name, "TestThreat")
			fuzz := false
			if !isTest {
				rest, fuzz = strings.CutPrefix(name, "FuzzThreat")
			}
			if !isTest && !fuzz || !strings.ContainsAny(rest[:min(6, len(rest))], "_0123456789") {
				continue // TestThreats is about threats, not named after one
			}
			id, ok := rowID(rest, fuzz)
			if !ok {
				malformed = append(malformed, fmt.Sprintf("%s: %s must be named like TestThreat_AZ03_WhatItShows or FuzzThreat_JW12", f.At(fn.Pos()), name))
				continue
			}
			tests = append(tests, ThreatTest{ID: id, Name: name, Dir: f.Dir, At: f.At(fn.Pos())})
		}
	}
	return tests, malformed
}

// rowID takes "_AZ03_WhatItShows" apart. A fuzz target may stop after the id.
func rowID(rest string, mayStop bool) (string, bool) {
	if len(rest) < 5 || rest[0] != '_' {
		return "", false
	}
	id, tail := rest[1:5], rest[5:]
	for i, c := range id {
		if i < 2 && (c < 'A' || c > 'Z') || i >= 2 && (c < '0' || c > '9') {
			return "", false
		}
	}
	if tail == "" {
		return id, mayStop
	}
	return id, len(tail) > 2 && tail[0] == '_' && tail[1] >= 'A' && tail[1] <= 'Z'
}

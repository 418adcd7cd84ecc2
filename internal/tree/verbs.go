package tree

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// Slow is what no transaction waits for.
type Slow struct {
	Packages []string // import paths; calling anything of theirs is slow
	Methods  []string // as in Hasher.Verify: the field or variable, whatever its case, and the method
}

// InVerbs reports slow calls in the functions of a package that are handed a transaction: a parameter *tx,
// where tx is the type Tx of the package with the path dbPath. It follows calls to functions of the package itself,
// and to methods by their names: those whose receiver is called as the variable is, and where there is none, all.
func InVerbs(files []*File, dbPath string, slow Slow) []string {
	p := &verbs{dbPath: dbPath, slow: slow, functions: map[string][]function{}, seen: map[ast.Node]bool{}}
	for _, f := range files {
		if f.Test {
			continue
		}
		for _, d := range f.AST.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Body != nil {
				p.functions[d.Name.Name] = append(p.functions[d.Name.Name], function{f, receiver(d), d.Body})
			}
		}
	}
	for _, f := range files {
		if f.Test {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Body != nil && p.takesTx(f, n.Type) {
					p.read(f, n.Body, n.Name.Name)
				}
			case *ast.FuncLit:
				if p.takesTx(f, n.Type) {
					p.read(f, n.Body, "a verb")
				}
			}
			return true
		})
	}
	slices.Sort(p.out)
	return slices.Compact(p.out)
}

type function struct {
	file     *File
	receiver string // what the method calls it; empty for a function
	body     *ast.BlockStmt
}

func receiver(d *ast.FuncDecl) string {
	switch {
	case d.Recv == nil:
		return ""
	case len(d.Recv.List[0].Names) == 0:
		return "_"
	}
	return d.Recv.List[0].Names[0].Name
}

// named are the functions that a call may mean; on is the variable it is made on.
func (p *verbs) named(name, on string) []function {
	var exact, methods []function
	for _, f := range p.functions[name] {
		if f.receiver == on {
			exact = append(exact, f)
		} else if f.receiver != "" && on != "" {
			methods = append(methods, f)
		}
	}
	if exact != nil {
		return exact
	}
	return methods
}

type verbs struct {
	dbPath    string
	slow      Slow
	functions map[string][]function // of the package, by name
	seen      map[ast.Node]bool
	out       []string
}

func (p *verbs) takesTx(f *File, t *ast.FuncType) bool {
	return slices.ContainsFunc(t.Params.List, func(field *ast.Field) bool {
		star, ok := field.Type.(*ast.StarExpr)
		if !ok {
			return false
		}
		s, ok := star.X.(*ast.SelectorExpr)
		return ok && s.Sel.Name == "Tx" && slices.Contains(f.localNames(p.dbPath), nameOf(s.X))
	})
}

// read looks at what a body calls. It is read once, whoever calls it.
func (p *verbs) read(f *File, body *ast.BlockStmt, verb string) {
	if p.seen[body] {
		return
	}
	p.seen[body] = true
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		var called []function
		switch fun := call.Fun.(type) {
		case *ast.Ident:
			called = p.named(fun.Name, "")
		case *ast.SelectorExpr:
			if p.isSlow(f, fun) {
				p.out = append(p.out, fmt.Sprintf("%s: %s.%s is called inside a transaction (%s)", f.At(fun.Pos()), nameOf(fun.X), fun.Sel.Name, verb))
			}
			if on, ok := fun.X.(*ast.Ident); ok {
				called = p.named(fun.Sel.Name, on.Name)
			}
		}
		for _, g := range called {
			p.read(g.file, g.body, verb)
		}
		return true
	})
}

func (p *verbs) isSlow(f *File, s *ast.SelectorExpr) bool {
	on := nameOf(s.X)
	if slices.ContainsFunc(p.slow.Methods, func(m string) bool { return strings.EqualFold(m, on+"."+s.Sel.Name) }) {
		return true
	}
	return slices.ContainsFunc(f.Imports(), func(path string) bool {
		return slices.Contains(p.slow.Packages, path) && slices.Contains(f.localNames(path), on)
	})
}

// nameOf is the last name of an expression such as s.people.Hasher.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

package main

import (
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
)

// head is what stands above the list of settings.
//
//go:embed head.md
var head string

// page returns the reference. Source is the file that declares the struct.
func page(source string) (string, error) {
	comments, err := fieldComments(source)
	if err != nil {
		return "", err
	}
	var settings, switches strings.Builder
	for _, s := range config.Settings() {
		b := &settings
		if strings.HasPrefix(s.Key, "insecure_") {
			b = &switches
		}
		text, ok := comments[s.Field]
		if !ok || text == "" {
			return "", fmt.Errorf("%s has no comment", s.Field)
		}
		fmt.Fprintf(b, "### %s\n\n%s\n\n", s.Key, text)
		if s.Kind == "" {
			continue
		}
		facts := []string{s.Kind}
		if s.Default != "" {
			facts = append(facts, "default `"+s.Default+"`")
		}
		facts = append(facts, "`"+s.Env+"`")
		if s.EnvFile != "" {
			facts = append(facts, "`"+s.EnvFile+"`")
		}
		fmt.Fprintf(b, "*%s*\n\n", strings.Join(facts, " · "))
	}
	return head + "\n## Settings\n\n" + settings.String() +
		"## Switches that give safety up\n\nEach that is on is named in a warning at every start.\n\n" +
		strings.TrimSuffix(switches.String(), "\n"), nil
}

// fieldComments returns the comments of the fields of every struct in a Go file, by Type.Field.
func fieldComments(path string) (map[string]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					out[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
				}
			}
		}
		return false
	})
	return out, nil
}

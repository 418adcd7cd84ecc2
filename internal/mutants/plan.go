package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/tree"
)

const folder = "testdata/mutants"

// A plan is every row of the threat catalogue that has a test, a mutant or an exception.
type plan struct {
	rows []*row
}

type row struct {
	id        string
	tests     []test
	mutants   []mutant
	exception string
}

// test is one test function; module is the folder of its go.mod below the root, dir its package's
// below that.
type test struct{ module, dir, name string }

// mutant is one patch.
type mutant struct{ id, name, file string }

var patchName = regexp.MustCompile(`^([A-Z]{2}[0-9]{2})(_\w+)?\.patch$`)

func readPlan(root string) (*plan, error) {
	rows := map[string]*row{}
	at := func(id string) *row {
		if rows[id] == nil {
			rows[id] = &row{id: id}
		}
		return rows[id]
	}
	if err := readTests(root, at); err != nil {
		return nil, err
	}
	if err := readMutants(root, at); err != nil {
		return nil, err
	}
	if err := readExceptions(root, at); err != nil {
		return nil, err
	}
	p := &plan{}
	for _, r := range rows {
		p.rows = append(p.rows, r)
	}
	slices.SortFunc(p.rows, func(a, b *row) int { return strings.Compare(a.id, b.id) })
	return p, nil
}

// readTests finds the threat tests of every module of the tree.
func readTests(root string, at func(id string) *row) error {
	modules, err := modulesOf(root)
	if err != nil {
		return err
	}
	for _, module := range modules {
		m, err := tree.Load(filepath.Join(root, module))
		if err != nil {
			return err
		}
		tests, malformed := tree.ThreatTests(m.Files)
		if len(malformed) > 0 {
			return errors.New(strings.Join(malformed, "\n"))
		}
		for _, t := range tests {
			r := at(t.ID)
			r.tests = append(r.tests, test{module, t.Dir, t.Name})
		}
	}
	return nil
}

// modulesOf returns the folders below root that hold a go.mod, "." first.
func modulesOf(root string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.Name() == "go.mod":
			rel, err := filepath.Rel(root, filepath.Dir(name))
			out = append(out, filepath.ToSlash(rel))
			return err
		}
		return nil
	})
	slices.Sort(out)
	return out, err
}

func readMutants(root string, at func(id string) *row) error {
	entries, err := os.ReadDir(filepath.Join(root, folder))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".patch" {
			continue
		}
		match := patchName.FindStringSubmatch(e.Name())
		if match == nil {
			return fmt.Errorf("%s must be named like AZ03.patch or AZ03_words.patch", path.Join(folder, e.Name()))
		}
		file, err := filepath.Abs(filepath.Join(root, folder, e.Name()))
		if err != nil {
			return err
		}
		r := at(match[1])
		r.mutants = append(r.mutants, mutant{match[1], strings.TrimSuffix(e.Name(), ".patch"), file})
	}
	return nil
}

func readExceptions(root string, at func(id string) *row) error {
	text, err := os.ReadFile(filepath.Join(root, folder, "exceptions.txt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		id, reason, _ := strings.Cut(line, " ")
		if reason = strings.TrimSpace(reason); reason == "" {
			return fmt.Errorf("exceptions.txt: %s has no reason", id)
		}
		at(id).exception = reason
	}
	return nil
}

// gaps says what is missing: a row with tests needs a mutant or an exception, a mutant needs a test.
func (p *plan) gaps() []string {
	var out []string
	for _, r := range p.rows {
		switch {
		case len(r.tests) == 0 && len(r.mutants) > 0:
			out = append(out, r.id+" has a mutant and no test named after it")
		case len(r.tests) == 0:
			out = append(out, r.id+" has an exception and no test named after it")
		case len(r.mutants) == 0 && r.exception == "":
			out = append(out, r.id+" has no mutant: "+r.tests[0].dir+" "+r.tests[0].name)
		case len(r.mutants) > 0 && r.exception != "":
			out = append(out, r.id+" has a mutant and needs no exception")
		}
	}
	return out
}

// only returns the plan of some rows, or of some of their mutants: a name is that of a row, or of a mutant.
func (p *plan) only(names []string) (*plan, error) {
	out := &plan{}
	for _, name := range names {
		found := false
		for _, r := range p.rows {
			some := *r
			some.mutants = slices.DeleteFunc(slices.Clone(r.mutants), func(m mutant) bool { return m.id != name && m.name != name })
			if len(some.mutants) == 0 {
				continue
			}
			found = true
			i := slices.IndexFunc(out.rows, func(r *row) bool { return r.id == some.id })
			if i < 0 {
				out.rows = append(out.rows, &some)
			} else {
				out.rows[i].mutants = append(out.rows[i].mutants, some.mutants...)
			}
		}
		if !found {
			return nil, fmt.Errorf("%s has no mutant", name)
		}
	}
	return out, nil
}

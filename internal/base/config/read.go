package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile bounds the size of the configuration and of a file that holds a secret.
const maxFile = 1 << 20

// source is where a value came from: a line of the file or a variable.
type source struct {
	line int
	env  string
}

// Load reads the file at path, lays the environment (as [os.Environ] gives it) over it, and checks
// the result. An empty path means the environment alone.
//
// The error is [Problems] when the configuration is at fault: all of them, those of its form and
// those of its content. Any other error says that the file could not be read. The Config is
// returned beside Problems, for [Config.Explain].
func Load(path string, environ []string) (*Config, error) {
	c, err := Read(path, environ)
	if c == nil {
		return nil, err
	}
	return c, Problems(c.Validate()).err()
}

// Read is Load without the checks of content: for commands that use a part of the configuration
// and ask [Problems.Under] about that part. Its Problems are those of form: unknown settings,
// values of the wrong kind, files of secrets that cannot be read.
func Read(path string, environ []string) (*Config, error) {
	c := Default()
	c.from = map[string]source{}
	if path != "" {
		text, err := readFile(path)
		if err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
		c.file = path
		c.readYAML(text)
	}
	c.readEnv(environ)
	return c, sorted(c.wrong).err()
}

// problem notes something wrong with the setting key, with the place its value came from.
func (c *Config) problem(key, fix, message string, args ...any) Problem {
	p := Problem{Path: key, Message: fmt.Sprintf(message, args...), Fix: fix}
	at := c.from[key]
	if p.Env, p.Line = at.env, at.line; p.Line > 0 {
		p.File = c.file
	}
	return p
}

func (c *Config) complain(key, fix, message string, args ...any) {
	c.wrong = append(c.wrong, c.problem(key, fix, message, args...))
}

// readYAML takes every setting that text holds. It walks the syntax tree itself instead of letting
// the library fill the struct, which would stop at the first fault.
func (c *Config) readYAML(text []byte) {
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey()) // told below, with all else
	if err != nil {
		c.unread = true
		// The library's own text shows the lines around the fault, and a secret may stand there.
		p := Problem{File: c.file, Message: "is not valid YAML"}
		var at yaml.Error
		if errors.As(err, &at) {
			p.Message += ": " + strings.ReplaceAll(at.GetMessage(), "\n", " ")
			if t := at.GetToken(); t != nil && t.Position != nil {
				p.Line = t.Position.Line
				p.Message += fmt.Sprintf(" (column %d)", t.Position.Column)
			}
		}
		c.wrong = append(c.wrong, p)
		return
	}
	known := map[string]field{}
	for _, f := range fields(c) {
		known[f.key] = f
	}
	for i, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if i > 0 {
			c.unread = true
			c.wrong = append(c.wrong, Problem{File: c.file, Line: line(doc.Body), Message: "a second document begins here; the configuration is a single one", Fix: "Remove the line with ---."})
			break
		}
		c.readSection("", doc.Body, known)
	}
}

func (c *Config) readSection(prefix string, node ast.Node, known map[string]field) {
	section := strings.TrimSuffix(prefix, ".")
	entries, ok := entriesOf(node)
	if !ok {
		c.from[section] = source{line: line(node)}
		c.complain(section, "", "must hold settings, one a line, as NAME: VALUE")
		return
	}
	for _, e := range entries {
		key := prefix + e.Key.GetToken().Value
		if first, twice := c.from[key]; twice {
			p := c.problem(key, "Remove one of them.", "stands here and in line %d", first.line)
			p.Line = line(e.Key)
			c.wrong = append(c.wrong, p)
			continue
		}
		c.from[key] = source{line: line(e.Key)}
		f, isField := known[key]
		switch {
		case isField:
			c.readValue(f, e.Value)
		case !isSection(key, known):
			c.complain(key, didYouMean(key, known), "is not a setting")
		case e.Value.Type() != ast.NullType:
			c.readSection(key+".", e.Value, known)
		}
	}
}

func (c *Config) readValue(f field, node ast.Node) {
	if node.Type() == ast.NullType {
		c.complain(f.key, `Give it one, write "" for an empty text, or remove the line.`, "has no value")
		return
	}
	nodes := []ast.Node{node}
	if list, ok := node.(*ast.SequenceNode); ok {
		nodes = list.Values
		if f.kind() == "text" || f.kind() == "secret" {
			c.complain(f.key, "", "is a list, but must be a single value")
			return
		}
	}
	var texts []string
	for _, n := range nodes {
		text, ok := scalar(n)
		if !ok {
			c.complain(f.key, "Anchors, aliases, tags and maps have no meaning here.", "must be a plain value")
			return
		}
		texts = append(texts, text)
	}
	c.take(f, texts, filepath.Dir(c.file))
}

// take gives the field its value. Paths that are not absolute begin at dir.
func (c *Config) take(f field, texts []string, dir string) {
	texts = slices.Clone(texts)
	for i, t := range texts {
		switch f.key {
		case "tls.cert_file", "tls.key_file":
			texts[i] = below(dir, t)
		case "database.url":
			if path, ok := strings.CutPrefix(t, "sqlite:"); ok && path != "" && !memory(path) {
				texts[i] = "sqlite:" + below(dir, path)
			}
		}
	}
	if !f.secret() {
		if err := f.set(texts); err != nil {
			c.complain(f.key, "", "%s", err)
		}
		return
	}

	var secrets []Secret
	for _, t := range texts {
		path, ok := strings.CutPrefix(t, "file:")
		if !ok {
			secrets = append(secrets, NewSecret(t))
			continue
		}
		path = below(dir, path)
		content, err := readFile(path)
		if err != nil {
			c.complain(f.key, "", "cannot read its file: %s", err)
			continue
		}
		for l := range strings.Lines(string(content)) {
			if l = strings.TrimSpace(l); l != "" {
				secrets = append(secrets, Secret{text: &l, file: path})
			}
		}
	}
	switch to := f.target.(type) {
	case *[]Secret:
		*to = secrets
	case *Secret:
		if len(secrets) > 1 {
			c.complain(f.key, "", "its file must hold one line, not %d", len(secrets))
		} else if len(secrets) == 1 {
			*to = secrets[0]
		}
	}
}

// readEnv lays the variables that begin with GATEHOUSE_ over what the file said. An empty variable
// is as good as none. A secret can be named by the file that holds it, in NAME_FILE.
func (c *Config) readEnv(environ []string) {
	vars := map[string]string{}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(name, envPrefix) && value != "" {
			vars[name] = value
		}
	}
	names := map[string]field{}
	for _, f := range fields(c) {
		name := f.env()
		names[name] = f
		value, given := vars[name]
		delete(vars, name)
		if file, ok := vars[name+"_FILE"]; ok && f.secret() {
			delete(vars, name+"_FILE")
			if given {
				c.from[f.key] = source{env: name + "_FILE"}
				c.complain(f.key, "Remove one of them.", "%s is set, too", name)
				continue
			}
			name, value, given = name+"_FILE", "file:"+file, true
		}
		if !given {
			continue
		}
		c.from[f.key] = source{env: name}
		texts := []string{value}
		if strings.HasPrefix(f.kind(), "list") {
			texts = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
		}
		c.take(f, texts, "")
	}
	for name := range vars {
		if !foreign(name) {
			c.wrong = append(c.wrong, Problem{Env: name, Message: "is not a setting", Fix: didYouMean(name, names)})
		}
	}
	slices.SortStableFunc(c.wrong, func(a, b Problem) int { return strings.Compare(a.Env, b.Env) })
}

// orchestrated matches what Kubernetes and Docker links put into every container when a service is
// called gatehouse, or gatehouse-something.
var orchestrated = regexp.MustCompile(`^GATEHOUSE_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_.+)?)?)$`)

// foreign reports whether a variable of our prefix is no setting and no mistake either.
func foreign(name string) bool {
	return name == "GATEHOUSE_CONFIG" || strings.HasPrefix(name, "GATEHOUSE_TEST_") || strings.HasPrefix(name, "GATEHOUSE_PROOF") || orchestrated.MatchString(name)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}

func below(dir, path string) string {
	if path == "" || filepath.IsAbs(path) || dir == "" {
		return path
	}
	return filepath.Join(dir, path)
}

func entriesOf(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// scalar returns the text of a plain value as it is written, so that 0123 stays 0123.
func scalar(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func line(node ast.Node) int {
	if t := node.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

func isSection(key string, known map[string]field) bool {
	for k := range known {
		if strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}

// didYouMean names the known setting nearest to a mistyped one, if one is near.
func didYouMean[T any](name string, known map[string]T) string {
	best, distance := "", 4
	for k := range known {
		if d := editDistance(name, k); d < distance || (d == distance && best != "" && k < best) {
			best, distance = k, d
		}
	}
	if best == "" {
		return "docs/configuration.md lists all settings."
	}
	return fmt.Sprintf("Did you mean %s?", best)
}

// editDistance counts the insertions, deletions and replacements between a and b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

package config

import (
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/goccy/go-yaml"
)

// Explain writes the configuration in force as YAML, each line with where its value comes from.
// Secrets are shown as ***.
func (c *Config) Explain(w io.Writer) error {
	var b strings.Builder
	var section string
	for _, f := range fields(c) {
		name, indent := f.key, ""
		if head, tail, nested := strings.Cut(f.key, "."); nested {
			if head != section {
				b.WriteString(head + ":\n")
			}
			section, name, indent = head, tail, "  "
		} else {
			section = ""
		}
		values, list := f.shown()
		if !list {
			fmt.Fprintf(&b, "%s%s: %s # %s\n", indent, name, values[0], c.origin(f))
			continue
		}
		if len(values) == 0 {
			fmt.Fprintf(&b, "%s%s: [] # %s\n", indent, name, c.origin(f))
			continue
		}
		fmt.Fprintf(&b, "%s%s: # %s\n", indent, name, c.origin(f))
		for _, v := range values {
			fmt.Fprintf(&b, "%s  - %s\n", indent, v)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// origin says where the value of f comes from.
func (c *Config) origin(f field) string {
	at, ok := c.from[f.key]
	file := ""
	switch s := f.target.(type) {
	case *Secret:
		file = s.file
	case *[]Secret:
		if len(*s) > 0 {
			file = (*s)[0].file
		}
	}
	where := "default"
	switch {
	case at.env != "":
		where = at.env
	case ok:
		where = fmt.Sprintf("%s:%d", c.file, at.line)
	}
	if file != "" {
		where += ", read from " + file
	}
	return where
}

// shown returns the field's value as YAML scalars, and whether it is a list. Secrets are hidden.
func (f field) shown() (values []string, list bool) {
	switch v := f.target.(type) {
	case *Secret:
		text := v.String()
		if f.key == "database.url" {
			text = showURL(*v)
		}
		return []string{quote(text)}, false
	case *[]Secret:
		for _, s := range *v {
			values = append(values, quote(s.String()))
		}
		return values, true
	case *[]netip.Prefix:
		for _, p := range *v {
			values = append(values, p.String())
		}
		return values, true
	case *[]string:
		for _, s := range *v {
			values = append(values, quote(s))
		}
		return values, true
	}
	return []string{f.text()}, false
}

// quote writes text as one YAML scalar on one line.
func quote(text string) string {
	out, err := yaml.MarshalWithOptions(text, yaml.JSON())
	if err != nil {
		return `""`
	}
	return strings.TrimSpace(string(out))
}

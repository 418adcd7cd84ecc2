package page

import (
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
)

// catalogue holds the sentences of one language by id. A sentence may hold
// {placeholders}.
type catalogue map[Message]string

// fallback is said when an id is missing.
const fallback Message = "error.general"

func readCatalogues(files fs.FS) (map[string]catalogue, error) {
	names, err := fs.Glob(files, "messages/*.json")
	if err != nil {
		return nil, err
	}
	all := make(map[string]catalogue, len(names))
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		c := catalogue{}
		if err := json.Unmarshal(data, &c); err != nil {
			return nil, fmt.Errorf("page: %s: %w", name, err)
		}
		all[strings.TrimSuffix(path.Base(name), ".json")] = c
	}
	return all, nil
}

// text is the sentence as plain text, for titles and attributes.
func (c catalogue) text(id Message, args map[string]string) string {
	var out strings.Builder
	c.each(id, args, func(s string, _ bool) { out.WriteString(s) })
	return out.String()
}

// html is the sentence with every value but numbers isolated in a bdi element: a name
// written from right to left, or with bidirectional controls in it, cannot
// rearrange the sentence around it.
func (c catalogue) html(id Message, args map[string]string) template.HTML {
	var out strings.Builder
	c.each(id, args, func(s string, value bool) {
		s = template.HTMLEscapeString(s)
		if value && strings.Trim(s, "0123456789") != "" {
			s = "<bdi>" + s + "</bdi>"
		}
		out.WriteString(s)
	})
	return template.HTML(out.String()) //nolint:gosec // both parts are escaped above
}

// each walks a sentence: literal parts as they are, placeholders as values. A
// value is never searched for placeholders itself.
func (c catalogue) each(id Message, args map[string]string, emit func(s string, value bool)) {
	s, ok := c[id]
	if !ok {
		s = c[fallback]
	}
	for {
		before, rest, open := strings.Cut(s, "{")
		name, after, closed := strings.Cut(rest, "}")
		if !open || !closed {
			emit(s, false)
			return
		}
		emit(before, false)
		emit(args[name], true)
		s = after
	}
}

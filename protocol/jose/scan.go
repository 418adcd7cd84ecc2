package jose

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may nest.
const maxDepth = 16

// manyKeys is where looking for a duplicate name by walking the earlier names
// gives way to a map, so that an object of thousands of members stays linear.
const manyKeys = 24

// scanner reads one JSON text (RFC 8259) by the rules of I-JSON (RFC 7493):
// valid UTF-8, no byte order mark, no unpaired surrogates, no duplicate names.
// It works on a string so that what it hands out are parts of its input.
type scanner struct {
	text  string
	pos   int
	depth int
	limit int
	names []string // names of the objects being read, innermost last
}

func (s *scanner) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrJSON, what, s.pos)
}

// document reads exactly one value, handing its type down for the check of
// names against a struct's fields, and demands that nothing follows.
func (s *scanner) document(t reflect.Type) error {
	if !utf8.ValidString(s.text) {
		return fmt.Errorf("%w: invalid UTF-8", ErrJSON)
	}
	s.space()
	if err := s.value(t); err != nil {
		return err
	}
	return s.end()
}

// root reads a document that is one object and hands out its members.
func (s *scanner) root(visit func(name, raw string)) error {
	if !utf8.ValidString(s.text) {
		return fmt.Errorf("%w: invalid UTF-8", ErrJSON)
	}
	s.space()
	if s.peek() != '{' {
		return s.fail("expected an object")
	}
	if err := s.object(nil, visit); err != nil {
		return err
	}
	return s.end()
}

func (s *scanner) end() error {
	s.space()
	if s.pos != len(s.text) {
		return s.fail("trailing data")
	}
	return nil
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *scanner) value(t reflect.Type) error {
	switch c := s.peek(); {
	case c == '{':
		return s.object(t, nil)
	case c == '[':
		return s.array(elementOf(t))
	case c == '"':
		_, err := s.stringLiteral()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(s.text[s.pos:], word) {
			s.pos += len(word)
			return nil
		}
	}
	return s.fail("unexpected character")
}

func (s *scanner) enter() error {
	s.pos++
	if s.depth++; s.depth > s.limit {
		return s.fail("nested too deep")
	}
	return nil
}

// object reads an object. Each member's name and raw value go to visit, if
// there is one.
func (s *scanner) object(t reflect.Type, visit func(name, raw string)) error {
	if err := s.enter(); err != nil {
		return err
	}
	fields, rest := fieldsOf(t)
	base := len(s.names)
	var seen map[string]struct{}
	s.space()
	if s.peek() == '}' {
		s.pos++
		s.depth--
		return nil
	}
	for {
		s.space()
		if s.peek() != '"' {
			return s.fail("expected a member name")
		}
		name, err := s.stringLiteral()
		if err != nil {
			return err
		}
		if seen, err = s.remember(name, base, seen); err != nil {
			return err
		}
		inner := rest
		if fields != nil {
			if inner, err = fields.lookup(name); err != nil {
				return err
			}
		}
		s.space()
		if s.peek() != ':' {
			return s.fail("expected a colon")
		}
		s.pos++
		s.space()
		start := s.pos
		if err := s.value(inner); err != nil {
			return err
		}
		if visit != nil {
			visit(name, s.text[start:s.pos])
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			s.depth--
			s.names = s.names[:base]
			return nil
		default:
			return s.fail("expected a comma or the end of an object")
		}
	}
}

// remember refuses a name that the object, whose names begin at base, already
// has.
func (s *scanner) remember(name string, base int, seen map[string]struct{}) (map[string]struct{}, error) {
	known := s.names[base:]
	switch {
	case seen != nil:
		if _, ok := seen[name]; ok {
			return nil, s.fail("duplicate member name")
		}
		seen[name] = struct{}{}
		return seen, nil
	case len(known) == manyKeys:
		seen = make(map[string]struct{}, 4*manyKeys)
		for _, n := range known {
			seen[n] = struct{}{}
		}
		return s.remember(name, base, seen)
	}
	for _, n := range known {
		if n == name {
			return nil, s.fail("duplicate member name")
		}
	}
	s.names = append(s.names, name)
	return nil, nil
}

func (s *scanner) array(element reflect.Type) error {
	if err := s.enter(); err != nil {
		return err
	}
	s.space()
	if s.peek() == ']' {
		s.pos++
		s.depth--
		return nil
	}
	for {
		s.space()
		if err := s.value(element); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			s.depth--
			return nil
		default:
			return s.fail("expected a comma or the end of an array")
		}
	}
}

// stringLiteral reads a string and returns what it means.
func (s *scanner) stringLiteral() (string, error) {
	s.pos++
	start := s.pos
	for ; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[start : s.pos-1], nil
		case c == '\\':
			return s.escapedString(start)
		case c < 0x20:
			return "", s.fail("control character in a string")
		}
	}
	return "", s.fail("unterminated string")
}

// escapedString goes on where stringLiteral met the first backslash.
func (s *scanner) escapedString(start int) (string, error) {
	out := []byte(s.text[start:s.pos])
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		s.pos++
		switch {
		case c == '"':
			return string(out), nil
		case c < 0x20:
			return "", s.fail("control character in a string")
		case c != '\\':
			out = append(out, c)
			continue
		}
		escape := s.peek()
		s.pos++
		switch escape {
		case '"', '\\', '/':
			out = append(out, escape)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, err := s.codePoint()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		default:
			return "", s.fail("unknown escape")
		}
	}
	return "", s.fail("unterminated string")
}

// codePoint reads what follows \u, and the second half of a surrogate pair.
func (s *scanner) codePoint() (rune, error) {
	r, ok := s.hex4()
	if !ok {
		return 0, s.fail("bad \\u escape")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if strings.HasPrefix(s.text[s.pos:], `\u`) {
		s.pos += 2
		if low, ok := s.hex4(); ok {
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				return r, nil
			}
		}
	}
	return 0, s.fail("unpaired surrogate")
}

func (s *scanner) hex4() (r rune, ok bool) {
	if len(s.text)-s.pos < 4 {
		return 0, false
	}
	for range 4 {
		c := s.text[s.pos]
		s.pos++
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return s.fail("bad number")
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return s.fail("bad number")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.fail("bad number")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}

package jose

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Object is a JSON object read by the rules of [Decode], its members in the
// order they came. Readers of claims walk it with a switch over the names,
// which makes them case-sensitive and quick:
//
//	for _, m := range object {
//		switch m.Name {
//		case "sub":
//			claims.Subject, err = m.Value.Text()
//
// Strings taken from it share the memory of the text it was read from.
type Object []Member

// Member is one member of an [Object].
type Member struct {
	Name  string
	Value Value
}

// Value is the JSON text of one value; it has been checked.
type Value string

// typicalMembers is how many members a token's payload rarely exceeds.
const typicalMembers = 20

// ParseObject reads text, which must be one JSON object.
func ParseObject(text string) (Object, error) {
	var names [manyKeys]string
	s := scanner{text: text, limit: maxDepth, names: names[:0]}
	object := make(Object, 0, typicalMembers)
	if err := s.root(func(name, raw string) { object = append(object, Member{name, Value(raw)}) }); err != nil {
		return nil, err
	}
	return object, nil
}

// Get returns the value of the member called name, or "" if there is none.
func (o Object) Get(name string) Value {
	for i := range o {
		if o[i].Name == name {
			return o[i].Value
		}
	}
	return ""
}

// Text returns the string v stands for.
func (v Value) Text() (string, error) {
	if len(v) < 2 || v[0] != '"' {
		return "", fmt.Errorf("%w: expected a string", ErrJSON)
	}
	if strings.IndexByte(string(v), '\\') < 0 {
		return string(v[1 : len(v)-1]), nil
	}
	s := scanner{text: string(v)}
	return s.stringLiteral()
}

// Texts returns the strings of the array v stands for.
func (v Value) Texts() ([]string, error) {
	if len(v) < 2 || v[0] != '[' {
		return nil, fmt.Errorf("%w: expected an array of strings", ErrJSON)
	}
	s := scanner{text: string(v), pos: 1}
	list := make([]string, 0, 1+strings.Count(string(v), ","))
	for {
		s.space()
		switch s.peek() {
		case ']':
			return list, nil
		case ',':
			s.pos++
		case '"':
			text, err := s.stringLiteral()
			if err != nil {
				return nil, err
			}
			list = append(list, text)
		default:
			return nil, fmt.Errorf("%w: expected an array of strings", ErrJSON)
		}
	}
}

// Bool returns the truth value v stands for.
func (v Value) Bool() (bool, error) {
	switch v {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%w: expected true or false", ErrJSON)
}

// Date returns the time v stands for; see [NumericDate].
func (v Value) Date() (NumericDate, error) { return parseNumericDate(string(v)) }

// Audience returns the audience v stands for; see [Audience].
func (v Value) Audience() (Audience, error) {
	if len(v) > 0 && v[0] == '"' {
		one, err := v.Text()
		return Audience{one}, err
	}
	return v.Texts()
}

// Decode reads v into target by the rules of [Decode].
func (v Value) Decode(target any) error { return Decode([]byte(v), target) }

// MarshalJSON returns v itself.
func (v Value) MarshalJSON() ([]byte, error) {
	if v == "" {
		return []byte("null"), nil
	}
	return []byte(v), nil
}

// UnmarshalJSON keeps a copy of data.
func (v *Value) UnmarshalJSON(data []byte) error {
	*v = Value(data)
	return nil
}

var (
	_ json.Marshaler   = Value("")
	_ json.Unmarshaler = (*Value)(nil)
)

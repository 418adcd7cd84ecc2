package jose

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// structFields are the JSON names of a struct, for the one thing encoding/json
// cannot be told: that names are case-sensitive.
type structFields map[string]reflect.Type

// lookup returns the type of the field called name, nil if there is none, and
// refuses a name that encoding/json would take for a field's although its
// letters differ in case.
func (f structFields) lookup(name string) (reflect.Type, error) {
	if t, ok := f[name]; ok {
		return t, nil
	}
	for field := range f {
		if strings.EqualFold(field, name) {
			return nil, fmt.Errorf("%w: %q is spelled %q", ErrJSON, name, field)
		}
	}
	return nil, nil
}

// fieldsOf returns the fields an object decoded into t may fill; or, for a
// map, the type of all its values.
func fieldsOf(t reflect.Type) (structFields, reflect.Type) {
	if t = concrete(t); t == nil {
		return nil, nil
	}
	switch t.Kind() {
	case reflect.Map:
		return nil, t.Elem()
	case reflect.Struct:
		fields := make(structFields, t.NumField())
		fields.add(t)
		return fields, nil
	}
	return nil, nil
}

func (f structFields) add(t reflect.Type) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && name == "" {
			if inner := concrete(field.Type); inner != nil && inner.Kind() == reflect.Struct {
				f.add(inner)
				continue
			}
		}
		if !field.IsExported() || field.Tag.Get("json") == "-" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		f[name] = field.Type
	}
}

// elementOf returns the type of the elements of an array decoded into t.
func elementOf(t reflect.Type) reflect.Type {
	if t = concrete(t); t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		return t.Elem()
	}
	return nil
}

// concrete follows pointers. A type that decodes itself has no fields to speak
// of: it gets its text whole.
func concrete(t reflect.Type) reflect.Type {
	for t != nil {
		if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return nil
		}
		if t.Kind() != reflect.Pointer {
			return t
		}
		t = t.Elem()
	}
	return nil
}

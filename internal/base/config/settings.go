package config

import "reflect"

// Setting describes one setting, or a section when Kind is empty.
type Setting struct {
	Key     string // as in the file, sections joined by dots
	Kind    string // "text", "number", "duration", "secret", …
	Default string // as YAML; empty when there is none
	Env     string // name of the variable
	EnvFile string // for a secret: the variable that names the file it is in
	Field   string // where it is declared, as Type.Field
}

// Settings returns every section and every setting in the order of the struct.
func Settings() []Setting {
	known := map[string]field{}
	for _, f := range fields(Default()) {
		known[f.key] = f
	}
	var out []Setting
	var walk func(t reflect.Type, prefix string)
	walk = func(t reflect.Type, prefix string) {
		for i := range t.NumField() {
			name := t.Field(i).Tag.Get("yaml")
			if name == "" {
				continue
			}
			s := Setting{Key: prefix + name, Field: t.Name() + "." + t.Field(i).Name}
			f, isField := known[s.Key]
			if isField {
				s.Kind, s.Env = f.kind(), f.env()
				if values, list := f.shown(); !list && values[0] != `""` {
					s.Default = values[0]
				}
				if f.secret() {
					s.EnvFile = s.Env + "_FILE"
				}
			}
			out = append(out, s)
			if !isField {
				walk(t.Field(i).Type, s.Key+".")
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
	return out
}

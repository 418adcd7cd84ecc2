package e2e

import "reflect"

// fillStrings puts text into every string that a value holds, however deep, but for names of files and
// kinds, by which the sample is found.
func fillStrings(value any, text string) {
	fill(reflect.ValueOf(value).Elem(), text)
}

func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(text)
		}
	case reflect.Struct:
		if v.Type().PkgPath() == "time" {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && !(v.Type().Name() == "Sample" && v.Type().Field(i).Name == "Name") {
				fill(v.Field(i), text)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Map:
		filled := reflect.MakeMap(v.Type())
		for _, key := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			fill(value, text)
			filled.SetMapIndex(key, value)
		}
		if v.CanSet() {
			v.Set(filled)
		}
	case reflect.Interface:
		if v.IsNil() || !v.CanSet() {
			return
		}
		inside := reflect.New(v.Elem().Type()).Elem()
		inside.Set(v.Elem())
		fill(inside, text)
		v.Set(inside)
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), text)
		}
	}
}

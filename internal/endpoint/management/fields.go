package management

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// maxFields bounds the names in one query.
const maxFields = 50

// pick leaves of an answer the members that the query asks for by fields, or, with include_fields
// false, the others. Of a list, it is members of its items. A name that nothing has is no error.
func (q query) pick(body any) (any, error) {
	var include bool
	switch q.get("include_fields") {
	case "", "true":
		include = true
	case "false":
	default:
		return nil, badQuery("Query validation error: include_fields must be true or false.")
	}
	names := strings.FieldsFunc(q.get("fields"), func(r rune) bool { return r == ',' || r == ' ' })
	if len(names) > maxFields {
		return nil, badQuery("Query validation error: fields names too many.")
	}
	if len(names) == 0 || body == nil {
		return body, nil
	}
	wanted := func(name string) bool { return slices.Contains(names, name) == include }
	if around, ok := body.(listing); ok {
		for name, value := range around {
			raw, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			if raw[0] != '[' {
				continue
			}
			if around[name], err = pickEach(raw, wanted); err != nil {
				return nil, err
			}
		}
		return around, nil
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	if raw[0] == '[' {
		return pickEach(raw, wanted)
	}
	return pickOne(raw, wanted)
}

func pickEach(raw json.RawMessage, wanted func(string) bool) ([]json.RawMessage, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, err
	}
	for i, item := range items {
		var err error
		if items[i], err = pickOne(item, wanted); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func pickOne(raw json.RawMessage, wanted func(string) bool) (json.RawMessage, error) {
	if !bytes.HasPrefix(raw, []byte("{")) {
		return raw, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, err
	}
	for name := range object {
		if !wanted(name) {
			delete(object, name)
		}
	}
	return json.Marshal(object)
}

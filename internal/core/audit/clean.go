package audit

import (
	"fmt"
	"strings"
	"unicode"
)

// maxRunes bounds every text of an event: a name of a megabyte is not worth a megabyte of record.
const maxRunes = 512

// Clean returns s fit for a record or a log: graphic characters alone, at most 512 of them. Line
// breaks, escape sequences and characters that turn the direction of writing would let one event
// look like two, or like another one. Invalid UTF-8 becomes U+FFFD.
func Clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if !unicode.IsGraphic(r) {
			continue
		}
		if n == maxRunes {
			break
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

func cleanMap(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[Clean(k)] = cleanValue(v)
	}
	return out
}

// cleanValue keeps numbers and truth values, cleans texts wherever they stand, and turns anything
// it does not know into a cleaned text.
func cleanValue(v any) any {
	switch v := v.(type) {
	case nil, bool, int, int64, uint64, float64:
		return v
	case string:
		return Clean(v)
	case []string:
		out := make([]string, len(v))
		for i, s := range v {
			out[i] = Clean(s)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = cleanValue(e)
		}
		return out
	case map[string]any:
		return cleanMap(v)
	default:
		return Clean(fmt.Sprint(v))
	}
}

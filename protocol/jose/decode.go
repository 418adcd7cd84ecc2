package jose

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// Decode reads the JSON text data into v, a non-nil pointer, as encoding/json
// would, but refuses what makes two readers of one text disagree: duplicate
// member names at any depth, names that differ from a struct field's by case
// alone, bytes after the value, invalid UTF-8, a byte order mark, unpaired
// surrogates, and more than 16 levels of nesting. Unknown members are ignored.
// Errors wrap [ErrJSON].
func Decode(data []byte, v any) error {
	s := scanner{text: string(data), limit: maxDepth}
	if err := s.document(reflect.TypeOf(v)); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrJSON, err)
	}
	return nil
}

// Check tells whether data is JSON by the rules of [Decode] and nests at most
// depth levels (an object of strings is one level).
func Check(data []byte, depth int) error {
	s := scanner{text: string(data), limit: min(depth, maxDepth)}
	return s.document(nil)
}

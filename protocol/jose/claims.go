package jose

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// maxNumericDate is 2^53: above it a JSON number is no longer exact in every
// reader.
const maxNumericDate = 1 << 53

// NumericDate is a time in whole seconds since the epoch (RFC 7519 §2). The
// RFC also allows fractions and exponents; this reader does not, and refuses
// everything outside 0…2^53, so that no two readers round differently. Zero
// means absent.
type NumericDate int64

// Date returns t as a NumericDate, cut to the second; the zero time is absent.
func Date(t time.Time) NumericDate {
	if t.IsZero() {
		return 0
	}
	return NumericDate(t.Unix())
}

// Time returns the moment in UTC; the zero time if absent.
func (d NumericDate) Time() time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Unix(int64(d), 0).UTC()
}

// UnmarshalJSON reads a whole number of seconds.
func (d *NumericDate) UnmarshalJSON(data []byte) (err error) {
	*d, err = parseNumericDate(string(data))
	return err
}

func parseNumericDate(text string) (NumericDate, error) {
	if text == "" || text[0] < '0' || text[0] > '9' {
		return 0, fmt.Errorf("%w: a date must be a whole number of seconds", ErrJSON)
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > maxNumericDate {
		return 0, fmt.Errorf("%w: a date must be a whole number from 0 to 2^53", ErrJSON)
	}
	return NumericDate(n), nil
}

// Audience is the "aud" claim: one string, or an array of them (RFC 7519
// §4.1.3).
type Audience []string

// Contains reports whether name is among the audience, byte for byte.
func (a Audience) Contains(name string) bool { return slices.Contains(a, name) }

// MarshalJSON writes a plain string if there is one member, as many readers
// know no other form.
func (a Audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON reads a string or an array of strings.
func (a *Audience) UnmarshalJSON(data []byte) (err error) {
	*a, err = Value(data).Audience()
	return err
}

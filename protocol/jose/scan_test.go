package jose_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// reference judges text by encoding/json's tokens: an independent statement of
// what the scanner must accept. decided is false where encoding/json hides what
// stood in the text.
func reference(text string) (ok, decided bool) {
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return false, true
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	type level struct {
		names   map[string]bool // nil in an array
		wantKey bool
	}
	var stack []level
	closeValue := func() {
		if len(stack) > 0 && stack[len(stack)-1].names != nil {
			stack[len(stack)-1].wantKey = true
		}
	}
	for {
		token, err := decoder.Token()
		if err != nil {
			return true, true
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{map[string]bool{}, true})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
			closeValue()
			continue
		default:
			if s, isString := token.(string); isString {
				if strings.ContainsRune(s, utf8.RuneError) {
					return false, false // was it there, or an unpaired surrogate?
				}
				if top := len(stack) - 1; top >= 0 && stack[top].wantKey {
					if stack[top].names[s] {
						return false, true
					}
					stack[top].names[s], stack[top].wantKey = true, false
					continue
				}
			}
			closeValue()
			continue
		}
		if len(stack) > 16 {
			return false, true
		}
	}
}

func FuzzThreat_JW08_ScannerAgainstEncodingJSON(f *testing.F) {
	for _, seed := range []string{
		`{"sub":"joe","aud":["a","b"],"exp":1,"x":{"y":[null,true,-1.5e3]}}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `"\ud83d\ude00"`, `"\ud800"`, `[[[]]]`, `{"a":{"b":1},"b":{"a":1}}`,
		"\ufeff{}", `{} `, `{}{}`, `01`, `-0`, `1e5`, `"` + "\x7f" + `"`, `[1,2,]`, `{"":""}`, `tru`, strings.Repeat("[", 17) + strings.Repeat("]", 17),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := jose.Check([]byte(text), 16)
		ok, decided := reference(text)
		if decided && ok != (err == nil) {
			t.Fatalf("%q: ours %v, reference %v", text, err, ok)
		}
		object, err := jose.ParseObject(text)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatalf("%q: accepted, encoding/json says %v", text, err)
		}
		if len(want) != len(object) {
			t.Fatalf("%q: %d members, want %d", text, len(object), len(want))
		}
		for _, m := range object {
			if string(want[m.Name]) != string(m.Value) {
				t.Fatalf("%q: member %q is %q, want %q", text, m.Name, m.Value, want[m.Name])
			}
			var s string
			if got, err := m.Value.Text(); err == nil && (json.Unmarshal(want[m.Name], &s) != nil || s != got) {
				t.Fatalf("%q: text %q, want %q", text, got, s)
			}
			var list []string
			if got, err := m.Value.Texts(); err == nil && (json.Unmarshal(want[m.Name], &list) != nil || strings.Join(list, "\x00") != strings.Join(got, "\x00")) {
				t.Fatalf("%q: texts %q, want %q", text, got, list)
			}
		}
	})
}

func TestNumericDate(t *testing.T) {
	for text, want := range map[string]jose.NumericDate{"0": 0, "1": 1, "1800000000": 1_800_000_000, "9007199254740992": 1 << 53} {
		var d jose.NumericDate
		if err := json.Unmarshal([]byte(text), &d); err != nil || d != want {
			t.Errorf("%s: %d, %v", text, d, err)
		}
	}
}

func TestThreat_JW07_DateForms(t *testing.T) {
	for _, text := range []string{`-1`, `-0`, `1.5`, `1.0`, `1e3`, `1e308`, `1E9`, `"1"`, `""`, `null`, `true`, `[1]`, `{}`, `9007199254740993`, `18446744073709551616`, `99999999999999999999999`} {
		var claims struct {
			Exp jose.NumericDate `json:"exp"`
		}
		err := jose.Decode([]byte(`{"exp":`+text+`}`), &claims)
		if err == nil && text != "null" {
			t.Errorf("exp %s decoded as %d", text, claims.Exp)
		}
		if _, err := jose.Value(text).Date(); err == nil {
			t.Errorf("exp %s read", text)
		}
	}
}

func TestAudience(t *testing.T) {
	for text, want := range map[string]string{`"a"`: `"a"`, `["a"]`: `"a"`, `["a","b"]`: `["a","b"]`} {
		var a jose.Audience
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(a); err != nil || string(got) != want {
			t.Errorf("%s became %s, %v", text, got, err)
		}
	}
	for _, text := range []string{`1`, `{}`, `[1]`, `["a",1]`, `[["a"]]`, `true`} {
		var a jose.Audience
		if err := json.Unmarshal([]byte(text), &a); err == nil {
			t.Errorf("%s became %v", text, a)
		}
	}
}

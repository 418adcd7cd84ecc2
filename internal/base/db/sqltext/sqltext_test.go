package sqltext

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	for _, test := range []struct {
		script string
		want   []string
	}{
		{"", nil},
		{" ;; \n", nil},
		{"-- only; a comment", nil},
		{"SELECT 1", []string{"SELECT 1"}},
		{"SELECT 1;\nSELECT 2;\n", []string{"SELECT 1", "SELECT 2"}},
		{"SELECT ';' ; SELECT 2", []string{"SELECT ';'", "SELECT 2"}},
		{"SELECT 'it''s; one'; SELECT 2", []string{"SELECT 'it''s; one'", "SELECT 2"}},
		{`SELECT ";" FROM t; SELECT 2`, []string{`SELECT ";" FROM t`, "SELECT 2"}},
		{"SELECT 1 -- one; and\n+ 1; SELECT 2", []string{"SELECT 1 -- one; and\n+ 1", "SELECT 2"}},
		{"SELECT /* ; ' */ 1; SELECT 2", []string{"SELECT /* ; ' */ 1", "SELECT 2"}},
		{"-- it's first;\nSELECT 1", []string{"SELECT 1"}},
	} {
		got, err := Split(test.script)
		if err != nil {
			t.Errorf("Split(%q): %v", test.script, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("Split(%q): %s", test.script, diff)
		}
	}
	for _, script := range []string{"SELECT 'a", `SELECT "a`, "SELECT /* a", "SELECT 'a''"} {
		if _, err := Split(script); !errors.Is(err, ErrUnterminated) {
			t.Errorf("Split(%q): %v", script, err)
		}
	}
}

func TestParams(t *testing.T) {
	for sql, want := range map[string]int{
		"SELECT 1":               0,
		"SELECT $2, $1":          2,
		"SELECT $1, $1":          1,
		"SELECT $10":             10,
		"SELECT '$3', $1 -- $4":  1,
		`SELECT "$3" /* $9 */`:   0,
		"SELECT a$5, $1":         1,
		"UPDATE t SET n=$2||'$'": 2,
	} {
		if got, err := Params(sql); got != want || err != nil {
			t.Errorf("Params(%q) = %d, %v, want %d", sql, got, err, want)
		}
	}
	if _, err := Params("SELECT $99999999999999999999"); err == nil {
		t.Error("a placeholder beyond all numbers was counted")
	}
}

// FuzzTokens checks that tokens lie in the text, in order, and that comments and blanks are all that lies between them.
func FuzzTokens(f *testing.F) {
	f.Add("SELECT 'a''b', \"c\", $1 -- d\n/* e */ FROM t;")
	f.Fuzz(func(t *testing.T, sql string) {
		tokens, err := Tokens(sql)
		if err != nil {
			return
		}
		end := 0
		for _, token := range tokens {
			if token.Offset < end || token.End <= token.Offset || token.End > len(sql) {
				t.Fatalf("token %+v after offset %d of %q", token, end, sql)
			}
			end = token.End
		}
		statements, err := Split(sql)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range statements {
			if again, err := Split(s); err != nil || len(again) != 1 || again[0] != s {
				t.Fatalf("statement %q splits again into %q, %v", s, again, err)
			}
		}
	})
}

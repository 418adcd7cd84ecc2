package shell

import (
	"os/exec"
	"testing"
)

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"": "''", "plain": "plain", "http://localhost:3000/a?b=c": "'http://localhost:3000/a?b=c'", "https://a.example/cb": "https://a.example/cb",
		"read:shows write:shows": "'read:shows write:shows'", "it's": `'it'\''s'`, "$(touch x)": "'$(touch x)'", "~": "'~'", "é": "'é'",
	} {
		if got := Quote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// A shell takes each word as it was.
func TestThreat_AD05_AWordStaysAWord(t *testing.T) {
	for _, word := range []string{"a b", "`id`", "$HOME", "a'b\"c", "x;y|z&", "#", "*", "a\\b", "--", "line\nbreak", "!!", "{a,b}", "~root", "=x", ""} {
		out, err := exec.Command("sh", "-c", Join("printf", "%s|", word, "next")).Output()
		if err != nil || string(out) != word+"|next|" {
			t.Errorf("%q came out as %q, %v", word, out, err)
		}
	}
}

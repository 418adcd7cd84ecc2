package main

import (
	"strings"
	"testing"
)

// People choose what they are called, and whoever runs the house reads it on a terminal.
func TestThreat_AD07_NamesTurnNothingOnATerminal(t *testing.T) {
	hostile := "Ann \u202eadmin\u2066 \x1b[2J\u009b31m\x07\u200f"
	const want = `Ann \u202eadmin\u2066 \u001b[2J\u009b31m\u0007\u200f`
	var b strings.Builder
	if err := table(&b, []string{"ID", "NAME"}, [][]string{{"1", hostile}, {"2", "M\u00fcller \u05d3\u05e0\u05d4 a\u200db"}}); err != nil {
		t.Fatal(err)
	}
	if err := details(&b, field{"name", hostile}, field{"urls", lines([]string{"a", "b"})}); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Count(got, want) != 2 || strings.ContainsAny(got, "\u202e\u2066\x1b\u009b\x07\u200f") ||
		!strings.Contains(got, "M\u00fcller \u05d3\u05e0\u05d4 a\u200db\n") || !strings.Contains(got, "urls  a\n      b\n") {
		t.Errorf("on the terminal stands\n%q", got)
	}
}

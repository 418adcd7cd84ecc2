package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// printJSON writes v as it would stand in a file.
func printJSON(w io.Writer, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", raw)
	return err
}

// table writes rows under a header, in columns.
func table(w io.Writer, header []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for _, row := range rows {
		fmt.Fprintln(t, plain(strings.Join(row, "\t")))
	}
	return t.Flush()
}

// plain shows the characters by which a text could write on the terminal beyond its own place, or
// turn what stands beside it: people are called what others say. Tabs and line ends are ours.
func plain(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r != '\t' && r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// field is one line about a thing.
type field struct{ name, value string }

// details writes what is to be said of one thing, a line each. What is empty is left out.
func details(w io.Writer, fields ...field) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, f := range fields {
		if f.value != "" {
			fmt.Fprintf(t, "%s\t%s\n", f.name, plain(f.value))
		}
	}
	return t.Flush()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func lines(list []string) string { return strings.Join(list, "\n\t") }

// given returns what a list of flags means: nothing was said, or a list, which is empty when one
// empty value stands for it.
func given(flags []string) (list []string, ok bool) {
	if len(flags) == 1 && flags[0] == "" {
		return []string{}, true
	}
	return flags, flags != nil
}

func set[T any](dst *T, src *T) {
	if src != nil {
		*dst = *src
	}
}

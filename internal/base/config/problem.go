package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	Path    string // key of the setting, such as tls.cert_file; empty for the file as a whole
	File    string // where the value stands, when it came from a file
	Line    int    // 1 for the first; 0 when unknown
	Env     string // the variable the value came from, when it did
	Message string // what is wrong and what it would lead to; never a secret
	Fix     string // what to do
}

// String returns "FILE:LINE: PATH: message. Fix: …" as far as the parts are known.
func (p Problem) String() string {
	var b strings.Builder
	switch {
	case p.Env != "":
		b.WriteString(p.Env + ": ")
	case p.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Fix != "" {
		b.WriteString("\n    " + p.Fix)
	}
	return b.String()
}

// Problems is everything wrong with a configuration, as an error: in the order of the file, what
// is missing last.
type Problems []Problem

// Error lists all problems, one below the other.
func (ps Problems) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d problems in the configuration:", len(ps))
	if len(ps) == 1 {
		b.Reset()
		b.WriteString("1 problem in the configuration:")
	}
	for _, p := range ps {
		b.WriteString("\n- " + p.String())
	}
	return b.String()
}

// Under returns the problems of the named settings and sections: for a command that needs only a
// part of the configuration, as the ones do that talk to the database alone.
func (ps Problems) Under(keys ...string) Problems {
	var out Problems
	for _, p := range ps {
		if slices.ContainsFunc(keys, func(k string) bool {
			return p.Path == k || strings.HasPrefix(p.Path, k+".")
		}) {
			out = append(out, p)
		}
	}
	return out
}

// err returns ps as an error, or nil when there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

func sorted(ps []Problem) Problems {
	out := slices.Clone(ps)
	place := func(p Problem) int {
		if p.Line > 0 {
			return p.Line
		}
		return 1 << 30
	}
	slices.SortStableFunc(out, func(a, b Problem) int { return cmp.Compare(place(a), place(b)) })
	return out
}

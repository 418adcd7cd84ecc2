package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// module begins the path of every package of the tree.
const module = "github.com/gatehouse-dev/gatehouse/"

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build events
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// result is the end of one top-level test, or of a package when name is empty.
type result struct {
	pkg, name, outcome string // outcome is "pass", "fail" or "skip"
	elapsed            time.Duration
	logged             []string // what it said by t.Log, for the figures of a proof
}

// summary is what all events come to.
type summary struct {
	tests    []result // top-level tests; a subtest counts with its parent
	packages []result
	broken   []string // packages that do not build
}

func (s *summary) count(in []result, outcome string) (n int) {
	for _, r := range in {
		if r.outcome == outcome {
			n++
		}
	}
	return n
}

func (s *summary) ok() bool {
	return s.count(s.tests, "fail") == 0 && s.count(s.packages, "fail") == 0 && len(s.broken) == 0 && len(s.tests) > 0
}

// String lists what failed and ends with the counts.
func (s *summary) String() string {
	var b strings.Builder
	b.WriteString("\n")
	for _, p := range s.broken {
		fmt.Fprintf(&b, "does not build: %s\n", p)
	}
	for _, r := range s.packages {
		if r.outcome == "fail" {
			fmt.Fprintf(&b, "failed: %s\n", r.pkg)
		}
	}
	for _, r := range s.tests {
		if r.outcome == "fail" {
			fmt.Fprintf(&b, "failed: %s %s\n", r.pkg, r.name)
		}
	}
	verdict := "PASS"
	if !s.ok() {
		verdict = "FAIL"
	}
	fmt.Fprintf(&b, "%s: %d tests: %d passed, %d failed, %d skipped, in %d packages\n", verdict,
		len(s.tests), s.count(s.tests, "pass"), s.count(s.tests, "fail"), s.count(s.tests, "skip"), len(s.packages))
	return b.String()
}

// read turns events into lines on out, as they come, and returns their sum.
func read(in io.Reader, out io.Writer, quiet bool) (*summary, error) {
	sum := &summary{}
	output := map[string][]string{} // package+" "+test → what it printed
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &e) != nil || e.Action == "" {
				out.Write(line)
			} else {
				sum.add(e, out, output, quiet)
			}
		}
		if err == io.EOF {
			return sum, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (s *summary) add(e event, out io.Writer, output map[string][]string, quiet bool) {
	test, _, isSub := strings.Cut(e.Test, "/")
	key := e.Package + " " + test // what a subtest prints is told with its parent
	switch e.Action {
	case "output":
		output[key] = append(output[key], e.Output)
	case "build-output":
		io.WriteString(out, e.Output)
	case "build-fail":
		s.broken = append(s.broken, e.ImportPath)
	case "pass", "fail", "skip":
		if isSub {
			return
		}
		printed := output[key]
		delete(output, key)
		r := result{e.Package, e.Test, e.Action, time.Duration(e.Elapsed * float64(time.Second)), logged(printed)}
		if e.Test == "" {
			s.endPackage(r, out, printed)
			return
		}
		s.tests = append(s.tests, r)
		switch {
		case r.outcome == "fail":
			fmt.Fprint(out, strings.Join(printed, ""))
		case !quiet:
			fmt.Fprintf(out, "--- %s: %s (%.2fs)\n", strings.ToUpper(r.outcome), r.name, r.elapsed.Seconds())
		}
	}
}

var logLine = regexp.MustCompile(`^ +[\w.]+_test\.go:\d+: (.*)`)

// logged picks the lines of t.Log out of what a test printed; of many it keeps the last few.
func logged(printed []string) (said []string) {
	for _, line := range printed {
		if m := logLine.FindStringSubmatch(line); m != nil {
			said = append(said, m[1])
		}
	}
	return said[max(0, len(said)-6):]
}

// endPackage prints the package's own last line, which is the one `go test` prints without -v; of
// a package that failed it prints everything that stands outside its tests, panics above all.
func (s *summary) endPackage(r result, out io.Writer, printed []string) {
	s.packages = append(s.packages, r)
	if r.outcome == "fail" {
		fmt.Fprint(out, strings.Join(printed, ""))
		return
	}
	for _, line := range printed {
		if strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "? ") {
			fmt.Fprint(out, line)
		}
	}
}

func appendMarkdown(path string, s *summary) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	tests := slices.Clone(s.tests)
	slices.SortFunc(tests, func(a, b result) int { return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.name, b.name)) })
	fmt.Fprintf(f, "```\n%s```\n\n| package | test | result | seconds | said |\n|---|---|---|---|---|\n", strings.TrimLeft(s.String(), "\n"))
	for _, r := range tests {
		said := strings.ReplaceAll(strings.Join(r.logged, "; "), "|", "\\|")
		fmt.Fprintf(f, "| %s | %s | %s | %.1f | %s |\n", strings.TrimPrefix(r.pkg, module), r.name, r.outcome, r.elapsed.Seconds(), said)
	}
	return f.Close()
}

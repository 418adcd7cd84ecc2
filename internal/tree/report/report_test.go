package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const events = `a line of another program
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN TestA\n"}
{"Action":"output","Package":"p","Test":"TestA/sub","Output":"        a_test.go:7: 20 rounds, none | lost\n"}
{"Action":"pass","Package":"p","Test":"TestA/sub","Elapsed":0.1}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.25}
{"Action":"skip","Package":"p","Test":"TestC","Elapsed":0}
{"Action":"output","Package":"p","Output":"ok  \tp\t1.0s\n"}
{"Action":"pass","Package":"p","Elapsed":1}
`

const failure = `{"Action":"output","Package":"q","Test":"TestB","Output":"    b_test.go:1: wrong\n"}
{"Action":"fail","Package":"q","Test":"TestB/sub","Elapsed":0}
{"Action":"fail","Package":"q","Test":"TestB","Elapsed":0}
{"Action":"output","Package":"q","Output":"FAIL\tq\t1.0s\n"}
{"Action":"fail","Package":"q","Elapsed":1}
`

const broken = `{"ImportPath":"r [r.test]","Action":"build-output","Output":"r.go:3: undefined: x\n"}
{"ImportPath":"r [r.test]","Action":"build-fail"}
{"Action":"fail","Package":"r","Elapsed":0,"FailedBuild":"r [r.test]"}
`

func TestSumCountsTopLevelTests(t *testing.T) {
	for _, c := range []struct {
		name, in, end string
		ok            bool
	}{
		{"all pass", events, "PASS: 2 tests: 1 passed, 0 failed, 1 skipped, in 1 packages\n", true},
		{"one fails", events + failure, "failed: q\nfailed: q TestB\nFAIL: 3 tests: 1 passed, 1 failed, 1 skipped, in 2 packages\n", false},
		{"one does not build", events + broken, "does not build: r [r.test]\nfailed: r\nFAIL: 2 tests: 1 passed, 0 failed, 1 skipped, in 2 packages\n", false},
		{"nothing ran", "", "FAIL: 0 tests: 0 passed, 0 failed, 0 skipped, in 0 packages\n", false},
	} {
		var out strings.Builder
		sum, err := read(strings.NewReader(c.in), &out, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := sum.String(); !strings.HasSuffix(got, c.end) || sum.ok() != c.ok {
			t.Errorf("%s: ok %v, ends with\n%s\nwant %v\n%s", c.name, sum.ok(), got, c.ok, c.end)
		}
	}
}

func TestLinesTellWhatAPersonNeeds(t *testing.T) {
	var out strings.Builder
	if _, err := read(strings.NewReader(events+failure+broken), &out, false); err != nil {
		t.Fatal(err)
	}
	want := `a line of another program
--- PASS: TestA (0.25s)
--- SKIP: TestC (0.00s)
ok  	p	1.0s
    b_test.go:1: wrong
FAIL	q	1.0s
r.go:3: undefined: x
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

func TestProofKeepsTheFiguresThatTestsSaid(t *testing.T) {
	sum, err := read(strings.NewReader(events), io.Discard, false)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "proof.md")
	if err := appendMarkdown(file, sum); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "| p | TestA | pass | 0.2 | 20 rounds, none \\| lost |\n"; !strings.Contains(string(got), want) {
		t.Errorf("got\n%s\nwant a line\n%s", got, want)
	}
}

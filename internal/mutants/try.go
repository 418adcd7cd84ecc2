package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// verdict is what became of a mutant.
type verdict string

const (
	noticed  verdict = "noticed"  // a test of its row failed
	survived verdict = "SURVIVED" // all of them passed: the defence is not tested
	broken   verdict = "ERROR"    // it proves nothing
)

type outcome struct {
	mutant  mutant
	verdict verdict
	detail  string
	took    time.Duration
}

// tryAll tries every mutant of the plan, several at once, each worker on a copy of its own. It
// calls tell with each outcome as it comes, one at a time.
func tryAll(ctx context.Context, root string, p *plan, o options, tell func(outcome)) ([]outcome, error) {
	var jobs []*row
	for _, r := range p.rows {
		if len(r.mutants) > 0 {
			jobs = append(jobs, r)
		}
	}
	if len(jobs) == 0 {
		return nil, nil
	}
	first, err := copyTree(ctx, root)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(first)
	green, err := baseline(ctx, first, jobs, o.short)
	if err != nil {
		return nil, err
	}

	queue := make(chan *row, len(jobs))
	for _, r := range jobs {
		queue <- r
	}
	close(queue)
	var mu sync.Mutex
	var out []outcome
	var failures []error
	var workers sync.WaitGroup
	for i := range max(1, min(o.workers, len(jobs))) {
		workers.Go(func() {
			dir := first
			if i > 0 {
				var err error
				if dir, err = copyTree(ctx, root); err != nil {
					mu.Lock()
					failures = append(failures, err)
					mu.Unlock()
					return
				}
				defer os.RemoveAll(dir)
			}
			for r := range queue {
				for _, m := range r.mutants {
					if ctx.Err() != nil {
						return
					}
					x := try(ctx, dir, r, m, green[r.id], o.short)
					mu.Lock()
					out = append(out, x)
					tell(x)
					mu.Unlock()
				}
			}
		})
	}
	workers.Wait()
	return out, errors.Join(append(failures, ctx.Err())...)
}

// baseline runs the tests of all rows on the tree as it is and says of each row what is wrong with
// it: nothing, when the row's tests ran and passed.
func baseline(ctx context.Context, dir string, rows []*row, short bool) (map[string]error, error) {
	var all []test
	var ids []string
	for _, r := range rows {
		all = append(all, r.tests...)
		ids = append(ids, r.id)
	}
	seen, err := goTest(ctx, dir, all, ids, short)
	if err != nil {
		return nil, err
	}
	out := map[string]error{}
	for _, r := range rows {
		v := seen.of(r.tests)
		switch {
		case len(v.broken) > 0:
			out[r.id] = fmt.Errorf("without it, %s does not build", v.broken[0])
		case len(v.failed) > 0:
			out[r.id] = fmt.Errorf("without it, %s fails, too", v.failed[0])
		case len(v.passed) == 0:
			out[r.id] = errors.New("no test of its row runs")
		}
	}
	return out, nil
}

// try applies one mutant to the copy in dir, runs the tests of its row, and takes it back.
func try(ctx context.Context, dir string, r *row, m mutant, unfit error, short bool) (x outcome) {
	start := time.Now()
	x = outcome{mutant: m, verdict: broken}
	defer func() { x.took = time.Since(start) }()
	if unfit != nil {
		x.detail = unfit.Error()
		return x
	}
	if err := apply(ctx, dir, m.file); err != nil {
		x.detail = "does not apply: " + err.Error()
		return x
	}
	defer func() {
		if err := apply(ctx, dir, m.file, "-R"); err != nil {
			x.verdict, x.detail = broken, "cannot be taken back: "+err.Error()
		}
	}()
	seen, err := goTest(ctx, dir, r.tests, []string{r.id}, short)
	if err != nil {
		x.detail = err.Error()
		return x
	}
	v := seen.of(r.tests)
	switch {
	case len(v.broken) > 0:
		x.detail = v.broken[0] + " does not compile"
	case len(v.failed) > 0:
		x.verdict, x.detail = noticed, "by "+strings.Join(v.failed, ", ")
	case len(seen.failedPackages) > 0:
		x.detail = seen.failedPackages[0] + " failed outside its tests"
	case len(v.passed) == 0:
		x.detail = "no test of its row ran"
	default:
		x.verdict, x.detail = survived, "passed: "+strings.Join(v.passed, ", ")
	}
	return x
}

// apply applies a patch. The copy is no repository, and must not be taken for a part of one that
// lies above it.
func apply(ctx context.Context, dir, patch string, flags ...string) error {
	cmd := exec.CommandContext(ctx, "git", append(append([]string{"apply", "--whitespace=nowarn"}, flags...), patch)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// results is what a run of go test showed; tests are keyed by package folder and name.
type results struct {
	tests          map[string]string // "pass", "fail" or "skip"
	brokenDirs     map[string]bool
	failedPackages []string
}

// of sorts the results of some tests.
func (s *results) of(tests []test) (v struct{ passed, failed, broken []string }) {
	for _, t := range tests {
		place := t.module + " " + t.dir
		if s.brokenDirs[place] {
			v.broken = append(v.broken, t.dir)
			continue
		}
		switch s.tests[place+" "+t.name] {
		case "pass":
			v.passed = append(v.passed, t.name)
		case "fail":
			v.failed = append(v.failed, t.name)
		}
	}
	return v
}

// goTest runs the threat tests of the ids in the packages of the given tests.
func goTest(ctx context.Context, root string, tests []test, ids []string, short bool) (*results, error) {
	dirs := map[string][]string{}
	for _, t := range tests {
		if !slices.Contains(dirs[t.module], t.dir) {
			dirs[t.module] = append(dirs[t.module], t.dir)
		}
	}
	s := &results{tests: map[string]string{}, brokenDirs: map[string]bool{}}
	for module, folders := range dirs {
		args := []string{"test", "-json", "-vet=off", "-count=1", "-timeout=10m", "-run=^(Test|Fuzz)Threat_(" + strings.Join(ids, "|") + ")(_|$)"}
		if short {
			args = append(args, "-short")
		}
		for _, f := range folders {
			args = append(args, "./"+f)
		}
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = filepath.Join(root, module)
		cmd.WaitDelay = 10 * time.Second
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdout, err := cmd.Output()
		if err := s.read(stdout, module, moduleName(cmd.Dir)); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil && len(s.tests) == 0 && len(s.brokenDirs) == 0 {
			return nil, fmt.Errorf("go test: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
		}
	}
	return s, nil
}

// read takes in the events of go test -json for the packages of one module.
func (s *results) read(events []byte, module, modulePath string) error {
	for line := range bytes.Lines(events) {
		var e struct{ Action, Package, Test, FailedBuild string }
		if json.Unmarshal(line, &e) != nil || e.Package == "" {
			continue // not an event, or one of the build
		}
		dir, ok := strings.CutPrefix(e.Package, modulePath+"/")
		if !ok {
			dir = "."
		}
		place := module + " " + dir
		switch {
		case e.Action != "pass" && e.Action != "fail" && e.Action != "skip":
		case e.Test == "" && e.Action == "fail" && e.FailedBuild != "":
			s.brokenDirs[place] = true
		case e.Test == "" && e.Action == "fail":
			s.failedPackages = append(s.failedPackages, dir)
		case e.Test != "" && !strings.Contains(e.Test, "/"):
			s.tests[place+" "+e.Test] = e.Action
		}
	}
	return nil
}

func moduleName(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

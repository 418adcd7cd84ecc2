package tree

import (
	"go/token"
	"strings"
	"testing"
)

// parse makes a tree of files given as path, source, path, source, …
func parse(t *testing.T, files ...string) *Tree {
	t.Helper()
	tree := &Tree{Module: "example.com/m", fset: token.NewFileSet()}
	for i := 0; i < len(files); i += 2 {
		if err := tree.add(files[i], []byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

func TestUsesKnowsNames(t *testing.T) {
	tree := parse(t, "a.go", `package a
import ("time"; clock "time")
func f(time local) {
	time.Now()
}
func g() {
	_ = clock.Now
	h(clock.Now())
}`)
	got := tree.Files[0].Uses("time", "Now")
	if len(got) != 2 || got[0].At != "a.go:7" || got[1].At != "a.go:8" {
		t.Errorf("two names of one import, the first shadowed: %v", got)
	}
	tree = parse(t, "a.go", "package a\nimport clock \"time\"\nvar now = clock.Now\nfunc f() { g(clock.Now()) }\n")
	got = tree.Files[0].Uses("time", "Now", "Since")
	if len(got) != 2 || got[0] != (Use{"a.go:3", "time.Now", false}) || got[1] != (Use{"a.go:4", "time.Now", true}) {
		t.Errorf("Uses = %v", got)
	}
	tree = parse(t, "a.go", "package a\nimport \"math/rand/v2\"\nvar x = rand.IntN(3)\n")
	if got := tree.Files[0].Uses("math/rand/v2", "IntN"); len(got) != 1 {
		t.Errorf("package of a major version: %v", got)
	}
}

func TestGlobals(t *testing.T) {
	for source, want := range map[string]string{
		`var x = errors.New("x")`: "",
		`var x = map[string]int{"a": 1}; func f() int { return x["a"] }`:    "",
		`var x = regexp.MustCompile("x")`:                                   "",
		`var x = template.Must(template.New("x").Parse("y"))`:               "",
		`var _ I = (*T)(nil)`:                                               "",
		`var x = []byte("x")`:                                               "",
		`var x = func() int { return lru.New() }`:                           "",
		`var x int; func f() { x := 1; x++ }`:                               "",
		`var x = map[string]int{}; func f(x map[string]int) { x["a"] = 1 }`: "",
		`var x int; func f() { x++ }`:                                       "x is changed",
		`var x = map[string]int{}; func f() { x["a"] = 1 }`:                 "x is changed",
		`var x = map[string]int{}; func f() { delete(x, "a") }`:             "x is changed",
		`var x []int; func f() { x = append(x, 1) }`:                        "x is changed",
		`var x T; func f() { x.y.z = 1 }`:                                   "x is changed",
		`var x T; func f() *T { return &x }`:                                "x is changed",
		`var x sync.Mutex`:                                                  "x is a sync.Mutex",
		`var x = &sync.Map{}`:                                               "x holds a sync.Map",
		`var x = sync.OnceValue(f)`:                                         "x is made by sync.OnceValue",
		`var x = lru.New(10)`:                                               "x is made by lru.New",
		`var x = []any{lru.New(10)}`:                                        "x is made by lru.New",
	} {
		got := strings.Join(Globals(parse(t, "a.go", "package a\n"+source).Files), "\n")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
	if got := Globals(parse(t, "a.go", "package a\nvar now = f", "a_test.go", "package a\nfunc g() { now = nil }").Files); len(got) != 1 {
		t.Errorf("a test that replaces a variable: %v", got)
	}
}

func TestSkips(t *testing.T) {
	for source, want := range map[string]int{
		`if testing.Short() { t.Skip("x") }`:          0,
		`if testing.Short() && slow { t.Skipf("x") }`: 0,
		`t.Skip("x")`:                                                        1,
		`if !testing.Short() { t.Skip("x") }`:                                1,
		`if testing.Short() || true { t.SkipNow() }`:                         1,
		`if testing.Short() { f() } else { t.SkipNow() }`:                    1,
		`if err != nil { t.Skip(err) }`:                                      1,
		`if _, err := f(); err != nil { t.Skip(err) }`:                       1,
		`if testing.Short() { t.Run("x", func(t *testing.T) { t.Skip() }) }`: 0,
	} {
		if got := Skips(parse(t, "a_test.go", "package a\nfunc f() { "+source+" }").Files[0]); len(got) != want {
			t.Errorf("%s: %v", source, got)
		}
	}
}

func TestNoDoc(t *testing.T) {
	for source, want := range map[string]int{
		"// Package a is.\npackage a\n// X is.\ntype X int\n// Y does.\nfunc (X) Y() {}\n// The colours.\nconst (Red = 1; Blue = 2)": 0,
		"package a": 1,
		"// Package a is.\npackage a\ntype X int":                                       1,
		"// Package a is.\npackage a\nfunc X() {}":                                      1,
		"// Package a is.\npackage a\ntype x int\nfunc (x) Y() {}":                      0,
		"// Package a is.\npackage a\n// X is.\ntype X[T any] int\nfunc (*X[T]) Y() {}": 1,
		"// Package a is.\npackage a\nvar X = 1":                                        1,
	} {
		if got := NoDoc(parse(t, "a.go", source).Files); len(got) != want {
			t.Errorf("%s: %v", source, got)
		}
	}
}

func TestThreatTestNames(t *testing.T) {
	tests, malformed := ThreatTests(parse(t, "p/a_test.go", `package a
func TestThreat_AZ03_WildcardRedirect(t *testing.T) {}
func FuzzThreat_JW12(f *testing.F) {}
func FuzzThreat_JW12_Claims(f *testing.F) {}
func TestThreat_AZ03(t *testing.T) {}
func TestThreatAZ03_X(t *testing.T) {}
func TestThreat_Az03_Xy(t *testing.T) {}
func TestThreat_AZ3_Xyz(t *testing.T) {}
func TestThreat_AZ03_lower(t *testing.T) {}
func TestOther(t *testing.T) {}
func threat() {}
`).Files)
	if len(tests) != 3 || tests[0].ID != "AZ03" || tests[0].Dir != "p" || tests[1].ID != "JW12" {
		t.Errorf("tests = %v", tests)
	}
	if len(malformed) != 5 {
		t.Errorf("malformed = %s", strings.Join(malformed, "\n"))
	}
}

func TestWithinCountsWholeNames(t *testing.T) {
	if !Within("internal/core/apps", "internal/core") || Within("internal/corex", "internal/core") || Within("cmd/x", ".") || !Within(".", ".") {
		t.Error("Within is wrong")
	}
}

func TestInVerbs(t *testing.T) {
	head := `package a
import ("net/http"; "m/db"; d2 "m/db")
`
	for source, want := range map[string]string{
		`func f() { http.Get("x"); s.Hasher.Hash(x) }`:    "",
		`func f(tx *db.Tx) { tx.Exec("x") }`:              "",
		`func f(tx *db.Tx) { http.Get("x") }`:             "http.Get",
		`func f(tx *d2.Tx) { s.people.Hasher.Verify(x) }`: "Hasher.Verify",
		`func (s *S) f() { s.d.Write(func(tx *db.Tx) error { return s.g() }) }; func (s *S) g() { s.hasher.Hash(x) }`:       "hasher.Hash",
		`func (s *S) f() { s.d.Write(func(tx *db.Tx) error { return h() }) }; func h() { k() }; func k() { http.Get("x") }`: "http.Get",
		`func (s *S) f() { s.hasher.Hash(x); s.d.Write(func(tx *db.Tx) error { return nil }) }`:                             "",
		`func (s *S) f(tx *db.Tx) { s.g() }; func (s *S) g() {}; func (h H) g() { http.Get("x") }`:                          "",
		`func f(tx *db.Tx, t *S) { t.g() }; func (s *S) g() { http.Get("x") }`:                                              "http.Get",
		`func f(tx *db.Tx) { s.others.g() }; func (s *S) g() { http.Get("x") }`:                                             "",
	} {
		got := InVerbs(parse(t, "a.go", head+source).Files, "m/db", Slow{Packages: []string{"net/http"}, Methods: []string{"Hasher.Hash", "Hasher.Verify"}})
		if want == "" && len(got) != 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], want)) {
			t.Errorf("%s\ngives %q, want %q", source, got, want)
		}
	}
}

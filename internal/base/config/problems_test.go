package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the expected problems anew")

// Each file of testdata/problems is a configuration with one fault, and below a line "-- problems --"
// what is to be said about it. A first line "# mode 0644" sets the mode of the file.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/problems/*.txt")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, want, _ := strings.Cut(string(raw), "-- problems --\n")
			mode := os.FileMode(0o600)
			if octal, ok := strings.CutPrefix(text, "# mode "); ok {
				n, err := strconv.ParseUint(octal[:4], 8, 32)
				if err != nil {
					t.Fatal(err)
				}
				mode = os.FileMode(n)
			}
			dir := folder(t)
			path := writeFile(t, dir, "gatehouse.yaml", mode, complete(text, dir))
			c, err := Read(path, nil)
			if c == nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, p := range c.validate(today, (*validator).served) {
				fmt.Fprintf(&got, "%d %s: %s\n", p.Line, p.Path, strings.ReplaceAll(p.Message, dir, "$DIR"))
			}
			if *update {
				if err := os.WriteFile(file, []byte(text+"-- problems --\n"+got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got.String() != want {
				t.Errorf("got\n%s\nwant\n%s", got.String(), want)
			}
			if got.Len() == 0 {
				t.Error("no problem")
			}
		})
	}
}

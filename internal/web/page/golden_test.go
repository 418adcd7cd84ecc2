package page_test

import (
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-dev/gatehouse/internal/web/page"
	"github.com/gatehouse-dev/gatehouse/internal/web/page/gallery"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	nonce = regexp.MustCompile(`nonce="[A-Za-z0-9_-]{22}"`)
	hash  = regexp.MustCompile(`\.[0-9a-f]{10}\.(css|svg)`)
)

// TestGolden compares every page with its file in testdata, nonces and asset
// hashes aside. The files read like pages: review them as such.
func TestGolden(t *testing.T) {
	r := renderer(t, gallery.Options())
	names := map[string]bool{}
	for _, s := range gallery.Samples() {
		names[s.Name+".html"] = true
		t.Run(s.Name, func(t *testing.T) {
			w := render(r, s)
			got := nonce.ReplaceAllString(w.Body.String(), `nonce="…"`)
			got = hash.ReplaceAllString(got, `.….$1`)
			file := filepath.Join("testdata", "golden", s.Name+".html")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("changed (-want +got); -update accepts it:\n%s", diff)
			}
		})
	}
	files, err := os.ReadDir(filepath.Join("testdata", "golden"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !names[f.Name()] {
			t.Errorf("%s belongs to no page", f.Name())
		}
	}
}

func renderer(t *testing.T, o page.Options) *page.Renderer {
	t.Helper()
	r, err := page.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func render(r *page.Renderer, s gallery.Sample) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.Render(w, httptest.NewRequest("GET", "/u/x", nil), s.Status, s.Page)
	return w
}

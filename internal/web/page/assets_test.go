package page_test

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/web/page"
	"github.com/gatehouse-dev/gatehouse/internal/web/page/gallery"
)

// TestAssets: everything the pages and the style sheet name is served, to be
// kept for ever, and nothing else is.
func TestAssets(t *testing.T) {
	r := renderer(t, gallery.Options())
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r.Assets().ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	paths := map[string]bool{}
	for _, s := range gallery.Samples() {
		for _, m := range loads.FindAllStringSubmatch(render(r, s).Body.String(), -1) {
			paths[m[1]] = true
		}
	}
	for path := range paths {
		if strings.HasSuffix(path, ".css") {
			for _, m := range regexp.MustCompile(`url\(([^)]*)\)`).FindAllStringSubmatch(get("GET", path).Body.String(), -1) {
				paths[page.AssetPrefix+m[1]] = true
			}
		}
	}
	if len(paths) != 4 { // the sheet, the mark, the arches, one tenant's colour
		t.Errorf("the pages name %v", paths)
	}
	for path := range paths {
		w := get("GET", path)
		h := w.Header()
		if w.Code != 200 || w.Body.Len() == 0 || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
		if want := map[bool]string{true: "text/css; charset=utf-8", false: "image/svg+xml"}[strings.HasSuffix(path, ".css")]; h.Get("Content-Type") != want {
			t.Errorf("%s is %s", path, h.Get("Content-Type"))
		}
		if w := get("HEAD", path); w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("HEAD %s: %d with %d bytes", path, w.Code, w.Body.Len())
		}
		if w := get("POST", path); w.Code != 405 {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
	for _, path := range []string{"", "gatehouse.css", "gatehouse.0000000000.css", "accent-17594a.0000000000.css", "accent-17594a.css", "accent-", "../render.go", "mark.svg"} {
		if w := get("GET", page.AssetPrefix+path); w.Code != 404 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%q: %d", path, w.Code)
		}
	}
}

// TestRuns: links in a mail's text are found, with the punctuation after them
// left outside.
func TestRuns(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"no link":                       "no link",
		"see http://a.example/b?c=d.":   "see [http://a.example/b?c=d].",
		"<https://a.example>":           "<[https://a.example]>",
		"(https://a.example), http://b": "([https://a.example]), [http://b]",
		"javascript:alert(1)":           "javascript:alert(1)",
		"https://":                      "[https://]",
	} {
		var got strings.Builder
		for _, run := range (page.InboxMail{Text: text}).Runs() {
			if run.URL != "" {
				got.WriteString("[" + run.URL + "]")
			} else {
				got.WriteString(run.Text)
			}
		}
		if got.String() != want {
			t.Errorf("%q: %q, want %q", text, got.String(), want)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	r, err := page.New(page.Options{})
	if err != nil {
		b.Fatal(err)
	}
	req := httptest.NewRequest("GET", "/", nil)
	p := page.SignIn{Frame: page.Frame{Flow: strings.Repeat("x", 1000)}, ClientName: "Watchlist"}
	for b.Loop() {
		r.Render(httptest.NewRecorder(), req, 200, p)
	}
}

package gallery

import (
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/web/page"
)

func TestSamplesRender(t *testing.T) {
	r, err := page.New(Options())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range Samples() {
		if seen[s.Name] {
			t.Errorf("%s appears twice", s.Name)
		}
		seen[s.Name] = true
		w := httptest.NewRecorder()
		r.Render(w, httptest.NewRequest("GET", "/", nil), s.Status, s.Page)
		if w.Code != s.Status {
			t.Errorf("%s: status %d, want %d", s.Name, w.Code, s.Status)
		}
	}
}

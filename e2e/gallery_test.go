package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/web/page"
	"github.com/gatehouse-dev/gatehouse/internal/web/page/gallery"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// serveGallery serves one sample of every state of every hosted page at /sample/NAME, with the headers
// that the house gives it, except that it stays where it is, to be looked at. change gets a pointer to
// each sample.
func serveGallery(t *testing.T, change func(sample any)) (origin string, names []string) {
	t.Helper()
	render := drive.Must[*page.Renderer](t)(page.New(gallery.Options()))
	mux := http.NewServeMux()
	mux.Handle(page.AssetPrefix, render.Assets())
	for _, sample := range gallery.Samples() {
		change(&sample)
		names = append(names, sample.Name)
		mux.HandleFunc("/sample/"+sample.Name, func(w http.ResponseWriter, r *http.Request) {
			render.Render(staying{w}, r, sample.Status, sample.Page)
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1), names
}

// staying keeps a page from leading on to another one, by a header or by submitting a form.
type staying struct{ http.ResponseWriter }

func (w staying) WriteHeader(status int) {
	w.Header().Del("Refresh")
	w.Header().Add("Content-Security-Policy", "sandbox allow-scripts allow-same-origin")
	w.ResponseWriter.WriteHeader(status)
}

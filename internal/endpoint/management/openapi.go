package management

import (
	_ "embed"
	"io"
	"net/http"
)

// PathDescription is where the API is described. It is below Prefix, and takes no token: it is the same in
// every house.
const PathDescription = Prefix + "openapi.yaml"

//go:embed openapi.yaml
var description string

// Description serves the API's description, an OpenAPI 3.1 document in YAML (RFC 9512).
func Description() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/yaml")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "public, max-age=300")
		_, _ = io.WriteString(w, description) // a reader that left needs no answer
	})
}

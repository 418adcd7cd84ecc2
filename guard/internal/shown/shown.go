// Package shown tells whether a request still is what a guard further out has
// judged: for the schemes whose credentials are good once.
package shown

import (
	"net/http"
	"slices"
)

// Same returns a function for guard.Result.Again: it reports whether a request has
// the method and the target of r, and in each of these headers the same lines.
func Same(r *http.Request, headers ...string) func(later *http.Request) bool {
	method, target := r.Method, r.RequestURI
	lines := make([][]string, len(headers))
	for i, name := range headers {
		lines[i] = slices.Clone(r.Header.Values(name)) // whoever changes them later changes others
	}
	return func(later *http.Request) bool {
		if later.Method != method || later.RequestURI != target {
			return false
		}
		for i, name := range headers {
			if !slices.Equal(later.Header.Values(name), lines[i]) {
				return false
			}
		}
		return true
	}
}

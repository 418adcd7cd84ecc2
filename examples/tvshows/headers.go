package tvshows

import (
	"net/http"
	"net/url"
	"strings"
)

// policy is what a form's pages may do beyond showing themselves.
type policy struct {
	connect, frame, form []string
}

// protect adds the headers that keep other people's scripts and frames out
// (Content Security Policy Level 3). A page that holds tokens in its memory is
// as safe as its policy: no inline script, no foreign script.
func protect(next http.Handler, p policy) http.Handler {
	sources := func(list []string) string {
		if len(list) == 0 {
			return "'none'"
		}
		return strings.Join(list, " ")
	}
	csp := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'" +
		"; connect-src " + sources(p.connect) + "; frame-src " + sources(p.frame) + "; form-action " + sources(p.form)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", csp)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// origin returns scheme, host and port of an address.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "'none'"
	}
	return u.Scheme + "://" + u.Host
}

package page

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// setHeaders writes what every page carries. There is no
// Cross-Origin-Opener-Policy: it would sever window.opener, by which a sign-in
// popup answers the application that opened it.
func setHeaders(h http.Header, s sheet, f Frame, nonce string, posted bool) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	if s.revisit && h.Get("Set-Cookie") == "" && posted {
		h.Set("Cache-Control", "private, no-cache")
	} else {
		h.Set("Cache-Control", "no-store")
	}
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", policy(s, f, nonce))
	if s.frameAncestors == "" {
		h.Set("X-Frame-Options", "DENY")
	} else {
		h.Del("X-Frame-Options") // it cannot name an origin, and clients wait in vain where it is sent
	}
}

// policy is the Content-Security-Policy of one page.
func policy(s sheet, f Frame, nonce string) string {
	directives := []string{
		"default-src 'none'",
		"style-src 'self'",
		"img-src 'self' data:",
		"base-uri 'none'",
	}
	if s.script != "" {
		directives = append(directives, "script-src 'nonce-"+nonce+"'")
	}
	targets := s.formAction
	if targets == nil {
		targets = []string{"'self'"}
		for _, uri := range f.FormAction {
			if source, ok := hop(uri); ok && !slices.Contains(targets, source) {
				targets = append(targets, source)
			}
		}
	}
	directives = append(directives, "form-action "+strings.Join(targets, " "))
	ancestors := "'none'"
	if s.frameAncestors != "" {
		ancestors = s.frameAncestors
	}
	return strings.Join(append(directives, "frame-ancestors "+ancestors), "; ")
}

// hop is the source expression of where a post that is redirected to uri may
// end: its scheme. Browsers hold form-action against each redirect that
// follows, the application's own among them, and an application may well have
// its callback at one origin and its pages at another.
func hop(uri string) (string, bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" && !strings.Contains(u.Scheme, ".") {
		return "", false // every private-use scheme has a dot (RFC 8252 §7.1); javascript: and data: have none
	}
	return u.Scheme + ":", true
}

// source writes an origin as a source expression. The grammar has no IPv6
// addresses and browsers ignore them, so their scheme has to do.
func source(origin string) string {
	if scheme, _, ok := strings.Cut(origin, "//["); ok {
		return scheme
	}
	return origin
}

// origin reduces an absolute http or https URL to its origin. A host with
// characters that would end a source expression is refused.
func origin(uri string) (string, bool) {
	u, err := url.Parse(uri)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.Hostname() == "" {
		return "", false
	}
	for _, c := range u.Host {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune("-._:[]", c):
		default:
			return "", false
		}
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "", false
		}
	}
	return u.Scheme + "://" + u.Host, true
}

// Speculative reports whether a browser fetches the page on the chance that
// somebody may want it (prefetch, prerender). Such a request must find nothing
// to consume and nothing to advance (BR15): [Renderer.Render] answers it with
// an empty page, and a handler that would act on a GET asks first.
func Speculative(req *http.Request) bool {
	purpose := req.Header.Get("Sec-Purpose") + " " + req.Header.Get("Purpose") + " " + req.Header.Get("X-Moz")
	return strings.Contains(strings.ToLower(purpose), "prefetch")
}

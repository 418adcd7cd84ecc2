package page

import (
	"net/http"
	"net/url"
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
	if s.refresh != "" {
		h.Set("Refresh", "0;url="+s.refresh)
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
			if source, ok := redirectSource(uri); ok {
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

// redirectSource reduces a redirect URI to a source expression: the origin of
// an http or https URL, the scheme of a private-use one (RFC 8252 §7.1).
func redirectSource(uri string) (string, bool) {
	if o, ok := origin(uri); ok {
		return source(o), true
	}
	u, err := url.Parse(uri)
	if err != nil || !strings.Contains(u.Scheme, ".") {
		return "", false // every private-use scheme has a dot; javascript: and data: have none
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

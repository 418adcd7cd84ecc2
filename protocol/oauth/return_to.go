package oauth

import (
	"net/url"
	"strings"
)

const maxReturnToBytes = 2 << 10

// SafeReturnTo returns the local address s, re-serialised, or "/" if s is
// anything a browser might take for another site: not beginning with a single
// slash, with a backslash or a control character anywhere, with dot segments,
// or not a path and a query.
func SafeReturnTo(s string) string {
	const home = "/"
	if len(s) > maxReturnToBytes {
		return home
	}
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.Contains(s, `\`) {
		return home
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return home
	}
	if !printable(u.Path) || strings.Contains(u.Path, `\`) || strings.Contains(u.Path, "//") || hasDotSegment(u.Path) {
		return home
	}
	local := (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).String()
	if len(local) > maxReturnToBytes || !strings.HasPrefix(local, "/") || strings.HasPrefix(local, "//") || !visibleASCII(local) {
		return home
	}
	return local
}

// visibleASCII: what a browser has not encoded by itself did not come from one.
func visibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// hasDotSegment reports whether a decoded path has a segment . or .. that a
// browser would resolve.
func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

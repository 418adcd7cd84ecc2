package checkup

import (
	"net/url"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
)

const (
	maxSent = 200 // characters of what was sent
	cut     = "…"
	// secretLike is how long a run of letters and digits is that may be a secret, a code or a token.
	secretLike = 32
)

// clean returns what is kept of what was sent.
func clean(kind Kind, sent string) string {
	switch kind {
	case RedirectURI, LogoutURL, Audience, APIGrant, WebOrigin, MessageOrigin, PageOrigin:
		sent = cleanURI(sent)
	default:
		sent = mask(sent)
	}
	sent = audit.Clean(sent)
	if runes := []rune(sent); len(runes) > maxSent {
		sent = string(runes[:maxSent]) + cut
	}
	return sent
}

// cleanURI keeps scheme, host and path. A query and a fragment may hold anything; a user name and
// password are never kept.
func cleanURI(s string) string {
	before, query, hasQuery := strings.Cut(s, "?")
	before, _, hasFragment := strings.Cut(before, "#")
	scheme, rest, ok := strings.Cut(before, "://")
	if !ok {
		before = mask(before)
	} else {
		host, path, hasPath := strings.Cut(rest, "/")
		if at := strings.LastIndexByte(host, '@'); at >= 0 {
			host = cut + host[at:]
		}
		if _, err := url.Parse("x://" + host); err != nil || len(host) > 255 {
			host = mask(host)
		}
		before = mask(scheme) + "://" + host
		if hasPath {
			before += "/" + mask(path)
		}
	}
	if hasQuery && query != "" {
		before += "?" + cut
	}
	if hasFragment {
		before += "#" + cut
	}
	return before
}

// mask replaces every run that is long enough to be a secret.
func mask(s string) string {
	var out strings.Builder
	run := 0
	flush := func(end int) {
		if run >= secretLike {
			out.WriteString(cut)
		} else {
			out.WriteString(s[end-run : end])
		}
		run = 0
	}
	for i := range len(s) {
		c := s[i]
		if c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			run++
			continue
		}
		flush(i)
		out.WriteByte(c)
	}
	flush(len(s))
	return out.String()
}

// whole reports whether what is kept is all that was sent.
func whole(sent string) bool { return sent != "" && !strings.Contains(sent, cut) }

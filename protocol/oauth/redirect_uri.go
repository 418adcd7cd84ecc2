package oauth

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// MatchRedirectURI decides whether presented is one of the registered URIs
// (RFC 9700 §2.1): byte for byte, nothing parsed, nothing normalised. There are
// two exceptions. A registered bare origin stands for itself with and without
// its slash, as browsers write one and people the other. And for a native
// client the port of a registered http://127.0.0.1 or http://[::1] may differ,
// as the client takes the one it gets (RFC 8252 §7.3).
func MatchRedirectURI(registered []string, presented string, native bool) bool {
	return slices.ContainsFunc(registered, func(r string) bool {
		return sameURI(r, presented) || native && sameLoopback(r, presented)
	})
}

// MatchLogoutURI decides whether presented is one of the URIs registered for
// the return from a logout (RP-Initiated Logout §3), by the rule of
// [MatchRedirectURI] without its exception for native clients.
func MatchLogoutURI(registered []string, presented string) bool {
	return MatchRedirectURI(registered, presented, false)
}

func sameURI(registered, presented string) bool {
	if registered == "" {
		return false
	}
	return presented == registered ||
		isBareOrigin(registered) && strings.TrimSuffix(presented, "/") == strings.TrimSuffix(registered, "/")
}

// isBareOrigin: http(s)://authority, with or without a slash at the end.
func isBareOrigin(uri string) bool {
	authority, ok := strings.CutPrefix(uri, "https://")
	if !ok {
		authority, ok = strings.CutPrefix(uri, "http://")
	}
	authority = strings.TrimSuffix(authority, "/")
	return ok && authority != "" && !strings.ContainsAny(authority, "/?#")
}

// sameLoopback compares two loopback URIs but for their ports.
func sameLoopback(registered, presented string) bool {
	for _, host := range [...]string{"http://127.0.0.1", "http://[::1]"} {
		r, okR := strings.CutPrefix(registered, host)
		p, okP := strings.CutPrefix(presented, host)
		if !okR || !okP {
			continue
		}
		r, okR = cutPort(r)
		p, okP = cutPort(p)
		return okR && okP && r == p
	}
	return false
}

// cutPort removes an optional port.
func cutPort(s string) (rest string, ok bool) {
	if port, found := strings.CutPrefix(s, ":"); found {
		end := strings.IndexAny(port, "/?")
		if end < 0 {
			end = len(port)
		}
		if !validPort(port[:end]) {
			return "", false
		}
		s = port[end:]
	}
	return s, true
}

// validPort: 1 to 65535 in the one way to write it.
func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

// ValidateRedirectURI decides whether s may be registered as a redirect or
// logout URI: an absolute https URI, or http for localhost, 127.0.0.1 and
// [::1] alone, or for a native client one of a private-use scheme with a dot
// in it (RFC 8252 §7.1).
//
// Registered URIs are held to a narrow grammar, so that no two readers see
// different hosts in one: printable ASCII, no userinfo, no fragment, no
// backslash, no dot segments, lower-case host, IP addresses in canonical form,
// and no "*", which would be taken for a wildcard. The error is
// invalid_redirect_uri with a hint that says what is wrong.
func ValidateRedirectURI(s string, native bool) error {
	problem := redirectURIProblem(s, native)
	if problem == "" {
		return nil
	}
	return NewError(InvalidRedirectURI, "This is not an acceptable redirect URI.").WithHint(problem)
}

func redirectURIProblem(s string, native bool) string {
	if s == "" || len(s) > maxRedirectURIBytes {
		return "It must have between 1 and 2048 characters."
	}
	if problem := charactersProblem(s); problem != "" {
		return problem
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !validScheme(scheme) {
		return "It must be absolute: begin with https:// or another scheme, in lower case."
	}
	switch {
	case scheme == "https" || scheme == "http":
		return webURIProblem(scheme, rest)
	case !native:
		return "Only https (or http on localhost) is possible for this type of client."
	case !strings.Contains(scheme, "."):
		return "A private-use scheme must be a reversed domain name, such as com.example.app (RFC 8252)."
	}
	path := strings.TrimPrefix(rest, "//")
	return pathProblem(path)
}

// charactersProblem admits the characters of RFC 3986 less "#", "*", and
// percent signs that encode nothing or a control character.
func charactersProblem(s string) string {
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '*':
			return "Wildcards do not exist: register every URI in full."
		case c == '#':
			return "It must not have a fragment."
		case c == '%' && !validEscape(s[i:]):
			return "It has a percent sign that encodes nothing, or a control character."
		case !isUnreserved(c) && !strings.ContainsRune("%:/?[]@!$&'()+,;=", rune(c)):
			return "It has a character that is not allowed in a URI. Encode it, and write host names in their ASCII form."
		}
	}
	return ""
}

func validEscape(s string) bool {
	if len(s) < 3 {
		return false
	}
	n, err := strconv.ParseUint(s[1:3], 16, 8)
	return err == nil && n >= ' ' && n != 0x7f
}

func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return s != ""
}

// webURIProblem judges what follows "http:" or "https:".
func webURIProblem(scheme, rest string) string {
	rest, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return "Two slashes must follow the scheme."
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, path := rest[:end], rest[end:]
	if strings.ContainsAny(authority, "@") {
		return "It must not have a user name or password."
	}
	host, ok := cutHost(authority)
	if !ok {
		return "Its host or port is not well-formed. Write host names in lower case and addresses in their shortest form."
	}
	if scheme == "http" && !isLoopbackHost(host) {
		return "http is possible on localhost only. Use https."
	}
	return pathProblem(path)
}

// cutHost returns the host of an authority if host and port have the one form
// every reader agrees on.
func cutHost(authority string) (host string, ok bool) {
	host, port, hasPort := authority, "", false
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 {
			return "", false
		}
		host = authority[:end+1]
		if port, hasPort = strings.CutPrefix(authority[end+1:], ":"); !hasPort && port != "" {
			return "", false
		}
	} else {
		host, port, hasPort = strings.Cut(authority, ":")
	}
	if hasPort && !validPort(port) {
		return "", false
	}
	return host, validHost(host)
}

// validHost: an IPv6 address in brackets, an IPv4 address, or a name. A name
// whose last label is a number is an address to a browser ("127.1", "0x7f.1"),
// so it must be one here too.
func validHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner = strings.TrimSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return err == nil && addr.Is6() && !addr.Is4In6() && addr.Zone() == "" && addr.String() == inner
	}
	if len(host) > 253 {
		return false
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !validLabel(label) {
			return false
		}
	}
	if last := labels[len(labels)-1]; last[0] >= '0' && last[0] <= '9' {
		addr, err := netip.ParseAddr(host)
		return err == nil && addr.String() == host
	}
	return true
}

func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

func isLoopbackHost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "127.0.0.1" || host == "[::1]"
}

// pathProblem refuses what a browser resolves before it asks: dot segments, in
// clear or encoded.
func pathProblem(rest string) string {
	path, _, _ := strings.Cut(rest, "?")
	if strings.ContainsAny(path, "[]") {
		return "Its path has a bracket. Encode it."
	}
	path = strings.NewReplacer("%2e", ".", "%2E", ".").Replace(path)
	if hasDotSegment(path) {
		return "Its path must not have the segments . and .."
	}
	return ""
}

// Origin returns the web origin of a validated http or https URI (RFC 6454
// §6.1), default ports left out: the target of a web_message, the form-action
// of a form_post. False for other URIs, which have none.
func Origin(uri string) (string, bool) {
	scheme, rest, _ := strings.Cut(uri, "://")
	if scheme != "https" && scheme != "http" {
		return "", false
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	if _, ok := cutHost(rest); !ok {
		return "", false
	}
	defaultPort := ":443"
	if scheme == "http" {
		defaultPort = ":80"
	}
	return scheme + "://" + strings.TrimSuffix(rest, defaultPort), true
}

// AnyonesAddress reports whether what is sent to a redirect URI can be had by any program of the machine:
// it is a port of the machine's own, or a scheme that any program may claim. Nobody knows then which
// program asks, so the person has to be asked, whatever was allowed before (RFC 8252 §8.6). An https
// address is its owner's.
func AnyonesAddress(redirectURI string) bool { return !strings.HasPrefix(redirectURI, "https://") }

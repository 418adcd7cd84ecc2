// Package address reads the addresses that stand in options and in a provider's
// metadata.
package address

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// URL reads an absolute http or https URL without user and fragment; what names it
// in errors. Plain http is for loopback hosts, unless allowHTTP: on any other network
// it hands every credential to whoever listens.
func URL(what, text string, allowHTTP bool) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, fmt.Errorf("%s %q is not an absolute URL", what, text)
	}
	switch u.Scheme {
	case "https":
	case "http":
		if !allowHTTP && !oauth.IsLoopback(u.Hostname()) {
			return nil, fmt.Errorf("%s %q must be https", what, text)
		}
	default:
		return nil, fmt.Errorf("%s %q must be https", what, text)
	}
	return u, nil
}

// Origin reads a URL that is scheme, host and port alone, and returns it as browsers
// write it in the header Origin (RFC 6454 §6.2): the host in lower case, without the
// scheme's own port. secure tells whether it is https.
func Origin(what, text string, allowHTTP bool) (origin string, secure bool, err error) {
	u, err := URL(what, text, allowHTTP)
	if err != nil {
		return "", false, err
	}
	host := strings.ToLower(u.Host)
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return "", false, fmt.Errorf("%s %q must be scheme, host and port alone, in ASCII, such as https://app.example", what, text)
	}
	port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	host = strings.TrimSuffix(strings.TrimSuffix(host, port), ":")
	return u.Scheme + "://" + host, u.Scheme == "https", nil
}

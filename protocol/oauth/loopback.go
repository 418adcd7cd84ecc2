package oauth

import (
	"net/netip"
	"strings"
)

// IsLoopback reports whether a host, without its port and brackets, is this machine by its name or
// address alone: what goes there never leaves it (RFC 8252 section 8.3, RFC 6761 section 6.3). No
// resolver is asked.
func IsLoopback(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

package basic

import (
	"net/http"
	"net/netip"
)

// transport decides whether a password may travel the way a request came.
type transport struct {
	proxies []netip.Prefix
	http    bool // any way will do
}

// confidential reports whether nobody between client and server can read r: by
// TLS here, by TLS at a configured proxy, or because it never left the machine.
func (t transport) confidential(r *http.Request) bool {
	if t.http || r.TLS != nil {
		return true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	address := peer.Addr().Unmap().WithZone("")
	for _, p := range t.proxies {
		if p.Contains(address) {
			// Each proxy on the way adds its own: one that is not alone says nothing.
			proto := r.Header.Values("X-Forwarded-Proto")
			return len(proto) == 1 && proto[0] == "https"
		}
	}
	return address.IsLoopback() && !forwarded(r.Header)
}

// forwarded reports whether a proxy says that r came from elsewhere: then a
// loopback peer is not where it started.
func forwarded(h http.Header) bool {
	for _, name := range [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}

package outbound

import (
	"net/netip"
	"strings"
)

// reach is how far an address is from the open Internet.
type reach int

const (
	public   reach = iota // anybody's to call
	internal              // of a private or special-purpose network
	loopback              // this machine
	never                 // nobody's to call: link-local, multicast, what clouds tell their machines
)

// reachOf classifies an address by the special-purpose registries (RFC 6890 and its successors). What
// is not known to be public is not public.
func reachOf(a netip.Addr) reach {
	if a.Zone() != "" || !a.IsValid() {
		return never
	}
	a = a.Unmap()
	switch {
	case a.IsLoopback():
		return loopback
	case !a.IsGlobalUnicast(), within(a, cloudMetadata()): // link-local, multicast, broadcast, unspecified
		return never
	case a.Is4() && within(a, special4()), a.IsPrivate():
		return internal
	case a.Is6() && (!globalUnicast6().Contains(a) || within(a, special6())):
		return internal // NAT64 among them, which leads to any IPv4 address
	}
	return public
}

func within(a netip.Addr, networks []netip.Prefix) bool {
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// special4 are the IPv4 networks that are neither private nor public.
func special4() []netip.Prefix {
	return prefixes(
		"0.0.0.0/8",                                         // this network
		"100.64.0.0/10",                                     // carrier-grade NAT
		"192.0.0.0/24",                                      // protocol assignments
		"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", // documentation
		"192.88.99.0/24", // 6to4 relays
		"198.18.0.0/15",  // benchmarks
		"240.0.0.0/4",    // reserved
	)
}

// globalUnicast6 is the part of IPv6 that the Internet uses.
func globalUnicast6() netip.Prefix { return netip.MustParsePrefix("2000::/3") }

// special6 are the networks within it that it does not.
func special6() []netip.Prefix {
	return prefixes(
		"2001::/23",                  // protocol assignments: Teredo, ORCHID, benchmarks
		"2001:db8::/32", "3fff::/20", // documentation
		"2002::/16", // 6to4, which leads to any IPv4 address
	)
}

// cloudMetadata are the addresses at which clouds hand their machines credentials, as far as no other rule
// covers them; not even a name that may be internal leads there.
func cloudMetadata() []netip.Prefix {
	return prefixes("168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128", "fd20:ce::254/128")
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// namesLoopback reports whether a host means this machine by its spelling (RFC 6761 section 6.3), and
// returns where that leads.
func namesLoopback(host string) ([]netip.Addr, bool) {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, true
	}
	if a, err := netip.ParseAddr(host); err == nil && reachOf(a) == loopback {
		return []netip.Addr{a.Unmap()}, true
	}
	return nil, false
}

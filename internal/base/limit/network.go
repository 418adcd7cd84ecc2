package limit

import "net/netip"

// Network is what an address is counted as: an IPv4 address by itself, an IPv6 one by the /64 that
// one household or machine has to itself. An IPv4 address in IPv6 clothes is the IPv4 address.
func Network(a netip.Addr) string { return prefix(a, 64) }

// Site is the next wider circle of an IPv6 address, the /48 that a provider hands to one site: who
// owns one has 65,536 networks to hop between.
func Site(a netip.Addr) string { return prefix(a, 48) }

func prefix(a netip.Addr, bits int) string {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return "unknown"
	}
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return p.String()
}

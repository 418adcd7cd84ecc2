// Package clientip finds out which address a request comes from when there are
// proxies on the way.
package clientip

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the addresses whose X-Forwarded-For is believed. Without any, the
// header is never read.
type Proxies []netip.Prefix

// Check is for whoever is configured with them: none may be the zero value.
func (p Proxies) Check() error {
	if slices.ContainsFunc(p, func(network netip.Prefix) bool { return !network.IsValid() }) {
		return errors.New("Proxies: one is not valid")
	}
	return nil
}

// Client returns the address of the client: the one at the other end of the
// connection or, if that is one of our proxies, the right-most address in
// X-Forwarded-For that is not. What stands further left was written by the
// client, who may write anything there.
//
// The error means that the address cannot be known: a proxy of ours passed on
// something that is none. It is a bad request, never a reason to go without.
func (p Proxies) Client(r *http.Request) (netip.Addr, error) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the connection's address %q is not IP", r.RemoteAddr)
	}
	client := plain(peer.Addr())
	if !p.contain(client) {
		return client, nil
	}
	lines := r.Header.Values("X-Forwarded-For")
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var hop string
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				rest, hop = rest[:at], rest[at+1:]
			} else {
				rest, hop, more = "", rest, false
			}
			if client, err = parse(strings.Trim(hop, " \t")); err != nil {
				return netip.Addr{}, err
			}
			if !p.contain(client) {
				return client, nil
			}
		}
	}
	return client, nil
}

func (p Proxies) contain(a netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// parse takes an address, or one with a port as some proxies write it.
func parse(hop string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(hop); err == nil && a.Zone() == "" {
		return plain(a), nil
	}
	if a, err := netip.ParseAddrPort(hop); err == nil && a.Addr().Zone() == "" {
		return plain(a.Addr()), nil
	}
	return netip.Addr{}, errors.New("X-Forwarded-For does not hold addresses")
}

// plain gives every host one spelling: an IPv4 address in IPv6 clothes is the
// IPv4 address, and a zone names an interface of this machine, not a host.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Network returns the network of a with ipv4 or ipv6 bits.
func Network(a netip.Addr, ipv4, ipv6 int) netip.Prefix {
	bits := ipv4
	if a.Is6() {
		bits = ipv6
	}
	return netip.PrefixFrom(a, bits).Masked()
}

package ratelimit

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/clientip"
)

// KeyFunc says whose bucket a request takes from. All requests with one key share
// a bucket, those with the empty key too. An error refuses the request with 400:
// a request whose key cannot be known must not get away without a limit.
type KeyFunc func(*http.Request) (string, error)

// ByAddress tells clients apart by their address: IPv4 by the whole of it, IPv6
// by its /64, which any one client may have all of.
//
// proxies are the addresses of the load balancers in front of this application.
// Only a connection from one of them is believed when it says in X-Forwarded-For
// where a request came from, and of that header the right-most address that is
// no proxy counts: the client may have written what is left of it. Without
// proxies the header is not read.
func ByAddress(proxies ...netip.Prefix) KeyFunc { return byNetwork("address ", 32, 64, proxies) }

// ByNetwork tells apart networks of some size: the /24 of IPv4 addresses, the /48
// of IPv6 addresses, which one customer of a provider may have all of. It is for a
// second, wider limit behind the one by address, so that who hops from network to
// network meets it. proxies are as for ByAddress.
func ByNetwork(proxies ...netip.Prefix) KeyFunc { return byNetwork("network ", 24, 48, proxies) }

func byNetwork(kind string, ipv4, ipv6 int, proxies []netip.Prefix) KeyFunc {
	trusted := clientip.Proxies(slices.Clone(proxies))
	return func(r *http.Request) (string, error) {
		client, err := trusted.Client(r)
		if err != nil {
			return "", err
		}
		return string(clientip.Network(client, ipv4, ipv6).AppendTo([]byte(kind))), nil
	}
}

// ByPrincipal tells callers apart by who package guard found them to be; it needs
// guard.Require or guard.Optional in front. The key of somebody unknown is empty.
func ByPrincipal() KeyFunc {
	return func(r *http.Request) (string, error) {
		p, ok := guard.From(r.Context())
		if !ok {
			return "", nil
		}
		return join("principal", string(p.Kind), p.Issuer, p.Subject), nil
	}
}

// ByCredential tells the API keys and tokens of one principal apart, too: each
// has a bucket of its own. It needs guard.Require or guard.Optional in front.
func ByCredential() KeyFunc {
	return func(r *http.Request) (string, error) {
		p, ok := guard.From(r.Context())
		if !ok {
			return "", nil
		}
		return join("credential", string(p.Kind), p.Issuer, p.Subject, p.ClientID, p.Method, p.GrantID, p.SessionID), nil
	}
}

// ByRoute gives each pattern of http.ServeMux a bucket; it needs the mux in front.
func ByRoute() KeyFunc {
	return func(r *http.Request) (string, error) { return "route " + r.Pattern, nil }
}

// Each tells requests apart by all of keys together: Each(ByRoute(), ByAddress())
// is a bucket for each address on each route.
func Each(keys ...KeyFunc) KeyFunc {
	return func(r *http.Request) (string, error) {
		parts := make([]string, len(keys))
		for i, key := range keys {
			var err error
			if parts[i], err = key(r); err != nil {
				return "", err
			}
		}
		return join(parts...), nil
	}
}

// First uses the first of keys that is not empty: First(ByPrincipal(),
// ByAddress()) knows people by name and strangers by their address.
func First(keys ...KeyFunc) KeyFunc {
	return func(r *http.Request) (string, error) {
		for _, key := range keys {
			if k, err := key(r); k != "" || err != nil {
				return k, err
			}
		}
		return "", nil
	}
}

// join keeps parts apart whatever is in them.
func join(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(p, `\`, `\\`), "\n", `\n`))
		b.WriteByte('\n')
	}
	return b.String()
}

// Package outbound is the one way in which the house calls addresses that others have registered: a
// back-channel logout URI, later the keys of a client or the metadata of a provider. Whoever can
// register an address must not be able to make the house call what only the house can reach.
//
// An address is called by https, on the public Internet. Its name is resolved once, every address it
// has is judged, and the connection goes to one of those that were: a name that leads elsewhere a moment
// later leads nowhere. Redirects are not followed, proxies of the environment are not asked, nothing is
// decompressed, and everything has an end.
package outbound

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of one call.
const (
	defaultTimeout = 5 * time.Second
	connectTimeout = 3 * time.Second
	maxHeader      = 16 << 10
	maxAddresses   = 16 // of a name
)

// ErrRefused is wrapped by the error of a call that was not made, because the address is none that the
// house calls.
var ErrRefused = errors.New("outbound: the address is refused")

// Options are what may be called beyond the public Internet by https.
type Options struct {
	// InternalHosts are names, or addresses, that may lead to private networks and to this machine. One that
	// means this machine, such as localhost, may be called in plain http, too.
	InternalHosts []string
	// Loopback lets addresses that are spelled as this machine's be called, in plain http, too. For
	// development.
	Loopback bool
	// Resolve finds the addresses of a name; nil asks the machine's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Timeout is how long a call takes at most, reading the answer included; zero is five seconds.
	Timeout time.Duration
	// RootCAs are whom to trust; nil: whom the machine trusts.
	RootCAs *x509.CertPool
}

// Client makes calls. It is safe for concurrent use.
type Client struct {
	internalHosts []string
	loopback      bool
	resolve       func(ctx context.Context, host string) ([]netip.Addr, error)
	http          *http.Client
}

// New returns a client.
func New(o Options) *Client {
	c := &Client{loopback: o.Loopback, resolve: o.Resolve}
	for _, h := range o.InternalHosts {
		c.internalHosts = append(c.internalHosts, canonical(h))
	}
	if c.resolve == nil {
		c.resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	c.http = &http.Client{
		Timeout:       cmp.Or(o.Timeout, defaultTimeout),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // one of the environment would call in our place, and judge nothing
			DialContext:            c.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
			TLSHandshakeTimeout:    connectTimeout,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    2,
			MaxIdleConns:           64,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true,
		},
	}
	return c
}

// Do makes a call. The error wraps [ErrRefused] if it was not made. The caller closes the answer's body
// and reads no more of it than it needs; a redirect is an answer like any other.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if err := c.checkURL(req.URL); err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		// The error of package http repeats the address, which can hold what is nobody's business.
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, fmt.Errorf("outbound: %w", err)
	}
	return res, nil
}

// checkURL judges what can be judged by the spelling. Where a name leads is judged by dial.
func (c *Client) checkURL(u *url.URL) error {
	host := canonical(u.Hostname())
	switch {
	case host == "" || u.User != nil:
		return fmt.Errorf("%w: it has no host, or a user", ErrRefused)
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("%w: it is not https", ErrRefused)
	}
	if _, here := namesLoopback(host); !here || !c.loopback && !slices.Contains(c.internalHosts, host) {
		return fmt.Errorf("%w: it is not https", ErrRefused)
	}
	return nil
}

// dial connects to an address of the host that may be called.
func (c *Client) dial(ctx context.Context, network, hostPort string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	addresses, err := c.addresses(ctx, canonical(host))
	if err != nil {
		return nil, err
	}
	each := &net.Dialer{Timeout: connectTimeout / time.Duration(len(addresses))}
	var failed []error
	for _, a := range addresses {
		conn, err := each.DialContext(ctx, network, netip.AddrPortFrom(a, uint16(port)).String())
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// addresses returns where a host leads. One address that may not be called spoils them all: a name that
// points inside and outside is a trap.
func (c *Client) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	found, here := namesLoopback(host)
	if a, err := netip.ParseAddr(host); err == nil && !here {
		found = []netip.Addr{a}
	} else if !here {
		if found, err = c.resolve(ctx, host); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 || len(found) > maxAddresses {
		return nil, fmt.Errorf("%w: the name has %d addresses", ErrRefused, len(found))
	}
	isInternal := slices.Contains(c.internalHosts, host)
	for i, a := range found {
		found[i] = a.Unmap()
		switch r := reachOf(a); {
		case r == public, isInternal && r != never, here && c.loopback:
		default:
			return nil, fmt.Errorf("%w: it leads to %s, which is not on the public Internet", ErrRefused, a)
		}
	}
	return found, nil
}

// canonical is a host as it is compared.
func canonical(host string) string {
	return strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
}

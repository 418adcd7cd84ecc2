package server

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// advice is what a house tells its operator about requests that look as if a setting were wrong.
// Each is said once, for what looks so may also be made up by a stranger, who shall not fill the log.
type advice struct {
	// Two, so that nobody on the Internet can spend the one that is about the operator's own network.
	publicProxy, ownProxy sync.Once
	host                  sync.Once
}

// issuerChanges warns of an issuer other than the one this database has served so far: it is meant, when a
// house moves, and it is what a wrong configuration looks like.
func (h *House) issuerChanges(ctx context.Context) error {
	if h.Dev != nil || h.Guest {
		return nil // a house of development is at whatever port was free
	}
	is, _, err := tenant.ParseIssuer(h.Config.Issuer)
	if err != nil {
		return err
	}
	all, err := tenant.All(ctx, h.DB)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.ID == tenant.DefaultID && t.Issuer != is {
			h.Log.Warn("the issuer is another one than this database had: what was issued under the old one is refused from now on, and every application has to be told the new one. Was it not meant? Put the old one back", "was", t.Issuer, "is", is)
		}
	}
	return nil
}

// viaHeaders name the client of a proxy.
var viaHeaders = []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip"}

// proxyNotConfigured advises on a request that says it comes through a proxy, from an address that is
// not configured as one: everybody behind it would share one limit, and the record would name the proxy.
func (h *House) proxyNotConfigured(peer netip.Addr, header http.Header) {
	if h.Dev != nil {
		return // on loopback alone, where proxies of frontend tools come and go
	}
	for _, name := range viaHeaders {
		if _, there := header[name]; !there {
			continue
		}
		peer = peer.Unmap().WithZone("")
		once := &h.advice.publicProxy
		if peer.IsLoopback() || peer.IsPrivate() || peer.IsLinkLocalUnicast() {
			once = &h.advice.ownProxy
		}
		once.Do(func() {
			h.Log.Warn("a request says that it came through a proxy, and its sender is not configured as one: the header is not believed, and limits count everybody behind it as one",
				"header", name, "sender", peer.String(),
				"if_it_is_your_proxy", "proxies: ["+withProxy(h.Config.Proxies, peer)+"]",
				"if_not", "nothing is to be done: anybody can send this header")
		})
		return
	}
}

// withProxy is the list of configured proxies with one more.
func withProxy(configured []netip.Prefix, peer netip.Addr) string {
	var all strings.Builder
	for _, p := range configured {
		all.WriteString(p.String() + ", ")
	}
	return all.String() + peer.String()
}

// maxHostShown keeps what a stranger sent from filling a line of the log.
const maxHostShown = 100

// hostNotServed advises on a request for another host than the issuer's, which a proxy that does not
// pass the Host header on makes of every request.
func (h *House) hostNotServed(host string) {
	if h.Dev != nil {
		return
	}
	h.advice.host.Do(func() {
		h.Log.Warn("a request asked for a host that is not the issuer's, and was refused with 421. If every request is, the proxy does not pass the Host header on (nginx: proxy_set_header Host $http_host)",
			"host", host[:min(len(host), maxHostShown)], "issuer", h.Tenant.Issuer)
	})
}

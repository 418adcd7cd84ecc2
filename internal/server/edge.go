package server

import (
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// edge is what every request passes first: who is really asking, for which tenant, and what happens
// if a handler panics.
func (h *House) edge(next http.Handler) http.Handler {
	return h.recovered(h.proxied(h.hosted(next)))
}

// recovered keeps a panic in one request from hurting others. The answer tells nothing but a
// reference to the log.
func (h *House) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler {
				panic(cause)
			}
			ref := id.UUID()
			w.Header().Set("Cache-Control", "no-store") // whatever the handler was about to say
			h.Log.ErrorContext(r.Context(), "panic", "ref", ref, "path", r.URL.Path, "cause", cause, "stack", string(debug.Stack()))
			httpx.WriteJSON(w, http.StatusInternalServerError, map[string]string{"error": "server_error", "error_description": "Something went wrong on our side. Reference " + ref})
		}()
		next.ServeHTTP(w, r)
	})
}

// forwardHeaders are what proxies say about a request. They are believed from configured proxies
// alone and then removed, so that no handler can mistake them for facts.
var forwardHeaders = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-Client-Cert",
	"X-Real-Ip", "X-Client-Cert", "X-Ssl-Client-Cert", "X-Remote-User", "Remote-User", "X-Forwarded-User",
}

// proxied settles the address of the client: the TCP peer, or, if that is a configured proxy, the
// right-most address of X-Forwarded-For that is not. A value from a proxy that can not be read is
// refused: skipping it would believe the proxy to be the client.
func (h *House) proxied(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err == nil && h.isProxy(peer.Addr()) {
			client, ok := h.clientBehind(peer.Addr(), r.Header.Values("X-Forwarded-For"))
			if !ok {
				httpx.WriteJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_request", "error_description": "X-Forwarded-For is not well-formed."})
				return
			}
			r.RemoteAddr = net.JoinHostPort(client.String(), "0")
		} else if err == nil {
			h.proxyNotConfigured(peer.Addr(), r.Header)
		}
		for name := range r.Header {
			if slices.Contains(forwardHeaders, name) || strings.Contains(name, "_") {
				delete(r.Header, name)
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (h *House) isProxy(a netip.Addr) bool {
	return slices.ContainsFunc(h.Config.Proxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap().WithZone("")) })
}

func (h *House) clientBehind(proxy netip.Addr, forwarded []string) (netip.Addr, bool) {
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	client := proxy
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if hop == "" && len(hops) == 1 {
			return client, true // the proxy speaks for itself
		}
		a, err := netip.ParseAddr(hop)
		if err != nil {
			return netip.Addr{}, false
		}
		if client = a.Unmap().WithZone(""); !h.isProxy(client) {
			return client, true
		}
	}
	return client, true
}

// hosted finds the tenant by the host name the request was sent to. A host nobody knows gets
// nothing: neither links nor tokens are ever made from it.
func (h *House) hosted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tn := h.Tenant
		if !isHost(tn, r.Host) {
			h.misdirected(w, r)
			return
		}
		if tn.Secure() {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		next.ServeHTTP(w, r.WithContext(tenant.With(r.Context(), tn)))
	})
}

// isHost reports whether a Host header names the tenant's. Upper and lower case are one, of ASCII alone, and the
// port of the scheme may be written or not (RFC 9110 section 4.2.3): some proxies always write it.
func isHost(tn *tenant.Tenant, host string) bool {
	usual := ":80"
	if tn.Secure() {
		usual = ":443"
	}
	foreign := strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf })
	return !foreign && (strings.EqualFold(host, tn.Host) || strings.EqualFold(host, tn.Host+usual))
}

// misdirected answers a request for another host. A person who typed another name of this machine
// into the browser is led to the issuer of a house of development; a program is told its name.
func (h *House) misdirected(w http.ResponseWriter, r *http.Request) {
	description, astray := "This host name is not served here.", h.Dev != nil && isLoopback(r.Host)
	if astray {
		description = "This host name is not served here: use " + h.Tenant.Issuer
	}
	if astray && (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.HasPrefix(r.URL.RequestURI(), "/") {
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, h.Tenant.Origin()+r.URL.RequestURI(), http.StatusFound)
		return
	}
	h.hostNotServed(r.Host)
	httpx.WriteJSON(w, http.StatusMisdirectedRequest, map[string]string{"error": "invalid_request", "error_description": description})
}

func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return oauth.IsLoopback(strings.Trim(host, "[]"))
}

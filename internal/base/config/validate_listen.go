package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// issuer demands an origin in lower case over https; http is for this machine alone.
func (v *validator) issuer() {
	const fix = "For instance: https://login.example.com/"
	if v.Issuer == "" {
		v.add("issuer", fix, "is missing: it is the address that tokens and links carry")
		return
	}
	u, err := url.Parse(v.Issuer)
	if err != nil || u.Hostname() == "" || u.Opaque != "" {
		v.add("issuer", fix, "%q is not an address", v.Issuer)
		return
	}
	switch u.Scheme {
	case "https":
	case "http":
		if !loopback(u.Hostname()) {
			v.add("issuer", "Use https://.", "http would carry passwords and sessions across the network in plain text")
		}
	default:
		v.add("issuer", fix, "must begin with https://")
	}
	if u.User != nil {
		v.add("issuer", fix, "must not name a user")
	}
	if u.Path != "" && u.Path != "/" {
		v.add("issuer", "Give the house a host of its own.", "has the path %s, but client SDKs ask for paths at the root", u.Path)
	}
	if u.RawQuery != "" || u.ForceQuery || strings.Contains(v.Issuer, "#") {
		v.add("issuer", fix, "must end after the host: no query, no fragment")
	}
	if v.Issuer != strings.ToLower(v.Issuer) {
		v.add("issuer", "Write "+strings.ToLower(u.Scheme+"://"+u.Host)+"/", "must be in lower case, as browsers send it; it is compared byte for byte")
	}
	if p := u.Port(); u.Scheme == "https" && p == "443" || u.Scheme == "http" && p == "80" {
		v.add("issuer", "Leave :"+p+" out.", "names the port that its scheme has anyway; browsers leave it out, and it is compared byte for byte")
	}
	if strings.HasSuffix(u.Host, ":") {
		v.add("issuer", fix, "ends its host with a colon")
	}
}

// issuerHost returns the name a browser would look for in the certificate, or "".
func (v *validator) issuerHost() string {
	u, err := url.Parse(v.Issuer)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	return u.Hostname()
}

// listen demands that somebody terminates TLS, and that plain text stays where nobody listens in.
func (v *validator) listen() {
	host, _, ok := v.address("listen", v.Listen)
	if !ok || v.hasTLS() {
		return
	}
	u, err := url.Parse(v.Issuer)
	local := err == nil && u.Scheme == "http" && loopback(u.Hostname()) && loopback(host)
	if len(v.Proxies) == 0 && !local {
		v.add("tls", "Set tls.cert_file and tls.key_file, or name your proxy's address in proxies.", "is missing and no proxy is configured, so nobody would terminate TLS")
	}
	if !loopback(host) && !private(host) && !v.InsecurePlainListen {
		v.add("listen", "Set tls, or listen on 127.0.0.1 or a private address. In a container that only its proxy reaches: insecure_plain_listen.", "%s without a certificate takes plain text from anybody who reaches this machine", v.Listen)
	}
}

func (v *validator) hasTLS() bool { return v.TLS.CertFile != "" || v.TLS.KeyFile != "" }

// proxies refuses networks so large that trusting them is trusting the world.
func (v *validator) proxies() {
	for _, p := range v.Proxies {
		least := 16
		if p.Addr().Is4() {
			least = 8
		}
		if !p.IsValid() || p.Bits() < least && !p.Addr().IsPrivate() {
			v.add("proxies", "Name the networks of your own proxies only.", "%s would let anybody claim any address", p)
		}
	}
}

// internalHosts demands names that can be compared with the host of an address.
func (v *validator) internalHosts() {
	for _, h := range v.InternalHosts {
		_, err := netip.ParseAddr(h)
		if h == "" || err != nil && strings.ContainsAny(h, ":/*[]@?# ") {
			v.add("internal_hosts", "Write the host alone, such as app.internal or 10.1.2.3.", "%q is not the name or address of a host", h)
		}
	}
}

// certificate demands a pair that fits, is valid now, and covers the issuer's host.
func (v *validator) certificate() {
	if !v.hasTLS() {
		return
	}
	if v.TLS.CertFile == "" {
		v.add("tls.cert_file", "", "is missing, but tls.key_file is set")
		return
	}
	if v.TLS.KeyFile == "" {
		v.add("tls.key_file", "", "is missing, but tls.cert_file is set")
		return
	}
	readable := true
	for key, path := range map[string]string{"tls.cert_file": v.TLS.CertFile, "tls.key_file": v.TLS.KeyFile} {
		if _, err := readFile(path); err != nil {
			readable = false
			v.add(key, "", "cannot be read: %s", err)
		}
	}
	if !readable {
		return
	}
	pair, err := tls.LoadX509KeyPair(v.TLS.CertFile, v.TLS.KeyFile)
	if err != nil {
		v.add("tls.cert_file", "", "does not go with tls.key_file: %s", strings.TrimPrefix(err.Error(), "tls: "))
		return
	}
	leaf := pair.Leaf
	if leaf == nil {
		if leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			v.add("tls.cert_file", "", "is no certificate: %s", err)
			return
		}
	}
	if v.now.After(leaf.NotAfter) {
		v.add("tls.cert_file", "Renew it.", "expired on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if v.now.Before(leaf.NotBefore) {
		v.add("tls.cert_file", "Look at the clock of this machine.", "is not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	if host := v.issuerHost(); host != "" && leaf.VerifyHostname(host) != nil {
		v.add("tls.cert_file", "", "does not cover the issuer's host %s; browsers would refuse it", host)
	}
}

// address splits the value of a setting that says where to listen.
func (v *validator) address(key, value string) (host, port string, ok bool) {
	host, port, err := splitAddress(value)
	if err != nil {
		v.add(key, "Write HOST:PORT, for instance 127.0.0.1:8080.", "%q %s", value, err)
		return "", "", false
	}
	return host, port, true
}

func splitAddress(s string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(s)
	if err != nil {
		return "", "", errors.New("is not an address to listen on")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", errors.New("has no port between 0 and 65535")
	}
	return host, port, nil
}

// private reports whether host is an address of a private network (RFC 1918, RFC 4193).
func private(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && (a.Unmap().IsPrivate() || a.IsLinkLocalUnicast())
}

// notThere reports whether err says that a file does not exist.
func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }

package bearer

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// confirmCertificate holds the client's certificate against the thumbprint in a
// token (RFC 8705 §3). Whether the certificate is good in other ways does not
// matter: the client has proved to hold its key.
func (s *Scheme) confirmCertificate(r *http.Request, thumbprint string) error {
	var shown *x509.Certificate
	if r != nil {
		shown = s.certificate(r)
	}
	if shown == nil {
		return notProven("The access token is bound to a client certificate, and none was shown", nil)
	}
	sum := sha256.Sum256(shown.Raw)
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(thumbprint)) != 1 {
		return notProven("The access token is bound to another client certificate", nil)
	}
	return nil
}

// connectionCertificate returns the certificate that the client of this very
// connection has proved to hold.
func connectionCertificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// ForwardedCertificate returns a function for Options.Certificate that believes
// a header, from the proxies alone: a request whose connection does not come
// from one of these networks is held against its own certificate, whatever its
// headers say. The header holds the certificate as RFC 9440 writes it
// ("Client-Cert: :MIIB…:"), or as percent-encoded PEM, which is what nginx's
// $ssl_client_escaped_cert is. More than one such header is none.
//
// The proxies must remove the header from what clients send.
//
// It panics without a header or without proxies: there is no safe default for
// either.
func ForwardedCertificate(header string, proxies ...netip.Prefix) func(*http.Request) *x509.Certificate {
	if header == "" || len(proxies) == 0 {
		panic("bearer: ForwardedCertificate needs the name of a header and the networks of the proxies that set it")
	}
	proxies = slices.Clone(proxies)
	return func(r *http.Request) *x509.Certificate {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(peer.Addr().Unmap()) }) {
			return connectionCertificate(r)
		}
		values := r.Header.Values(header)
		if len(values) != 1 {
			return nil
		}
		return parseCertificate(values[0])
	}
}

// parseCertificate reads a certificate out of a header, nil if it is none.
func parseCertificate(value string) *x509.Certificate {
	var der []byte
	if encoded, ok := strings.CutPrefix(value, ":"); ok {
		encoded, ok = strings.CutSuffix(encoded, ":")
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil {
			return nil
		}
		der = decoded
	} else {
		text, err := url.PathUnescape(value)
		if err != nil {
			return nil
		}
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
			return nil
		}
		der = block.Bytes
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	return certificate
}

package bearer_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
)

// clientCertificate makes a certificate that signs itself, and its thumbprint.
func clientCertificate(t testing.TB, name string) (certificate tls.Certificate, thumbprint string) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, base64.RawURLEncoding.EncodeToString(sum[:])
}

func boundToCertificate(thumbprint string) func(map[string]any) {
	return func(c map[string]any) { c["cnf"] = map[string]any{"x5t#S256": thumbprint} }
}

func TestThreat_TK17_CertificateBoundTokens(t *testing.T) {
	issuer, s, _ := setup(t, nil)
	alice, thumbprint := clientCertificate(t, "alice")
	mallory, _ := clientCertificate(t, "mallory")
	bound := issuer.AccessToken(t, audience, boundToCertificate(thumbprint))
	free := issuer.AccessToken(t, audience, nil)

	server := httptest.NewUnstartedServer(guard.Require(s)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := guard.From(r.Context())
		_, _ = io.WriteString(w, p.Confirmation.X5T)
	})))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()
	send := func(token string, header http.Header, certificates ...tls.Certificate) (int, string) {
		transport := server.Client().Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.Certificates = certificates
		defer transport.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header.Clone()
		if r.Header == nil {
			r.Header = http.Header{}
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	forged := http.Header{"Client-Cert": {":" + base64.StdEncoding.EncodeToString(alice.Certificate[0]) + ":"}}
	for range 2 { // the second time the token is remembered
		if code, x5t := send(bound, nil, alice); code != 200 || x5t != thumbprint {
			t.Errorf("with its certificate: %d, bound to %q", code, x5t)
		}
		if code, _ := send(bound, nil); code != 401 {
			t.Errorf("without a certificate: %d", code)
		}
		if code, _ := send(bound, nil, mallory); code != 401 {
			t.Errorf("with another certificate: %d", code)
		}
		if code, _ := send(bound, forged); code != 401 {
			t.Errorf("with the certificate in a header: %d", code)
		}
		if code, _ := send(bound, forged, mallory); code != 401 {
			t.Errorf("with the certificate in a header beside another: %d", code)
		}
		if code, x5t := send(free, nil, alice); code != 200 || x5t != "" {
			t.Errorf("a free token: %d, bound to %q", code, x5t)
		}
	}
	if w := call(s, request("Bearer "+bound)); w.Code != 401 {
		t.Errorf("over plain http: %d", w.Code)
	}
	if _, err := s.Verify(t.Context(), bound); err == nil {
		t.Error("without a request: accepted")
	}
	if w := call(s, request("Bearer "+free), guard.CertificateBound()); w.Code != 401 {
		t.Errorf("a free token where a bound one is required: %d", w.Code)
	}
}

func TestThreat_TK17_ForwardedCertificates(t *testing.T) {
	alice, thumbprint := clientCertificate(t, "alice")
	other, _ := clientCertificate(t, "other")
	der := alice.Certificate[0]
	text := url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	field := ":" + base64.StdEncoding.EncodeToString(der) + ":"
	issuer, s, _ := setup(t, func(o *bearer.Options) {
		o.Certificate = bearer.ForwardedCertificate("Client-Cert", netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"))
	})
	token := issuer.AccessToken(t, audience, boundToCertificate(thumbprint))
	tests := []struct {
		name   string
		peer   string
		values []string
		status int
	}{
		{"from the proxy", "10.1.2.3:4444", []string{field}, 200},
		{"from the proxy, as PEM", "10.1.2.3:4444", []string{text}, 200},
		{"from the proxy over IPv6", "[fd00::1]:4444", []string{field}, 200},
		{"from the proxy, IPv4 in IPv6", "[::ffff:10.1.2.3]:4444", []string{field}, 200},
		{"from anybody", "192.0.2.1:4444", []string{field}, 401},
		{"from the machine itself", "127.0.0.1:4444", []string{field}, 401},
		{"from nowhere", "", []string{field}, 401},
		{"from a name", "10.evil.example:4444", []string{field}, 401},
		{"no header", "10.1.2.3:4444", nil, 401},
		{"two headers", "10.1.2.3:4444", []string{field, field}, 401},
		{"two in one", "10.1.2.3:4444", []string{field + ", " + field}, 401},
		{"another certificate", "10.1.2.3:4444", []string{":" + base64.StdEncoding.EncodeToString(other.Certificate[0]) + ":"}, 401},
		{"no end", "10.1.2.3:4444", []string{field[:len(field)-1]}, 401},
		{"not base64", "10.1.2.3:4444", []string{":" + text + ":"}, 401},
		{"not a certificate", "10.1.2.3:4444", []string{":AAAA:"}, 401},
		{"a key", "10.1.2.3:4444", []string{url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))}, 401},
		{"two certificates", "10.1.2.3:4444", []string{text + text}, 401},
		{"empty", "10.1.2.3:4444", []string{""}, 401},
		{"bad escape", "10.1.2.3:4444", []string{"%zz"}, 401},
	}
	for _, tt := range tests {
		r := request("Bearer " + token)
		r.RemoteAddr = tt.peer
		for _, v := range tt.values {
			r.Header.Add("Client-Cert", v)
		}
		if w := call(s, r); w.Code != tt.status {
			t.Errorf("%s: %d", tt.name, w.Code)
		}
	}
	// The default believes no header at all.
	_, plain, _ := setup(t, func(o *bearer.Options) { o.Issuer = issuer.URL })
	r := request("Bearer " + token)
	r.RemoteAddr = "10.1.2.3:4444"
	r.Header.Set("Client-Cert", field)
	if w := call(plain, r); w.Code != 401 {
		t.Errorf("without ForwardedCertificate: %d", w.Code)
	}
	for name, f := range map[string]func(){
		"no header":  func() { bearer.ForwardedCertificate("", netip.MustParsePrefix("10.0.0.0/8")) },
		"no proxies": func() { bearer.ForwardedCertificate("Client-Cert") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

package server_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// running is a house that serves on listeners of its own.
type running struct {
	t       *testing.T
	house   *server.House
	service *server.Service
	clock   *clock.Virtual
	stop    context.CancelFunc
	ended   chan error
	config  *config.Config
}

// serve starts a house as `gatehouse serve` would. notice is handed to Run.
func serve(t *testing.T, notice func() time.Duration, configure func(*config.Config)) *running {
	t.Helper()
	c := servertest.Config("sqlite:"+filepath.Join(t.TempDir(), "gatehouse.db"), "https://login.test")
	c.Listen, c.Operations.Listen = "127.0.0.1:0", "127.0.0.1:0"
	if configure != nil {
		configure(c)
	}
	r := &running{t: t, clock: clock.NewVirtual(time.Now()), ended: make(chan error, 1), config: c}
	var err error
	r.house, err = server.Open(context.Background(), server.Options{Config: c, Clock: r.clock, Hash: servertest.CheapHashes(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if r.service, err = r.house.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() { r.ended <- r.service.Run(ctx, notice) }()
	t.Cleanup(func() {
		stop()
		for range r.ended { // until Run has ended and the channel is closed
			break
		}
		r.house.Close()
	})
	return r
}

// operations asks the listener for operations.
func (r *running) operations(path string) (int, string) {
	r.t.Helper()
	resp, err := plainClient().Get("http://" + r.service.OperationsAddr().String() + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func plainClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// await waits for a state of the operations listener.
func (r *running) await(path string, status int) {
	r.t.Helper()
	for range patience {
		if got, _ := r.operations(path); got == status {
			return
		}
	}
	r.t.Fatalf("%s never answers %d", path, status)
}

// patience is how often a test asks for what is about to happen in another goroutine.
const patience = 10_000

// certify writes a certificate for login.test into dir and returns its pool.
func certify(t *testing.T, dir string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "login.test"}, DNSNames: []string{"login.test", "other.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return pool
}

func serveTLS(t *testing.T) (*running, string, *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	pool := certify(t, dir, 1)
	r := serve(t, nil, func(c *config.Config) {
		c.TLS = config.TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	})
	return r, dir, pool
}

func TestThreat_HT07_TLSVersionsAndSuites(t *testing.T) {
	r, _, pool := serveTLS(t)
	for _, c := range []struct {
		name   string
		least  uint16
		most   uint16
		suites []uint16
		taken  bool
	}{
		{"TLS 1.0", tls.VersionTLS10, tls.VersionTLS10, nil, false},
		{"TLS 1.1", tls.VersionTLS11, tls.VersionTLS11, nil, false},
		{"TLS 1.2", tls.VersionTLS12, tls.VersionTLS12, nil, true},
		{"TLS 1.3", tls.VersionTLS13, tls.VersionTLS13, nil, true},
		{"1.2 CBC", tls.VersionTLS12, tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256}, false},
		{"1.2 without forward secrecy", tls.VersionTLS12, tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA}, false},
		{"1.2 RC4 and 3DES", tls.VersionTLS12, tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA}, false},
		{"1.2 GCM", tls.VersionTLS12, tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}, true},
		{"1.2 ChaCha20", tls.VersionTLS12, tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}, true},
	} {
		conn, err := tls.Dial("tcp", r.service.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "login.test", MinVersion: c.least, MaxVersion: c.most, CipherSuites: c.suites})
		if (err == nil) != c.taken {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			conn.Close()
		}
	}
	// Plain text where TLS is spoken gets no answer that a browser would take for the house's.
	resp, err := plainClient().Get("http://" + r.service.Addr().String() + "/.well-known/openid-configuration")
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("plain text: %s", resp.Status)
		}
	}
}

func TestThreat_HT07_HostIsTheOneTheCertificateWasCheckedFor(t *testing.T) {
	r, _, pool := serveTLS(t)
	ask := func(serverName, host string) *http.Response {
		conn, err := tls.Dial("tcp", r.service.Addr().String(), &tls.Config{RootCAs: pool, ServerName: serverName})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /.well-known/openid-configuration HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	good := ask("login.test", "login.test")
	if good.StatusCode != http.StatusOK || !strings.Contains(good.Header.Get("Strict-Transport-Security"), "max-age=") {
		t.Errorf("the issuer's host: %s %q", good.Status, good.Header.Get("Strict-Transport-Security"))
	}
	for _, c := range [][2]string{{"other.test", "login.test"}, {"login.test", "other.test"}, {"other.test", "other.test"}} {
		if got := ask(c[0], c[1]); got.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("a connection to %s that asks for %s: %s", c[0], c[1], got.Status)
		}
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	r, dir, _ := serveTLS(t)
	serial := func() int64 {
		conn, err := tls.Dial("tcp", r.service.Addr().String(), &tls.Config{InsecureSkipVerify: true, ServerName: "login.test"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	certify(t, dir, 20_002)
	if got := serial(); got != 1 {
		t.Errorf("at once: serial %d", got)
	}
	r.clock.Advance(10 * time.Second)
	if got := serial(); got != 20_002 {
		t.Errorf("after a while: serial %d", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.clock.Advance(10 * time.Second)
	if got := serial(); got != 20_002 {
		t.Errorf("while the files do not fit: serial %d", got)
	}
	certify(t, dir, 3_000_003)
	r.clock.Advance(10 * time.Second)
	if got := serial(); got != 3_000_003 {
		t.Errorf("once they do: serial %d", got)
	}
}

// inPlainText serves in plain text to the loopback proxy of the tests.
func inPlainText(c *config.Config) { c.Issuer = "http://login.test/" }

// get asks the house in plain text, under its name.
func (r *running) get(path string, header ...string) *http.Response {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+r.service.Addr().String()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Host = "login.test"
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	resp, err := plainClient().Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func TestOperations(t *testing.T) {
	r := serve(t, nil, inPlainText)
	r.await("/readyz", http.StatusOK)
	if got := r.get("/.well-known/openid-configuration"); got.StatusCode != http.StatusOK {
		t.Errorf("discovery: %s", got.Status)
	}
	if status, body := r.operations("/livez"); status != http.StatusOK || body != "alive\n" {
		t.Errorf("/livez: %d %q", status, body)
	}
	if status, body := r.operations("/metrics"); status != http.StatusOK || !strings.Contains(body, "\ngatehouse_ready 1\n") || !strings.Contains(body, "\ngatehouse_http_requests_total 1\n") {
		t.Errorf("/metrics: %d\n%s", status, body)
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if got := r.get(path); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s where people are served: %s", path, got.Status)
		}
	}
}

// What helps to debug shows memory, and so keys: it is on no listener.
func TestThreat_AD06_NoDebugEndpoints(t *testing.T) {
	r := serve(t, nil, inPlainText)
	r.await("/readyz", http.StatusOK)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/debug/requests", "/", "/metrics/", "/livez/../debug/pprof/"} {
		if status, body := r.operations(path); status != http.StatusNotFound {
			t.Errorf("operations %s: %d %.100s", path, status, body)
		}
		if got := r.get(path); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
	_, metrics := r.operations("/metrics")
	for _, secret := range []string{r.config.MasterKeys[0].Reveal(), "gatehouse.db"} {
		if strings.Contains(metrics, secret) {
			t.Errorf("/metrics holds %q", secret)
		}
	}
}

func TestLargeCookiesPass(t *testing.T) {
	r := serve(t, nil, inPlainText)
	r.await("/readyz", http.StatusOK)
	if got := r.get("/.well-known/openid-configuration", "Cookie", "app="+strings.Repeat("x", 32<<10)); got.StatusCode != http.StatusOK {
		t.Errorf("32 KiB of cookies of other applications: %s", got.Status)
	}
	if got := r.get("/.well-known/openid-configuration", "Cookie", "app="+strings.Repeat("x", 128<<10)); got.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("128 KiB: %s", got.Status)
	}
}

// Leaving, the house says so first, answers what still comes and what is under way, and only then ends.
func TestThreat_OV09_LeavingCutsNobodyOff(t *testing.T) {
	noticed := make(chan struct{})
	notice := sync.OnceFunc(func() { close(noticed) })
	r := serve(t, func() time.Duration { <-noticed; return 0 }, inPlainText)
	t.Cleanup(notice)
	r.await("/readyz", http.StatusOK)

	// A request that is half sent when the house is told to go.
	conn, err := net.Dial("tcp", r.service.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const body = "grant_type=client_credentials&client_id=nobody"
	fmt.Fprintf(conn, "POST /oauth/token HTTP/1.1\r\nHost: login.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:10])
	for range patience { // it is under way
		if _, metrics := r.operations("/metrics"); strings.Contains(metrics, "\ngatehouse_http_requests_in_flight 1\n") {
			break
		}
	}
	r.stop()
	r.await("/readyz", http.StatusServiceUnavailable)
	if status, _ := r.operations("/livez"); status != http.StatusOK {
		t.Errorf("/livez while leaving: %d", status)
	}
	if got := r.get("/.well-known/openid-configuration"); got.StatusCode != http.StatusOK || !got.Close {
		t.Errorf("a request that still comes: %s, connection kept: %v", got.Status, !got.Close)
	}
	notice()
	fmt.Fprint(conn, body[10:])
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("the request under way: %v", err)
	}
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusUnauthorized || len(answer) == 0 {
		t.Errorf("the request under way: %s %q %v", resp.Status, answer, err)
	}
	if err := <-r.ended; err != nil {
		t.Errorf("Run = %v", err)
	}
	close(r.ended)
	if _, err := net.Dial("tcp", r.service.Addr().String()); err == nil {
		t.Error("somebody still listens")
	}
}

func TestListenNamesThePortThatIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, configure := range []func(*config.Config){
		func(c *config.Config) { c.Listen = taken.Addr().String() },
		func(c *config.Config) { c.Listen, c.Operations.Listen = "127.0.0.1:0", taken.Addr().String() },
	} {
		c := servertest.Config("sqlite:"+filepath.Join(t.TempDir(), "gatehouse.db"), "http://login.test")
		c.Operations.Listen = ""
		configure(c)
		house, err := server.Open(context.Background(), server.Options{Config: c})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := house.Listen(); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
			t.Errorf("Listen = %v", err)
		}
		house.Close()
	}
}

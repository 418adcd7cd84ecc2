package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"html/template"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/e2e/drive"
)

// production is a running `gatehouse serve` over https, with a certificate of its own that the
// browser of these tests takes from anybody.
type production struct {
	drive.House
	binary, config string
	process        *os.Process
	ended          chan error
	said           *bytes.Buffer
}

// serveHTTPS starts a house in an empty folder. settings are further lines of its configuration.
func serveHTTPS(t *testing.T, settings string) *production {
	t.Helper()
	dir := t.TempDir()
	address := drive.FreeAddress(t)
	writeCertificate(t, dir)
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	config := fmt.Sprintf(`issuer: https://%s/
listen: %s
tls: {cert_file: %[3]s/cert.pem, key_file: %[3]s/key.pem}
database: {url: "sqlite:%[3]s/gatehouse.db"}
master_keys: [%[4]s]
mail: {host: 127.0.0.1, tls: none, from: login@example.com}
operations: {listen: ""}
log: {level: warn}
%[5]s
`, strings.Replace(address, "127.0.0.1", "localhost", 1), address, dir, base64.StdEncoding.EncodeToString(key), settings)
	p := &production{
		House:  drive.House{T: t, Issuer: "https://" + strings.Replace(address, "127.0.0.1", "localhost", 1) + "/"},
		binary: drive.Gatehouse(t), config: filepath.Join(dir, "gatehouse.yaml"), ended: make(chan error, 1), said: &bytes.Buffer{},
	}
	if err := os.WriteFile(p.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(p.binary, "serve", "--config", p.config)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = p.said, p.said, 10*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-p.ended; err != nil {
			t.Errorf("gatehouse serve ended with %v:\n%s", err, p.said)
		}
	})
	trusting := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	err := drive.WaitFor(t.Context(), func() error {
		select {
		case err := <-p.ended:
			p.ended <- err
			t.Fatalf("gatehouse serve did not start: %v\n%s", err, p.said)
		default:
		}
		res, err := trusting.Get(p.Issuer + ".well-known/openid-configuration")
		if err == nil {
			res.Body.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	key := drive.Must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: drive.Must[[]byte](t)(x509.CreateCertificate(rand.Reader, of, of, key.Public(), key))},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: drive.Must[[]byte](t)(x509.MarshalPKCS8PrivateKey(key))},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// command runs a verb of the command beside the server and returns what it printed.
func (p *production) command(args ...string) []byte {
	p.T.Helper()
	cmd := exec.Command(p.binary, append(args, "--config", p.config)...)
	out, err := cmd.Output()
	if err != nil {
		p.T.Fatalf("gatehouse %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// An application on another site, over https and in a real browser: the person signs in once, and
// from then on the application renews in a hidden frame, by the cookie that exists for nothing else
// (BR02). Signing out ends it, and an operator can withhold it.
func TestSilentRenewalAcrossSites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ settings, want string }{
		"with the silent cookie": {"", "a code"},
		"without it":             {"sessions: {silent_cookie: false}", "login_required"},
	} {
		t.Run(name, func(t *testing.T) {
			h := serveHTTPS(t, c.settings)
			var shop drive.Client
			var hidden string
			app := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				if r.URL.Path != "/renew" {
					fmt.Fprint(w, "<!doctype html><title>Shop</title>the shop got ", template.HTMLEscapeString(strings.Trim(r.FormValue("error")+map[bool]string{true: "a code"}[r.FormValue("code") != ""], " ")))
					return
				}
				fmt.Fprintf(w, `<!doctype html><title>Shop</title><p id="got">waiting</p><script>
addEventListener("message", e => { if (e.origin === %q) got.textContent = "renewed: " + (e.data.response.error || (e.data.response.code ? "a code" : "nothing")) })
const frame = document.createElement("iframe"); frame.style.display = "none"; frame.src = %q; document.body.append(frame)
</script>`, h.Origin(), hidden)
			}))
			t.Cleanup(app.Close)
			if err := json.Unmarshal(h.command("client", "create", "Shop", "--type", "spa", "--callback", app.URL+"/", "--web-origin", app.URL, "--json"), &shop); err != nil {
				t.Fatal(err)
			}
			h.command("user", "create", drive.Newcomer.Email, "--verified", "--json")
			link := strings.TrimSpace(string(h.command("user", "password-link", drive.Newcomer.Email)))
			link = link[strings.Index(link, "https://"):]
			link, _, _ = strings.Cut(link, "\n")

			me := drive.NewProfile(t)
			b := me.Tab()
			b.Open(link)
			b.Fill("New password", drive.Newcomer.Password)
			b.Press("Save password")
			b.See("Your password is changed")
			me.SignIn(b, drive.Newcomer)
			b.See("You are signed in", drive.Newcomer.Email)
			b.Open(request(&h.House, shop, app.URL+"/"))
			b.See("the shop got a code")
			hidden = request(&h.House, shop, app.URL+"/", "prompt", "none", "response_mode", "web_message")
			b.Open(app.URL + "/renew")
			b.See("renewed: " + c.want)

			b.Open(h.Issuer + "oidc/logout")
			b.Press("Sign out")
			b.See("You are signed out")
			b.Open(app.URL + "/renew")
			b.See("renewed: login_required")
		})
	}
}

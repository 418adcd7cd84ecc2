package mail_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
)

// relay is a mail server in this process.
type relay struct {
	mu       sync.Mutex
	from, to string
	data     string
	user     string
	refuse   *smtp.SMTPError
}

func (r *relay) NewSession(*smtp.Conn) (smtp.Session, error) { return r, nil }
func (r *relay) Reset()                                      {}
func (r *relay) Logout() error                               { return nil }
func (r *relay) AuthMechanisms() []string                    { return []string{sasl.Plain} }
func (r *relay) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "relay-password" {
			return smtp.ErrAuthFailed
		}
		r.user = user
		return nil
	}), nil
}

func (r *relay) Mail(from string, _ *smtp.MailOptions) error {
	r.from = from
	return nil
}

func (r *relay) Rcpt(to string, _ *smtp.RcptOptions) error {
	if r.refuse != nil {
		return r.refuse
	}
	r.to = to
	return nil
}

func (r *relay) Data(in io.Reader) error {
	raw, err := io.ReadAll(in)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = string(raw)
	return err
}

// start serves r on loopback and returns how to reach it. With a nil config it speaks no TLS.
func (r *relay) start(t *testing.T, config *tls.Config, implicit bool) (host string, port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	s := smtp.NewServer(r)
	s.Domain, s.TLSConfig = "relay.test", config
	if implicit {
		l = tls.NewListener(l, config)
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return "127.0.0.1", addr.Port
}

// certificates returns a server's TLS configuration and that of clients who trust it.
func certificates(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
}

var hello = mail.Message{To: "ada@example.com", Subject: "Grüße", Text: "Hello Ada", HTML: "<p>Hello Ada</p>"}

func TestSMTPSends(t *testing.T) {
	server, client := certificates(t)
	for _, c := range []struct {
		name     string
		tls      mail.TLS
		config   *tls.Config
		implicit bool
		user     string
	}{
		{"STARTTLS with a password", mail.StartTLS, server, false, "gatehouse"},
		{"implicit TLS", mail.ImplicitTLS, server, true, "gatehouse"},
		{"in clear, by name", mail.InsecureTLS, nil, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &relay{}
			host, port := r.start(t, c.config, c.implicit)
			s := mail.SMTP{Host: host, Port: port, Username: c.user, Password: "relay-password", From: "TV Shows <login@example.com>", TLS: c.tls, TLSConfig: client}
			if err := s.Send(context.Background(), hello); err != nil {
				t.Fatal(err)
			}
			if r.from != "login@example.com" || r.to != "ada@example.com" || r.user != c.user {
				t.Errorf("from %q to %q as %q", r.from, r.to, r.user)
			}
			for _, want := range []string{"Hello Ada", "<p>Hello Ada</p>", "Message-ID:", "Date:", "Auto-Submitted: auto-generated", "Subject: =?UTF-8?"} {
				if !strings.Contains(r.data, want) {
					t.Errorf("%q is missing in\n%s", want, r.data)
				}
			}
		})
	}
}

func TestSMTPRefuses(t *testing.T) {
	server, client := certificates(t)
	permanent := func(err error) bool {
		p, ok := errors.AsType[interface {
			error
			Permanent() bool
		}](err)
		return ok && p.Permanent()
	}
	t.Run("a server without STARTTLS", func(t *testing.T) {
		r := &relay{}
		host, port := r.start(t, nil, false)
		err := mail.SMTP{Host: host, Port: port, From: "login@example.com", TLSConfig: client}.Send(context.Background(), hello)
		if err == nil || r.from != "" || permanent(err) {
			t.Errorf("Send = %v after MAIL FROM %q", err, r.from)
		}
	})
	t.Run("a certificate nobody vouches for", func(t *testing.T) {
		r := &relay{}
		host, port := r.start(t, server, false)
		err := mail.SMTP{Host: host, Port: port, From: "login@example.com"}.Send(context.Background(), hello)
		if err == nil || r.from != "" {
			t.Errorf("Send = %v after MAIL FROM %q", err, r.from)
		}
	})
	t.Run("what the server refuses", func(t *testing.T) {
		for _, c := range []struct {
			code int
			want bool
		}{{550, true}, {451, false}} {
			r := &relay{refuse: &smtp.SMTPError{Code: c.code, Message: "no"}}
			host, port := r.start(t, server, false)
			err := mail.SMTP{Host: host, Port: port, From: "login@example.com", TLSConfig: client}.Send(context.Background(), hello)
			if err == nil || permanent(err) != c.want {
				t.Errorf("%d: Send = %v, permanent %v; want %v", c.code, err, permanent(err), c.want)
			}
		}
	})
}

// The last wall behind the address parser: the library takes no header apart.
func TestThreat_EM05_HeadersCannotBeInjected(t *testing.T) {
	server, client := certificates(t)
	for _, m := range []mail.Message{
		{To: "a@example.com\r\nBcc: b@example.com", Subject: "x", Text: "x"},
		{To: "a@example.com, b@example.com", Subject: "x", Text: "x"},
		{To: "a@example.com", Subject: "x\r\nBcc: b@example.com", Text: "x"},
	} {
		r := &relay{}
		host, port := r.start(t, server, false)
		err := mail.SMTP{Host: host, Port: port, From: "login@example.com", TLSConfig: client}.Send(context.Background(), m)
		header, _, _ := strings.Cut(r.data, "\r\n\r\n")
		if err == nil && (strings.Contains(header, "\nBcc:") || r.to != "a@example.com") {
			t.Errorf("%q, %q arrived at %q as\n%s", m.To, m.Subject, r.to, header)
		}
	}
}

func TestSMTPHidesItsPassword(t *testing.T) {
	s := mail.SMTP{Host: "relay.test", Port: 587, Password: "relay-password"}
	for _, text := range []string{s.String(), s.GoString()} {
		if strings.Contains(text, "relay-password") {
			t.Errorf("%s", text)
		}
	}
}

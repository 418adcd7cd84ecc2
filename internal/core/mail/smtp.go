package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	gomail "github.com/wneessen/go-mail"
)

// TLS says how the connection to the mail server is protected. There is no "if it is offered":
// whoever stands in between would simply not offer it.
type TLS string

// The ways to protect the connection.
const (
	StartTLS    TLS = "starttls" // begin in clear, insist on STARTTLS before anything is said
	ImplicitTLS TLS = "implicit" // TLS from the first byte
	InsecureTLS TLS = "none"     // everything in clear, the codes too; for a relay on the same machine
)

// SMTP is a [Sender] that opens one connection for each message.
type SMTP struct {
	Host     string
	Port     int
	Username string // empty: no authentication
	Password string
	From     string // one mailbox, with or without a display name
	TLS      TLS    // StartTLS when empty
	// TLSConfig replaces the defaults, for a private certificate authority.
	TLSConfig *tls.Config
}

// String hides the password from logs.
func (s SMTP) String() string { return fmt.Sprintf("smtp %s:%d (%s)", s.Host, s.Port, s.TLS) }

// GoString hides the password from %#v.
func (s SMTP) GoString() string { return s.String() }

// permanentError marks what the mail server refused for good (a 5xx answer).
type permanentError struct{ error }

func (e permanentError) Permanent() bool { return true }
func (e permanentError) Unwrap() error   { return e.error }

// Send implements [Sender].
func (s SMTP) Send(ctx context.Context, m Message) error {
	msg, err := s.compose(m)
	if err != nil {
		return permanentError{err}
	}
	client, err := gomail.NewClient(s.Host, s.options()...)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		err = fmt.Errorf("mail: send by %s:%d: %w", s.Host, s.Port, err)
		if refused, ok := errors.AsType[*gomail.SendError](err); ok && refusedForGood(refused) {
			return permanentError{err}
		}
		return err
	}
	return nil
}

// refusedForGood reports whether the server answered with a 5xx code to the message itself.
func refusedForGood(e *gomail.SendError) bool { return e.ErrorCode() >= 500 && !e.IsTemp() }

func (s SMTP) compose(m Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg()
	if err := msg.From(s.From); err != nil {
		return nil, fmt.Errorf("mail: sender address: %w", err)
	}
	if err := msg.To(m.To); err != nil {
		return nil, fmt.Errorf("mail: recipient address: %w", err)
	}
	msg.Subject(m.Subject)
	msg.SetDate()
	msg.SetMessageID()
	// Out-of-office robots leave letters alone that say they come from a robot (RFC 3834).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

func (s SMTP) options() []gomail.Option {
	config := s.TLSConfig
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.Host}
	}
	options := []gomail.Option{gomail.WithPort(s.Port), gomail.WithTimeout(timeout), gomail.WithTLSConfig(config)}
	switch s.TLS {
	case ImplicitTLS:
		options = append(options, gomail.WithSSL())
	case InsecureTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.Username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.Username), gomail.WithPassword(s.Password))
	}
	return options
}

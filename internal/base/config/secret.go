package config

import (
	"fmt"
	"io"
	"log/slog"
)

// hidden stands wherever a Secret is printed.
const hidden = "***"

// Secret is a text that prints as *** through fmt, log/slog, encoding/json and YAML, whatever the
// verb. The text lies behind a pointer, so even a struct that holds a Secret in an unexported
// field, where fmt cannot call its methods, prints an address and not the text.
type Secret struct {
	text *string
	file string // where it was read from, or empty
}

// NewSecret hides text.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal returns the text itself. What it returns must not reach a log, a URL or an error.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty reports whether there is no text.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// String returns ***, or nothing for an empty secret.
func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return hidden
}

// Format implements [fmt.Formatter]: no verb and no flag shows the text.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements [encoding.TextMarshaler], which JSON and YAML use.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

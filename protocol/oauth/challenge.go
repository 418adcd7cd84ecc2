package oauth

import (
	"errors"
	"strings"
)

// Challenge returns the value of a WWW-Authenticate header (RFC 9110 §11.6.1):
// the scheme and its parameters as quoted strings, empty ones left out. What
// cannot stand in a quoted string of printable ASCII is left out of it.
func Challenge(scheme string, parameters ...Parameter) string {
	var b strings.Builder
	b.WriteString(scheme)
	separator := " "
	for _, p := range parameters {
		if p.Value == "" {
			continue
		}
		b.WriteString(separator)
		separator = ", "
		b.WriteString(p.Name)
		b.WriteString(`="`)
		for i := range len(p.Value) {
			switch c := p.Value[i]; {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c >= ' ' && c < 0x7f:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
	}
	return b.String()
}

// BearerChallenge returns the challenge that answers err at a protected
// resource (RFC 6750 §3): bare if there was no token, with error and
// error_description otherwise, and with the scope that was missing if the
// error is insufficient_scope.
func BearerChallenge(realm string, err error, scope Scope) string {
	parameters := []Parameter{{"realm", realm}}
	if err != nil && !errors.Is(err, ErrNoToken) {
		e := AsError(err)
		parameters = append(parameters, Parameter{"error", e.Code}, Parameter{"error_description", e.Description})
		if e.Code == InsufficientScope {
			parameters = append(parameters, Parameter{"scope", scope.String()})
		}
	}
	return Challenge("Bearer", parameters...)
}

package digest

import "strings"

// Challenge is what a server asks for (RFC 7616 §3.3).
type Challenge struct {
	// Realm says to people which password is meant. It is part of what is hashed:
	// printable ASCII without quotes and backslashes is read alike by everybody.
	Realm string
	// Nonce is the server's contribution to the hash.
	Nonce string
	// Algorithm is the hash.
	Algorithm Algorithm
	// QOP lists the qualities the client may choose from, at least one.
	QOP []QOP
	// Stale says that the last response was right but for its nonce: no need to ask
	// anybody for the password again.
	Stale bool
	// Userhash says that the client should send Userhash in place of the name.
	Userhash bool
}

// String returns the value of a WWW-Authenticate header.
func (c Challenge) String() string {
	qops := make([]string, len(c.QOP))
	for i, q := range c.QOP {
		qops[i] = string(q)
	}
	var b builder
	b.WriteString("Digest ")
	b.quoted("realm", c.Realm)
	b.quoted("qop", strings.Join(qops, ", "))
	b.token("algorithm", string(c.Algorithm))
	b.quoted("nonce", c.Nonce)
	if c.Stale {
		b.token("stale", "true")
	}
	b.token("charset", "UTF-8")
	if c.Userhash {
		b.token("userhash", "true")
	}
	return b.String()
}

// builder writes parameters with commas between them.
type builder struct {
	strings.Builder
	more bool
}

func (b *builder) name(name string) {
	if b.more {
		b.WriteString(", ")
	}
	b.more = true
	b.WriteString(name)
	b.WriteByte('=')
}

func (b *builder) token(name, value string) {
	b.name(name)
	b.WriteString(value)
}

func (b *builder) quoted(name, value string) {
	b.name(name)
	b.WriteByte('"')
	for i := range len(value) {
		if c := value[i]; c == '"' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(value[i])
	}
	b.WriteByte('"')
}

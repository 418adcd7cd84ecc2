package config

import (
	"net/mail"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
)

// Validate returns everything that is wrong with the configuration: it never stops at the first
// problem, and those that [Read] met are among them. It looks at the files that settings name, and
// tries whether the SQLite folder can be written.
func (c *Config) Validate() []Problem {
	return c.validate(clock.System{}.Now(), (*validator).served)
}

// ValidateEmbedded is Validate for a house in a program that has listeners and a log of its own:
// the settings of those are not looked at.
func (c *Config) ValidateEmbedded() []Problem {
	return c.validate(clock.System{}.Now(), (*validator).embedded)
}

func (c *Config) validate(now time.Time, look func(*validator)) []Problem {
	v := &validator{Config: c, now: now, problems: slices.Clone(c.wrong)}
	if !c.unread {
		look(v)
	}
	return sorted(v.problems)
}

func (v *validator) embedded() {
	v.issuer()
	v.proxies()
	v.internalHosts()
	v.database()
	v.masterKeys()
	v.mail()
	v.limits()
	v.files()
}

func (v *validator) served() {
	v.embedded()
	v.listen()
	v.certificate()
	v.operations()
	v.log()
}

// validator gathers problems, one method a section. A setting that reading already complained of
// is not judged again: its value is not the operator's.
type validator struct {
	*Config
	now      time.Time
	problems []Problem
}

func (v *validator) add(key, fix, message string, args ...any) {
	for _, p := range v.wrong {
		if p.Path == key {
			return
		}
	}
	v.problems = append(v.problems, v.problem(key, fix, message, args...))
}

func (v *validator) mail() {
	m := v.Mail
	if m.Host == "" {
		v.add("mail.host", "Name the SMTP server that takes your mail.", "is missing: without mail nobody can sign up or recover an account")
	}
	if m.From == "" {
		v.add("mail.from", "For instance: login@example.com", "is missing: mail needs a sender")
	} else if _, err := mail.ParseAddress(m.From); err != nil {
		v.add("mail.from", "Write login@example.com or Example <login@example.com>.", "%q is not a mail address", m.From)
	}
	if m.Port < 0 || m.Port > 65535 {
		v.add("mail.port", "", "%d is not a port", m.Port)
	}
	switch m.TLS {
	case "starttls", "implicit":
	case "none":
		if m.Host != "" && !loopback(m.Host) && !v.InsecureMailPlaintext {
			v.add("mail.tls", "Set it to starttls or implicit. On a network that is yours alone: insecure_mail_plaintext.", "none would send codes and password links to %s in plain text", m.Host)
		}
	default:
		v.add("mail.tls", "", "%q must be starttls, implicit or none", m.TLS)
	}
	if m.User == "" && !m.Password.Empty() {
		v.add("mail.user", "", "is missing, but mail.password is set")
	}
	if m.User != "" && m.Password.Empty() {
		v.add("mail.password", "", "is missing, but mail.user is set")
	}
}

func (v *validator) operations() {
	if v.Operations.Listen == "" {
		return
	}
	host, port, ok := v.address("operations.listen", v.Operations.Listen)
	if !ok {
		return
	}
	if !loopback(host) && !v.InsecurePublicOperations {
		v.add("operations.listen", "Listen on 127.0.0.1. Where the network keeps others away from it: insecure_public_operations.", "%s can be reached from other machines, and metrics need no credentials", v.Operations.Listen)
	}
	if _, main, err := splitAddress(v.Listen); err == nil && main == port && port != "0" {
		v.add("operations.listen", "", "has the same port as listen")
	}
}

func (v *validator) limits() {
	if n := v.Password.MinLength; n < 8 || n > 64 {
		v.add("password.min_length", "", "%d must be 8 to 64: shorter ones are guessed, longer ones are not remembered", n)
	}
	if v.Tenant.Name == "" || len(v.Tenant.Name) > 100 {
		v.add("tenant.name", "", "must be 1 to 100 characters long")
	}
	if n := v.Database.MaxConnections; n < 0 || n > 10_000 {
		v.add("database.max_connections", "", "%d must be 0 to 10000", n)
	}
	v.span("sessions.idle", v.Sessions.Idle, time.Minute, 366*day)
	v.span("sessions.absolute", v.Sessions.Absolute, time.Minute, 366*day)
	if v.Sessions.Idle > v.Sessions.Absolute {
		v.add("sessions.idle", "", "%s is longer than sessions.absolute, %s, and would never end a session", formatDuration(v.Sessions.Idle), formatDuration(v.Sessions.Absolute))
	}
	v.span("tokens.access", v.Tokens.Access, time.Minute, time.Hour)
	v.span("tokens.refresh_idle", v.Tokens.RefreshIdle, time.Minute, 366*day)
	v.span("tokens.refresh_absolute", v.Tokens.RefreshAbsolute, time.Minute, 366*day)
	if v.Tokens.RefreshIdle > v.Tokens.RefreshAbsolute {
		v.add("tokens.refresh_idle", "", "%s is longer than tokens.refresh_absolute, %s, and would never end a family", formatDuration(v.Tokens.RefreshIdle), formatDuration(v.Tokens.RefreshAbsolute))
	}
	v.span("tokens.refresh_overlap", v.Tokens.RefreshOverlap, 0, time.Minute)
	if v.Audit.Keep != 0 {
		v.span("audit.keep", v.Audit.Keep, 30*day, 3660*day)
	}
}

// span demands that a duration lies between two others, both allowed.
func (v *validator) span(key string, d, least, most time.Duration) {
	if d < least || d > most {
		v.add(key, "", "%s must be %s to %s", formatDuration(d), formatDuration(least), formatDuration(most))
	}
}

func (v *validator) log() {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, v.Log.Level) {
		v.add("log.level", "", "%q must be debug, info, warn or error", v.Log.Level)
	}
	if v.Log.Format != "json" && v.Log.Format != "text" {
		v.add("log.format", "", "%q must be json or text", v.Log.Format)
	}
}

// files looks at who may read what holds secrets.
func (v *validator) files() {
	if v.TLS.KeyFile != "" && othersRead(v.TLS.KeyFile) {
		v.add("tls.key_file", "chmod o-rwx "+v.TLS.KeyFile, "%s can be read by every user of the machine", v.TLS.KeyFile)
	}
	inline := v.file != "" && othersRead(v.file)
	for _, f := range fields(v.Config) {
		var secrets []Secret
		switch s := f.target.(type) {
		case *Secret:
			secrets = []Secret{*s}
		case *[]Secret:
			secrets = *s
		}
		told := map[string]bool{}
		for _, s := range secrets {
			switch {
			case s.Empty() || told[s.file]:
			case s.file != "" && othersRead(s.file):
				v.add(f.key, "chmod o-rwx "+s.file+" (Kubernetes: defaultMode: 0400; Compose: mode: 0400)", "%s can be read by every user of the machine", s.file)
			case s.file == "" && inline && v.from[f.key].env == "" && (f.key != "database.url" || carriesPassword(s)):
				v.add(f.key, "chmod o-rwx "+v.file+", or keep it in a file of its own: file:PATH.", "stands in %s, which every user of the machine can read", v.file)
			}
			told[s.file] = true
		}
	}
}

// othersRead reports whether users other than the owner and the group may read or write the file.
// Windows keeps its rights elsewhere.
func othersRead(path string) bool {
	info, err := os.Stat(path)
	return err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o006 != 0
}

// loopback reports whether host is this machine, whatever the resolver says.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

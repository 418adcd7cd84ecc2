// Package config is what an operator decides: one YAML file, the environment laid over it, secrets
// from files. It is read once, at the start, and checked whole: every problem is told at once, each
// with its place and its remedy, and a house with a problem does not start.
//
// [Load] is the way in. Keys of the file, names of variables and docs/configuration.md all follow
// from the struct below and its comments, so they cannot drift apart: the key tls.cert_file is
// the variable GATEHOUSE_TLS_CERT_FILE. A setting that gives safety up is named insecure_….
package config

import (
	"net/netip"
	"time"
)

//go:generate go run ./reference config.go ../../../docs/configuration.md

// Config is the configuration of `gatehouse serve`. A program that embeds the house begins with
// [Default] and sets fields; [Config.Validate] judges either.
type Config struct {
	// The address people and applications reach the house at: `https://`, a host, if need be a
	// port, and nothing else. It is in every token and every link, and is compared byte for
	// byte, so choose it once. Client SDKs ask for paths at its root.
	Issuer string `yaml:"issuer"`

	// Where to listen, `HOST:PORT`. An empty host means every address of the machine.
	Listen string `yaml:"listen"`

	// The certificate. Leave it out where a proxy in front of the house terminates TLS.
	TLS TLS `yaml:"tls"`

	// Networks (`10.1.0.0/16`, or single addresses) of the proxies in front of the house.
	// Headers such as `X-Forwarded-For` are believed from these alone and removed from anybody
	// else's requests; whoever is in this list can pretend to be any client.
	Proxies []netip.Prefix `yaml:"proxies"`

	// Where everything is kept.
	Database Database `yaml:"database"`

	// The keys that protect secrets in the database: each 32 random bytes in base64, as
	// `openssl rand -base64 32` prints them. The first seals; the others only open what they
	// sealed before. Add a new key in front, run `gatehouse masterkey rotate`, then remove the
	// old one. Lose them, and every signing key and every refresh token is lost.
	MasterKeys []Secret `yaml:"master_keys"`

	// The sender of sign-up codes and password links.
	Mail Mail `yaml:"mail"`

	// What the house is called on its pages and in its mail.
	Tenant Tenant `yaml:"tenant"`

	// Whether people may create accounts for themselves.
	SignUp bool `yaml:"sign_up"`

	// Rules for passwords.
	Password Password `yaml:"password"`

	// How long a sign-in at the house lasts.
	Sessions Sessions `yaml:"sessions"`

	// How long tokens last.
	Tokens Tokens `yaml:"tokens"`

	// Names, or addresses, of applications on private networks or on this machine. The house calls what
	// applications have registered, such as a back-channel logout URI, on the public Internet alone, unless its
	// host is in this list. Whoever may register applications can have these hosts called.
	InternalHosts []string `yaml:"internal_hosts"`

	// The record of what happened.
	Audit Audit `yaml:"audit"`

	// Health and metrics, on a listener of their own.
	Operations Operations `yaml:"operations"`

	// The log on standard error.
	Log Log `yaml:"log"`

	// Listen in plain text on an address that others than this machine and its private networks
	// can reach. For a container behind its proxy, where the house cannot know that the network
	// is private. On any other network whoever is on the way reads passwords and takes sessions.
	InsecurePlainListen bool `yaml:"insecure_plain_listen"`

	// Talk to PostgreSQL on another machine without TLS, or with TLS only if the server likes.
	// Whoever is on the way reads and changes everything.
	InsecureDatabasePlaintext bool `yaml:"insecure_database_plaintext"`

	// Hand mail to another machine without TLS. Whoever is on the way reads the codes and links
	// and takes over accounts.
	InsecureMailPlaintext bool `yaml:"insecure_mail_plaintext"`

	// Answer health and metrics on an address that others can reach. They need no credentials.
	InsecurePublicOperations bool `yaml:"insecure_public_operations"`

	file   string            // the file this was read from, or empty
	from   map[string]source // key → where its value came from; not in it: the default, or code
	wrong  []Problem         // what reading found, told again by Validate
	unread bool              // the file is no YAML, so that nothing can be said about its content
}

// TLS is the certificate of the listener. TLS 1.2 with AEAD suites and TLS 1.3 are spoken.
type TLS struct {
	// PEM file of the certificate, followed by its intermediates. It is to cover the issuer's host.
	CertFile string `yaml:"cert_file"`

	// PEM file of the private key. Other users of the machine must not be able to read it.
	KeyFile string `yaml:"key_file"`
}

// Database is the store.
type Database struct {
	// `sqlite:PATH` for one machine (the folder must exist, on a local disk), or
	// `postgres://USER:PASSWORD@HOST/NAME?sslmode=verify-full`.
	URL Secret `yaml:"url"`

	// Connections to PostgreSQL held open at most by this process. Zero lets the house choose.
	MaxConnections int `yaml:"max_connections"`
}

// Mail is an account at an SMTP server.
type Mail struct {
	// Name of the SMTP server.
	Host string `yaml:"host"`

	// Its port. Zero is the usual one: 587 for starttls, 465 for implicit, 25 for none.
	Port int `yaml:"port"`

	// `starttls` (required, never skipped), `implicit`, or `none`.
	TLS string `yaml:"tls"`

	// The account's name; leave it out where the server asks for none.
	User string `yaml:"user"`

	// The account's password.
	Password Secret `yaml:"password"`

	// Sender of every mail: `login@example.com` or `Example <login@example.com>`.
	From string `yaml:"from"`
}

// Tenant is how the house presents itself.
type Tenant struct {
	// Shown on every page and in every mail.
	Name string `yaml:"name"`
}

// Password holds rules for passwords that people choose.
type Password struct {
	// The least number of characters, 8 to 64. There are no rules about kinds of characters.
	MinLength int `yaml:"min_length"`
}

// Sessions says how long a sign-in at the house lasts. Applications' own sessions are theirs.
type Sessions struct {
	// A session not used for so long ends.
	Idle time.Duration `yaml:"idle"`

	// A session ends so long after sign-in, used or not.
	Absolute time.Duration `yaml:"absolute"`

	// Over https, hand out a second cookie by which an application on another site can renew
	// silently in a hidden frame, where its browser still allows that. It is good for nothing
	// else. Applications on the house's own site, and those that use refresh tokens, need none.
	SilentCookie bool `yaml:"silent_cookie"`
}

// Tokens says how long tokens last where an API or a client says nothing else.
type Tokens struct {
	// Life of an access token, at most 1h. Until it ends, a verifier that asks nobody honours it.
	Access time.Duration `yaml:"access"`

	// A refresh token not used for so long ends.
	RefreshIdle time.Duration `yaml:"refresh_idle"`

	// A refresh token's family ends so long after it began, used or not.
	RefreshAbsolute time.Duration `yaml:"refresh_absolute"`

	// For so long after a refresh token was rotated, its predecessor gets the same successor
	// again: tabs that refresh together and replies that got lost cost nobody the session. At
	// most 60s, since a thief has the same time. Afterwards a second use ends the family.
	RefreshOverlap time.Duration `yaml:"refresh_overlap"`
}

// Audit is the record of what happened.
type Audit struct {
	// Events that are older are deleted. `0s` keeps them for ever: strangers who try passwords are
	// recorded, too, so the database then grows without an end.
	Keep time.Duration `yaml:"keep"`
}

// Operations is the listener for whoever runs the house.
type Operations struct {
	// Where `/livez`, `/readyz` and `/metrics` answer, `HOST:PORT` on loopback. Empty: nowhere.
	Listen string `yaml:"listen"`
}

// Log is what the house writes about itself. Secrets are never in it.
type Log struct {
	// `debug`, `info`, `warn` or `error`.
	Level string `yaml:"level"`

	// `json`, or `text` for a person's eyes.
	Format string `yaml:"format"`
}

const day = 24 * time.Hour

// Default returns the configuration that a file or a program adds to. It is not complete: issuer,
// database, master keys and mail have no default that would be safe.
func Default() *Config {
	return &Config{
		Listen:     "127.0.0.1:8080",
		Mail:       Mail{TLS: "starttls"},
		Tenant:     Tenant{Name: "Gatehouse"},
		SignUp:     true,
		Password:   Password{MinLength: 12},
		Sessions:   Sessions{Idle: 3 * day, Absolute: 30 * day, SilentCookie: true},
		Tokens:     Tokens{Access: 10 * time.Minute, RefreshIdle: 7 * day, RefreshAbsolute: 30 * day, RefreshOverlap: 30 * time.Second},
		Audit:      Audit{Keep: 400 * day},
		Operations: Operations{Listen: "127.0.0.1:9090"},
		Log:        Log{Level: "info", Format: "json"},
	}
}

// Insecure returns the names of the insecure_… switches that are on, for the warning that each
// start writes to the log.
func (c *Config) Insecure() []string {
	var on []string
	for _, f := range fields(c) {
		if b, ok := f.target.(*bool); ok && f.insecure() && *b {
			on = append(on, f.key)
		}
	}
	return on
}

// SMTPPort returns the port of the mail server, the usual one for its kind of TLS if none is set.
func (m Mail) SMTPPort() int {
	switch {
	case m.Port != 0:
		return m.Port
	case m.TLS == "implicit":
		return 465
	case m.TLS == "none":
		return 25
	}
	return 587
}

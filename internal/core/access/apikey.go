package access

import (
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// APIKey is all that the house knows of an API key: not the key, which is shown once.
type APIKey struct {
	ID          string
	GID         string // the grant of access tokens it was exchanged for
	Kind        apikey.Kind
	Environment apikey.Environment
	Hint        string // its last four characters
	APIKeyOwner
	APIKeySettings
	CreatedAt      time.Time
	UpdatedAt      time.Time
	RevokedAt      time.Time // zero: it was not
	RevokedBecause string
	RotatedAt      time.Time // zero: it has no successor
	Successor      string    // the id of the key that takes its place
	LastUsedAt     time.Time // to the minute; zero: never
	Uses           int64
}

// APIKeyOwner says for whom a key acts, and where. It never changes.
type APIKeyOwner struct {
	UserID       string // either a user
	ClientID     string // or a client
	Organization string // the organisation it acts in, or empty
	Audience     string // identifier of the one API it is for
}

// APIKeySettings are what may be changed of a key.
type APIKeySettings struct {
	Name string
	// Scope is what the key may do, as far as its owner may do it at that moment. Empty, a secret key
	// may do all that its owner may; keys of other kinds nothing.
	Scope oauth.Scope
	// Networks are where the key may come from; everywhere if empty.
	Networks []netip.Prefix
	// ExpiresAt is when it ends by itself; zero for never.
	ExpiresAt time.Time
	// Rate and Quota are how many requests it is good for in a minute and in a day; zero for any
	// number. Whoever guards an API with keys counts them.
	Rate, Quota int64
}

// Limits of what a key may hold.
const (
	maxKeyName     = 200
	maxKeyScopes   = 100
	maxKeyNetworks = 50
	// More than a million a second nobody counts.
	maxKeyRate  = int64(60 * 1_000_000)
	maxKeyQuota = 24 * 60 * maxKeyRate
	// MaxKeysPerOwner bounds the living keys of one user or client, so that they all can be ended at
	// once. While keys are being rotated there can be twice as many.
	MaxKeysPerOwner = 100
	// MaxKeyGrace bounds how long a key lives beside its successor.
	MaxKeyGrace = 30 * 24 * time.Hour
)

// Ended reports whether the key is of no more use, and in one word why: revoked or expired.
func (k *APIKey) Ended(now time.Time) (why string, ended bool) {
	switch {
	case !k.RevokedAt.IsZero():
		return "revoked", true
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return "expired", true
	}
	return "", false
}

// State is what a list says of the key: active, rotated (its successor has taken over and it still
// works), expired or revoked.
func (k *APIKey) State(now time.Time) string {
	if why, ended := k.Ended(now); ended {
		return why
	}
	if !k.RotatedAt.IsZero() {
		return "rotated"
	}
	return "active"
}

// MayComeFrom reports whether the key may be used from an address. One that nobody knows is outside
// every network.
func (k *APIKey) MayComeFrom(a netip.Addr) bool {
	if len(k.Networks) == 0 {
		return true
	}
	a = a.Unmap().WithZone("")
	for _, n := range k.Networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// ScopeAt is what the key may do at its API at a moment when its owner has these rights there.
func (k *APIKey) ScopeAt(api *apps.API, rights oauth.Scope) oauth.Scope {
	asked := k.Scope
	if len(asked) == 0 && k.Kind == apikey.Secret {
		asked = api.Scopes()
	}
	return asked.Intersect(api.Scopes()).Intersect(rights)
}

// turns finds what makes the text after it read backwards on a terminal.
func turns(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }

// validate checks what does not need anybody else to be asked.
func (s *APIKeySettings) validate(kind apikey.Kind, now time.Time) error {
	switch {
	case strings.TrimSpace(s.Name) == "" || len(s.Name) > maxKeyName:
		return fault.Field("name", "must have 1 to %d bytes", maxKeyName)
	case !utf8.ValidString(s.Name), strings.ContainsFunc(s.Name, unicode.IsControl), strings.ContainsFunc(s.Name, turns):
		return fault.Field("name", "must not hold control characters, nor such that turn the direction of writing")
	case apikey.Contains(s.Name):
		return fault.Field("name", "must not hold a key: everybody may read it")
	case !s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt):
		return fault.Field("expires_at", "must be in the future")
	case len(s.Scope) > maxKeyScopes:
		return fault.Field("scope", "at most %d", maxKeyScopes)
	case kind == apikey.Restricted && len(s.Scope) == 0:
		return fault.Field("scope", "is missing: a restricted key names what it is restricted to")
	case s.Rate < 0 || s.Rate > maxKeyRate:
		return fault.Field("rate_limit", "must be 0 to %d", maxKeyRate)
	case s.Quota < 0 || s.Quota > maxKeyQuota:
		return fault.Field("quota", "must be 0 to %d", maxKeyQuota)
	case len(s.Networks) > maxKeyNetworks:
		return fault.Field("networks", "at most %d", maxKeyNetworks)
	}
	for i, n := range s.Networks {
		if !n.IsValid() || n.Addr().Is4In6() {
			return fault.Field("networks", "%q is not a network such as 192.0.2.0/24", n)
		}
		s.Networks[i] = n.Masked()
	}
	return nil
}

// ParseNetwork reads a network, or an address, which is a network of one.
func ParseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	n, err := netip.ParsePrefix(s)
	if err != nil || n.Addr().Is4In6() {
		return netip.Prefix{}, fault.Field("networks", "%.60q is not a network such as 192.0.2.0/24", s)
	}
	return n.Masked(), nil
}

func joinNetworks(list []netip.Prefix) string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = n.String()
	}
	return strings.Join(out, " ")
}

func splitNetworks(s string) (out []netip.Prefix, err error) {
	for _, text := range strings.Fields(s) {
		n, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// Package tenant is the isolation boundary: an issuer with its own keys, users, clients and
// settings, found by host name.
//
// Every verb of the house takes a *Tenant and reaches data through its DB handle alone, which
// binds the tenant to each statement.
package tenant

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
)

// DefaultID is the id of the tenant that a single-tenant house serves.
const DefaultID = "default"

// Tenant is one issuer. It is never changed once made: a new setting makes a new value.
type Tenant struct {
	ID       string
	Issuer   string // absolute URL of an origin, with its trailing slash
	Host     string // host[:port] of the issuer, in lower case
	Settings Settings
	DB       db.Tenant
}

// Settings are what an operator may choose for a tenant. Zero values stand for the defaults,
// which [Settings.withDefaults] spells out.
type Settings struct {
	// Name is shown on pages and in mail.
	Name string `json:"name,omitempty"`
	// PasswordMinLength is counted in characters, 8 to 64; 12 unless set.
	PasswordMinLength int `json:"password_min_length,omitempty"`
	// SessionIdle ends a session that was not used for so long; 3 days unless set.
	SessionIdle time.Duration `json:"session_idle,omitempty"`
	// SessionAbsolute ends a session so long after sign-in whatever happens; 30 days unless set.
	SessionAbsolute time.Duration `json:"session_absolute,omitempty"`
	// NoSilentCookie withholds the SameSite=None cookie that lets an application on another site
	// renew silently in an iframe.
	NoSilentCookie bool `json:"no_silent_cookie,omitempty"`
	// NoSignUp closes self-registration.
	NoSignUp bool `json:"no_sign_up,omitempty"`
	// AccessToken, RefreshIdle, RefreshLifetime and RefreshOverlap are for APIs and clients that
	// set no figure of their own; 10 minutes, 7 days, 30 days and 30 seconds unless set.
	AccessToken     time.Duration `json:"access_token,omitempty"`
	RefreshIdle     time.Duration `json:"refresh_idle,omitempty"`
	RefreshLifetime time.Duration `json:"refresh_lifetime,omitempty"`
	RefreshOverlap  time.Duration `json:"refresh_overlap,omitempty"`
	// LogoutURLs are where /v2/logout may return to when no client is named.
	LogoutURLs []string `json:"logout_urls,omitempty"`
}

func (s Settings) withDefaults() Settings {
	s.Name = cmp.Or(s.Name, "Gatehouse")
	s.PasswordMinLength = cmp.Or(s.PasswordMinLength, 12)
	s.SessionIdle = cmp.Or(s.SessionIdle, 3*24*time.Hour)
	s.SessionAbsolute = cmp.Or(s.SessionAbsolute, 30*24*time.Hour)
	s.AccessToken = cmp.Or(s.AccessToken, 10*time.Minute)
	s.RefreshIdle = cmp.Or(s.RefreshIdle, 7*24*time.Hour)
	s.RefreshLifetime = cmp.Or(s.RefreshLifetime, 30*24*time.Hour)
	s.RefreshOverlap = cmp.Or(s.RefreshOverlap, 30*time.Second)
	return s
}

// Origin returns the issuer without its trailing slash: scheme, host and port.
func (t *Tenant) Origin() string { return strings.TrimSuffix(t.Issuer, "/") }

// Secure reports whether the issuer is reached over https.
func (t *Tenant) Secure() bool { return strings.HasPrefix(t.Issuer, "https://") }

// URL returns the absolute address of a path, which begins with a slash.
func (t *Tenant) URL(path string) string { return t.Origin() + path }

// ManagementAudience is the identifier of the tenant's own API, /api/v2/.
func (t *Tenant) ManagementAudience() string { return t.Issuer + "api/v2/" }

// UserInfoAudience is what an access token names so that it can be shown at /userinfo.
func (t *Tenant) UserInfoAudience() string { return t.Issuer + "userinfo" }

// ParseIssuer checks that s is the URL of an origin (http or https, no path, query, fragment or
// user) and returns it with a trailing slash, and its host. The error names what is wrong.
func ParseIssuer(s string) (issuer, host string, err error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", "", fault.Field("issuer", "%q is not a URL", s)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", "", fault.Field("issuer", "%q must begin with https://", s)
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Path != "" && u.Path != "/"):
		return "", "", fault.Field("issuer", "%q must be an origin alone, such as https://login.example.com/: client SDKs ask for paths at its root", s)
	case u.Host != strings.ToLower(u.Host):
		return "", "", fault.Field("issuer", "%q must be in lower case: it is compared byte for byte", s)
	}
	return u.Scheme + "://" + u.Host + "/", u.Host, nil
}

const (
	systemSelectTenants = `SELECT id, host, issuer, settings FROM tenants ORDER BY id`
	systemUpsertTenant  = `INSERT INTO tenants (id, host, issuer, settings, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (id) DO UPDATE SET host = excluded.host, issuer = excluded.issuer, settings = excluded.settings`
)

// Ensure writes the tenant with this id, issuer and settings, and returns it. The issuer of a
// tenant is configuration: starting with another one changes it.
func Ensure(ctx context.Context, d *db.DB, id, issuer string, settings Settings, now time.Time) (*Tenant, error) {
	issuer, host, err := ParseIssuer(issuer)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	err = d.System().Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(systemUpsertTenant, id, host, issuer, string(raw), db.Micros(now))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("tenant: write %s: %w", id, err)
	}
	return &Tenant{ID: id, Issuer: issuer, Host: host, Settings: settings.withDefaults(), DB: d.Tenant(id)}, nil
}

// All returns every tenant, for commands and background work.
func All(ctx context.Context, d *db.DB) ([]*Tenant, error) {
	rows, err := d.System().Query(ctx, systemSelectTenants)
	if err != nil {
		return nil, fmt.Errorf("tenant: read: %w", err)
	}
	defer rows.Close()
	var out []*Tenant
	for rows.Next() {
		t, raw := &Tenant{}, ""
		if err := rows.Scan(&t.ID, &t.Host, &t.Issuer, &raw); err != nil {
			return nil, fmt.Errorf("tenant: read: %w", err)
		}
		if err := json.Unmarshal([]byte(raw), &t.Settings); err != nil {
			return nil, fmt.Errorf("tenant: settings of %s: %w", t.ID, err)
		}
		t.Settings, t.DB = t.Settings.withDefaults(), d.Tenant(t.ID)
		out = append(out, t)
	}
	return out, rows.Err()
}

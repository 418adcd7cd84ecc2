// Package apps knows the applications: clients, and the APIs (resource servers) that access
// tokens are for, with their settings and safe defaults.
//
// Both are read at every request and seldom changed, so they are cached in the process and
// forgotten when the tenant's configuration number changes.
package apps

import (
	"cmp"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Type says what kind of application a client is, and so what is safe for it.
type Type string

// The types of clients.
const (
	SPA        Type = "spa"         // runs in a browser; keeps no secret
	Native     Type = "native"      // runs on a device; keeps no secret
	RegularWeb Type = "regular_web" // runs on a server and keeps a secret
	Machine    Type = "machine"     // acts in its own name
)

// Profile sets all the knobs at once where safety and the habits of old SDKs part.
type Profile string

// The profiles.
const (
	// OAuth21 is the default: PKCE always, code alone.
	OAuth21 Profile = "oauth2.1"
	// OIDCBasic serves stock SDKs: a confidential client may omit PKCE, and may ask for
	// id_token and code id_token by form_post.
	OIDCBasic Profile = "oidc-basic"
)

// Client is an application. It is never changed once read from the cache.
type Client struct {
	ClientID   string
	Name       string
	Type       Type
	SecretHash []byte // SHA-256 of the secret; empty for a client that has none
	ClientSettings
	// Grants maps an audience to the scope the client may ask for in its own name.
	Grants    map[string]oauth.Scope
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ClientSettings are the parts of a client that nothing searches for.
type ClientSettings struct {
	Description        string             `json:"description,omitempty"`
	Profile            Profile            `json:"profile"`
	ThirdParty         bool               `json:"third_party,omitempty"`
	Disabled           bool               `json:"disabled,omitempty"`
	RedirectURIs       []string           `json:"redirect_uris,omitempty"`
	DefaultRedirectURI string             `json:"default_redirect_uri,omitempty"`
	LogoutURLs         []string           `json:"logout_urls,omitempty"`
	WebOrigins         []string           `json:"web_origins,omitempty"`
	GrantTypes         []string           `json:"grant_types"`
	AuthMethods        []oauth.AuthMethod `json:"token_endpoint_auth_methods"`
	// Audience is the API an access token is for when the request names none.
	Audience string `json:"audience,omitempty"`
	// InsecureUserinfoQueryToken lets tokens of this client come to /userinfo in the query,
	// where logs and histories keep them. Old passport strategies know no other way.
	InsecureUserinfoQueryToken bool `json:"insecure_userinfo_query_token,omitempty"`
	// BackchannelLogoutURI is where the application is told that somebody has signed out (OpenID
	// Connect Back-Channel Logout 1.0 section 2.2); empty: it is not told.
	BackchannelLogoutURI string `json:"backchannel_logout_uri,omitempty"`
	// BackchannelLogoutSessionRequired says that the application counts on a sid in every logout
	// token. It is in all of them.
	BackchannelLogoutSessionRequired bool `json:"backchannel_logout_session_required,omitempty"`
	// IDTokenLifetime, RefreshIdle, RefreshLifetime and RefreshOverlap: zero stands for the
	// default of the house.
	IDTokenLifetime time.Duration `json:"id_token_lifetime,omitempty"`
	RefreshIdle     time.Duration `json:"refresh_idle,omitempty"`
	RefreshLifetime time.Duration `json:"refresh_lifetime,omitempty"`
	RefreshOverlap  time.Duration `json:"refresh_overlap,omitempty"`
}

// DefaultIDTokenLifetime is what a client gets unless it sets its own.
const DefaultIDTokenLifetime = 10 * time.Hour

// MaxRefreshOverlap bounds every overlap: a thief has the same time.
const MaxRefreshOverlap = 60 * time.Second

// Confidential reports whether the client can keep a secret.
func (c *Client) Confidential() bool { return c.Type == RegularWeb || c.Type == Machine }

// RequiresPKCE reports whether an authorization request must carry a code challenge: always for
// public clients, and for every client whose profile does not say otherwise.
func (c *Client) RequiresPKCE() bool { return !c.Confidential() || c.Profile != OIDCBasic }

// MayUse reports whether the client registered a grant type.
func (c *Client) MayUse(grantType string) bool { return slices.Contains(c.GrantTypes, grantType) }

// MayAskFor reports whether the client may use a response type: code always; id_token and
// code id_token only for regular web clients of profile oidc-basic.
func (c *Client) MayAskFor(responseType oauth.ResponseType) bool {
	if !c.MayUse(oauth.GrantAuthorizationCode) {
		return false
	}
	return responseType == oauth.ResponseTypeCode || c.Type == RegularWeb && c.Profile == OIDCBasic
}

// NeedsConsent reports whether a person must have allowed what the client asks for at an API, which is nil
// for none: at any API, if the application is somebody else's, and at the house's own, whosever it is. Who
// may register one application, or has found a flaw in one, must not rule the house as soon as an
// administrator comes by.
func (c *Client) NeedsConsent(api *API) bool { return c.ThirdParty || api != nil && api.System }

// SessionBound reports whether tokens of this client end with the user's session: those of
// applications in a browser do, those of devices survive a sign-out.
func (c *Client) SessionBound() bool { return c.Type == SPA || c.Type == RegularWeb }

// RefreshPolicy is how long a refresh token of a client lives.
type RefreshPolicy struct{ Idle, Lifetime, Overlap time.Duration }

// Refresh returns the client's refresh policy: its own figures, or the tenant's.
func (c *Client) Refresh(tn *tenant.Tenant) RefreshPolicy {
	return RefreshPolicy{
		Idle:     cmp.Or(c.RefreshIdle, tn.Settings.RefreshIdle),
		Lifetime: cmp.Or(c.RefreshLifetime, tn.Settings.RefreshLifetime),
		Overlap:  cmp.Or(c.RefreshOverlap, tn.Settings.RefreshOverlap),
	}
}

// IDTokenTTL returns how long an ID token for this client is valid.
func (c *Client) IDTokenTTL() time.Duration { return cmp.Or(c.IDTokenLifetime, DefaultIDTokenLifetime) }

// NewClient returns a client of the given type with a fresh id and the safe defaults of that
// type, and its secret when it can keep one. The secret is shown here and never again.
func NewClient(name string, typ Type) (c *Client, secret string) {
	c = &Client{ClientID: id.ClientID(), Name: name, Type: typ, Grants: map[string]oauth.Scope{}}
	c.Profile = OAuth21
	switch typ {
	case Machine:
		c.GrantTypes = []string{oauth.GrantClientCredentials}
	default:
		c.GrantTypes = []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}
	}
	if !c.Confidential() {
		c.AuthMethods = []oauth.AuthMethod{oauth.AuthNone}
		return c, ""
	}
	c.AuthMethods = []oauth.AuthMethod{oauth.AuthBasic, oauth.AuthPost}
	return c, c.NewSecret()
}

// NewSecret gives the client a new secret, which is returned here and never again.
func (c *Client) NewSecret() string {
	secret := id.Secret()
	c.SecretHash = id.Hash(secret)
	return secret
}

// HasWebOrigin reports whether the client registered a browser origin.
func (c *Client) HasWebOrigin(origin string) bool { return slices.Contains(c.WebOrigins, origin) }

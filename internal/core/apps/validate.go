package apps

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Limits of what a client or API may hold.
const (
	maxName        = 200
	maxDescription = 2000
	maxAudience    = 600
	maxURIs        = 100
	maxPermissions = 1000
	maxAskers      = 100 // clients that one API authenticates as
	// MaxAccessTokenLifetime bounds every API's own figure: a rule that takes tokens back must
	// be kept for so long.
	MaxAccessTokenLifetime = time.Hour
)

// Validate checks a client as it is to be stored. The error is a [fault.Error] that names the
// field as the management API spells it.
func (c *Client) Validate() error {
	switch c.Type {
	case SPA, Native, RegularWeb, Machine:
	default:
		return fault.Field("app_type", "%q is none of spa, native, regular_web, machine", c.Type)
	}
	if c.Profile != OAuth21 && c.Profile != OIDCBasic {
		return fault.Field("profile", "%q is none of oauth2.1, oidc-basic", c.Profile)
	}
	if err := cmp.Or(validName(c.Name), validText("description", c.Description, maxDescription), validText("default_audience", c.Audience, maxAudience)); err != nil {
		return err
	}
	if err := c.validateURIs(); err != nil {
		return err
	}
	if err := c.validateGrants(); err != nil {
		return err
	}
	switch {
	case c.InsecureUserinfoQueryToken && (c.Profile != OIDCBasic || !c.Confidential()):
		return fault.Field("insecure_userinfo_query_token", "is for confidential clients of profile oidc-basic alone")
	case c.RefreshOverlap < 0 || c.RefreshOverlap > MaxRefreshOverlap:
		return fault.Field("refresh_token.leeway", "must be 0 to 60 seconds")
	case c.RefreshIdle < 0 || c.RefreshLifetime < 0 || c.IDTokenLifetime < 0:
		return fault.Field("refresh_token", "lifetimes must not be negative")
	case c.RefreshLifetime > 0 && c.RefreshIdle > c.RefreshLifetime:
		return fault.Field("refresh_token.idle_token_lifetime", "must not exceed token_lifetime")
	}
	return nil
}

func (c *Client) validateURIs() error {
	if len(c.RedirectURIs)+len(c.LogoutURLs)+len(c.WebOrigins) > maxURIs {
		return fault.Field("callbacks", "at most %d addresses in all", maxURIs)
	}
	native := c.Type == Native
	for _, uri := range c.RedirectURIs {
		if err := oauth.ValidateRedirectURI(uri, native); err != nil {
			return refuseURI("callbacks", uri, err)
		}
	}
	for _, uri := range c.LogoutURLs {
		if err := oauth.ValidateRedirectURI(uri, native); err != nil {
			return refuseURI("allowed_logout_urls", uri, err)
		}
	}
	if uri := c.BackchannelLogoutURI; uri != "" {
		if err := oauth.ValidateRedirectURI(uri, false); err != nil {
			return refuseURI("oidc_logout.backchannel_logout_urls", uri, err)
		}
		if !c.SessionBound() {
			return fault.Field("oidc_logout.backchannel_logout_urls", "is for applications whose sign-in ends with the session: spa and regular_web")
		}
	}
	if c.DefaultRedirectURI != "" && !slices.Contains(c.RedirectURIs, c.DefaultRedirectURI) {
		return fault.Field("default_redirect_uri", "%q is not among callbacks", c.DefaultRedirectURI)
	}
	for _, origin := range c.WebOrigins {
		if !isOrigin(origin) {
			return fault.Field("web_origins", "%q is not an origin such as https://app.example.com", origin)
		}
	}
	return nil
}

// refuseURI names the address and says what is wrong with it.
func refuseURI(field, uri string, err error) error {
	return &fault.Error{Code: fault.Invalid, Field: field, Message: clip(uri) + ": " + oauth.AsError(err).Hint, Err: err}
}

func (c *Client) validateGrants() error {
	for _, g := range c.GrantTypes {
		switch g {
		case oauth.GrantAuthorizationCode, oauth.GrantRefreshToken:
			if c.Type == Machine {
				return fault.Field("grant_types", "%s is not for machine clients: nobody signs in to them", g)
			}
		case oauth.GrantClientCredentials:
			if !c.Confidential() {
				return fault.Field("grant_types", "client_credentials is for clients that keep a secret")
			}
		case oauth.GrantDeviceCode:
			if c.Type != Native && c.Type != RegularWeb {
				return fault.Field("grant_types", "%s is for clients of type native or regular_web: others have no device that a person stands before", g)
			}
		case oauth.GrantTokenExchange:
			if c.Type == SPA {
				return fault.Field("grant_types", "%s is not for clients of type spa: an API key has no place in a browser", g)
			}
		case "password", "implicit":
			return fault.Field("grant_types", "%s is deprecated and not offered: use authorization_code with PKCE", g)
		default:
			return fault.Field("grant_types", "%q is not offered", g)
		}
	}
	for _, m := range c.AuthMethods {
		if (m == oauth.AuthNone) == c.Confidential() || m != oauth.AuthNone && m != oauth.AuthBasic && m != oauth.AuthPost {
			return fault.Field("token_endpoint_auth_method", "%q is not for clients of type %s", m, c.Type)
		}
	}
	if len(c.AuthMethods) == 0 {
		return fault.Field("token_endpoint_auth_method", "is missing")
	}
	return nil
}

// isOrigin reports whether s is scheme://host[:port] of http or https, to the letter as a browser's
// Origin header has it: nothing else can ever be the same, and hosts of other letters, or with
// punctuation, would stand on terminals and in a page's policy.
func isOrigin(s string) bool {
	origin, ok := oauth.Origin(s)
	return ok && origin == s && s == strings.ToLower(s)
}

// Validate checks an API as it is to be stored. The error is a [fault.Error] that names the field
// as the management API spells it.
func (a *API) Validate() error {
	if err := validText("identifier", a.Identifier, maxAudience); err != nil {
		return err
	}
	u, err := url.Parse(a.Identifier)
	if err != nil || !u.IsAbs() || u.Fragment != "" || strings.ContainsAny(a.Identifier, " \t\r\n") {
		return fault.Field("identifier", "must be an absolute URI without fragment, such as https://api.example.com/ (nothing is ever fetched from it)")
	}
	if err := validName(a.Name); err != nil {
		return err
	}
	switch {
	case a.TokenDialect != DialectRFC9068 && a.TokenDialect != DialectAuth0:
		return fault.Field("token_dialect", "%q is none of rfc9068, auth0", a.TokenDialect)
	case !slices.Contains([]jose.Alg{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}, a.SigningAlg):
		return fault.Field("signing_alg", "%q is none of RS256, PS256, ES256, EdDSA", a.SigningAlg)
	case a.TokenLifetime < 0 || a.TokenLifetime > MaxAccessTokenLifetime:
		return fault.Field("token_lifetime", "must be 1 to %d seconds", int(MaxAccessTokenLifetime.Seconds()))
	case len(a.Permissions) > maxPermissions:
		return fault.Field("scopes", "at most %d", maxPermissions)
	case len(a.IntrospectionClients) > maxAskers:
		return fault.Field("introspection_clients", "at most %d", maxAskers)
	}
	for _, clientID := range a.IntrospectionClients {
		if err := validText("introspection_clients", clientID, maxName); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for _, p := range a.Permissions {
		if scope, err := oauth.ParseScope(p.Value); err != nil || len(scope) != 1 || scope[0] != p.Value || seen[p.Value] {
			return fault.Field("scopes", "%q is not a scope, or stands twice", p.Value)
		}
		if isOpenIDScope(p.Value) {
			return fault.Field("scopes", "%q is a scope of OpenID Connect and belongs to no API", p.Value)
		}
		if err := validText("scopes", p.Description, maxDescription); err != nil {
			return err
		}
		seen[p.Value] = true
	}
	for _, p := range a.DefaultPermissions {
		if !seen[p] {
			return fault.Field("default_permissions", "%q is not among scopes", p)
		}
	}
	return nil
}

// isOpenIDScope reports whether a scope is one of OpenID Connect Core sections 5.4 and 11.
func isOpenIDScope(s string) bool {
	return slices.Contains([]string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, "address", "phone", oauth.ScopeOfflineAccess}, s)
}

func validName(name string) error {
	if strings.TrimSpace(name) == "" || len(name) > maxName {
		return fault.Field("name", "must have 1 to %d bytes", maxName)
	}
	return validText("name", name, maxName)
}

// validText: what somebody wrote stands on pages where people decide, on terminals and in logs, and is held in memory.
func validText(field, s string, most int) error {
	if len(s) > most {
		return fault.Field(field, "must have at most %d bytes", most)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
		return fault.Field(field, "must not hold control characters, nor such that turn the direction of writing")
	}
	return nil
}

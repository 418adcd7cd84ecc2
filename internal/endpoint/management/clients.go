package management

import (
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Client is a client as it is shown. Its secret is in no answer but the one that made it.
type Client struct {
	ClientID                   string             `json:"client_id"`
	ClientSecret               string             `json:"client_secret,omitempty"`
	Name                       string             `json:"name"`
	Description                string             `json:"description"`
	AppType                    string             `json:"app_type"`
	IsFirstParty               bool               `json:"is_first_party"`
	Callbacks                  []string           `json:"callbacks"`
	AllowedLogoutURLs          []string           `json:"allowed_logout_urls"`
	WebOrigins                 []string           `json:"web_origins"`
	GrantTypes                 []string           `json:"grant_types"`
	TokenEndpointAuthMethod    oauth.AuthMethod   `json:"token_endpoint_auth_method"`
	TokenEndpointAuthMethods   []oauth.AuthMethod `json:"token_endpoint_auth_methods"`
	JWTConfiguration           JWTConfiguration   `json:"jwt_configuration"`
	RefreshToken               RefreshToken       `json:"refresh_token"`
	OIDCLogout                 OIDCLogout         `json:"oidc_logout"`
	Profile                    apps.Profile       `json:"profile"`
	DefaultRedirectURI         string             `json:"default_redirect_uri"`
	DefaultAudience            string             `json:"default_audience"`
	Disabled                   bool               `json:"disabled"`
	InsecureUserinfoQueryToken bool               `json:"insecure_userinfo_query_token"`
	CreatedAt                  string             `json:"created_at"`
	UpdatedAt                  string             `json:"updated_at"`
}

// JWTConfiguration is how ID tokens for a client are.
type JWTConfiguration struct {
	LifetimeInSeconds int64  `json:"lifetime_in_seconds"`
	Alg               string `json:"alg"`
}

// RefreshToken is how refresh tokens of a client are.
type RefreshToken struct {
	RotationType      string `json:"rotation_type"`
	ExpirationType    string `json:"expiration_type"`
	Leeway            int64  `json:"leeway"`
	TokenLifetime     int64  `json:"token_lifetime"`
	IdleTokenLifetime int64  `json:"idle_token_lifetime"`
}

// OIDCLogout is how an application is told of sign-outs (OpenID Connect Back-Channel Logout 1.0). There is
// one address, or none.
type OIDCLogout struct {
	BackchannelLogoutURLs            []string `json:"backchannel_logout_urls"`
	BackchannelLogoutSessionRequired bool     `json:"backchannel_logout_session_required"`
}

// The one value that some members of Auth0's have here: they may be sent, and change nothing.
const (
	idTokenAlg     = "RS256"
	rotationType   = "rotating"
	expirationType = "expiring"
	nonInteractive = "non_interactive" // what Auth0 calls a machine

	logoutInitiators = "all" // whatever ends a session is told
)

// ShowClient returns what is shown of a client. secret is empty but where it was made just now.
func ShowClient(tn *tenant.Tenant, client *apps.Client, secret string) Client {
	refresh := client.Refresh(tn)
	return Client{
		ClientID: client.ClientID, ClientSecret: secret, Name: client.Name, Description: client.Description, AppType: appType(client.Type),
		IsFirstParty: !client.ThirdParty, Callbacks: orEmpty(client.RedirectURIs), AllowedLogoutURLs: orEmpty(client.LogoutURLs),
		WebOrigins: orEmpty(client.WebOrigins), GrantTypes: orEmpty(client.GrantTypes),
		TokenEndpointAuthMethods: client.AuthMethods, TokenEndpointAuthMethod: client.AuthMethods[0],
		JWTConfiguration: JWTConfiguration{seconds(client.IDTokenTTL()), idTokenAlg},
		RefreshToken:     RefreshToken{rotationType, expirationType, seconds(refresh.Overlap), seconds(refresh.Lifetime), seconds(refresh.Idle)},
		OIDCLogout:       showLogout(client),
		Profile:          client.Profile, DefaultRedirectURI: client.DefaultRedirectURI, DefaultAudience: client.Audience, Disabled: client.Disabled,
		InsecureUserinfoQueryToken: client.InsecureUserinfoQueryToken, CreatedAt: stamp(client.CreatedAt), UpdatedAt: stamp(client.UpdatedAt),
	}
}

func showLogout(client *apps.Client) OIDCLogout {
	out := OIDCLogout{BackchannelLogoutURLs: []string{}, BackchannelLogoutSessionRequired: client.BackchannelLogoutSessionRequired}
	if client.BackchannelLogoutURI != "" {
		out.BackchannelLogoutURLs = append(out.BackchannelLogoutURLs, client.BackchannelLogoutURI)
	}
	return out
}

func appType(t apps.Type) string {
	if t == apps.Machine {
		return nonInteractive
	}
	return string(t)
}

func typeOf(appType string) apps.Type {
	if appType == nonInteractive {
		return apps.Machine
	}
	return apps.Type(appType)
}

// clientInput is everything that may be set of a client. What is not there stays, or has the
// default of its type.
type clientInput struct {
	Name                       *string             `json:"name"`
	Description                *string             `json:"description"`
	AppType                    *string             `json:"app_type"`
	IsFirstParty               *bool               `json:"is_first_party"`
	OIDCConformant             *bool               `json:"oidc_conformant"`
	Callbacks                  *[]string           `json:"callbacks"`
	AllowedLogoutURLs          *[]string           `json:"allowed_logout_urls"`
	WebOrigins                 *[]string           `json:"web_origins"`
	GrantTypes                 *[]string           `json:"grant_types"`
	TokenEndpointAuthMethod    *oauth.AuthMethod   `json:"token_endpoint_auth_method"`
	TokenEndpointAuthMethods   *[]oauth.AuthMethod `json:"token_endpoint_auth_methods"`
	JWTConfiguration           *jwtInput           `json:"jwt_configuration"`
	RefreshToken               *refreshInput       `json:"refresh_token"`
	OIDCLogout                 *logoutInput        `json:"oidc_logout"`
	Profile                    *apps.Profile       `json:"profile"`
	DefaultRedirectURI         *string             `json:"default_redirect_uri"`
	DefaultAudience            *string             `json:"default_audience"`
	Disabled                   *bool               `json:"disabled"`
	InsecureUserinfoQueryToken *bool               `json:"insecure_userinfo_query_token"`
}

type jwtInput struct {
	LifetimeInSeconds *int64  `json:"lifetime_in_seconds"`
	Alg               *string `json:"alg"`
}

type refreshInput struct {
	RotationType      *string `json:"rotation_type"`
	ExpirationType    *string `json:"expiration_type"`
	Leeway            *int64  `json:"leeway"`
	TokenLifetime     *int64  `json:"token_lifetime"`
	IdleTokenLifetime *int64  `json:"idle_token_lifetime"`
}

type logoutInput struct {
	BackchannelLogoutURLs            *[]string `json:"backchannel_logout_urls"`
	BackchannelLogoutSessionRequired *bool     `json:"backchannel_logout_session_required"`
	BackchannelLogoutInitiators      *struct {
		Mode *string `json:"mode"`
	} `json:"backchannel_logout_initiators"`
}

// apply sets what is there. What must hold of the result is for the core to judge.
func (in *clientInput) apply(c *apps.Client) error {
	set(&c.Name, in.Name)
	set(&c.Description, in.Description)
	set(&c.RedirectURIs, in.Callbacks)
	set(&c.LogoutURLs, in.AllowedLogoutURLs)
	set(&c.WebOrigins, in.WebOrigins)
	set(&c.GrantTypes, in.GrantTypes)
	set(&c.Profile, in.Profile)
	set(&c.DefaultRedirectURI, in.DefaultRedirectURI)
	set(&c.Audience, in.DefaultAudience)
	set(&c.Disabled, in.Disabled)
	set(&c.InsecureUserinfoQueryToken, in.InsecureUserinfoQueryToken)
	set(&c.AuthMethods, in.TokenEndpointAuthMethods)
	if err := only("oidc_conformant", in.OIDCConformant, true); err != nil {
		return err
	}
	if in.IsFirstParty != nil {
		c.ThirdParty = !*in.IsFirstParty
	}
	if in.TokenEndpointAuthMethod != nil {
		c.AuthMethods = []oauth.AuthMethod{*in.TokenEndpointAuthMethod}
	}
	if in.AppType != nil {
		if c.Type = typeOf(*in.AppType); !c.Confidential() {
			c.SecretHash = nil
		}
	}
	if j := in.JWTConfiguration; j != nil {
		if err := only("jwt_configuration.alg", j.Alg, idTokenAlg); err != nil {
			return err
		}
		if err := setSeconds("jwt_configuration.lifetime_in_seconds", &c.IDTokenLifetime, j.LifetimeInSeconds); err != nil {
			return err
		}
	}
	if err := in.OIDCLogout.apply(c); err != nil {
		return err
	}
	r := in.RefreshToken
	if r == nil {
		return nil
	}
	for _, err := range []error{
		only("refresh_token.rotation_type", r.RotationType, rotationType),
		only("refresh_token.expiration_type", r.ExpirationType, expirationType),
		setSeconds("refresh_token.leeway", &c.RefreshOverlap, r.Leeway),
		setSeconds("refresh_token.token_lifetime", &c.RefreshLifetime, r.TokenLifetime),
		setSeconds("refresh_token.idle_token_lifetime", &c.RefreshIdle, r.IdleTokenLifetime),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (in *logoutInput) apply(c *apps.Client) error {
	if in == nil {
		return nil
	}
	if in.BackchannelLogoutURLs != nil {
		c.BackchannelLogoutURI = ""
		switch urls := *in.BackchannelLogoutURLs; len(urls) {
		case 0:
		case 1:
			if c.BackchannelLogoutURI = urls[0]; urls[0] == "" {
				return fault.Field("oidc_logout.backchannel_logout_urls", "an empty address is none: send an empty list")
			}
		default:
			return fault.Field("oidc_logout.backchannel_logout_urls", "at most one address")
		}
	}
	set(&c.BackchannelLogoutSessionRequired, in.BackchannelLogoutSessionRequired)
	if in.BackchannelLogoutInitiators == nil {
		return nil
	}
	return only("oidc_logout.backchannel_logout_initiators.mode", in.BackchannelLogoutInitiators.Mode, logoutInitiators)
}

// only accepts a member that has one value here.
func only[T comparable](field string, given *T, value T) error {
	if given != nil && *given != value {
		return fault.Field(field, "can only be %v", value)
	}
	return nil
}

// maxSeconds is ten years: longer is a mistake, and longer still overflows.
const maxSeconds = 10 * 366 * 24 * 60 * 60

func setSeconds(field string, dst *time.Duration, src *int64) error {
	if src == nil {
		return nil
	}
	if *src < 1 || *src > maxSeconds {
		return fault.Field(field, "must be a whole number of seconds, 1 to %d", maxSeconds)
	}
	*dst = time.Duration(*src) * time.Second
	return nil
}

func listClients(c *call) (answer, error) {
	p, err := c.query.paging()
	if err != nil {
		return answer{}, err
	}
	clients, total, err := c.Apps.ListClients(c.ctx, c.tn, apps.Page{Offset: p.offset, Limit: p.limit})
	if err != nil {
		return answer{}, err
	}
	var items []Client
	for _, client := range clients {
		items = append(items, ShowClient(c.tn, client, ""))
	}
	return list(p, "clients", items, total)
}

func getClient(c *call) (answer, error) {
	client, err := c.Apps.Client(c.ctx, c.tn, c.id)
	if err != nil {
		return answer{}, named(err, "client")
	}
	return ok(ShowClient(c.tn, client, ""))
}

func createClient(c *call) (answer, error) {
	var in clientInput
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	typ := string(apps.RegularWeb)
	set(&typ, in.AppType)
	client, secret := apps.NewClient("", typeOf(typ))
	if err := in.apply(client); err != nil {
		return answer{}, err
	}
	if err := c.Admin.CreateClient(c.ctx, c.tn, client, c.by()); err != nil {
		return answer{}, err
	}
	return created(ShowClient(c.tn, client, secret))
}

func updateClient(c *call) (answer, error) {
	var in clientInput
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	client, err := c.Admin.UpdateClient(c.ctx, c.tn, c.id, in.apply, c.by())
	if err != nil {
		return answer{}, named(err, "client")
	}
	return ok(ShowClient(c.tn, client, ""))
}

func rotateSecret(c *call) (answer, error) {
	client, secret, err := c.Admin.RotateSecret(c.ctx, c.tn, c.id, c.by())
	if err != nil {
		return answer{}, named(err, "client")
	}
	return ok(ShowClient(c.tn, client, secret))
}

func deleteClient(c *call) (answer, error) {
	if err := c.Admin.DeleteClient(c.ctx, c.tn, c.id, c.by()); err != nil {
		return answer{}, named(err, "client")
	}
	return gone()
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return slices.Clone(list)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// stamp is a time as Auth0 writes it; empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

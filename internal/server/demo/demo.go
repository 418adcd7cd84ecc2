// Package demo fills a house of development with something to try: an API about TV shows, an
// application of each type, and a few people.
package demo

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Audience is the identifier of the demo API.
const Audience = "https://api/tv-shows"

// The permissions of the demo API.
const (
	ReadShows  = "read:shows"
	WriteShows = "write:shows"
)

// User is a demo account.
type User struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	Note     string `json:"note"`
}

// API is the demo API.
type API struct {
	Audience    string   `json:"audience"`
	Permissions []string `json:"permissions"`
	URL         string   `json:"url,omitempty"` // where it answers, if it is running
}

// Client is a registered client, secret included: for a house of development alone.
type Client struct {
	Name               string   `json:"name"`
	Type               string   `json:"type"`
	ThirdParty         bool     `json:"third_party"`
	Profile            string   `json:"profile"`
	ClientID           string   `json:"client_id"`
	ClientSecret       string   `json:"client_secret"`
	RedirectURIs       []string `json:"redirect_uris"`
	DefaultRedirectURI string   `json:"default_redirect_uri"`
	LogoutURLs         []string `json:"logout_urls"`
	WebOrigins         []string `json:"web_origins"`
	Audience           string   `json:"audience"`
	// BackchannelLogoutURI is where it is told of sign-outs; empty: it is not.
	BackchannelLogoutURI string `json:"backchannel_logout_uri"`
}

// Content is what the house was filled with.
type Content struct {
	Users   []User   `json:"users"`
	APIs    []API    `json:"apis"`
	Clients []Client `json:"clients"`
}

// Client returns the client with this name. It panics for a name that is not in the demo.
func (c *Content) Client(name string) Client {
	i := slices.IndexFunc(c.Clients, func(c Client) bool { return c.Name == name })
	if i < 0 {
		panic("demo: no client " + name)
	}
	return c.Clients[i]
}

// Names of the clients that are always there.
const (
	SPA        = "TV Shows SPA"
	RegularWeb = "TV Shows Web"
	Native     = "TV Shows CLI"
	Machine    = "TV Shows Worker"
	ThirdParty = "Popcorn Planner"
	Management = "Management"
)

// The people of the demo. Their passwords are no secret: the house listens on loopback alone.
const (
	Reader        = "alice@example.com" // may read shows
	Stranger      = "bob@example.com"   // may not, and meets the 403
	Administrator = "admin@example.com"
)

func cast() []person {
	return []person{
		{User{Reader, "alice-likes-tv-shows", "may read shows"}, "Alice", "Archer", []access.Permission{{Audience: Audience, Value: ReadShows}, readBilling()}, false},
		{User{Stranger, "bob-never-saw-a-show", "lacks read:shows and meets the 403"}, "Bob", "Baker", nil, false},
		{User{Administrator, "keeper-of-the-keys-1", "administrator"}, "Ada", "Keeper", []access.Permission{{Audience: Audience, Value: ReadShows}, {Audience: Audience, Value: WriteShows}}, true},
	}
}

type person struct {
	User
	given, family string
	permissions   []access.Permission
	administrator bool
}

// Extra is a further client, for one of the demo applications.
type Extra struct {
	Name         string
	Type         apps.Type
	RedirectURIs []string
	LogoutURLs   []string
	WebOrigins   []string
	// BackchannelLogoutURI is where it is told of sign-outs; empty: it is not.
	BackchannelLogoutURI string
}

// Seed writes what is missing, and the addresses that today's ports make; what a developer has changed stays.
func Seed(ctx context.Context, h *server.House, extras []Extra) (*Content, error) {
	s := seeder{House: h, extras: extras, content: &Content{APIs: []API{{Audience: Audience, Permissions: []string{ReadShows, WriteShows}}, {Audience: Billing, Permissions: []string{ReadBilling}}}}}
	for _, plan := range []func(context.Context) error{s.planClients, s.planAPI, s.planPeople} {
		if err := plan(ctx); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
	}
	err := h.Tenant.DB.Write(ctx, func(tx *db.Tx) error {
		for _, write := range s.writes {
			if err := write(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return s.content, nil
}

// seeder reads what is there, plans what is to be written, and writes it in one transaction.
type seeder struct {
	*server.House
	content *Content
	extras  []Extra
	worker  string // client id of the machine that speaks for the API
	writes  []func(*db.Tx) error
}

func (s *seeder) plan(write func(*db.Tx) error) { s.writes = append(s.writes, write) }

func (s *seeder) planAPI(ctx context.Context) error {
	shows := apps.NewAPI(Audience, "TV Shows")
	shows.Permissions = []apps.Permission{{Value: ReadShows, Description: "See the list of TV shows"}, {Value: WriteShows, Description: "Add TV shows"}}
	shows.DefaultPermissions = []string{ReadShows}
	shows.IntrospectionClients = []string{s.worker}
	billing := apps.NewAPI(Billing, "Billing")
	billing.Permissions = []apps.Permission{{Value: ReadBilling, Description: "See your bill"}}
	billing.DefaultPermissions = []string{ReadBilling}
	for _, api := range []*apps.API{shows, billing} {
		switch _, err := s.Apps.API(ctx, s.Tenant, api.Identifier); {
		case fault.Is(err, fault.NotFound):
			s.plan(func(tx *db.Tx) error { return s.Apps.CreateAPI(tx, api) })
		case err != nil:
			return err
		}
	}
	return nil
}

// ports are where the quickstarts of the common SDKs run; nothing of ours listens there.
var ports = []string{"3000", "5173", "8000"}

// staticPorts are where the static sites of examples/ run, beside those.
var staticPorts = []string{"5174", "5175", "5176", "5177"}

// quickstart returns the addresses with these paths on each port of localhost.
func quickstart(paths ...string) []string { return localhost(ports, paths...) }

// static returns them for static sites.
func static(paths ...string) []string { return localhost(slices.Concat(ports, staticPorts), paths...) }

func localhost(ports []string, paths ...string) []string {
	var out []string
	for _, port := range ports {
		for _, path := range paths {
			out = append(out, "http://localhost:"+port+path)
		}
	}
	return out
}

func (s *seeder) planClients(ctx context.Context) error {
	tvShows := map[string]oauth.Scope{Audience: {ReadShows, WriteShows}}
	worker := machine(Machine, tvShows)
	worker.Grants[grants.RevocationsAudience(s.Tenant)] = oauth.Scope{grants.ReadRevocations} // the API's guard follows the feed as this client
	wanted := []*apps.Client{
		spa(SPA, static("", "/callback"), static(""), static("")),
		basic(regularWeb(RegularWeb, quickstart("/api/auth/callback", "/auth/callback", "/callback", "/api/auth/callback/auth0", "/api/auth/callback/gatehouse", "/login/oauth2/code/auth0", "/login/oauth2/code/gatehouse", ""), quickstart(""))),
		native(Native),
		worker,
		thirdParty(regularWeb(ThirdParty, quickstart("/callback"), quickstart(""))),
	}
	wanted = append(wanted, exampleClients()...)
	for _, e := range s.extras {
		switch e.Type {
		case apps.SPA:
			wanted = append(wanted, spa(e.Name, e.RedirectURIs, e.LogoutURLs, e.WebOrigins))
		default:
			wanted = append(wanted, regularWeb(e.Name, e.RedirectURIs, e.LogoutURLs))
		}
		wanted[len(wanted)-1].BackchannelLogoutURI = e.BackchannelLogoutURI
	}
	wanted = append(wanted, machine(Management, map[string]oauth.Scope{s.Tenant.ManagementAudience(): s.managementScope()}))
	existing, err := s.Apps.Clients(ctx, s.Tenant, "", 1000)
	if err != nil {
		return err
	}
	for _, w := range wanted {
		if err := s.planClient(ctx, w, existing); err != nil {
			return fmt.Errorf("client %s: %w", w.Name, err)
		}
	}
	return nil
}

func (s *seeder) managementScope() oauth.Scope {
	var scope oauth.Scope
	for _, p := range server.ManagementPermissions() {
		scope = append(scope, p.Value)
	}
	return scope
}

// planClient creates a client or gives the one of this name what it lacks. Its secret follows from the
// master key, so that it is the same at the next start although only its hash is stored.
func (s *seeder) planClient(ctx context.Context, w *apps.Client, existing []*apps.Client) error {
	secret := ""
	if w.Confidential() {
		mac, err := s.Seal.MAC("demo client secret", s.Seal.CurrentID(), []byte(w.Name))
		if err != nil {
			return err
		}
		secret = hex.EncodeToString(mac)
		w.SecretHash = id.Hash(secret)
	}
	write := s.Apps.CreateClient
	if i := slices.IndexFunc(existing, func(c *apps.Client) bool { return c.Name == w.Name }); i >= 0 {
		kept, err := s.kept(ctx, existing[i], w)
		if err != nil {
			return err
		}
		w, write = kept, s.Apps.UpdateClient
	}
	if w.Name == Machine {
		s.worker = w.ClientID
	}
	s.content.Clients = append(s.content.Clients, Client{
		Name: w.Name, Type: string(w.Type), ThirdParty: w.ThirdParty, Profile: string(w.Profile), ClientID: w.ClientID, ClientSecret: secret,
		RedirectURIs: orEmpty(w.RedirectURIs), DefaultRedirectURI: w.DefaultRedirectURI, LogoutURLs: orEmpty(w.LogoutURLs),
		WebOrigins: orEmpty(w.WebOrigins), Audience: w.Audience, BackchannelLogoutURI: w.BackchannelLogoutURI,
	})
	s.plan(func(tx *db.Tx) error { return write(tx, w) })
	return nil
}

// kept returns a client as a developer has left it, with what it lacks: the addresses of today's ports, the
// secret that is printed, and the APIs whose names follow the issuer in place of those of an earlier one.
func (s *seeder) kept(ctx context.Context, had, wanted *apps.Client) (*apps.Client, error) {
	c := *had
	c.SecretHash = wanted.SecretHash
	c.RedirectURIs = union(wanted.RedirectURIs, had.RedirectURIs)
	c.LogoutURLs = union(wanted.LogoutURLs, had.LogoutURLs)
	c.WebOrigins = union(wanted.WebOrigins, had.WebOrigins)
	c.BackchannelLogoutURI = cmp.Or(wanted.BackchannelLogoutURI, had.BackchannelLogoutURI)
	if s.running(had.Name) {
		c.DefaultRedirectURI = wanted.DefaultRedirectURI
	}
	c.Grants = map[string]oauth.Scope{}
	for audience, scope := range had.Grants {
		stale, err := s.isOfAnotherIssuer(ctx, audience)
		if err != nil {
			return nil, err
		}
		if !stale {
			c.Grants[audience] = scope
		}
	}
	for audience, scope := range wanted.Grants {
		if _, has := c.Grants[audience]; !has || strings.HasPrefix(audience, s.Tenant.Issuer) {
			c.Grants[audience] = scope
		}
	}
	stale, err := s.isOfAnotherIssuer(ctx, had.Audience)
	if stale {
		c.Audience = wanted.Audience
	}
	return &c, err
}

// isOfAnotherIssuer reports whether an audience is an API of the house itself, by a name it had on another port.
func (s *seeder) isOfAnotherIssuer(ctx context.Context, audience string) (bool, error) {
	api, err := s.Apps.API(ctx, s.Tenant, audience)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && api.System && !strings.HasPrefix(audience, s.Tenant.Issuer), err
}

// running reports whether this is the client of one of the demo applications, which have new ports each time.
func (s *seeder) running(name string) bool {
	return slices.ContainsFunc(s.extras, func(e Extra) bool { return e.Name == name })
}

// maxKept bounds what a client keeps of addresses from earlier starts on other ports.
const maxKept = 60

func union(wanted, had []string) []string {
	out := slices.Clone(wanted)
	for _, s := range had {
		if !slices.Contains(out, s) && len(out) < maxKept {
			out = append(out, s)
		}
	}
	return out
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func spa(name string, redirects, logouts, origins []string) *apps.Client {
	c, _ := apps.NewClient(name, apps.SPA)
	c.RedirectURIs, c.LogoutURLs, c.WebOrigins, c.Audience = redirects, logouts, origins, Audience
	c.DefaultRedirectURI = redirects[0]
	return c
}

func regularWeb(name string, redirects, logouts []string) *apps.Client {
	c, _ := apps.NewClient(name, apps.RegularWeb)
	c.RedirectURIs, c.LogoutURLs, c.Audience = redirects, logouts, Audience
	c.DefaultRedirectURI = redirects[0]
	return c
}

// basic makes every quickstart work, those of old SDKs too.
func basic(c *apps.Client) *apps.Client {
	c.Profile, c.InsecureUserinfoQueryToken = apps.OIDCBasic, true
	return c
}

func thirdParty(c *apps.Client) *apps.Client {
	c.ThirdParty = true
	return c
}

func native(name string) *apps.Client {
	c, _ := apps.NewClient(name, apps.Native)
	c.GrantTypes = append(c.GrantTypes, oauth.GrantDeviceCode)
	c.RedirectURIs = append([]string{"http://127.0.0.1/callback", "http://127.0.0.1/", "http://[::1]/callback"}, quickstart("/callback")...)
	c.DefaultRedirectURI, c.Audience = c.RedirectURIs[0], Audience
	return c
}

func machine(name string, grants map[string]oauth.Scope) *apps.Client {
	c, _ := apps.NewClient(name, apps.Machine)
	c.Grants = grants
	for audience := range grants {
		c.Audience = audience
	}
	return c
}

func (s *seeder) planPeople(ctx context.Context) error {
	for _, p := range cast() {
		if err := s.planPerson(ctx, p); err != nil {
			return fmt.Errorf("user %s: %w", p.Email, err)
		}
		s.content.Users = append(s.content.Users, p.User)
	}
	return nil
}

// planPerson creates an account that is missing. One that is there keeps its password and
// permissions; only the administrator's are those of today's management API, whose name follows
// the issuer.
func (s *seeder) planPerson(ctx context.Context, p person) error {
	account, err := s.People.ByLogin(ctx, s.Tenant, p.Email)
	if err == nil {
		s.planPermissions(p, func() string { return account.ID }, nil)
		return nil
	}
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	hash, err := s.People.Hasher.Hash(ctx, p.Password)
	if err != nil {
		return err
	}
	userID := ""
	s.plan(func(tx *db.Tx) error {
		user, err := s.People.Insert(tx, people.NewUser{Email: p.Email, EmailVerified: true, PasswordHash: hash, Profile: people.Profile{
			Name: p.given + " " + p.family, GivenName: p.given, FamilyName: p.family, Nickname: p.given,
		}})
		if err != nil {
			return err
		}
		userID = user.ID
		return audit.Record(tx, audit.System().Event(audit.UserCreated, user.ID, user.CreatedAt))
	})
	s.planPermissions(p, func() string { return userID }, p.permissions)
	return nil
}

func (s *seeder) planPermissions(p person, userID func() string, permissions []access.Permission) {
	s.plan(func(tx *db.Tx) error {
		if err := s.Access.Grant(tx, userID(), permissions...); err != nil {
			return err
		}
		if p.administrator {
			return s.Access.MakeAdministrator(tx, userID())
		}
		return nil
	})
}

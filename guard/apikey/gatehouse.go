package apikey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/address"
	"github.com/gatehouse-dev/gatehouse/guard/internal/introspect"
	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
	"github.com/gatehouse-dev/gatehouse/guard/internal/tokencache"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Gatehouse is a server that issues keys. It is asked about each by introspection
// (RFC 7662), told from where the key was shown, and believed for Options.CacheTTL.
type Gatehouse struct {
	// Issuer is the server, exactly as its metadata spells it.
	Issuer string
	// Audience is this API. A key for another is not good here.
	Audience string
	// ClientID and ClientSecret are what this API shows to the server. The API's
	// settings there name the client among those that may introspect.
	ClientID, ClientSecret string
	// Endpoint is the address to ask at; default what the issuer's metadata says.
	Endpoint string
	// HTTPClient asks; default one with a timeout of 10 seconds. Redirects are
	// never followed.
	HTTPClient *http.Client
	// InsecureAllowHTTP permits http off loopback. Whoever is on the path can then
	// read the keys of all callers.
	InsecureAllowHTTP bool
}

// asker asks a Gatehouse.
type asker struct {
	gatehouse Gatehouse
	server    *introspect.Client
}

var (
	errInactive    = errors.New("the server's answer is not about a key that is good here")
	errUnavailable = errors.New("the server's answer is none")
)

func newAsker(g Gatehouse, o Options) (*asker, error) {
	var problems []error
	if g.Audience == "" {
		problems = append(problems, errors.New("Gatehouse.Audience is missing"))
	}
	if g.ClientID == "" || g.ClientSecret == "" {
		problems = append(problems, errors.New("Gatehouse needs ClientID and ClientSecret"))
	}
	p, err := provider.New(provider.Options{
		Issuer: g.Issuer, HTTPClient: g.HTTPClient, Clock: o.Clock, Logger: o.Logger, InsecureAllowHTTP: g.InsecureAllowHTTP,
	})
	problems = append(problems, err)
	endpoint := p.IntrospectionEndpoint
	if g.Endpoint != "" {
		_, err := address.URL("Gatehouse.Endpoint", g.Endpoint, g.InsecureAllowHTTP)
		problems = append(problems, err)
		endpoint = func(context.Context) (string, error) { return g.Endpoint, nil }
	}
	return &asker{g, introspect.New(introspect.Options{
		Endpoint: endpoint, ClientID: g.ClientID, ClientSecret: g.ClientSecret, Hint: oauth.TokenTypeAPIKey,
		TTL: o.CacheTTL, Tokens: max(o.CacheSize, 1), HTTPClient: provider.HTTPClient(g.HTTPClient), Clock: o.Clock, Logger: o.Logger,
	})}, errors.Join(problems...)
}

func (a *asker) find(r *http.Request, text string, _ tokencache.Digest, from func() (netip.Addr, error)) (*entry, error) {
	q := introspect.Question{Token: text, UserAgent: printable(r.UserAgent())}
	addr, err := from()
	if err != nil {
		return nil, err
	}
	if addr.IsValid() {
		q.RemoteAddr = addr.String()
	}
	said, until, err := a.server.Ask(r.Context(), q)
	switch {
	case errors.Is(err, introspect.ErrUnavailable):
		return nil, err
	case err != nil:
		return nil, errKey(err)
	}
	e, err := a.read(said, text)
	if errors.Is(err, errInactive) {
		return nil, errKey(err)
	}
	if err != nil {
		return nil, err
	}
	e.until = until
	return e, nil
}

// printable keeps what a client calls itself short and free of anything that an
// endpoint for forms would refuse.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 200)]
}

// read makes an entry of an answer. An answer about anything but a key of this
// issuer for this API is refused, not passed over.
func (a *asker) read(said *oauth.Introspection, text string) (*entry, error) {
	body := said.Payload()
	var more struct {
		TokenType string         `json:"token_type"`
		Networks  []netip.Prefix `json:"key_networks"`
		Rate      int            `json:"key_rate"`
		Quota     int            `json:"key_quota"`
	}
	if err := json.Unmarshal(body, &more); err != nil { // its syntax has been checked
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	c := said.Claims()
	switch {
	case more.TokenType != "api_key":
		return nil, fmt.Errorf("%w: it is a %.32q", errInactive, more.TokenType)
	case c.Issuer != a.gatehouse.Issuer:
		return nil, fmt.Errorf("%w: it is of another issuer", errInactive)
	case !c.Audience.Contains(a.gatehouse.Audience):
		return nil, fmt.Errorf("%w: it is for another audience", errInactive)
	case c.Subject == "" || c.ID == "":
		return nil, fmt.Errorf("%w: an answer without sub or jti", errUnavailable)
	}
	kind := guard.User
	if said.IsClient() {
		kind = guard.Client
	}
	e := &entry{record: Record{
		ID: c.ID, Hint: text[len(text)-4:], CreatedAt: c.IssuedAt.Time(),
		Spec: Spec{
			Kind: apikey.Kind(text[:2]), Environment: apikey.Environment(text[3:7]), Owner: kind, Subject: c.Subject, Organization: c.OrganizationID,
			Scopes: strings.Fields(c.Scope), Networks: more.Networks, ExpiresAt: c.Expiry.Time(), Rate: more.Rate, Quota: more.Quota,
		},
	}}
	e.principal = guard.Principal{
		Kind: kind, Subject: c.Subject, Issuer: c.Issuer, ClientID: c.ClientID, Method: Method, Scopes: e.record.Scopes, Permissions: c.Permissions,
		Organization: c.OrganizationID, GrantID: c.GrantID, TokenID: c.ID, IssuedAt: c.IssuedAt.Time(), Expiry: c.Expiry.Time(),
		Claims: body, Credential: &e.record,
	}
	return e, nil
}

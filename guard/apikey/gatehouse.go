package apikey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
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

const (
	askTimeout = 5 * time.Second
	askPause   = time.Second // after a failure, before the next try
	askAtOnce  = 64          // questions under way
	maxAnswer  = 64 << 10
)

// asker asks a Gatehouse. Many who ask about one key at once make one question of
// it; keys that are not good are remembered too, apart from good ones.
type asker struct {
	gatehouse Gatehouse
	endpoint  func(context.Context) (string, error)
	client    *http.Client
	dead      *tokencache.Cache[time.Time] // until when; nil for none
	ttl       time.Duration
	now       func() time.Time

	mu      sync.Mutex
	flights map[tokencache.Digest]*flight
	retryAt time.Time
}

// flight is a question under way; found and err are set before done is closed.
type flight struct {
	done  chan struct{}
	found *entry
	err   error
}

var (
	errInactive    = errors.New("the server says that the key is not good")
	errUnavailable = errors.New("the server cannot be asked")
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
	a := &asker{
		gatehouse: g, client: provider.HTTPClient(g.HTTPClient), ttl: max(o.CacheTTL, 0), now: o.Clock, flights: map[tokencache.Digest]*flight{},
	}
	if g.Endpoint != "" {
		_, err := provider.CheckURL("Gatehouse.Endpoint", g.Endpoint, g.InsecureAllowHTTP)
		problems = append(problems, err)
		a.endpoint = func(context.Context) (string, error) { return g.Endpoint, nil }
	} else {
		a.endpoint = func(ctx context.Context) (string, error) {
			m, err := p.Metadata(ctx)
			if err != nil {
				return "", err
			}
			if m.IntrospectionEndpoint == "" {
				return "", errors.New("the issuer's metadata names no introspection_endpoint; set Gatehouse.Endpoint")
			}
			return m.IntrospectionEndpoint, nil
		}
	}
	if a.ttl > 0 && o.CacheSize > 0 {
		a.dead = tokencache.New[time.Time](o.CacheSize)
	}
	return a, errors.Join(problems...)
}

func (a *asker) find(r *http.Request, text string, _ tokencache.Digest, from func() (netip.Addr, error)) (*entry, error) {
	addr, err := from()
	if err != nil {
		return nil, err
	}
	// A key may be good from one address and not from another.
	where := ""
	if addr.IsValid() {
		where = addr.String()
	}
	question := tokencache.Of(text + " " + where)
	if a.dead != nil {
		if e := a.dead.Get(&question); e != nil && a.now().Before(e.Value) {
			return nil, errKey(errInactive)
		}
	}
	f, err := a.start(question, text, where, r.UserAgent())
	if err != nil {
		return nil, err
	}
	select {
	case <-f.done:
	case <-r.Context().Done():
		return nil, fmt.Errorf("%w: %w", errUnavailable, context.Cause(r.Context()))
	}
	if errors.Is(f.err, errInactive) {
		return nil, errKey(f.err)
	}
	return f.found, f.err
}

// start returns the question that is under way, or asks it.
func (a *asker) start(question tokencache.Digest, text, where, agent string) (*flight, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flights[question]; f != nil {
		return f, nil
	}
	if a.now().Before(a.retryAt) {
		return nil, fmt.Errorf("%w: it failed a moment ago", errUnavailable)
	}
	if len(a.flights) >= askAtOnce {
		return nil, fmt.Errorf("%w: %d questions are under way", errUnavailable, askAtOnce)
	}
	f := &flight{done: make(chan struct{})}
	a.flights[question] = f
	// Not with the caller's context: others wait for the same answer, and the
	// caller may leave.
	go a.run(f, question, text, where, agent)
	return f, nil
}

func (a *asker) run(f *flight, question tokencache.Digest, text, where, agent string) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	f.found, f.err = a.ask(ctx, text, where, agent)
	now := a.now()
	if a.dead != nil && errors.Is(f.err, errInactive) {
		a.dead.Put(&tokencache.Entry[time.Time]{Digest: question, Value: now.Add(a.ttl)})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.err != nil && !errors.Is(f.err, errInactive) {
		a.retryAt = now.Add(askPause)
	}
	delete(a.flights, question)
	close(f.done)
}

func (a *asker) ask(ctx context.Context, text, where, agent string) (*entry, error) {
	endpoint, err := a.endpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	form := url.Values{"token": {text}, "token_type_hint": {oauth.TokenTypeAPIKey}}
	if where != "" {
		form.Set("remote_addr", where)
	}
	if agent = printable(agent); agent != "" {
		form.Set("user_agent", agent)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(a.gatehouse.ClientID), url.QueryEscape(a.gatehouse.ClientSecret)) // RFC 6749 §2.3.1
	res, err := a.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s: status %d", errUnavailable, endpoint, res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("longer than %d bytes", maxAnswer)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errUnavailable, endpoint, err)
	}
	return a.read(body, text)
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
func (a *asker) read(body []byte, text string) (*entry, error) {
	said, err := oauth.ParseIntrospection(body)
	if errors.Is(err, oauth.ErrInactive) {
		return nil, errInactive
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
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

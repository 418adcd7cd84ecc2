// Package provider knows one OpenID provider by its issuer: its metadata and
// its keys, fetched when first needed and kept fresh. Packages bearer and
// oidclogin share it.
//
// Nothing is fetched before it is asked for, so an application starts while its
// provider is down, and goes on for a day when it goes down later. Nothing a
// token says makes it fetch from anywhere: keys come from the jwks_uri of the
// issuer's own metadata, and an unknown key id leads there at most once a
// minute and ten times an hour.
package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/address"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// Errors of a Provider, to be matched with errors.Is.
var (
	// ErrUnavailable: the provider cannot be reached, or answers nonsense, and
	// nothing usable is left of what it said before.
	ErrUnavailable = errors.New("provider unavailable")
	// ErrUnknownKey: the issuer has no such key.
	ErrUnknownKey = errors.New("issuer has no such key")
)

const (
	maxBody = 512 << 10

	// Fetches that unknown key ids may cause.
	unknownInterval = time.Minute
	unknownPerHour  = 10
)

// Options says which provider, and how to reach it.
type Options struct {
	// Issuer, exactly as it stands in tokens and metadata.
	Issuer string
	// HTTPClient, nil for one with a timeout. Redirects are never followed.
	HTTPClient *http.Client
	// Clock, nil for the system's.
	Clock func() time.Time
	// Logger, nil for slog.Default, hears of failed fetches.
	Logger *slog.Logger
	// InsecureAllowHTTP permits http on a host that is not loopback.
	InsecureAllowHTTP bool
}

// Provider is one OpenID provider. It is safe for concurrent use.
type Provider struct {
	issuer   string
	https    bool
	client   *http.Client
	now      func() time.Time
	log      *slog.Logger
	metadata cached[*oidc.Metadata]
	keys     cached[jose.Set]

	mu      sync.Mutex
	unknown [unknownPerHour]time.Time // when unknown key ids last led to a fetch, a ring
	next    int
}

// New checks the options and fetches nothing.
func New(o Options) (*Provider, error) {
	u, err := address.URL("issuer", o.Issuer, o.InsecureAllowHTTP)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" {
		return nil, fmt.Errorf("issuer %q must not have a query", o.Issuer)
	}
	p := &Provider{issuer: o.Issuer, https: u.Scheme == "https", client: HTTPClient(o.HTTPClient), now: o.Clock, log: o.Logger}
	if p.now == nil {
		p.now = time.Now
	}
	if p.log == nil {
		p.log = slog.Default()
	}
	p.metadata = cached[*oidc.Metadata]{fetch: p.fetchMetadata, now: p.now}
	p.keys = cached[jose.Set]{fetch: p.fetchKeys, now: p.now}
	return p, nil
}

// HTTPClient returns a client like given, or one with a timeout if that is nil,
// that stops at redirects: an open redirect at the provider must not choose where
// keys come from or where secrets go.
func HTTPClient(given *http.Client) *http.Client {
	c := http.Client{Timeout: fetchTimeout}
	if given != nil {
		c = *given
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// Client returns the client to call the provider with.
func (p *Provider) Client() *http.Client { return p.client }

// Metadata returns the provider's metadata or an error that wraps
// ErrUnavailable.
func (p *Provider) Metadata(ctx context.Context) (*oidc.Metadata, error) {
	h, err := p.metadata.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return h.value, nil
}

// IntrospectionEndpoint returns where the provider is asked about tokens (RFC 7662),
// or an error that wraps ErrUnavailable or says that its metadata names none.
func (p *Provider) IntrospectionEndpoint(ctx context.Context) (string, error) {
	m, err := p.Metadata(ctx)
	if err != nil {
		return "", err
	}
	if m.IntrospectionEndpoint == "" {
		return "", fmt.Errorf("the metadata of %s names no introspection_endpoint; set Endpoint", p.issuer)
	}
	return m.IntrospectionEndpoint, nil
}

// Key returns the issuer's key for a token with this kid and alg. A token
// without kid finds its key only if the issuer has exactly one for alg.
//
// It does not wait for the network when it knows the key. The error wraps
// ErrUnknownKey or ErrUnavailable.
func (p *Provider) Key(ctx context.Context, kid string, alg jose.Alg) (jose.Key, error) {
	return p.KeyAt(ctx, p.now(), kid, alg)
}

// KeyAt is Key for a caller that has looked at the clock already.
func (p *Provider) KeyAt(ctx context.Context, now time.Time, kid string, alg jose.Alg) (jose.Key, error) {
	h, err := p.keys.getAt(ctx, now)
	if err != nil {
		return jose.Key{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if key, ok := Lookup(h.value, kid, alg); ok {
		return key, nil
	}
	// Perhaps it was published since we looked.
	if err := p.keys.refetch(ctx, now, func() bool { return p.spendUnknown(now, h.fetchedAt) }); err != nil {
		return jose.Key{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if h := p.keys.held.Load(); h != nil {
		if key, ok := Lookup(h.value, kid, alg); ok {
			return key, nil
		}
	}
	return jose.Key{}, ErrUnknownKey
}

// Lookup finds the key for (kid, alg); without a kid only one that is alone in
// set for alg.
func Lookup(set jose.Set, kid string, alg jose.Alg) (jose.Key, bool) {
	if kid != "" {
		return set.Lookup(kid, alg)
	}
	var only jose.Key
	for _, k := range set {
		if k.Alg != alg {
			continue
		}
		if only.Key != nil {
			return jose.Key{}, false
		}
		only = k
	}
	return only, only.Key != nil
}

// spendUnknown takes one fetch from the budget of unknown key ids. Anybody can
// make up key ids; without a budget each would cost the issuer a request.
func (p *Provider) spendUnknown(now, fetchedAt time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.unknown[(p.next+unknownPerHour-1)%unknownPerHour]
	if now.Sub(fetchedAt) < unknownInterval || now.Sub(last) < unknownInterval || now.Sub(p.unknown[p.next]) < time.Hour {
		return false
	}
	p.unknown[p.next] = now
	p.next = (p.next + 1) % unknownPerHour
	return true
}

func (p *Provider) fetchMetadata(ctx context.Context) (*oidc.Metadata, time.Duration, error) {
	// OpenID Connect Discovery §4.1: a slash at the issuer's end is not doubled.
	data, fresh, err := p.get(ctx, strings.TrimSuffix(p.issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, 0, err
	}
	m := &oidc.Metadata{}
	if err := jose.Decode(data, m); err != nil {
		return nil, 0, p.failed("metadata", err)
	}
	if m.Issuer != p.issuer {
		return nil, 0, p.failed("metadata", fmt.Errorf("it names another issuer, %.200q, where %q is configured; they must be equal to the last slash", m.Issuer, p.issuer))
	}
	for name, endpoint := range map[string]string{
		"jwks_uri": m.JWKSURI, "authorization_endpoint": m.AuthorizationEndpoint, "token_endpoint": m.TokenEndpoint,
		"end_session_endpoint": m.EndSessionEndpoint, "revocation_endpoint": m.RevocationEndpoint,
		"introspection_endpoint": m.IntrospectionEndpoint, "pushed_authorization_request_endpoint": m.PushedAuthorizationRequestEndpoint,
	} {
		if endpoint == "" && name != "jwks_uri" {
			continue
		}
		// An http issuer was allowed by name already; its endpoints may be http too.
		if _, err := address.URL(name, endpoint, !p.https); err != nil {
			return nil, 0, p.failed("metadata", err)
		}
	}
	return m, fresh, nil
}

func (p *Provider) fetchKeys(ctx context.Context) (jose.Set, time.Duration, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, 0, err
	}
	data, fresh, err := p.get(ctx, m.value.JWKSURI)
	if err != nil {
		return nil, 0, err
	}
	set, err := jose.ParseSet(data)
	if err != nil {
		return nil, 0, p.failed("keys", err)
	}
	if before := p.keys.held.Load(); before != nil {
		keep(before.value, set)
	}
	return set, fresh, nil
}

// keep puts the keys that before has already into set, so that one key stays one
// pointer for as long as it is published: whoever remembers what a key has
// verified recognises it by that.
func keep(before, set jose.Set) {
	for i, key := range set {
		if old, ok := before.Lookup(key.KeyID, key.Alg); ok && old.Same(key) {
			set[i] = old
		}
	}
}

// get reads a document and for how long the issuer calls it fresh.
func (p *Provider) get(ctx context.Context, location string) ([]byte, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, 0, p.failed(location, err)
	}
	req.Header.Set("Accept", "application/json")
	res, err := p.client.Do(req)
	if err != nil {
		return nil, 0, p.failed(location, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, 0, p.failed(location, fmt.Errorf("status %d", res.StatusCode))
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, 0, p.failed(location, err)
	}
	if len(data) > maxBody {
		return nil, 0, p.failed(location, fmt.Errorf("longer than %d bytes", maxBody))
	}
	return data, maxAge(res.Header), nil
}

func (p *Provider) failed(what string, err error) error {
	err = fmt.Errorf("issuer %s: %s: %w", p.issuer, what, err)
	p.log.Warn("guard: provider", "issuer", p.issuer, "error", err)
	return err
}

// maxAge reads Cache-Control; 0 means the issuer does not say.
func maxAge(h http.Header) time.Duration {
	for directive := range strings.SplitSeq(h.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 32)
		if err != nil {
			return 0
		}
		return max(time.Duration(seconds)*time.Second, 1) // 0 seconds is an answer too
	}
	return 0
}

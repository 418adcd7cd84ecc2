package bearer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/address"
	"github.com/gatehouse-dev/gatehouse/guard/internal/introspect"
	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
	"github.com/gatehouse-dev/gatehouse/guard/internal/tokencache"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Options says which tokens are accepted. Issuer and Audience are required: a
// check without them would accept tokens meant for others. The fields from
// Issuer to Introspection are about one issuer; Issuers adds more.
type Options struct {
	// Issuer is who signs the tokens, exactly as its metadata spells it: a slash
	// at the end matters.
	Issuer string
	// Audience is this API. A token must name it in aud.
	Audience string
	// Dialect is the form of the tokens: oauth.DialectRFC9068, the default,
	// oauth.DialectAuth0, or oauth.DialectUntyped for other providers' tokens that
	// do not say by their type that they are access tokens.
	Dialect oauth.Dialect
	// Algorithms are the signature algorithms accepted; default every asymmetric
	// one of package jose. Within them the issuer's key decides, never the token.
	Algorithms []jose.Alg
	// Keys, if set, are the issuer's public keys; jose.ParseSet reads them from a
	// JWK Set. Nothing is fetched then, and Issuer need not be an address.
	Keys jose.Set
	// Secret, if set, is what a single service both signs and checks its own
	// tokens with, by HS256: at least 32 random bytes. It stands alone: an issuer
	// with a Secret has neither keys nor another algorithm.
	Secret []byte
	// Roles is where the names of the principal's roles stand in a token: the
	// member names on the way to an array of strings, for example
	// {"realm_access", "roles"}. A token without it has no roles.
	Roles []string
	// Claims, if set, completes each new principal with what only the application
	// can make of the token's claims (p.DecodeClaims). An error refuses the token.
	// Its outcome is remembered with the token: it must depend on nothing else.
	Claims func(p *guard.Principal) error
	// Introspection, if set, has the issuer asked about tokens that cannot be
	// checked here. At most one issuer can have it.
	Introspection *Introspection

	// Issuers are further issuers whose tokens are accepted, or all of them if
	// Issuer is empty. A token goes to the one it names in iss, whose keys and
	// rules alone can accept it.
	Issuers []Issuer

	// URL is the address at which clients reach this API from outside: scheme and
	// host, and the path its routes begin with. DPoP and Resource need it; it is
	// never taken from a request, whose Host anybody may choose.
	URL string
	// DPoP, if set, takes tokens that are bound to a key of their sender (RFC
	// 9449). Without it such a token is refused.
	DPoP *DPoP
	// Certificate finds the certificate that a certificate-bound token (RFC 8705)
	// is held against, nil if the client showed none; default the connection's
	// own. Behind a proxy that ends TLS, ForwardedCertificate makes one.
	Certificate func(*http.Request) *x509.Certificate
	// Resource, if set, tells clients where the metadata of this API is (RFC
	// 9728); Scheme.Metadata serves it.
	Resource *Resource

	// Revocations, if set, is asked at every request whether the token was taken
	// back.
	Revocations guard.Revocations
	// Remembered is how many tokens in use at a time are remembered, so that each
	// is checked once; default DefaultRemembered, negative for none. At most four
	// times as many are held, and each takes two or three times its own size. None
	// is remembered beyond its end, nor beyond the removal of the key that signed it.
	Remembered int

	// Realm is named in challenges, if set.
	Realm string
	// Leeway allows for clocks that differ; default oauth.DefaultLeeway. Negative
	// means none.
	Leeway time.Duration
	// HTTPClient fetches metadata and keys; default one with a timeout of 10
	// seconds. Redirects are never followed.
	HTTPClient *http.Client
	// Clock tells the time; default time.Now.
	Clock func() time.Time
	// Logger hears of keys that cannot be fetched; default slog.Default().
	Logger *slog.Logger
	// InsecureAllowHTTP permits an http issuer off loopback. Whoever is on the
	// path can then hand you keys of their own and sign any token.
	InsecureAllowHTTP bool
}

// Issuer is one of several issuers. Its fields are those of the same name in
// Options.
type Issuer struct {
	Issuer        string
	Audience      string
	Dialect       oauth.Dialect
	Algorithms    []jose.Alg
	Keys          jose.Set
	Secret        []byte
	Roles         []string
	Claims        func(p *guard.Principal) error
	Introspection *Introspection
}

// Introspection says how the issuer is asked about tokens (RFC 7662): tokens
// that are not JWTs, and all of them if Always is set.
type Introspection struct {
	// ClientID and ClientSecret are what this API shows to the issuer. They are
	// required: an issuer that tells anybody about tokens must not be believed.
	ClientID, ClientSecret string
	// Endpoint is the address to ask at; default what the issuer's metadata says.
	Endpoint string
	// Always asks about JWTs too, instead of checking them here: they then end
	// when the issuer says so, for the price of a question.
	Always bool
	// TTL is for how long an answer is believed, which is how long a token that
	// was taken back goes on; default 10 seconds, at most 5 minutes.
	TTL time.Duration
	// InsecureNoAudience accepts tokens of which the issuer does not say for whom
	// they are. Any token of any of its clients then opens this API.
	InsecureNoAudience bool
}

// DefaultRemembered is how many tokens are remembered unless Options say
// otherwise.
const DefaultRemembered = 10_000

func (o Options) first() Issuer {
	return Issuer{o.Issuer, o.Audience, o.Dialect, o.Algorithms, o.Keys, o.Secret, o.Roles, o.Claims, o.Introspection}
}

// New checks the options, all of them, and returns a Scheme. It does not call
// the issuer.
func New(o Options) (*Scheme, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Leeway == 0 {
		o.Leeway = oauth.DefaultLeeway
	}
	if o.Remembered == 0 {
		o.Remembered = DefaultRemembered
	}
	o.Leeway = max(o.Leeway, 0)
	s := &Scheme{realm: o.Realm, now: o.Clock, revocations: o.Revocations, certificate: o.Certificate}
	if s.certificate == nil {
		s.certificate = connectionCertificate
	}
	if o.Remembered > 0 {
		s.memory = &memory{tokencache.New[token](o.Remembered), tokencache.NewKeyed()}
	}
	problems := s.addIssuers(o)
	origin, err := checkOrigin(o)
	problems = append(problems, err)
	if o.DPoP != nil {
		s.dpop, err = newDPoP(*o.DPoP, origin, o.Clock)
		problems = append(problems, err)
	}
	if o.Resource != nil && o.URL != "" {
		s.metadata, s.metadataURL, err = o.Resource.document(o.URL, s.issuers, s.dpop)
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("bearer: %w", err)
	}
	return s, nil
}

func (s *Scheme) addIssuers(o Options) (problems []error) {
	issuers := o.Issuers
	if o.Issuer != "" || len(issuers) == 0 {
		issuers = append([]Issuer{o.first()}, issuers...)
	} else if o.Audience != "" || o.Dialect != "" || o.Algorithms != nil || o.Keys != nil || o.Secret != nil || o.Roles != nil || o.Claims != nil || o.Introspection != nil {
		problems = append(problems, errors.New("Issuer is missing: the fields from Audience to Introspection are about it, not about Issuers"))
	}
	for _, i := range issuers {
		made, err := newIssuer(i, o)
		if err != nil {
			if len(issuers) > 1 {
				err = fmt.Errorf("issuer %q: %w", i.Issuer, err)
			}
			problems = append(problems, err)
			continue
		}
		if slices.ContainsFunc(s.issuers, func(other *issuer) bool { return other.rules.Issuer == i.Issuer }) {
			problems = append(problems, fmt.Errorf("issuer %q stands twice among the issuers", i.Issuer))
		}
		if made.introspection != nil {
			if s.opaque != nil {
				problems = append(problems, errors.New("Introspection is set for two issuers, and an opaque token does not say whose it is"))
			}
			s.opaque = made
		}
		s.issuers = append(s.issuers, made)
	}
	return problems
}

func newIssuer(o Issuer, shared Options) (*issuer, error) {
	var problems []error
	i := &issuer{roles: o.Roles, complete: o.Claims}
	if o.Audience == "" {
		problems = append(problems, errors.New("Audience is missing"))
	}
	switch o.Dialect {
	case "":
		o.Dialect = oauth.DialectRFC9068
	case oauth.DialectRFC9068, oauth.DialectAuth0, oauth.DialectUntyped:
	default:
		problems = append(problems, fmt.Errorf("Dialect %q is not one of package oauth", o.Dialect))
	}
	p, err := i.setKeys(&o, shared)
	problems = append(problems, err)
	if o.Introspection != nil {
		problems = append(problems, i.setIntrospection(*o.Introspection, shared, p))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	i.rules = oauth.AccessTokenRules{
		Issuer: o.Issuer, Audience: []string{o.Audience}, Dialect: o.Dialect, Algs: o.Algorithms, Leeway: shared.Leeway,
	}
	return i, nil
}

// setKeys decides where the issuer's keys come from: one place, and no other.
// The provider is nil if nothing is ever to be fetched from the issuer.
func (i *issuer) setKeys(o *Issuer, shared Options) (*provider.Provider, error) {
	if o.Secret != nil {
		key, err := jose.NewHS256Key("", slices.Clone(o.Secret))
		switch {
		case o.Keys != nil || len(o.Algorithms) > 0:
			err = errors.New("Secret stands beside Keys or Algorithms; HS256 must not mix with public keys")
		case o.Issuer == "":
			err = errors.New("Issuer is missing")
		}
		o.Algorithms, i.keys = []jose.Alg{jose.HS256}, secret(key)
		return nil, err
	}
	if len(o.Algorithms) == 0 {
		o.Algorithms = []jose.Alg{jose.ES256, jose.RS256, jose.EdDSA, jose.PS256}
	}
	var problems []error
	for _, alg := range o.Algorithms {
		if !alg.Asymmetric() {
			problems = append(problems, fmt.Errorf("Algorithms: %q is not an asymmetric algorithm; HS256 has the option Secret", alg))
		}
	}
	if o.Keys != nil {
		i.keys = static(slices.Clone(o.Keys))
		if o.Issuer == "" {
			problems = append(problems, errors.New("Issuer is missing"))
		}
		if len(o.Keys) == 0 {
			problems = append(problems, errors.New("Keys is empty"))
		}
		if _, err := o.Keys.Marshal(); err != nil {
			problems = append(problems, fmt.Errorf("Keys: %w", err))
		}
		return nil, errors.Join(problems...)
	}
	p, err := provider.New(provider.Options{
		Issuer: o.Issuer, HTTPClient: shared.HTTPClient, Clock: shared.Clock, Logger: shared.Logger, InsecureAllowHTTP: shared.InsecureAllowHTTP,
	})
	i.keys = p
	return p, errors.Join(append(problems, err)...)
}

func (i *issuer) setIntrospection(o Introspection, shared Options, p *provider.Provider) error {
	var problems []error
	if o.ClientID == "" || o.ClientSecret == "" {
		problems = append(problems, errors.New("Introspection needs ClientID and ClientSecret"))
	}
	if o.TTL < 0 || o.TTL > introspect.MaxTTL {
		problems = append(problems, fmt.Errorf("Introspection: TTL must be at most %v", introspect.MaxTTL))
	}
	endpoint := func(context.Context) (string, error) { return o.Endpoint, nil }
	switch {
	case o.Endpoint != "":
		_, err := address.URL("Introspection: Endpoint", o.Endpoint, shared.InsecureAllowHTTP)
		problems = append(problems, err)
	case p == nil:
		problems = append(problems, errors.New("Introspection needs Endpoint, as the issuer's metadata is not fetched"))
	default:
		endpoint = p.IntrospectionEndpoint
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	i.always, i.noAudience = o.Always, o.InsecureNoAudience
	i.introspection = introspect.New(introspect.Options{
		Endpoint: endpoint, ClientID: o.ClientID, ClientSecret: o.ClientSecret, TTL: o.TTL, Tokens: max(shared.Remembered, 1000),
		HTTPClient: provider.HTTPClient(shared.HTTPClient), Clock: shared.Clock, Logger: shared.Logger,
	})
	return nil
}

// checkOrigin returns scheme and host of URL.
func checkOrigin(o Options) (string, error) {
	if o.URL == "" {
		if o.Resource != nil || o.DPoP != nil && o.DPoP.URL == nil {
			return "", errors.New("URL is missing: DPoP and Resource need the address at which clients reach this API")
		}
		return "", nil
	}
	u, err := address.URL("URL", o.URL, o.InsecureAllowHTTP)
	if err != nil {
		return "", err
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String(), nil
}

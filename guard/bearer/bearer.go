package bearer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Method is the Principal.Method of this scheme.
const Method = "bearer"

// Options says which tokens are accepted. Issuer and Audience are required: a
// check without them would accept tokens meant for others.
type Options struct {
	// Issuer is who signs the tokens, exactly as its metadata spells it: a slash
	// at the end matters.
	Issuer string
	// Audience is this API. A token must name it in aud.
	Audience string
	// Dialect is the form of the tokens: oauth.DialectRFC9068, the default, or
	// oauth.DialectAuth0. Only the first marks a token as an access token by its
	// type; see package oauth for what the second is told apart by.
	Dialect oauth.Dialect
	// Algorithms are the signature algorithms accepted; default every asymmetric
	// one of package jose. Within them the issuer's key decides, never the token.
	Algorithms []jose.Alg
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

// Scheme checks bearer tokens. It is safe for concurrent use.
type Scheme struct {
	rules    oauth.AccessTokenRules // all but the time
	realm    string
	now      func() time.Time
	provider *provider.Provider
}

// New checks the options, all of them, and returns a Scheme. It does not call
// the issuer.
func New(o Options) (*Scheme, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	var problems []error
	p, err := provider.New(provider.Options{
		Issuer: o.Issuer, HTTPClient: o.HTTPClient, Clock: o.Clock, Logger: o.Logger, InsecureAllowHTTP: o.InsecureAllowHTTP,
	})
	problems = append(problems, err)
	if o.Audience == "" {
		problems = append(problems, errors.New("Audience is missing"))
	}
	switch o.Dialect {
	case "":
		o.Dialect = oauth.DialectRFC9068
	case oauth.DialectRFC9068, oauth.DialectAuth0:
	default:
		problems = append(problems, fmt.Errorf("Dialect %q is not one of package oauth", o.Dialect))
	}
	if len(o.Algorithms) == 0 {
		o.Algorithms = []jose.Alg{jose.ES256, jose.RS256, jose.EdDSA, jose.PS256}
	}
	for _, alg := range o.Algorithms {
		if !alg.Asymmetric() {
			problems = append(problems, fmt.Errorf("Algorithms: %q is not an asymmetric algorithm", alg))
		}
	}
	if o.Leeway == 0 {
		o.Leeway = oauth.DefaultLeeway
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("bearer: %w", err)
	}
	return &Scheme{
		rules: oauth.AccessTokenRules{
			Issuer: o.Issuer, Audience: []string{o.Audience}, Dialect: o.Dialect, Algs: o.Algorithms, Leeway: max(o.Leeway, 0),
		},
		realm:    o.Realm,
		now:      o.Clock,
		provider: p,
	}, nil
}

// Authenticate implements guard.Authenticator. Nothing is seen for this scheme
// in a request without an Authorization header, or with one of another scheme.
//
// A token in the query or in a form is refused even beside a good one (RFC 6750
// §2): its sender believes that it works, and puts it into logs.
func (s *Scheme) Authenticate(r *http.Request) (guard.Result, error) {
	query, form, err := elsewhere(r)
	if err != nil {
		return guard.Result{}, err
	}
	if form != nil {
		return guard.Result{}, &guard.Error{Code: guard.InvalidRequest, Description: "Access tokens must not be sent in a form"}
	}
	token, err := oauth.BearerToken(r.Header, query, nil, oauth.BearerOptions{})
	switch {
	case errors.Is(err, oauth.ErrNoToken):
		return guard.Result{}, nil
	case err != nil:
		return guard.Result{}, refusal(err)
	}
	p, err := s.Verify(r.Context(), token)
	if err != nil {
		return guard.Result{}, err
	}
	return guard.Result{Principal: p}, nil
}

// Verify checks a token that came by other means than an HTTP header: in a
// message, or in the first frame of a websocket. The error is a *guard.Error
// with the code guard.InvalidToken, or guard.Unavailable when the issuer's keys
// cannot be had.
func (s *Scheme) Verify(ctx context.Context, token string) (*guard.Principal, error) {
	rules := s.rules
	rules.Now = s.now()
	var unavailable error
	verified, err := oauth.VerifyAccessToken(token, rules, func(kid string, alg jose.Alg) (jose.Key, bool) {
		key, err := s.provider.Key(ctx, kid, alg)
		if err != nil && !errors.Is(err, provider.ErrUnknownKey) {
			unavailable = err
		}
		return key, err == nil
	})
	switch {
	case unavailable != nil:
		return nil, &guard.Error{
			Code: guard.Unavailable, Description: "The keys to check the access token cannot be fetched at the moment",
			RetryAfter: 5 * time.Second, Err: unavailable,
		}
	case err != nil:
		return nil, refusal(err)
	}
	return principal(verified), nil
}

// refusal tells a token that has expired, where a refresh helps, from one that
// is bad for another reason, about which the client learns nothing.
func refusal(err error) *guard.Error {
	var e *oauth.Error
	switch {
	case errors.Is(err, oauth.ErrExpired):
		return &guard.Error{Code: guard.InvalidToken, Description: "The access token expired", Err: err}
	case errors.As(err, &e) && e.Code == oauth.InvalidRequest:
		return &guard.Error{Code: guard.InvalidRequest, Description: strings.TrimSuffix(e.Description, "."), Err: err}
	}
	return &guard.Error{Code: guard.InvalidToken, Description: "The access token is invalid", Err: err}
}

func principal(t *oauth.AccessToken) *guard.Principal {
	c := t.Claims()
	p := &guard.Principal{
		Kind:         guard.User,
		Subject:      c.Subject,
		Issuer:       c.Issuer,
		ClientID:     c.Client(),
		Method:       Method,
		AMR:          c.AMR,
		ACR:          c.ACR,
		AuthTime:     c.AuthTime.Time(),
		Permissions:  c.Permissions,
		Organization: c.OrganizationID,
		SessionID:    c.SessionID,
		GrantID:      c.GrantID,
		TokenID:      c.ID,
		Expiry:       c.Expiry.Time(),
		Claims:       t.Payload(),
	}
	// Providers that do not mark clients use the client's id as the subject of a
	// client's own token (RFC 9068 §2.2).
	if c.IsClient() || c.Subject == p.ClientID {
		p.Kind = guard.Client
	}
	if c.Scope != "" {
		p.Scopes = strings.Fields(c.Scope)
	}
	return p
}

// Challenge implements guard.Authenticator: bare when there was no token (RFC
// 6750 §3.1), with the error otherwise.
func (s *Scheme) Challenge(_ *http.Request, why *guard.Error) []string {
	parameters := []oauth.Parameter{{Name: "realm", Value: s.realm}}
	switch {
	case why == nil:
	case why.Code == guard.AccessDenied:
		return nil // no other token of the same principal would help
	default:
		parameters = append(parameters,
			oauth.Parameter{Name: "error", Value: string(why.Code)},
			oauth.Parameter{Name: "error_description", Value: why.Description},
			oauth.Parameter{Name: "scope", Value: why.Scope})
	}
	return []string{oauth.Challenge("Bearer", parameters...)}
}

var _ guard.Authenticator = (*Scheme)(nil)

package bearer

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/introspect"
	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// issuer checks the tokens of one issuer, by its own rules and with its own keys
// and no others.
type issuer struct {
	rules    oauth.AccessTokenRules // all but the time
	keys     keySource
	roles    []string
	complete func(*guard.Principal) error

	introspection *introspect.Client // nil if it is not asked
	always        bool
	noAudience    bool
}

// keySource finds keys of one issuer. The error wraps provider.ErrUnknownKey or
// provider.ErrUnavailable.
type keySource interface {
	KeyAt(ctx context.Context, now time.Time, kid string, alg jose.Alg) (jose.Key, error)
}

// static is a set of keys that never changes.
type static jose.Set

func (s static) KeyAt(_ context.Context, _ time.Time, kid string, alg jose.Alg) (jose.Key, error) {
	if key, ok := provider.Lookup(jose.Set(s), kid, alg); ok {
		return key, nil
	}
	return jose.Key{}, provider.ErrUnknownKey
}

// secret is the one key of a service that signs for itself. Such tokens seldom
// have a kid, and if so it names this key.
type secret jose.Key

func (s secret) KeyAt(_ context.Context, _ time.Time, _ string, alg jose.Alg) (jose.Key, error) {
	if alg == s.Alg {
		return jose.Key(s), nil
	}
	return jose.Key{}, provider.ErrUnknownKey
}

// issuerOf returns who judges a token, nil if nobody does. Nothing of the token
// is proved at this point: what is read from it chooses the rules, and those
// rules demand that very issuer.
func (s *Scheme) issuerOf(token string) (i *issuer, opaque bool) {
	if s.opaque == nil && len(s.issuers) == 1 {
		return s.issuers[0], false
	}
	if _, err := jose.Peek(token); err != nil {
		return s.opaque, true
	}
	name, err := jose.PeekIssuer(token)
	if err != nil {
		return nil, false
	}
	for _, i := range s.issuers {
		if i.rules.Issuer == name {
			return i, false
		}
	}
	return nil, false
}

// judge finds out about a token that is not remembered.
func (s *Scheme) judge(ctx context.Context, now time.Time, text string, t *token) error {
	if err := oauth.CheckTokenSyntax(text); err != nil {
		return err
	}
	i, opaque := s.issuerOf(text)
	switch {
	case i == nil:
		return oauth.ErrIssuer
	case opaque || i.always:
		return i.ask(ctx, now, text, t)
	}
	return i.verify(ctx, now, text, t)
}

// verify checks a JWT with the issuer's keys.
func (i *issuer) verify(ctx context.Context, now time.Time, text string, t *token) error {
	rules := i.rules
	rules.Now = now
	var missing error
	verified, err := oauth.VerifyAccessToken(text, rules, func(kid string, alg jose.Alg) (jose.Key, bool) {
		key, err := i.keys.KeyAt(ctx, now, kid, alg)
		if err != nil && !errors.Is(err, provider.ErrUnknownKey) {
			missing = err
		}
		return key, err == nil
	})
	switch {
	case missing != nil:
		return unavailable("The keys to check the access token cannot be fetched at the moment", missing)
	case err != nil:
		return err
	}
	t.key = verified.Key()
	end := verified.Claims().Expiry.Time().Add(rules.Leeway)
	return i.fill(t, end, verified.Claims(), verified.IsClient(), verified.Payload())
}

// ask has the issuer judge a token, and then judges the answer.
func (i *issuer) ask(ctx context.Context, now time.Time, text string, t *token) error {
	said, until, err := i.introspection.Ask(ctx, introspect.Question{Token: text})
	switch {
	case errors.Is(err, introspect.ErrUnavailable):
		return unavailable("The issuer of the access token cannot be asked at the moment", err)
	case err != nil:
		return err
	}
	err = said.Check(oauth.IntrospectionRules{
		Issuer: i.rules.Issuer, Audience: i.rules.Audience, NoAudience: i.noAudience, Now: now, Leeway: i.rules.Leeway,
	})
	if err != nil {
		return err
	}
	return i.fill(t, until, said.Claims(), said.IsClient(), said.Payload())
}

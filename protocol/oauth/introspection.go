package oauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// ErrInactive: the issuer says that the token is not good (RFC 7662 §2.2). Why,
// it does not say.
var ErrInactive = errors.New("oauth: inactive token")

// Introspection is what an issuer says about an active access token, read by
// [ParseIntrospection].
type Introspection struct {
	claims    AccessTokenClaims
	tokenType string
	machine   bool
	payload   string
}

// IntrospectionRules say which answers are accepted. Issuer, Audience and Now
// are required: a zero value accepts nothing.
type IntrospectionRules struct {
	Issuer   string   // what iss must be, where the answer has it
	Audience []string // one of them must be in aud
	// NoAudience accepts an answer without aud; one that names others is refused
	// even so. Then the answer must have token_type: it is all that is left to
	// tell an access token from a refresh token.
	NoAudience bool
	Now        time.Time
	Leeway     time.Duration
}

// ParseIntrospection reads the body of an introspection answer: strict JSON in
// which active is true or false (RFC 7662 §2.2). An inactive token is
// [ErrInactive]; any other error means that this is no such answer.
func ParseIntrospection(body []byte) (*Introspection, error) {
	object, err := jose.ParseObject(string(body))
	if err != nil {
		return nil, err
	}
	active, err := object.Get("active").Bool()
	switch {
	case err != nil:
		return nil, fmt.Errorf("active: %w", err)
	case !active:
		return nil, ErrInactive
	}
	// Some servers write null for what they have nothing to say about.
	object = slices.DeleteFunc(object, func(m jose.Member) bool { return m.Value == "null" })
	i := &Introspection{payload: string(body)}
	foreign, err := i.claims.parse(object)
	switch {
	case err != nil:
		return nil, err
	case foreign != "":
		return nil, fmt.Errorf("%w: it has the claim %s", ErrNotAccessToken, foreign)
	}
	for _, m := range object {
		switch m.Name {
		case "token_type":
			i.tokenType, err = m.Value.Text()
		case "typ", "token_use":
			err = checkSelfDescription(m)
		case "cid", "appid":
			err = i.claims.takeClient(m.Value)
		case "scp":
			err = i.claims.takeScopes(m.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", m.Name, err)
		}
	}
	i.machine = isMachine(object, &i.claims)
	return i, nil
}

// Claims returns what is known of the token.
func (i *Introspection) Claims() *AccessTokenClaims { return &i.claims }

// Payload returns the whole answer, for members of other names.
func (i *Introspection) Payload() []byte { return []byte(i.payload) }

// IsClient reports whether the token speaks for a client, not for a user; see
// [AccessToken.IsClient].
func (i *Introspection) IsClient() bool {
	return i.machine || i.claims.IsClient() || i.claims.Subject != "" && i.claims.Subject == i.claims.Client()
}

// Check judges an answer. The error is one of those of access tokens.
func (i *Introspection) Check(r IntrospectionRules) error {
	c := &i.claims
	switch {
	case r.Issuer == "" || c.Issuer != "" && c.Issuer != r.Issuer:
		return fmt.Errorf("%w: %.200q", ErrIssuer, c.Issuer)
	case !slices.ContainsFunc(r.Audience, func(a string) bool { return a != "" && c.Audience.Contains(a) }) && !(r.NoAudience && len(c.Audience) == 0):
		return fmt.Errorf("%w: %.200q", ErrAudience, c.Audience)
	case i.tokenType == "" && len(c.Audience) == 0:
		return fmt.Errorf("%w: neither aud nor token_type", ErrNotAccessToken)
	case i.tokenType != "" && !slices.ContainsFunc([]string{"Bearer", "DPoP", "access_token"}, func(t string) bool { return strings.EqualFold(t, i.tokenType) }):
		return fmt.Errorf("%w: token_type %.32q", ErrNotAccessToken, i.tokenType)
	case strings.EqualFold(i.tokenType, "DPoP") && (c.Confirmation == nil || c.Confirmation.JKT == ""):
		// It is bound, and the issuer does not say to what (RFC 9449 §6.2).
		return fmt.Errorf("%w: token_type DPoP without a key", ErrConfirmation)
	case c.ClientID != "" && c.AuthorizedParty != "" && c.ClientID != c.AuthorizedParty:
		return fmt.Errorf("%w: client_id and azp differ", ErrNotAccessToken)
	case c.Subject == "" && c.Client() == "":
		return fmt.Errorf("%w: neither sub nor client_id", ErrNotAccessToken)
	case strings.HasSuffix(c.Subject, ClientSubjectSuffix) && !c.IsClient():
		return fmt.Errorf("%w: sub names another client", ErrNotAccessToken)
	}
	switch now := r.Now; {
	case now.IsZero():
		return errors.New("oauth: rules without the time of judgement")
	case c.Expiry != 0 && !now.Before(c.Expiry.Time().Add(r.Leeway)):
		return ErrExpired
	case c.NotBefore.Time().After(now.Add(r.Leeway)), c.IssuedAt.Time().After(now.Add(r.Leeway)):
		return ErrNotYetValid
	}
	return nil
}

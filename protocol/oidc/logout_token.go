package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// TypeLogoutToken is the typ header of logout tokens (Back-Channel Logout
// §2.4).
const TypeLogoutToken = "logout+jwt"

// backChannelLogoutEvent is the member of events that makes a token a logout
// token.
const backChannelLogoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// maxLogoutTokenAge is how old a logout token may be, whatever its exp says.
const maxLogoutTokenAge = 2 * time.Minute

// ErrNotLogoutToken: a claim is missing or present that tells this token is of
// another kind.
var ErrNotLogoutToken = errors.New("oidc: not a logout token")

// LogoutTokenClaims are the claims of a logout token (Back-Channel Logout
// §2.4). At least one of Subject and SessionID is set.
type LogoutTokenClaims struct {
	Issuer    string           `json:"iss"`
	Subject   string           `json:"sub,omitempty"`
	Audience  jose.Audience    `json:"aud"`
	IssuedAt  jose.NumericDate `json:"iat"`
	Expiry    jose.NumericDate `json:"exp"`
	ID        string           `json:"jti"`
	SessionID string           `json:"sid,omitempty"`
}

// Payload returns the claims as JSON with the logout event, ready to be signed.
func (c LogoutTokenClaims) Payload() ([]byte, error) {
	return json.Marshal(struct {
		LogoutTokenClaims
		Events map[string]struct{} `json:"events"`
	}{c, map[string]struct{}{backChannelLogoutEvent: {}}})
}

// LogoutTokenRules say which logout tokens a relying party accepts. All but
// Leeway and Loose are required.
type LogoutTokenRules struct {
	Issuer   string
	ClientID string
	Algs     []jose.Alg
	Now      time.Time
	Leeway   time.Duration
	// Loose accepts the tokens of providers older than the final specification: of
	// type JWT or of none, and without exp.
	Loose bool
}

// LogoutToken is a logout token that passed [VerifyLogoutToken], its only
// maker.
type LogoutToken struct{ claims LogoutTokenClaims }

// Claims returns the token's claims. Whoever acts on them must remember the jti
// for as long as it would be accepted and refuse it a second time.
func (t *LogoutToken) Claims() *LogoutTokenClaims { return &t.claims }

// VerifyLogoutToken checks a logout token (Back-Channel Logout §2.6). Its type must
// be logout+jwt, unless rules are loose: then the events claim and the absence of a
// nonce alone tell it from an ID token.
func VerifyLogoutToken(token string, rules LogoutTokenRules, keys jose.KeyFunc) (*LogoutToken, error) {
	types := []string{TypeLogoutToken}
	if rules.Loose {
		types = append(types, TypeIDToken, "")
	}
	verified, err := jose.Verify(token, jose.Expect{Types: types, Algs: rules.Algs}, keys)
	if err != nil {
		return nil, err
	}
	t := &LogoutToken{}
	if err := t.claims.parse(string(verified.Payload())); err != nil {
		return nil, err
	}
	if err := rules.check(&t.claims); err != nil {
		return nil, err
	}
	return t, nil
}

func (c *LogoutTokenClaims) parse(payload string) error {
	object, err := jose.ParseObject(payload)
	if err != nil {
		return err
	}
	event := false
	for _, m := range object {
		switch m.Name {
		case "iss":
			c.Issuer, err = m.Value.Text()
		case "sub":
			c.Subject, err = m.Value.Text()
		case "aud":
			c.Audience, err = m.Value.Audience()
		case "iat":
			c.IssuedAt, err = m.Value.Date()
		case "exp":
			c.Expiry, err = m.Value.Date()
		case "jti":
			c.ID, err = m.Value.Text()
		case "sid":
			c.SessionID, err = m.Value.Text()
		case "events":
			event, err = hasLogoutEvent(m.Value)
		case "nonce":
			return fmt.Errorf("%w: it has a nonce", ErrNotLogoutToken)
		}
		if err != nil {
			return fmt.Errorf("claim %s: %w", m.Name, err)
		}
	}
	if !event {
		return fmt.Errorf("%w: no logout event", ErrNotLogoutToken)
	}
	return nil
}

// hasLogoutEvent: the event's value must be an object, by custom an empty one.
func hasLogoutEvent(events jose.Value) (bool, error) {
	object, err := jose.ParseObject(string(events))
	if err != nil {
		return false, err
	}
	value := object.Get(backChannelLogoutEvent)
	return value != "" && value[0] == '{', nil
}

func (r LogoutTokenRules) check(c *LogoutTokenClaims) error {
	switch {
	case r.Issuer == "" || c.Issuer != r.Issuer:
		return fmt.Errorf("%w: %.200q", oauth.ErrIssuer, c.Issuer)
	case r.ClientID == "" || !c.Audience.Contains(r.ClientID):
		return fmt.Errorf("%w: %.200q", oauth.ErrAudience, c.Audience)
	case c.ID == "" || c.IssuedAt == 0 || c.Expiry == 0 && !r.Loose:
		return fmt.Errorf("%w: jti, iat or exp is missing", ErrNotLogoutToken)
	case c.Subject == "" && c.SessionID == "":
		return fmt.Errorf("%w: neither sub nor sid", ErrNotLogoutToken)
	case r.Now.IsZero():
		return errors.New("oidc: rules without the time of judgement")
	case c.Expiry != 0 && !r.Now.Before(c.Expiry.Time().Add(r.Leeway)), r.Now.After(c.IssuedAt.Time().Add(maxLogoutTokenAge + r.Leeway)):
		return oauth.ErrExpired
	case c.IssuedAt.Time().After(r.Now.Add(r.Leeway)):
		return oauth.ErrNotYetValid
	}
	return nil
}

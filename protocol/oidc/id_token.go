package oidc

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// TypeIDToken is the typ header of ID tokens.
const TypeIDToken = "JWT"

// IDTokenClaims are the claims of an ID token (Core §2). Empty ones are not
// written; Nonce must be empty unless the request had one.
type IDTokenClaims struct {
	Issuer           string           `json:"iss,omitempty"`
	Subject          string           `json:"sub,omitempty"`
	Audience         jose.Audience    `json:"aud,omitempty"`
	Expiry           jose.NumericDate `json:"exp,omitempty"`
	IssuedAt         jose.NumericDate `json:"iat,omitempty"`
	AuthTime         jose.NumericDate `json:"auth_time,omitempty"`
	Nonce            string           `json:"nonce,omitempty"`
	ACR              string           `json:"acr,omitempty"`
	AMR              []string         `json:"amr,omitempty"`
	AuthorizedParty  string           `json:"azp,omitempty"`
	SessionID        string           `json:"sid,omitempty"`
	AccessTokenHash  string           `json:"at_hash,omitempty"`
	CodeHash         string           `json:"c_hash,omitempty"`
	OrganizationID   string           `json:"org_id,omitempty"`
	OrganizationName string           `json:"org_name,omitempty"`
	Profile
}

// Payload returns the claims as JSON, ready to be signed.
func (c *IDTokenClaims) Payload() ([]byte, error) { return json.Marshal(c) }

// HalfHash is the value of at_hash and c_hash in a token signed with alg (Core
// §3.1.3.6, §3.3.2.11): the left half of the hash that belongs to alg, which is
// SHA-512 for EdDSA and SHA-256 for the others.
func HalfHash(alg jose.Alg, s string) string {
	if alg == jose.EdDSA {
		sum := sha512.Sum512([]byte(s))
		return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	}
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// Why an ID token or logout token was refused, beyond its signature. Issuer,
// audience and time fail with the errors of package oauth: [oauth.ErrIssuer],
// [oauth.ErrAudience], [oauth.ErrExpired], [oauth.ErrNotYetValid].
var (
	// ErrNotIDToken: a claim is missing or present that tells this token is of
	// another kind.
	ErrNotIDToken = errors.New("oidc: not an ID token")
	// ErrNonce: nonce is not the one sent with the request.
	ErrNonce = errors.New("oidc: wrong nonce")
	// ErrAuthTime: the person authenticated longer ago than max_age allows, or
	// the token does not say when.
	ErrAuthTime = errors.New("oidc: authentication too old")
	// ErrHash: at_hash or c_hash does not fit what came with the token.
	ErrHash = errors.New("oidc: hash does not fit")
)

// IDTokenRules say which ID token a relying party accepts (Core §3.1.3.7).
// Issuer, ClientID, Algs and Now are required.
type IDTokenRules struct {
	Issuer   string        // byte for byte
	ClientID string        // must be in aud, and azp if that is present
	Nonce    string        // as sent; "" demands that there is none
	MaxAge   *int          // as sent, in seconds; nil if it was not
	Algs     []jose.Alg    // the algorithms the client registered or discovery lists
	Now      time.Time     // the moment of judgement
	Leeway   time.Duration // clock difference granted; 0 is none

	AccessToken string // checked against at_hash if both are there
	Code        string // checked against c_hash if both are there
}

// IDToken is an ID token that passed [VerifyIDToken] or [VerifyIDTokenHint],
// its only makers.
type IDToken struct {
	claims   IDTokenClaims
	verified jose.Verified
}

// Claims returns the token's claims.
func (t *IDToken) Claims() *IDTokenClaims { return &t.claims }

// Payload returns the claims as they were signed, for those of other names.
func (t *IDToken) Payload() []byte { return t.verified.Payload() }

// VerifyIDToken checks an ID token as a relying party must.
func VerifyIDToken(token string, rules IDTokenRules, keys jose.KeyFunc) (*IDToken, error) {
	// Some providers leave typ out; none calls an ID token anything but JWT.
	t, err := parseIDToken(token, jose.Expect{Types: []string{TypeIDToken, ""}, Algs: rules.Algs}, keys)
	if err != nil {
		return nil, err
	}
	if err := rules.check(&t.claims, t.verified.Alg()); err != nil {
		return nil, err
	}
	return t, nil
}

// HintRules say which ID tokens the provider accepts as id_token_hint.
type HintRules struct {
	Issuer   string     // its own
	ClientID string     // whom the token was issued to; "" leaves that to be read from it
	Algs     []jose.Alg // the algorithms of its keys, retired ones included
}

// VerifyIDTokenHint checks an ID token that comes back to its issuer
// (RP-Initiated Logout §2, Core §3.1.2.1). Its time may be over; everything
// else must hold. A hint tells whom the client means, it authenticates nobody.
func VerifyIDTokenHint(token string, rules HintRules, keys jose.KeyFunc) (*IDToken, error) {
	t, err := parseIDToken(token, jose.Expect{Types: []string{TypeIDToken}, Algs: rules.Algs}, keys)
	if err != nil {
		return nil, err
	}
	if err := rules.check(&t.claims); err != nil {
		return nil, err
	}
	return t, nil
}

// check also tells our access tokens of the dialect auth0 apart, which have the
// same issuer, type and key: their audience is an API, not the client.
func (r HintRules) check(c *IDTokenClaims) error {
	if err := checkIdentity(c, r.Issuer); err != nil {
		return err
	}
	switch client := c.Client(); {
	case client == "" || !c.Audience.Contains(client):
		return fmt.Errorf("%w: azp is not in aud", oauth.ErrAudience)
	case r.ClientID != "" && client != r.ClientID:
		return fmt.Errorf("%w: %.200q", oauth.ErrAudience, c.Audience)
	case strings.HasSuffix(c.Subject, oauth.ClientSubjectSuffix):
		return fmt.Errorf("%w: its subject is a client", ErrNotIDToken)
	}
	return nil
}

// Client returns the client an ID token was issued to: azp, or the only
// audience.
func (c *IDTokenClaims) Client() string {
	if c.AuthorizedParty != "" || len(c.Audience) != 1 {
		return c.AuthorizedParty
	}
	return c.Audience[0]
}

// parseIDToken verifies the signature and reads the claims.
func parseIDToken(token string, want jose.Expect, keys jose.KeyFunc) (*IDToken, error) {
	verified, err := jose.Verify(token, want, keys)
	if err != nil {
		return nil, err
	}
	t := &IDToken{verified: verified}
	foreign, err := t.claims.parse(string(verified.Payload()))
	if err != nil {
		return nil, err
	}
	if foreign != "" {
		return nil, fmt.Errorf("%w: it has the claim %s", ErrNotIDToken, foreign)
	}
	return t, nil
}

// parse reads the claims by their exact names. foreign names a claim that only
// tokens of other kinds have.
func (c *IDTokenClaims) parse(payload string) (foreign string, err error) {
	object, err := jose.ParseObject(payload)
	if err != nil {
		return "", err
	}
	for _, m := range object {
		switch m.Name {
		case "iss":
			c.Issuer, err = m.Value.Text()
		case "sub":
			c.Subject, err = m.Value.Text()
		case "aud":
			c.Audience, err = m.Value.Audience()
		case "exp":
			c.Expiry, err = m.Value.Date()
		case "iat":
			c.IssuedAt, err = m.Value.Date()
		case "auth_time":
			c.AuthTime, err = m.Value.Date()
		case "nonce":
			c.Nonce, err = m.Value.Text()
		case "acr":
			c.ACR, err = m.Value.Text()
		case "amr":
			c.AMR, err = m.Value.Texts()
		case "azp":
			c.AuthorizedParty, err = m.Value.Text()
		case "sid":
			c.SessionID, err = m.Value.Text()
		case "at_hash":
			c.AccessTokenHash, err = m.Value.Text()
		case "c_hash":
			c.CodeHash, err = m.Value.Text()
		case "org_id":
			c.OrganizationID, err = m.Value.Text()
		case "org_name":
			c.OrganizationName, err = m.Value.Text()
		case "gid", "client_id", "permissions", "events", "htm", "htu":
			foreign = m.Name
		default:
			c.Profile.take(m)
		}
		if err != nil {
			return "", fmt.Errorf("claim %s: %w", m.Name, err)
		}
	}
	return foreign, nil
}

// take reads a claim about the person. Providers take liberties with these, and
// nothing is decided by them here: one of another type is left out.
func (p *Profile) take(m jose.Member) {
	var into *string
	switch m.Name {
	case "name":
		into = &p.Name
	case "given_name":
		into = &p.GivenName
	case "family_name":
		into = &p.FamilyName
	case "nickname":
		into = &p.Nickname
	case "picture":
		into = &p.Picture
	case "updated_at":
		if at, err := m.Value.Date(); err == nil {
			p.UpdatedAt = at
		}
		return
	case "email":
		into = &p.Email
	case "email_verified":
		if verified, err := m.Value.Bool(); err == nil {
			p.EmailVerified = &verified
		}
		return
	default:
		return
	}
	if text, err := m.Value.Text(); err == nil {
		*into = text
	}
}

// checkIdentity: what holds for a token of any age.
func checkIdentity(c *IDTokenClaims, issuer string) error {
	switch {
	case issuer == "" || c.Issuer != issuer:
		return fmt.Errorf("%w: %.200q", oauth.ErrIssuer, c.Issuer)
	case c.Subject == "" || c.Expiry == 0 || c.IssuedAt == 0:
		return fmt.Errorf("%w: sub, exp or iat is missing", ErrNotIDToken)
	case len(c.Audience) == 0 || slices.Contains(c.Audience, ""):
		return fmt.Errorf("%w: none", oauth.ErrAudience)
	case len(c.Audience) > 1 && c.AuthorizedParty == "":
		return fmt.Errorf("%w: several, and no azp", oauth.ErrAudience)
	}
	return nil
}

func (r IDTokenRules) check(c *IDTokenClaims, alg jose.Alg) error {
	if err := checkIdentity(c, r.Issuer); err != nil {
		return err
	}
	switch {
	case r.ClientID == "" || !c.Audience.Contains(r.ClientID):
		return fmt.Errorf("%w: %.200q", oauth.ErrAudience, c.Audience)
	case c.AuthorizedParty != "" && c.AuthorizedParty != r.ClientID:
		return fmt.Errorf("%w: azp %.200q", oauth.ErrAudience, c.AuthorizedParty)
	case c.Nonce != r.Nonce:
		return ErrNonce
	case r.AccessToken != "" && c.AccessTokenHash != "" && c.AccessTokenHash != HalfHash(alg, r.AccessToken):
		return fmt.Errorf("%w: at_hash", ErrHash)
	case r.Code != "" && c.CodeHash != "" && c.CodeHash != HalfHash(alg, r.Code):
		return fmt.Errorf("%w: c_hash", ErrHash)
	}
	return r.checkTimes(c)
}

func (r IDTokenRules) checkTimes(c *IDTokenClaims) error {
	switch {
	case r.Now.IsZero():
		return errors.New("oidc: rules without the time of judgement")
	case !r.Now.Before(c.Expiry.Time().Add(r.Leeway)):
		return oauth.ErrExpired
	case c.IssuedAt.Time().After(r.Now.Add(r.Leeway)):
		return oauth.ErrNotYetValid
	case r.MaxAge == nil:
		return nil
	case c.AuthTime == 0:
		return fmt.Errorf("%w: no auth_time", ErrAuthTime)
	case r.Now.After(c.AuthTime.Time().Add(time.Duration(*r.MaxAge)*time.Second + r.Leeway)):
		return ErrAuthTime
	}
	return nil
}

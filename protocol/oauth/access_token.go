package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// Dialect is the form of an API's access tokens.
type Dialect string

// The dialects.
const (
	DialectRFC9068 Dialect = "rfc9068" // typ at+jwt, RFC 9068
	DialectAuth0   Dialect = "auth0"   // typ JWT, for verifiers that know no other
	// DialectUntyped is any provider's JWT whose typ may be missing and says
	// nothing: that it is an access token follows from its audience and from the
	// traits of untyped.go alone. It is for reading tokens, not for making them.
	DialectUntyped Dialect = "untyped"
	// DialectAny is no form of its own: each token is judged by the form that
	// its typ names. It is for an issuer that makes both, and in rules alone.
	DialectAny Dialect = "any"
)

// TypeJWT and TypeAccessToken are the typ header values of the two dialects.
const (
	TypeAccessToken = "at+jwt"
	TypeJWT         = "JWT"
)

// Type returns the typ header of tokens in this dialect.
func (d Dialect) Type() string {
	if d == DialectAuth0 {
		return TypeJWT
	}
	return TypeAccessToken
}

// types returns the typ headers a token may have.
func (d Dialect) types() []string {
	switch d {
	case DialectAny:
		return []string{TypeAccessToken, TypeJWT}
	case DialectUntyped:
		return []string{TypeJWT, TypeAccessToken, ""}
	}
	return []string{d.Type()}
}

// of returns the dialect a token of this typ is judged by.
func (d Dialect) of(typ string) Dialect {
	switch {
	case d != DialectAny:
		return d
	case typ == TypeJWT:
		return DialectAuth0
	}
	return DialectRFC9068
}

// ClientSubjectSuffix ends the sub of a token a client got for itself:
// "<client_id>@clients". A user's sub is a bare UUID, so neither can be taken
// for the other (RFC 9700 §4.15).
const ClientSubjectSuffix = "@clients"

// DefaultLeeway is how far the clocks of issuer and verifier may be apart.
const DefaultLeeway = 30 * time.Second

// AccessTokenClaims are the claims of an access token (RFC 9068 §2.2 and this
// house's own). Empty ones are not written.
type AccessTokenClaims struct {
	Issuer          string           `json:"iss,omitempty"`
	Subject         string           `json:"sub,omitempty"`
	Audience        jose.Audience    `json:"aud,omitempty"`
	Expiry          jose.NumericDate `json:"exp,omitempty"`
	NotBefore       jose.NumericDate `json:"nbf,omitempty"`
	IssuedAt        jose.NumericDate `json:"iat,omitempty"`
	ID              string           `json:"jti,omitempty"`
	ClientID        string           `json:"client_id,omitempty"`
	AuthorizedParty string           `json:"azp,omitempty"`
	Scope           string           `json:"scope,omitempty"`
	Permissions     []string         `json:"permissions,omitempty"`
	SessionID       string           `json:"sid,omitempty"`
	GrantID         string           `json:"gid,omitempty"`
	AuthTime        jose.NumericDate `json:"auth_time,omitempty"`
	ACR             string           `json:"acr,omitempty"`
	AMR             []string         `json:"amr,omitempty"`
	OrganizationID  string           `json:"org_id,omitempty"`
	Confirmation    *Confirmation    `json:"cnf,omitempty"`
}

// Confirmation is the claim cnf: the key a token is bound to (RFC 7800). Only
// the two methods below are known, and a token names exactly one of them.
type Confirmation struct {
	// JKT is the thumbprint of a DPoP key (RFC 9449 §6.1).
	JKT string `json:"jkt,omitempty"`
	// X5T is the SHA-256 thumbprint of a client certificate (RFC 8705 §3.1).
	X5T string `json:"x5t#S256,omitempty"`
}

// parseConfirmation reads cnf. A method that is not known is refused: the token
// is bound to something, and nobody here could tell whether it is there.
func parseConfirmation(v jose.Value) (*Confirmation, error) {
	methods, err := jose.ParseObject(string(v))
	if err != nil {
		return nil, err
	}
	c := &Confirmation{}
	for _, m := range methods {
		switch m.Name {
		case "jkt":
			c.JKT, err = m.Value.Text()
		case "x5t#S256":
			c.X5T, err = m.Value.Text()
		default:
			err = fmt.Errorf("%w: method %.32q is not known", ErrConfirmation, m.Name)
		}
		if err != nil {
			return nil, err
		}
	}
	if (c.JKT == "") == (c.X5T == "") {
		return nil, fmt.Errorf("%w: not exactly one method", ErrConfirmation)
	}
	return c, nil
}

// Client returns the id of the client the token was issued to.
func (c *AccessTokenClaims) Client() string {
	if c.ClientID != "" {
		return c.ClientID
	}
	return c.AuthorizedParty
}

// IsClient reports whether the token speaks for the client itself, not for a
// user.
func (c *AccessTokenClaims) IsClient() bool {
	return c.Client() != "" && c.Subject == c.Client()+ClientSubjectSuffix
}

// Payload returns the claims as JSON, ready to be signed.
func (c *AccessTokenClaims) Payload() ([]byte, error) { return json.Marshal(c) }

// Why an access token was refused, beyond its signature. All are invalid_token
// on the wire.
var (
	// ErrExpired: the token is genuine but its time is over. A caller may want
	// to say so, as a refresh helps.
	ErrExpired = errors.New("oauth: token expired")
	// ErrNotYetValid: nbf or iat lie in the future.
	ErrNotYetValid = errors.New("oauth: token not yet valid")
	// ErrIssuer: iss is not the expected one.
	ErrIssuer = errors.New("oauth: wrong issuer")
	// ErrAudience: the token is for somebody else.
	ErrAudience = errors.New("oauth: wrong audience")
	// ErrNotAccessToken: a claim is missing or present that tells this token
	// is of another kind.
	ErrNotAccessToken = errors.New("oauth: not an access token")
	// ErrConfirmation: the token is bound to a key by a method this package does
	// not know (RFC 7800).
	ErrConfirmation = errors.New("oauth: unknown proof of possession")
)

// AccessTokenRules say which access tokens a resource server accepts. Issuer,
// Audience (or AnyAudience), Dialect, Algs and Now are all required: a zero
// value accepts nothing.
type AccessTokenRules struct {
	Issuer   string   // byte for byte
	Audience []string // one of them must be in aud
	// AnyAudience accepts whatever aud names, in place of Audience. It is for an
	// issuer that is asked about its tokens for others (RFC 7662).
	AnyAudience bool
	Dialect     Dialect       // the form of the tokens
	Algs        []jose.Alg    // the algorithms of the issuer's keys
	Now         time.Time     // the moment of judgement
	Leeway      time.Duration // clock difference granted; 0 is none
	Memory      *jose.Memory  // of signatures that were right; nil for none
}

// AccessToken is an access token that passed [VerifyAccessToken], its only
// maker.
type AccessToken struct {
	claims   AccessTokenClaims
	machine  bool
	verified jose.Verified
}

// Claims returns the token's claims.
func (t *AccessToken) Claims() *AccessTokenClaims { return &t.claims }

// IsClient reports whether the token speaks for a client, not for a user, by
// this house's spelling of sub, by sub and client_id being one (RFC 9068 §2.2),
// or, in DialectUntyped, by the marks of the large providers.
func (t *AccessToken) IsClient() bool {
	return t.machine || t.claims.IsClient() || t.claims.Subject == t.claims.Client()
}

// Key returns the key that verified the token.
func (t *AccessToken) Key() jose.Key { return t.verified.Key() }

// Payload returns the claims as they were signed, for those of other names.
func (t *AccessToken) Payload() []byte { return t.verified.Payload() }

// VerifyAccessToken checks signature, type and claims of a JWT access token
// (RFC 9068 §4). Every error is an *[Error] with code invalid_token and wraps
// the reason: one of the errors above or of package jose.
func VerifyAccessToken(token string, rules AccessTokenRules, keys jose.KeyFunc) (*AccessToken, error) {
	verified, err := jose.Verify(token, jose.Expect{Types: rules.Dialect.types(), Algs: rules.Algs, Memory: rules.Memory}, keys)
	if err != nil {
		return nil, refuseToken("The access token is invalid.", err)
	}
	rules.Dialect = rules.Dialect.of(verified.Type())
	t := &AccessToken{verified: verified}
	object, err := jose.ParseObject(string(verified.Payload()))
	if err != nil {
		return nil, refuseToken("The access token is invalid.", err)
	}
	foreign, err := t.claims.parse(object)
	if err == nil && rules.Dialect == DialectUntyped {
		err = t.claims.parseUntyped(object)
		t.machine = isMachine(object, &t.claims)
	}
	if err != nil {
		return nil, refuseToken("The access token is invalid.", err)
	}
	if err := rules.check(&t.claims, foreign); err != nil {
		if errors.Is(err, ErrExpired) {
			return nil, refuseToken("The access token expired.", err)
		}
		return nil, refuseToken("The access token is invalid.", err)
	}
	return t, nil
}

func refuseToken(description string, cause error) *Error {
	return NewError(InvalidToken, description).WithCause(cause)
}

// parse reads the claims by their exact names. foreign names a claim that only
// tokens of other kinds have.
func (c *AccessTokenClaims) parse(object jose.Object) (foreign string, err error) {
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
		case "nbf":
			c.NotBefore, err = m.Value.Date()
		case "iat":
			c.IssuedAt, err = m.Value.Date()
		case "jti":
			c.ID, err = m.Value.Text()
		case "client_id":
			c.ClientID, err = m.Value.Text()
		case "azp":
			c.AuthorizedParty, err = m.Value.Text()
		case "scope":
			c.Scope, err = m.Value.Text()
		case "permissions":
			c.Permissions, err = m.Value.Texts()
		case "sid":
			c.SessionID, err = m.Value.Text()
		case "gid":
			c.GrantID, err = m.Value.Text()
		case "auth_time":
			c.AuthTime, err = m.Value.Date()
		case "acr":
			c.ACR, err = m.Value.Text()
		case "amr":
			c.AMR, err = m.Value.Texts()
		case "org_id":
			c.OrganizationID, err = m.Value.Text()
		case "cnf":
			c.Confirmation, err = parseConfirmation(m.Value)
		case "nonce", "at_hash", "c_hash", "s_hash", "events", "htm", "htu":
			foreign = m.Name
		}
		if err != nil {
			return "", fmt.Errorf("claim %s: %w", m.Name, err)
		}
	}
	return foreign, nil
}

// check judges the claims. The order tells more from less: a token of another
// kind or issuer is never called expired.
func (r AccessTokenRules) check(c *AccessTokenClaims, foreign string) error {
	switch {
	case foreign != "":
		return fmt.Errorf("%w: it has the claim %s", ErrNotAccessToken, foreign)
	case r.Issuer == "" || c.Issuer != r.Issuer:
		return fmt.Errorf("%w: %.200q", ErrIssuer, c.Issuer)
	case !r.audienceMatches(c.Audience):
		return fmt.Errorf("%w: %.200q", ErrAudience, c.Audience)
	}
	if err := r.Dialect.check(c); err != nil {
		return err
	}
	switch now := r.Now; {
	case now.IsZero():
		return errors.New("oauth: rules without the time of judgement")
	case !now.Before(c.Expiry.Time().Add(r.Leeway)):
		return ErrExpired
	case c.NotBefore.Time().After(now.Add(r.Leeway)), c.IssuedAt.Time().After(now.Add(r.Leeway)):
		return ErrNotYetValid
	}
	return nil
}

func (r AccessTokenRules) audienceMatches(aud jose.Audience) bool {
	if r.AnyAudience {
		return slices.ContainsFunc(aud, func(a string) bool { return a != "" })
	}
	return slices.ContainsFunc(r.Audience, func(a string) bool { return a != "" && aud.Contains(a) })
}

// check demands the claims that make a token an access token of its dialect.
// In the auth0 dialect typ says nothing, so it must carry what an ID token of
// this house never has: the grant it came from, or a client as its subject.
func (d Dialect) check(c *AccessTokenClaims) error {
	missing := func(claim string) error { return fmt.Errorf("%w: no %s", ErrNotAccessToken, claim) }
	switch {
	case c.Subject == "":
		return missing("sub")
	case c.Expiry == 0:
		return missing("exp")
	case c.IssuedAt == 0:
		return missing("iat")
	case c.ClientID != "" && c.AuthorizedParty != "" && c.ClientID != c.AuthorizedParty:
		return fmt.Errorf("%w: client_id and azp differ", ErrNotAccessToken)
	case strings.HasSuffix(c.Subject, ClientSubjectSuffix) && !c.IsClient():
		return fmt.Errorf("%w: sub names another client", ErrNotAccessToken)
	}
	switch d {
	case DialectRFC9068:
		if c.ClientID == "" {
			return missing("client_id")
		}
		if c.ID == "" {
			return missing("jti")
		}
		return nil
	case DialectAuth0:
		if c.GrantID == "" && !c.IsClient() {
			return missing("gid")
		}
		return nil
	case DialectUntyped:
		return checkUntyped(c)
	}
	return fmt.Errorf("%w: no dialect %q", ErrNotAccessToken, string(d))
}

package oidclogin

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// sessionData is what a session remembers. Names are short: it may have to fit
// into a cookie. Copies share what Others and Values point to, so these are
// replaced and never changed.
type sessionData struct {
	ID           string            `json:"id,omitempty"` // random, stays when tokens and cookie change; opens nothing
	Issuer       string            `json:"iss"`
	ClientID     string            `json:"cid"`
	IDToken      string            `json:"idt"`
	AccessToken  string            `json:"at,omitempty"`
	RefreshToken string            `json:"rt,omitempty"`
	Scope        string            `json:"scp,omitempty"`
	Grant        string            `json:"gid,omitempty"`
	AccessExpiry int64             `json:"ate,omitempty"` // seconds; 0: not known
	Renewed      int64             `json:"ren"`           // microseconds: when the tokens were got
	SignedIn     int64             `json:"si"`            // seconds
	Seen         int64             `json:"se"`            // seconds
	Kept         *keptClaims       `json:"kpt,omitempty"`
	Others       []otherToken      `json:"ots,omitempty"`
	Roles        *[]string         `json:"rol,omitempty"` // nil: as the ID token says
	Values       map[string]string `json:"val,omitempty"`
}

// keptClaims are claims of earlier ID tokens of this sign-in that the present one
// does not repeat: providers may leave them out of a renewal (OpenID Connect Core
// §12.2), and they stay true.
type keptClaims struct {
	SessionID string           `json:"sid,omitempty"`
	ACR       string           `json:"acr,omitempty"`
	AMR       []string         `json:"amr,omitempty"`
	AuthTime  jose.NumericDate `json:"auth_time,omitempty"`
}

// otherToken is an access token for another audience, or with other scopes,
// than the sign-in brought.
type otherToken struct {
	Audience    string `json:"aud,omitempty"`
	Asked       string `json:"ask,omitempty"`
	Scope       string `json:"scp,omitempty"`
	AccessToken string `json:"at"`
	Expiry      int64  `json:"ate,omitempty"` // seconds; 0: not known
	Renewed     int64  `json:"ren"`           // microseconds
}

func (l *Login) newSessionData(tokens tokenResponse, idToken *oidc.IDToken) sessionData {
	now := l.now()
	d := sessionData{
		Issuer:   idToken.Claims().Issuer,
		ClientID: l.options.ClientID,
		SignedIn: now.Unix(),
		Seen:     now.Unix(),
		Scope:    strings.Join(l.options.Scopes, " "), // RFC 6749 §5.1: as asked for unless the answer says otherwise
		ID:       rand.Text(),
	}
	d.RefreshToken = tokens.RefreshToken
	d.take(tokens, now)
	return d
}

// take notes newly issued tokens, the refresh token excepted.
func (d *sessionData) take(t tokenResponse, at time.Time) {
	d.AccessToken = t.AccessToken
	d.AccessExpiry = 0
	if expiry := t.expiry(at); !expiry.IsZero() {
		d.AccessExpiry = expiry.Unix()
	}
	if t.IDToken != "" {
		_, before, _ := d.claims() // of none, at sign-in
		d.IDToken, d.Kept = t.IDToken, nil
		_, now, _ := d.claims()
		d.Kept = before.missingIn(now)
	}
	if t.Scope != "" {
		d.Scope = t.Scope
	}
	if grant := claimsOfAccessToken(t.AccessToken).GrantID; grant != "" {
		d.Grant = grant
	}
	d.Renewed = at.UnixMicro()
}

// expires is the earlier of the idle and the absolute limit.
func (l *Login) expires(d sessionData) time.Time {
	idle := time.Unix(d.Seen, 0).Add(l.options.IdleTimeout)
	absolute := time.Unix(d.SignedIn, 0).Add(l.options.AbsoluteTimeout)
	if idle.Before(absolute) {
		return idle
	}
	return absolute
}

// claims reads the claims of the session's ID token. Its signature was checked
// when it came; since then only this application could have changed it.
func (d sessionData) claims() (payload []byte, c idClaims, err error) {
	_, rest, _ := strings.Cut(d.IDToken, ".")
	encoded, _, _ := strings.Cut(rest, ".")
	if payload, err = base64.RawURLEncoding.DecodeString(encoded); err != nil {
		return nil, c, err
	}
	if err = jose.Decode(payload, &c); err == nil && d.Kept != nil {
		c.SessionID = cmp.Or(c.SessionID, d.Kept.SessionID)
		c.ACR = cmp.Or(c.ACR, d.Kept.ACR)
		c.AuthTime = cmp.Or(c.AuthTime, d.Kept.AuthTime)
		if c.AMR == nil {
			c.AMR = d.Kept.AMR
		}
	}
	return payload, c, err
}

// missingIn returns what c says and next does not, nil if there is nothing.
func (c idClaims) missingIn(next idClaims) *keptClaims {
	var k keptClaims
	if next.SessionID == "" {
		k.SessionID = c.SessionID
	}
	if next.ACR == "" {
		k.ACR = c.ACR
	}
	if next.AMR == nil {
		k.AMR = c.AMR
	}
	if next.AuthTime == 0 {
		k.AuthTime = c.AuthTime
	}
	if k.SessionID == "" && k.ACR == "" && k.AMR == nil && k.AuthTime == 0 {
		return nil
	}
	return &k
}

type idClaims struct {
	Issuer       string           `json:"iss"`
	Subject      string           `json:"sub"`
	Nonce        string           `json:"nonce"`
	SessionID    string           `json:"sid"`
	AMR          []string         `json:"amr"`
	ACR          string           `json:"acr"`
	AuthTime     jose.NumericDate `json:"auth_time"`
	IssuedAt     jose.NumericDate `json:"iat"`
	Organization string           `json:"org_id"`
	Roles        json.RawMessage  `json:"roles"` // no standard says what it looks like
}

// roles are those the application has set, else those of the ID token.
func (d sessionData) roles(c idClaims) []string {
	if d.Roles != nil {
		return *d.Roles
	}
	var roles []string
	if err := jose.Decode(c.Roles, &roles); err != nil {
		return nil
	}
	return roles
}

// keyID returns the kid of the key that signed the session's ID token.
func (d sessionData) keyID() string {
	encoded, _, _ := strings.Cut(d.IDToken, ".")
	var header struct {
		KeyID string `json:"kid"`
	}
	if raw, err := base64.RawURLEncoding.DecodeString(encoded); err != nil || jose.Decode(raw, &header) != nil {
		return ""
	}
	return header.KeyID
}

// accessTokenClaims is what little of an access token is looked at here, where it
// is not addressed to. Nothing is granted because of it: an audience can only have
// the token thrown away, and the grant only end a session that was taken back.
type accessTokenClaims struct {
	Audience jose.Audience `json:"aud"`
	GrantID  string        `json:"gid"`
}

// claimsOfAccessToken reads a token that happens to be a JWT; of any other it
// returns nothing.
func claimsOfAccessToken(token string) (c accessTokenClaims) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c
	}
	if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err != nil || jose.Decode(payload, &c) != nil {
		return accessTokenClaims{}
	}
	return c
}

func (l *Login) record(d sessionData, version int64) (session.Record, error) {
	data, err := json.Marshal(d)
	if err != nil {
		return session.Record{}, err
	}
	_, c, err := d.claims()
	if err != nil {
		return session.Record{}, err
	}
	return session.Record{
		App: l.app, Subject: c.Subject, SessionID: c.SessionID,
		Data: data, Expires: l.expires(d), Version: version,
	}, nil
}

// tooBig says what fills a cookie that a session did not fit into, which is all
// that can go wrong with one.
func (l *Login) tooBig(err error, d sessionData) error {
	if !l.stateless {
		return err
	}
	others := 0
	for _, o := range d.Others {
		others += len(o.AccessToken)
	}
	return fmt.Errorf("%w: ID token %d bytes, access token %d, refresh token %d, %d other access tokens %d; ask for fewer claims, or keep sessions in a store with memory",
		err, len(d.IDToken), len(d.AccessToken), len(d.RefreshToken), len(d.Others), others)
}

package bearer

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// fill makes t of the claims of a token that is good until then.
func (i *issuer) fill(t *token, until time.Time, c *oauth.AccessTokenClaims, isClient bool, claims []byte) error {
	t.issuer, t.until, t.bound = i, until.Unix(), c.Confirmation != nil
	p := &t.principal
	*p = guard.Principal{
		Kind:         guard.User,
		Subject:      c.Subject,
		Issuer:       i.rules.Issuer,
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
		KeyID:        t.key.KeyID,
		IssuedAt:     c.IssuedAt.Time(),
		Expiry:       c.Expiry.Time(),
		Claims:       claims,
	}
	if c.Confirmation != nil {
		p.Confirmation = guard.Confirmation{JKT: c.Confirmation.JKT, X5T: c.Confirmation.X5T}
	}
	if isClient {
		p.Kind = guard.Client
	}
	if p.Subject == "" { // an answer of introspection about a client's own token (RFC 7662 §2.2)
		p.Kind, p.Subject = guard.Client, p.ClientID
	}
	if c.Scope != "" {
		p.Scopes = strings.Fields(c.Scope)
	}
	if i.roles != nil {
		roles, err := textsAt(claims, i.roles)
		if err != nil {
			return fmt.Errorf("bearer: roles at %q: %w", i.roles, err)
		}
		p.Roles = roles
	}
	if i.complete != nil {
		if err := i.complete(p); err != nil {
			return fmt.Errorf("bearer: Claims: %w", err)
		}
	}
	return nil
}

// textsAt returns the array of strings at the end of a way through objects, nil
// if it ends earlier.
func textsAt(claims []byte, way []string) ([]string, error) {
	value := jose.Value(claims)
	for _, name := range way {
		object, err := jose.ParseObject(string(value))
		if err != nil {
			return nil, err
		}
		if value = object.Get(name); value == "" {
			return nil, nil
		}
	}
	return value.Texts()
}

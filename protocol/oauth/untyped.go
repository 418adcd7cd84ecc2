package oauth

import (
	"fmt"
	"strings"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// Tokens of [DialectUntyped] are what providers make that put "JWT" into typ, or
// nothing, for ID tokens and access tokens alike. Three traits tell the one from
// the other, and a token must show all of them:
//
//   - it names the client it was issued to (client_id, azp, cid or appid), as
//     an access token does and most ID tokens do not;
//   - that client is not among its audience, where an ID token's always is;
//   - nothing in it says that it is something else: no nonce, no at_hash, no
//     events, and no typ, token_use or token_type of another kind.
//
// An API must therefore have an audience of its own at its provider: one that
// shares a client's id cannot be told apart from that client.

// parseUntyped reads what providers spell in their own way: who the client is,
// scp for scope, and what the token calls itself.
func (c *AccessTokenClaims) parseUntyped(object jose.Object) error {
	for _, m := range object {
		var err error
		switch m.Name {
		case "cid", "appid":
			err = c.takeClient(m.Value)
		case "scp":
			err = c.takeScopes(m.Value)
		case "typ", "token_use", "token_type":
			err = checkSelfDescription(m)
		}
		if err != nil {
			return fmt.Errorf("claim %s: %w", m.Name, err)
		}
	}
	return nil
}

func (c *AccessTokenClaims) takeClient(v jose.Value) error {
	client, err := v.Text()
	if err != nil {
		return err
	}
	if known := c.Client(); known != "" && known != client {
		return fmt.Errorf("%w: it names two clients", ErrNotAccessToken)
	}
	c.ClientID = client
	return nil
}

// takeScopes reads scp, which is a list at some providers and text at others.
func (c *AccessTokenClaims) takeScopes(v jose.Value) error {
	if c.Scope != "" {
		return nil
	}
	if text, err := v.Text(); err == nil {
		c.Scope = text
		return nil
	}
	list, err := v.Texts()
	if err != nil {
		return err
	}
	for _, scope := range list {
		if scope == "" || strings.ContainsAny(scope, " \t\r\n") {
			return fmt.Errorf("%w: a scope with a space in it", ErrNotAccessToken)
		}
	}
	c.Scope = strings.Join(list, " ")
	return nil
}

// checkSelfDescription refuses a token that says it is of another kind.
func checkSelfDescription(m jose.Member) error {
	is, err := m.Value.Text()
	if err != nil {
		return err
	}
	switch strings.ToLower(is) {
	case "bearer", "dpop", "access", "access_token", "at+jwt":
		return nil
	}
	return fmt.Errorf("%w: it calls itself %.32q", ErrNotAccessToken, is)
}

// isMachine tells a client's own token where sub does not: providers make up a
// user for a client, whose identifier looks like anybody's.
func isMachine(object jose.Object, c *AccessTokenClaims) bool {
	text := func(name string) string { s, _ := object.Get(name).Text(); return s }
	client := c.Client()
	switch {
	case client == "" || c.Subject == "":
		return false
	case text("idtyp") == "app", text("oid") == c.Subject:
		return true // what Entra says of applications; a person's sub is never their oid
	case c.ClientID != "" && strings.EqualFold(text("preferred_username"), "service-account-"+c.ClientID):
		return true // what Keycloak says; only a service account's token has client_id
	}
	return false
}

func checkUntyped(c *AccessTokenClaims) error {
	switch client := c.Client(); {
	case client == "":
		return fmt.Errorf("%w: it does not name its client", ErrNotAccessToken)
	case c.Audience.Contains(client):
		return fmt.Errorf("%w: its client is its audience, as in an ID token", ErrNotAccessToken)
	}
	return nil
}

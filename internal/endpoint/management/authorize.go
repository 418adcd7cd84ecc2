package management

import (
	"errors"
	"net/http"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// caller is who calls, and what they may do at this moment.
type caller struct {
	origin audit.Origin
	rights oauth.Scope
}

// authenticate finds out who calls by the access token. What the token says is held against what
// the user or the client may do now: a permission that was taken away is gone at once.
func (s *Server) authenticate(r *http.Request, tn *tenant.Tenant) (caller, error) {
	ctx := r.Context()
	token, err := oauth.BearerToken(r.Header, r.URL.Query(), nil, oauth.BearerOptions{})
	if err != nil {
		return caller{}, err
	}
	audience := tn.ManagementAudience()
	claims, err := s.Tokens.Check(ctx, tn, token, audience)
	if err != nil {
		return caller{}, err
	}
	asked, err := oauth.ParseScope(claims.Scope)
	if err != nil {
		asked = nil // a token without a scope may do nothing
	}
	c := caller{origin: audit.Origin{
		Actor: claims.Subject, ClientID: claims.Client(), Address: httpx.ClientAddr(r).String(), UserAgent: r.UserAgent(),
	}}
	if claims.IsClient() {
		client, err := s.Apps.Client(ctx, tn, claims.Client())
		if err != nil {
			return caller{}, err
		}
		c.origin.Actor = client.ClientID
		c.rights = asked.Intersect(client.Grants[audience])
		return c, nil
	}
	user, err := s.People.ByID(ctx, tn, claims.Subject)
	if fault.Is(err, fault.NotFound) || err == nil && user.Blocked {
		return caller{}, oauth.NewError(oauth.InvalidToken, "The user of the access token is blocked or gone.")
	}
	if err != nil {
		return caller{}, err
	}
	held, err := s.Access.Permissions(ctx, tn, user.ID, audience)
	if err != nil {
		return caller{}, err
	}
	c.rights = asked.Intersect(held)
	return c, nil
}

// rank says whom a call changes.
type rank int

const (
	nobody rank = iota
	theUser
	theClient
)

// errRank refuses to change somebody who may do more: whoever can reset an administrator's password
// or read a machine's new secret has that administrator's rights.
func errRank() error {
	return fault.New(fault.Forbidden, "This concerns an administrator who may do more than you: only who has the same permissions can do it.")
}

// outrank refuses a call on a user or client that holds permissions of this API the caller lacks.
func (c *call) outrank(r rank) error {
	switch r {
	case theUser:
		return c.outrankUser(c.id)
	case theClient:
		return named(c.outrankClient(c.id), "client")
	}
	return nil
}

func (c *call) outrankClient(clientID string) error {
	client, err := c.Apps.Client(c.ctx, c.tn, clientID)
	if err != nil {
		return err
	}
	return c.outrankRights(client.Grants[c.tn.ManagementAudience()])
}

func (c *call) outrankUser(userID string) error {
	if !people.PlausibleID(userID) {
		return nil // there is none; the verb says so
	}
	held, err := c.Access.Permissions(c.ctx, c.tn, userID, c.tn.ManagementAudience())
	if err != nil {
		return err
	}
	return c.outrankRights(held)
}

// outrankRights refuses to hand out, or to meddle with, permissions of this API the caller lacks.
func (c *call) outrankRights(rights []string) error {
	for _, right := range rights {
		if !c.caller.rights.Contains(right) {
			return errRank()
		}
	}
	return nil
}

// named gives a NotFound one sentence per kind of thing: what is not there and what is another
// tenant's are told apart by nobody.
func named(err error, kind string) error {
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	return &refusal{status: http.StatusNotFound, code: "inexistent_" + kind, message: "The " + kind + " does not exist.", cause: errors.Unwrap(err)}
}

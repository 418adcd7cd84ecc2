package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/server"
)

// tokenCommand is about access tokens that are out there.
type tokenCommand struct {
	Revoke tokenRevoke `cmd:"" help:"End every access token of an application, or all of them."`
}

type tokenRevoke struct {
	houseFlags
	Client   string    `help:"Those of this application." placeholder:"CLIENT_ID" xor:"whose"`
	All      bool      `help:"All there are." xor:"whose"`
	IssuedBy time.Time `help:"Only those issued at this time (RFC 3339) or before; now unless given." placeholder:"TIME" format:"2006-01-02T15:04:05Z07:00"`
}

// Help tells what it ends and what it leaves.
func (tokenRevoke) Help() string {
	return `For emergencies: one rule ends them all, wherever they are checked against the feed of revocations, within a second.
What was granted stands: people stay signed in, and applications get new tokens by refreshing. To end what
one person has, see gatehouse user ban; to end a key, gatehouse key revoke.

  gatehouse token revoke --client hkxT3zYw --config gatehouse.yaml`
}

// Validate demands that it is said whose: that both flags are optional, and one is not, no usage line can say.
func (c *tokenRevoke) Validate() error {
	if c.Client == "" && !c.All {
		return errors.New("whose? Name --client CLIENT_ID, or say --all")
	}
	return nil
}

// Run writes the rule.
func (c *tokenRevoke) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		now := h.Clock.Now()
		by := c.IssuedBy
		if by.IsZero() {
			by = now
		}
		if by.After(now) {
			return fault.Field("issued-by", "must not be in the future: tokens that do not exist can not be taken back")
		}
		if err := h.Admin().RevokeTokens(ctx, h.Tenant, c.Client, by, operator()); err != nil {
			return fixable(err, "gatehouse client list shows those there are")
		}
		whose := "every application"
		if c.Client != "" {
			whose = c.Client
		}
		fmt.Fprintf(to.Err, "Ended the access tokens of %s that were issued by %s.\n", whose, by.UTC().Format(time.RFC3339))
		return nil
	})
}

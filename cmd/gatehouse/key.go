package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// keyCommand is about the keys that sign tokens.
type keyCommand struct {
	List   keyList   `cmd:"" help:"List the signing keys, and where each is in its life."`
	Rotate keyRotate `cmd:"" help:"Publish new keys, which sign once everybody can have fetched them."`
	Revoke keyRevoke `cmd:"" help:"Drop a key that is not trusted any more, and end all it has signed."`
}

type keyList struct{ verb }

// Run prints the keys.
func (c *keyList) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error { return printKeys(ctx, to, h, c.JSON) })
}

type keyRotate struct {
	verb
	Alg []string `help:"Only the keys of these algorithms; every one in use otherwise." placeholder:"ALG"`
}

// Help tells what happens, and when.
func (keyRotate) Help() string {
	return `Keys rotate by themselves every 90 days; this is for when you want it sooner. Nobody notices: a new key is
published for eleven minutes before it signs, and the old one for a month after.
When a key may be known to others, use gatehouse key revoke.`
}

// Run rotates and prints the keys.
func (c *keyRotate) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		var algs []jose.Alg
		for _, name := range c.Alg {
			algs = append(algs, jose.Alg(name))
		}
		if err := h.RotateKeys(ctx, algs, operator()); err != nil {
			return err
		}
		return printKeys(ctx, to, h, c.JSON)
	})
}

type keyRevoke struct {
	verb
	KeyID string `arg:"" name:"kid" help:"The key, as gatehouse key list names it."`
}

// Help tells what it does.
func (keyRevoke) Help() string {
	return `For a key that may be known to others. It is out of the published set at once and another signs in its place.
Tokens it has signed are refused by this house immediately, within a second by every application whose guard
follows the feed of revocations, and by others when they fetch the key set again (within ten minutes).
People stay signed in, and applications get new tokens by refreshing.`
}

// Run revokes the key and prints those there are now.
func (c *keyRevoke) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		if err := h.RevokeKey(ctx, c.KeyID, operator()); err != nil {
			return fixable(err, "gatehouse key list shows those there are")
		}
		fmt.Fprintf(to.Err, "Revoked %s. What it has signed is not accepted any more, here and where the feed of revocations is followed;\nother APIs accept it until they fetch the keys anew, which takes ten minutes at most.\n", c.KeyID)
		return printKeys(ctx, to, h, c.JSON)
	})
}

func printKeys(ctx context.Context, to streams, h *server.House, asJSON bool) error {
	all, err := h.Keys.List(ctx, h.Tenant)
	if err != nil {
		return err
	}
	var shown []management.SigningKey
	rows := [][]string{}
	for _, k := range all {
		shown = append(shown, management.ShowSigningKey(k))
		rows = append(rows, []string{k.KeyID, string(k.Alg), string(k.State), when(k.SignsFrom), until(k)})
	}
	if asJSON {
		return printJSON(to.Out, orNone(shown))
	}
	return table(to.Out, []string{"KEY ID", "ALG", "STATE", "SIGNS FROM", "PUBLISHED UNTIL"}, rows)
}

func until(k keys.Info) string {
	if k.DroppedAt.Before(time.Unix(1, 0)) {
		return ""
	}
	return when(k.DroppedAt)
}

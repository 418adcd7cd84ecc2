package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/server"
)

// masterkeyCommand is about the keys that seal secrets in the database.
type masterkeyCommand struct {
	Rotate masterkeyRotate `cmd:"" help:"Seal everything anew with the first master key, and say when the old ones can go."`
}

type masterkeyRotate struct{ verb }

// Help tells the whole procedure.
func (masterkeyRotate) Help() string {
	return `First make a key and put it in front of master_keys. With several servers, put it at the end everywhere before
that and restart them, so that each can open what another seals.

  openssl rand -base64 32

Then restart the servers, and have everything sealed anew, beside them; it may be interrupted and run again:

  gatehouse masterkey rotate --config gatehouse.yaml

It says when the old key can go: refresh tokens made with it live on until they are used or expire. Remove it
from master_keys then, and restart.`
}

// Run rotates and reports.
func (c *masterkeyRotate) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		report, err := h.RotateMasterKey(ctx, func(what string, n int) { fmt.Fprintf(to.Err, "sealed anew: %d %s\n", n, what) })
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(to.Out, reportJSON(report))
		}
		printReport(to, report, h.Config)
		return nil
	})
}

type waitingJSON struct {
	KeyID string `json:"key_id"`
	What  string `json:"what"`
	Count int64  `json:"count"`
	Until string `json:"until"`
}

func reportJSON(r *keys.Report) any {
	waiting := []waitingJSON{}
	for _, w := range r.Waiting {
		waiting = append(waiting, waitingJSON{w.KeyID, w.What, w.Count, w.Until.UTC().Format("2006-01-02T15:04:05Z")})
	}
	return map[string]any{"current": r.Current, "resealed": r.Resealed, "removable": orNone(r.Retired), "waiting": waiting}
}

func printReport(to streams, r *keys.Report, c *config.Config) {
	total := 0
	for _, n := range r.Resealed {
		total += n
	}
	fmt.Fprintf(to.Out, "Everything at rest is sealed with master key %s; %d values were sealed anew.\n", r.Current, total)
	for _, w := range r.Waiting {
		fmt.Fprintf(to.Out, "Master key %s is still needed: %d %s were made with it, the last of which ends by %s.\n", w.KeyID, w.Count, w.What, w.Until.UTC().Format("2006-01-02 15:04 UTC"))
	}
	ring, err := c.Ring()
	if err != nil {
		return // it was read a moment ago
	}
	var removable []string
	for i, k := range ring[1:] {
		if !slices.ContainsFunc(r.Waiting, func(w keys.Dependence) bool { return w.KeyID == k.ID }) {
			removable = append(removable, fmt.Sprintf("%s (number %d)", k.ID, i+2))
		}
	}
	switch {
	case len(removable) > 0:
		fmt.Fprintf(to.Out, "Can be removed from master_keys now: %s.\n", strings.Join(removable, ", "))
	case len(ring) == 1:
		fmt.Fprintln(to.Out, "There is one master key. To change it, see: gatehouse masterkey rotate --help")
	default:
		fmt.Fprintln(to.Out, "Run this again when those have ended.")
	}
}

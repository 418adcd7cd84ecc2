package main

import (
	"context"
	"strconv"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/backchannel"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/server"
)

type clientLogouts struct {
	verb
	ClientID string `arg:"" help:"Its id."`
	User     string `help:"Only those of this user." placeholder:"USER_ID"`
	Limit    int    `help:"So many of the newest." default:"50" placeholder:"N"`
}

// Help says what is shown.
func (clientLogouts) Help() string {
	return `A line for each session that ended and the application had taken part in, the newest first. What is waiting
is tried again by the server, at the time that is shown; after six attempts it has failed for good.`
}

// Run prints the receipts of an application.
func (c *clientLogouts) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		if _, err := h.Apps.Client(ctx, h.Tenant, c.ClientID); err != nil {
			return fixable(err, "gatehouse client list shows those there are")
		}
		receipts, _, err := h.Logouts.Receipts(ctx, h.Tenant, backchannel.Query{ClientID: c.ClientID, UserID: c.User, Limit: c.Limit})
		if err != nil {
			return err
		}
		var shown []management.LogoutReceipt
		rows := [][]string{}
		for _, r := range receipts {
			shown = append(shown, management.ShowLogoutReceipt(r))
			rows = append(rows, []string{
				stamp(r.CreatedAt), r.UserID, r.SID, r.Cause, string(r.State), strconv.FormatInt(r.Attempts, 10), outcome(r), stamp(r.NextAt),
			})
		}
		if c.JSON {
			return printJSON(to.Out, orNone(shown))
		}
		return table(to.Out, []string{"SIGNED OUT", "USER", "SESSION", "CAUSE", "STATE", "ATTEMPTS", "LAST OUTCOME", "NEXT"}, rows)
	})
}

// outcome is what came of the last attempt: the status of the answer, and what was wrong with it.
func outcome(r backchannel.Receipt) string {
	switch {
	case r.Status == 0:
		return string(r.Failure)
	case r.Failure == "":
		return strconv.FormatInt(r.Status, 10)
	}
	return strconv.FormatInt(r.Status, 10) + " " + string(r.Failure)
}

// stamp is a time in a table; empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateTime)
}

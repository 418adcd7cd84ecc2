package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/server"
)

type appCheck struct {
	verb
	ClientID string `arg:"" help:"Its id."`
}

// Help says where the answer comes from.
func (appCheck) Help() string {
	return `A server that is running writes down within two seconds what went wrong, and keeps it for a month. Nothing
that was sent is kept in full: no secret, no token, no query.

  gatehouse app check CLIENT_ID --data .gatehouse`
}

// Run prints the findings. It succeeds whatever they are.
func (c *appCheck) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		client, report, err := h.Admin().CheckClient(ctx, h.Tenant, c.ClientID)
		if err != nil {
			return fixable(err, "gatehouse client list shows those there are")
		}
		shown := management.ShowCheckup(client, report, c.named()...)
		if c.JSON {
			return printJSON(to.Out, shown)
		}
		printCheckup(to.Out, shown, report, h.Tenant.Issuer, h.Clock.Now())
		return nil
	})
}

// printCheckup writes what is wrong first, then what is worth a look, then what went well.
func printCheckup(w io.Writer, c management.Checkup, r checkup.Report, issuer string, now time.Time) {
	ink := inkFor(w)
	wrong, settled := 0, 0
	for _, f := range r.Findings {
		switch f.Level {
		case checkup.Wrong:
			wrong++
		case checkup.Settled:
			settled++
		}
	}
	verdict, colour := "nothing is wrong", ink.bold
	switch {
	case wrong == 1:
		verdict, colour = "one thing is wrong", ink.bad
	case wrong > 1:
		verdict, colour = fmt.Sprintf("%d things are wrong", wrong), ink.bad
	case !c.Seen:
		verdict, colour = "never seen a request", ink.bad
	}
	fmt.Fprintf(w, "\n%s: %s%s%s\n", c.Name, colour, verdict, ink.reset)
	if !c.Seen {
		fmt.Fprintf(w, "\nNo request with this client id has come. Look whether the application has\n  client_id  %s\n  issuer     %s\n", c.ClientID, issuer)
	}
	for i, f := range c.Findings {
		if f.Level == checkup.Settled {
			continue
		}
		printFinding(w, ink, f, r.Findings[i], now)
	}
	if len(c.Lasts) > 0 {
		fmt.Fprintf(w, "\n%sWhat went well%s\n", ink.bold, ink.reset)
		var rows []field
		for _, l := range r.Lasts {
			rows = append(rows, field{"  " + l.Title, ago(now.Sub(l.At))})
		}
		details(w, rows...)
	}
	if settled > 0 {
		fmt.Fprintf(w, "\n%s%d more were wrong, and are not any more (--json shows them).%s\n", ink.dim, settled, ink.reset)
	}
}

func printFinding(w io.Writer, ink ink, f management.Finding, raw checkup.Finding, now time.Time) {
	mark, colour := "x", ink.bad
	if f.Level == checkup.Look {
		mark, colour = "?", ink.dim
	}
	fmt.Fprintf(w, "\n%s%s %s%s", colour, mark, f.Title, ink.reset)
	if f.Count > 0 {
		fmt.Fprintf(w, "  %s%s%s", ink.dim, times(f.Count, ago(now.Sub(raw.LastAt))), ink.reset)
	}
	fmt.Fprintln(w)
	details(w, field{"  sent", f.Sent}, field{"  registered", near(f)})
	if f.Fix != "" {
		fmt.Fprintf(w, "  %s\n", f.Fix)
	}
	if f.Command != "" {
		fmt.Fprintf(w, "    %s\n", f.Command)
	}
}

func near(f management.Finding) string {
	if f.Registered == "" || f.Difference == "" {
		return f.Registered
	}
	return f.Registered + "  (" + f.Difference + ")"
}

func times(n int64, last string) string {
	if n == 1 {
		return "once, " + last
	}
	return fmt.Sprintf("%d times, last %s", n, last)
}

// ago says how long ago something was, as people do.
func ago(d time.Duration) string {
	switch {
	case d < 5*time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

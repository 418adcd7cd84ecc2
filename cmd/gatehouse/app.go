package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/guide"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/server"
)

// appCommand is the way in for whoever builds an application.
type appCommand struct {
	Create appCreate `cmd:"" help:"Say what you are building, and get a client and the lines that make it work."`
	Check  appCheck  `cmd:"" help:"Say what is wrong with an application's configuration, from its recent requests."`
}

type appCreate struct {
	verb
	Building     *string  `help:"server-rendered, spa, mobile, serverless, service, script, enterprise, or api." placeholder:"KIND"`
	SDK          *string  `name:"sdk" help:"Which SDK, as the questions name them." placeholder:"SDK"`
	Name         *string  `help:"What people read when they sign in to it." placeholder:"NAME"`
	Origin       []string `help:"Where it runs: scheme, host and port; repeat for more." placeholder:"ORIGIN" sep:"none"`
	Callback     []string `help:"Where browsers return to, in place of what the SDK uses." placeholder:"URL" sep:"none"`
	Audience     *string  `help:"The API it calls, or is; an empty one for none." placeholder:"IDENTIFIER"`
	Scope        *string  `help:"What it asks for there, separated by spaces." placeholder:"SCOPE"`
	SessionStore bool     `help:"Its sessions are in a store, so it can be told of sign-outs elsewhere."`
}

// Help shows examples.
func (appCreate) Help() string {
	return `On a terminal it asks for what is not given; Enter takes what is offered, b goes back, q quits.
A secret is printed once.

  gatehouse app create --data .gatehouse
  gatehouse app create --building spa --sdk auth0-react --name "My shop" --audience https://api.example.com/ \
      --origin https://shop.example.com --origin http://localhost:5173 --json --config gatehouse.yaml`
}

// Run asks what is missing, registers the application, and prints how to go on.
func (c *appCreate) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		answers, err := c.answers(ctx, h, to)
		if err != nil {
			return err
		}
		app, err := h.Admin().PlanApplication(ctx, h.Tenant, answers)
		if err != nil {
			return appFault(err)
		}
		if err := h.Admin().CreateApplication(ctx, h.Tenant, app, operator()); err != nil {
			return appFault(err)
		}
		shown, err := management.ShowApplication(h.Tenant, app, c.named()...)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(to.Out, shown)
		}
		if err := printApplication(to.Out, app, shown, c.named()); err != nil {
			return err
		}
		if app.Secret != "" {
			fmt.Fprintln(to.Err, "Keep the secret: it is not shown again.")
		}
		return nil
	})
}

// answers are what the flags say and, on a terminal, what is then asked.
func (c *appCreate) answers(ctx context.Context, h *server.House, to streams) (guide.Answers, error) {
	q := &interview{appCreate: c, ctx: ctx, house: h}
	if !c.JSON {
		q.asker = newAsker(to)
	}
	return q.run()
}

// appFault says an error about an answer in the words of these flags.
func appFault(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Code != fault.Invalid {
		return err
	}
	flag := map[string]string{
		"building": "--building", "sdk": "--sdk", "name": "--name", "origin": "--origin", "callback": "--callback", "callbacks": "--callback",
		"web_origins": "--origin", "allowed_logout_urls": "--origin", "audience": "--audience", "identifier": "--audience", "scope": "--scope", "scopes": "--scope",
	}[e.Field]
	if flag == "" {
		return err
	}
	return errors.New(flag + ": " + e.Message)
}

// printApplication writes what a newcomer does next. Code stands at the left margin, to be copied.
func printApplication(w io.Writer, app *guide.Application, shown management.Application, house []string) error {
	ink := inkFor(w)
	what := app.Building.Title + ": " + app.SDK.Title
	if c := app.Client; c != nil {
		fmt.Fprintf(w, "\n%s%s is registered.%s %s\n\n", ink.bold, c.Name, ink.reset, what)
		if err := details(w,
			field{"client_id", c.ClientID}, field{"callbacks", lines(c.RedirectURIs)}, field{"logout urls", lines(c.LogoutURLs)},
			field{"web origins", lines(c.WebOrigins)}, field{"back-channel logout", c.BackchannelLogoutURI},
		); err != nil {
			return err
		}
	} else {
		known := "is there already"
		if app.NewAPI != nil {
			known = "is registered"
		}
		fmt.Fprintf(w, "\n%sThe API %s %s.%s %s\n", ink.bold, app.API.Identifier, known, ink.reset, what)
	}
	for i, s := range shown.Steps {
		fmt.Fprintf(w, "\n%s%d  %s%s\n\n%s", ink.bold, i+1, s.Where, ink.reset, s.Text)
	}
	if len(shown.Notes) > 0 {
		fmt.Fprintf(w, "\n%sGood to know%s\n", ink.bold, ink.reset)
	}
	for _, n := range shown.Notes {
		fmt.Fprintf(w, "- %s\n", n.Text)
		if n.Command != "" {
			fmt.Fprintf(w, "  %s\n", n.Command)
		}
	}
	if app.Client != nil {
		fmt.Fprintf(w, "\n%sSomething does not work?%s\n%s\n", ink.bold, ink.reset, management.Command([]string{"app", "check", app.Client.ClientID}, house...))
	}
	return nil
}

// named is what a command must be told to find the same house.
func (f houseFlags) named() []string {
	switch {
	case f.Data != "":
		return []string{"--data", f.Data}
	case f.Config != "":
		return []string{"--config", f.Config}
	}
	return nil
}

func fieldsOf(s *string) []string {
	if s == nil {
		return nil
	}
	return strings.Fields(*s)
}

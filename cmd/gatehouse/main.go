// Command gatehouse is the house: `gatehouse dev` to try it, `gatehouse serve` for production, and
// the verbs an operator needs beside a running server. Everything it does is done by the packages
// below it; here are words, flags and output.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the tree of commands.
type commands struct {
	Dev   devCommand   `cmd:"" help:"Try Gatehouse: no configuration, this machine only, with demo people and applications."`
	Serve serveCommand `cmd:"" help:"Serve in production."`

	App       appCommand       `cmd:"" help:"What are you building? create, check: a client, the code that goes with it, and what is wrong." group:"house"`
	Client    clientCommand    `cmd:"" help:"Applications: create, list, show, update, delete, rotate-secret, logouts." group:"house"`
	API       apiCommand       `cmd:"" name:"api" help:"APIs, which access tokens are for: create, list, show, update, delete." group:"house"`
	User      userCommand      `cmd:"" help:"People: create, list, show, update, delete, ban, unban, password-link, import." group:"house"`
	APIKey    apiKeyCommand    `cmd:"" name:"apikey" help:"API keys: create, list, show, rotate, revoke." group:"house"`
	Token     tokenCommand     `cmd:"" help:"Access tokens that are out there: revoke." group:"house"`
	Key       keyCommand       `cmd:"" help:"The keys that sign tokens: list, rotate, revoke." group:"house"`
	Masterkey masterkeyCommand `cmd:"" help:"The keys that seal secrets in the database: rotate." group:"house"`

	Config  configCommand  `cmd:"" help:"The configuration: check, explain."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// streams are where a command reads and writes: results go to Out, everything else to Err.
type streams struct {
	In       io.Reader
	Out, Err io.Writer
}

func main() { os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})) }

// Exit codes.
const (
	exitFailed = 1 // the command could not do it
	exitUsage  = 2 // the command line makes no sense
)

// withDefault is the help of a flag with the value it has when it is left out.
func withDefault(v *kong.Value) string {
	help := kong.DefaultHelpValueFormatter(v)
	if v.Default == "" || v.IsBool() || v.Default == v.Tag.PlaceHolder {
		return help
	}
	return help + " Default: " + v.Default + "."
}

// exit is what kong panics with to leave after it printed help.
type exit int

func run(args []string, to streams) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var tree commands
	parser, err := kong.New(&tree,
		kong.Name("gatehouse"),
		kong.Description("An identity provider in one binary. Begin with: gatehouse dev"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{{Key: "house", Title: "In a house, which --config FILE or --data DIR names:"}}),
		kong.ValueFormatter(withDefault),
		kong.Writers(to.Out, to.Err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.Bind(to),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		panic(err) // our own tree: a bug
	}
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case exit:
			code = int(cause)
		default:
			panic(cause)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(to.Err, "gatehouse: %s\n", err)
		if wrong, ok := errors.AsType[*kong.ParseError](err); ok && wrong.Context.Command() != "" {
			fmt.Fprintf(to.Err, "See: gatehouse %s --help\n", wrong.Context.Command())
		} else {
			fmt.Fprintln(to.Err, "See: gatehouse --help")
		}
		return exitUsage
	}
	if err := command.Run(); err != nil {
		fmt.Fprintf(to.Err, "gatehouse: %s\n", explain(err, wordsOf(command.Selected())))
		return exitFailed
	}
	return 0
}

// Command gatehouse is the house: `gatehouse dev` to try it, `gatehouse serve` for production, and
// the verbs an operator needs beside a running server. Everything it does is done by the packages
// below it; here are words, flags and output.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// commands is the tree of commands.
type commands struct {
	Dev     devCommand     `cmd:"" help:"Try Gatehouse: no configuration, this machine only, with demo people and applications."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// streams are where a command writes: results to Out, everything else to Err.
type streams struct {
	Out, Err io.Writer
}

func main() { os.Exit(run(os.Args[1:], streams{os.Stdout, os.Stderr})) }

// Exit codes.
const (
	exitFailed = 1 // the command could not do it
	exitUsage  = 2 // the command line makes no sense
)

// exit is what kong panics with to leave after it printed help.
type exit int

func run(args []string, to streams) (code int) {
	var tree commands
	parser, err := kong.New(&tree,
		kong.Name("gatehouse"),
		kong.Description("An identity provider in one binary. Begin with: gatehouse dev"),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Writers(to.Out, to.Err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.Bind(to),
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
		fmt.Fprintf(to.Err, "gatehouse: %s\n", explain(err))
		return exitFailed
	}
	return 0
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// ink is how words stand out on a terminal; everywhere else it is empty.
type ink struct{ bold, dim, bad, reset string }

// inkFor returns colours where w is a terminal and nobody asked for none (no-color.org).
func inkFor(w io.Writer) ink {
	if !isTerminal(w) || os.Getenv("NO_COLOR") != "" {
		return ink{}
	}
	return ink{"\x1b[1;32m", "\x1b[2m", "\x1b[33m", "\x1b[0m"}
}

// isTerminal reports whether a stream is a device for characters, and not the one that swallows them.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

var (
	errBack = errors.New("back")
	errQuit = errors.New("nothing was created")
)

// asker asks people questions on a terminal.
type asker struct {
	in  *bufio.Scanner
	out io.Writer
	ink
}

// newAsker returns nil where there is nobody to ask. Questions stay out of what is sent to a file.
func newAsker(to streams) *asker {
	if !isTerminal(to.In) {
		return nil
	}
	for _, out := range []io.Writer{to.Err, to.Out} {
		if isTerminal(out) {
			return &asker{bufio.NewScanner(to.In), out, inkFor(out)}
		}
	}
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	return &asker{bufio.NewScanner(to.In), tty, inkFor(tty)}
}

// read returns a line: errBack or errQuit where it says so, and errQuit at the end of the input.
func (a *asker) read(prompt, otherwise string) (string, error) {
	if otherwise != "" {
		prompt += " " + a.dim + "[" + otherwise + "]" + a.reset
	}
	fmt.Fprintf(a.out, "%s > ", strings.TrimSpace(prompt))
	if !a.in.Scan() {
		fmt.Fprintln(a.out)
		return "", errQuit
	}
	switch line := strings.TrimSpace(a.in.Text()); line {
	case "q", "quit", "exit":
		return "", errQuit
	case "b", "back":
		return "", errBack
	case "":
		return otherwise, nil
	default:
		return line, nil
	}
}

func (a *asker) complain(problem string) { fmt.Fprintf(a.out, "%s%s%s\n", a.bad, problem, a.reset) }

// option is one answer of several. Value is what a flag would say.
type option struct{ value, title, means string }

// choose asks for one of several answers, by number or by name; Enter takes the first.
func (a *asker) choose(question string, options []option) (string, error) {
	fmt.Fprintf(a.out, "\n%s%s%s\n", a.bold, question, a.reset)
	width := 0
	for _, o := range options {
		width = max(width, len(o.title))
	}
	for i, o := range options {
		fmt.Fprintf(a.out, "  %d  %-*s  %s%s%s\n", i+1, width, o.title, a.dim, o.means, a.reset)
	}
	for {
		line, err := a.read("", "1")
		if err != nil {
			return "", err
		}
		if n, err := strconv.Atoi(line); err == nil && n >= 1 && n <= len(options) {
			return options[n-1].value, nil
		}
		for _, o := range options {
			if line == o.value || line == o.title {
				return o.value, nil
			}
		}
		a.complain(fmt.Sprintf("Type a number from 1 to %d; b goes back, q quits.", len(options)))
	}
}

// ask asks for words; Enter takes what is offered. check says what is wrong with them, if anything.
func (a *asker) ask(question, otherwise string, check func(string) error) (string, error) {
	fmt.Fprintln(a.out)
	for {
		line, err := a.read(a.bold+question+a.reset, otherwise)
		if err != nil {
			return "", err
		}
		if err := check(line); err != nil {
			a.complain(explain(err, flagOf))
			continue
		}
		return line, nil
	}
}

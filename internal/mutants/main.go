// Command mutants takes the defences of the house away, one at a time, and demands that a test
// notices.
//
//	go run ./internal/mutants [-short] [-workers N] [ID|NAME…]
//	go run ./internal/mutants list
//
// Each file testdata/mutants/ID.patch or ID_words.patch is a unified diff that removes the defence
// of one row of the threat catalogue. It is applied to a copy of the tree, and the tests named
// after that row (TestThreat_ID_…, FuzzThreat_ID…) must fail there, having passed on the tree as it
// is. A mutant that does not apply, does not compile or meets no test is an error, never a success.
//
// An id stands for all mutants of its row, a name (ID_words) for one. Without any all run, and every
// row that has a test must have a mutant, or a line "ID reason" in testdata/mutants/exceptions.txt.
// "list" shows what there is and what is missing.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	short := flag.Bool("short", false, "pass -short to the tests: SQLite only")
	workers := flag.Int("workers", 2, "how many mutants are tried at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	var ok bool
	var err error
	if flag.Arg(0) == "list" {
		ok, err = list(".", os.Stdout)
	} else {
		ok, err = run(ctx, ".", options{short: *short, workers: *workers, ids: flag.Args()}, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if !ok || err != nil {
		stop()
		os.Exit(1)
	}
}

// list writes every row with its tests and mutants, and what is missing.
func list(root string, out io.Writer) (ok bool, err error) {
	p, err := readPlan(root)
	if err != nil {
		return false, err
	}
	for _, r := range p.rows {
		what := fmt.Sprintf("%d mutants", len(r.mutants))
		if r.exception != "" {
			what = "exempt: " + r.exception
		}
		fmt.Fprintf(out, "%-5s %2d tests  %s\n", r.id, len(r.tests), what)
	}
	return printGaps(p, out), nil
}

func printGaps(p *plan, out io.Writer) (none bool) {
	gaps := p.gaps()
	if len(gaps) > 0 {
		fmt.Fprintf(out, "\n%d gaps:\n  %s\n", len(gaps), strings.Join(gaps, "\n  "))
	}
	return len(gaps) == 0
}

type options struct {
	short   bool
	workers int
	ids     []string // of rows or mutants; all when empty
}

// run tries the mutants of the tree at root and reports on out. It is true when each was noticed
// and, unless some were named, none is missing.
func run(ctx context.Context, root string, o options, out io.Writer) (ok bool, err error) {
	p, err := readPlan(root)
	if err != nil {
		return false, err
	}
	complete := true
	if len(o.ids) == 0 {
		complete = printGaps(p, out)
	} else if p, err = p.only(o.ids); err != nil {
		return false, err
	}

	start := time.Now()
	outcomes, err := tryAll(ctx, root, p, o, func(x outcome) {
		fmt.Fprintf(out, "%-24s %-8s %6.1fs  %s\n", x.mutant.name, x.verdict, x.took.Seconds(), x.detail)
	})
	if err != nil {
		return false, err
	}
	counts := map[verdict]int{}
	for _, x := range outcomes {
		counts[x.verdict]++
	}
	fmt.Fprintf(out, "\n%d mutants: %d noticed, %d survived, %d errors, in %s\n", len(outcomes),
		counts[noticed], counts[survived], counts[broken], time.Since(start).Round(time.Second))
	return complete && counts[noticed] == len(outcomes), nil
}

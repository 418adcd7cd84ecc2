// Command bench measures the house as its clients see it: the production handler in a process of
// its own, this process as the load, 64 kept-alive connections between them on loopback. Beside
// each operation stand a bare net/http handler that answers with as many bytes and, where a
// signature is made or checked, the bare call into the standard library, all in the same run and
// in turns, so that a busy machine slows all of them alike.
//
//	go run ./internal/bench                      # everything, on SQLite and PostgreSQL
//	go run ./internal/bench -quick               # the same in a minute, to see that it works
//	go run ./internal/bench -only refresh -profile /tmp/profiles
//
// docs/speed.md says how to read the result.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options say what is measured and for how long.
type options struct {
	quick     bool
	databases []string
	only      *regexp.Regexp
	profiles  string // folder for CPU profiles of the house, or empty
	out       string // markdown file, or empty
	warm      time.Duration
	measure   time.Duration
	slice     time.Duration // how long the house, or the bare handler, has its turn
	starts    int           // of the house, and of a house in a test
	size      size
}

// connections is how many requests are under way at any moment.
const connections = 64

func run(ctx context.Context, args []string, out io.Writer) error {
	o := options{warm: 2 * time.Second, slice: 500 * time.Millisecond, starts: 10, size: fullSize()}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	serveURL := flags.String("serve", "", "be the server, on this database (this command starts itself so)")
	listen := flags.String("listen", "", "where the server listens")
	databases := flags.String("db", "sqlite,postgres", "databases to measure on")
	only := flags.String("only", "", "measure operations whose name matches this expression alone")
	flags.BoolVar(&o.quick, "quick", false, "short turns and little data: shows that it works, and no figures worth keeping")
	flags.StringVar(&o.profiles, "profile", "", "write CPU profiles of the house into this folder, one per operation")
	flags.StringVar(&o.out, "out", "docs/evidence/bench-"+time.Now().UTC().Format(time.DateOnly)+".md", "write the result to this file too; empty for none")
	flags.DurationVar(&o.measure, "measure", 0, "how long each operation is measured (5s, or 600ms when quick)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *serveURL != "" {
		return serve(ctx, *serveURL, *listen)
	}
	if o.quick {
		o.warm, o.slice, o.starts, o.size = 200*time.Millisecond, 200*time.Millisecond, 3, quickSize()
		o.measure = cmp.Or(o.measure, 600*time.Millisecond)
	}
	o.measure = cmp.Or(o.measure, 5*time.Second)
	if o.profiles != "" {
		o.slice = o.measure // one turn, one profile
	}
	if o.quick || *only != "" {
		o.out = "" // no evidence of anything
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return err
	}
	o.databases = strings.Split(*databases, ",")
	return measureAll(ctx, o, out)
}

// measureAll measures on one database after the other and reports.
func measureAll(ctx context.Context, o options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &report{facts: machine(dir), crypto: measureCrypto(o)}
	fmt.Fprint(out, r.facts.text())
	for _, name := range o.databases {
		if err := measureOn(ctx, o, r, name, dir, out); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if o.only.MatchString("gatehousetest") {
		r.testStarts = measureTestStarts(o.starts)
	}
	r.facts.loadAfter = loadAverage()
	fmt.Fprint(out, r.text())
	if o.out == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(o.out, []byte(r.markdown()), 0o644)
}

// measureOn measures everything on one database.
func measureOn(ctx context.Context, o options, r *report, name, dir string, out io.Writer) (err error) {
	var url string
	switch name {
	case "sqlite":
		url = "sqlite:" + filepath.Join(dir, "gatehouse.db")
	case "postgres":
		cluster, err := dbtest.StartCluster(dbtest.ClusterOptions{Durable: true})
		if err != nil {
			return err
		}
		defer cluster.Stop()
		url = cluster.DSN
	default:
		return errors.New("databases are sqlite and postgres")
	}
	fmt.Fprintf(out, "%s: filling the database\n", name)
	w, err := newWorld(ctx, url, o.size)
	if err != nil {
		return err
	}
	result := &databaseResult{name: name}
	r.databases = append(r.databases, result)
	if o.only.MatchString("start") {
		if result.starts, err = measureStarts(ctx, url, o.starts); err != nil {
			return err
		}
	}
	if err := measureOperations(ctx, o, w, url, result, out); err != nil {
		return err
	}
	if name == "sqlite" && o.only.MatchString("guard") {
		r.guard, err = measureGuard(ctx, o, w, url)
	}
	return err
}

// measureOperations measures each operation: first those that must begin cold, each in a server of
// its own, and then the others, one after the other in one.
func measureOperations(ctx context.Context, o options, w *world, url string, result *databaseResult, out io.Writer) error {
	var cold, others []operation
	for _, op := range operations() {
		switch {
		case !o.only.MatchString(op.name) || op.noStorage && result.name != "sqlite":
		case op.cold:
			cold = append(cold, op)
		default:
			others = append(others, op)
		}
	}
	for _, op := range cold {
		if err := measureIn(ctx, o, w, url, result, out, op); err != nil {
			return err
		}
	}
	return measureIn(ctx, o, w, url, result, out, others...)
}

// measureIn measures operations in one fresh server, and the memory it takes before and after.
func measureIn(ctx context.Context, o options, w *world, url string, result *databaseResult, out io.Writer, ops ...operation) (err error) {
	if len(ops) == 0 {
		return nil
	}
	p, err := startServer(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	<-time.NewTimer(o.warm).C
	result.idle = p.resident()
	for _, op := range ops {
		m, err := measure(o, p, w, op, result.name)
		if err != nil {
			return fmt.Errorf("%s: %w", op.name, err)
		}
		result.operations = append(result.operations, m)
		fmt.Fprintln(out, "  "+m.line())
	}
	result.loaded = max(result.loaded, p.resident())
	return nil
}

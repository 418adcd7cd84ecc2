package main

import (
	"fmt"
	"strings"
	"time"
)

// report is all that was measured.
type report struct {
	facts      facts
	crypto     map[string]float64
	databases  []*databaseResult
	guard      []checked
	testStarts []time.Duration // the first, and then the others sorted
}

// databaseResult is what was measured on one database.
type databaseResult struct {
	name         string
	starts       []time.Duration // sorted
	idle, loaded int64           // resident bytes
	operations   []*measured
}

// The aims that are no rates.
const (
	aimStart     = 40 * time.Millisecond
	aimTestStart = 100 * time.Millisecond
	aimIdle      = 30 << 20
	aimLoaded    = 60 << 20
	// tolerance is by how much an aim may be missed and still counts as met, given a profile that says
	// why.
	tolerance = 0.2
)

// verdict tells how a figure stands to its aim. ratio is above 1 when the figure is better.
func verdict(ratio float64) string {
	switch {
	case ratio >= 1:
		return "met"
	case ratio >= 1-tolerance:
		return fmt.Sprintf("within a fifth (%.0f %%)", 100*ratio)
	default:
		return fmt.Sprintf("missed (%.0f %%)", 100*ratio)
	}
}

// table is rows of cells, the first row being the head.
type table [][]string

func (t *table) row(cells ...string) { *t = append(*t, cells) }

// aligned writes a table with its columns under each other, in a form that is Markdown too.
func (t table) aligned() string {
	var width []int
	for _, row := range t {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	for n, row := range t {
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-len([]rune(cell)))
			if i > 0 && n > 0 {
				cell, pad = pad+cell, ""
			}
			fmt.Fprintf(&b, "| %s%s ", cell, pad)
		}
		b.WriteString("|\n")
		if n == 0 {
			for i := range row {
				line := strings.Repeat("-", width[i]+1)
				if i > 0 {
					line += ":"
				} else {
					line += "-"
				}
				b.WriteString("|" + line)
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}

func (r *report) operations(d *databaseResult) table {
	t := table{{"operation", "ops/s", "p50", "p99", "bare net/http", "fraction", "bare crypto", "fraction", "server µs/op", "bare µs/op", "by CPU", "aim", "verdict"}}
	for _, m := range d.operations {
		crypto, share := "–", "–"
		if rate := cryptoRate(r.crypto, m.crypto); rate > 0 {
			crypto, share = fmt.Sprintf("%.0f", rate), fraction(rate/m.house.rate())
		}
		t.row(m.name, fmt.Sprintf("%.0f", m.house.rate()), short(m.house.percentile(50)), short(m.house.percentile(99)),
			fmt.Sprintf("%.0f", m.bare.rate()), fraction(m.bare.rate()/m.house.rate()), crypto, share,
			fmt.Sprintf("%.0f", micros(m.house.work())), fmt.Sprintf("%.0f", micros(m.bare.work())), fmt.Sprintf("%.0f", m.house.capacity()),
			fmt.Sprintf("%.0f", m.aim), verdict(m.house.rate()/m.aim))
	}
	return t
}

func (r *report) others() table {
	t := table{{"what", "figure", "aim", "verdict"}}
	for _, d := range r.databases {
		if len(d.starts) > 0 {
			median := d.starts[len(d.starts)/2]
			t.row("cold start on an existing database, "+d.name, fmt.Sprintf("%s (%s to %s, %d starts)", short(median), short(d.starts[0]), short(d.starts[len(d.starts)-1]), len(d.starts)),
				short(aimStart), verdict(float64(aimStart)/float64(median)))
		}
		if d.idle > 0 {
			t.row("resident memory idle, "+d.name, megabytes(d.idle), megabytes(aimIdle), verdict(float64(aimIdle)/float64(d.idle)))
			t.row("resident memory after load, "+d.name, megabytes(d.loaded), megabytes(aimLoaded), verdict(float64(aimLoaded)/float64(d.loaded)))
		}
	}
	for _, c := range r.guard {
		ratio := float64(c.with) / float64(c.bare)
		t.row(fmt.Sprintf("guard's bearer check, %s, %d tokens", c.alg, c.tokens), fmt.Sprintf("%.1f µs, %.2f times the bare check (%.1f µs)", micros(c.with), ratio, micros(c.bare)),
			fmt.Sprintf("%.1f times", c.aim), verdict(c.aim/ratio))
	}
	if len(r.testStarts) > 1 {
		others := r.testStarts[1:]
		median := others[len(others)/2]
		t.row("gatehousetest.New", fmt.Sprintf("%s (the first of a process %s)", short(median), short(r.testStarts[0])), short(aimTestStart), verdict(float64(aimTestStart)/float64(median)))
	}
	return t
}

func (r *report) text() string {
	var b strings.Builder
	for _, d := range r.databases {
		if len(d.operations) > 0 {
			fmt.Fprintf(&b, "\n%s\n%s", d.name, r.operations(d).aligned())
		}
	}
	if others := r.others(); len(others) > 1 {
		fmt.Fprintf(&b, "\n%s", others.aligned())
	}
	return b.String()
}

func (r *report) markdown() string {
	var b strings.Builder
	f := r.facts
	fmt.Fprintf(&b, "# Measured on %s\n\nWritten by `make bench`; docs/speed.md says how to read it.\n\n", f.when.Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(&b, "- Commit %s, %s.\n- %s, %d cores shared by the server, the load and the database; kernel %s.\n", f.commit, f.toolchain, f.cpu, f.cores, f.kernel)
	fmt.Fprintf(&b, "- The disk makes a growing file durable %.0f times a second.\n- Load average of the machine: %s before the run, %s after it (the run itself is 2 to 3).\n", f.syncs, f.loadBefore, f.loadAfter)
	fmt.Fprintf(&b, "- Bare calls per second on all cores: %.0f × %s, %.0f × %s, %.0f × %s, %.0f × %s.\n", r.crypto[signES256], signES256,
		r.crypto[verifyES256], verifyES256, r.crypto[signRS256], signRS256, r.crypto[verifyRS256], verifyRS256)
	for _, d := range r.databases {
		if len(d.operations) > 0 {
			fmt.Fprintf(&b, "\n## %s\n\n%s", map[string]string{"sqlite": "SQLite, synchronous=FULL", "postgres": "PostgreSQL, fsync on"}[d.name], r.operations(d).aligned())
		}
	}
	fmt.Fprintf(&b, "\n## Beside requests\n\n%s", r.others().aligned())
	return b.String()
}

func fraction(times float64) string { return fmt.Sprintf("1/%.2f", times) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f µs", micros(d))
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", micros(d)/1000)
	default:
		return fmt.Sprintf("%.0f ms", micros(d)/1000)
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/(1<<20)) }

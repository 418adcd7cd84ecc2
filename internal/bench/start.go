package main

import (
	"context"
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/gatehousetest"
)

// measureStarts returns how long it takes from exec to the first answer of discovery on a
// database that has seen the house before, sorted.
func measureStarts(ctx context.Context, database string, n int) ([]time.Duration, error) {
	var took []time.Duration
	for range n {
		p, err := startServer(ctx, database)
		if err != nil {
			return nil, err
		}
		took = append(took, p.took)
		if err := p.stop(); err != nil {
			return nil, err
		}
	}
	slices.Sort(took)
	return took, nil
}

// measureTestStarts returns how long gatehousetest.New takes: the first time in a process, which
// makes the template, and then, sorted.
func measureTestStarts(n int) (took []time.Duration) {
	testing.Init()
	flag.Set("test.benchtime", "1x")
	for range n + 1 {
		testing.Benchmark(func(b *testing.B) {
			began := time.Now()
			gatehousetest.New(b)
			took = append(took, time.Since(began))
		})
	}
	slices.Sort(took[1:])
	return took
}

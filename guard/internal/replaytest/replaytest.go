// Package replaytest says what a memory of what is good once is, wherever it is
// kept: the proofs of DPoP, the logout tokens of the back channel, and the counts of
// Digest.
package replaytest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/digest"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

const (
	callers = 64
	rounds  = 20
)

// Replays tests two nodes with one empty memory; until is a time to come by their
// clock.
func Replays(t *testing.T, nodes [2]oidclogin.Replays, until time.Time) {
	t.Helper()
	for round := range rounds {
		id := fmt.Sprint("proof ", round)
		if n := atOnce(t, func(node, _ int) (bool, error) { return nodes[node].Use(t.Context(), id, until) }); n != 1 {
			t.Fatalf("round %d: one proof let %d requests in", round, n)
		}
	}
	for i, node := range nodes {
		if fresh, err := node.Use(t.Context(), "proof 0", until); fresh || err != nil {
			t.Errorf("later, at node %d: %v, %v", i, fresh, err)
		}
	}
	if err := nodes[0].Forget(t.Context(), "proof 0"); err != nil {
		t.Error(err)
	}
	if fresh, err := nodes[1].Use(t.Context(), "proof 0", until); !fresh || err != nil {
		t.Errorf("what was taken back: %v, %v", fresh, err)
	}
	if fresh, err := nodes[0].Use(t.Context(), "proof 1", until); fresh || err != nil {
		t.Errorf("what was not: %v, %v", fresh, err)
	}
}

// Counts tests two nodes with one empty memory; until is a time to come by their
// clock.
func Counts(t *testing.T, nodes [2]digest.Counts, until time.Time) {
	t.Helper()
	for round := range uint32(rounds) {
		if n := atOnce(t, func(node, _ int) (bool, error) { return nodes[node].Use(t.Context(), "nonce", round+1, until) }); n != 1 {
			t.Fatalf("round %d: one count let %d requests in", round, n)
		}
	}
	// Of many counts at once some may be overtaken; none is good afterwards.
	for _, some := range [...]bool{true, false} {
		n := atOnce(t, func(node, caller int) (bool, error) {
			return nodes[node].Use(t.Context(), "another", uint32(caller+1), until)
		})
		if (n > 0) != some {
			t.Errorf("%d of %d counts were good", n, callers)
		}
	}
	for _, tt := range []struct {
		nonce string
		count uint32
		want  bool
	}{
		{"third", 0, false},
		{"third", 9, true},
		{"third", 10, true}, // as numbers, not as texts
		{"third", 9, false},
		{"third", 1<<32 - 1, true},
		{"third", 1<<32 - 1, false},
		{"fourth", 1, true},
	} {
		if ok, err := nodes[tt.count%2].Use(t.Context(), tt.nonce, tt.count, until); ok != tt.want || err != nil {
			t.Errorf("%s, %d: %v, %v", tt.nonce, tt.count, ok, err)
		}
	}
}

// atOnce has all callers use something at the same time, every other at the second
// node, and returns how many of them were let through.
func atOnce(t *testing.T, use func(node, caller int) (bool, error)) int {
	t.Helper()
	var through atomic.Int64
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for caller := range callers {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			ok, err := use(caller%2, caller)
			if err != nil {
				t.Error(err)
			}
			if ok {
				through.Add(1)
			}
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return int(through.Load())
}

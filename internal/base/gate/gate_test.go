package gate

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestThreat_OV05_GateServesInOrderAndTurnsTheRestAway(t *testing.T) {
	g := New(Options{Width: 2, Queue: 3, Wait: time.Hour})
	var leave []func()
	for range 2 {
		l, err := g.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	var served []int
	for i := range 3 {
		all.Go(func() {
			l, err := g.Enter(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			served = append(served, i)
			mu.Unlock()
			l()
		})
		for g.Waiting() != i+1 {
			runtime.Gosched()
		}
	}
	if !g.Full() || g.Inside() != 2 {
		t.Errorf("full: %v, inside: %d", g.Full(), g.Inside())
	}
	hurried, cancel := context.WithCancel(t.Context())
	cancel() // so that a gate that lets it wait does not make the test wait
	if _, err := g.Enter(hurried); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	leave[0]() // one place for all three, one after the other
	all.Wait()
	leave[1]()
	if !slices.Equal(served, []int{0, 1, 2}) || g.Inside() != 0 || g.Waiting() != 0 || g.Full() {
		t.Errorf("served in the order %v; %d inside, %d waiting", served, g.Inside(), g.Waiting())
	}
}

func TestThreat_OV05_NobodyWaitsForEver(t *testing.T) {
	g := New(Options{Width: 1, Wait: time.Nanosecond})
	leave, err := g.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	if _, err := g.Enter(t.Context()); !errors.Is(err, ErrFull) {
		t.Errorf("past the deadline: %v", err)
	}
	patient := New(Options{Width: 1, Wait: time.Hour})
	if _, err := patient.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the client is gone")
	cancel(gone)
	if _, err := patient.Enter(ctx); !errors.Is(err, gone) || patient.Waiting() != 0 {
		t.Errorf("a caller that left: %v, %d waiting", err, patient.Waiting())
	}
}

func TestGateIsAsWideAsTheMachine(t *testing.T) {
	g := New(Options{})
	for range runtime.GOMAXPROCS(0) {
		if _, err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if g.Inside() != runtime.GOMAXPROCS(0) || g.Full() {
		t.Errorf("%d inside, full: %v", g.Inside(), g.Full())
	}
}

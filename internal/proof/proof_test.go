package proof

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	t.Setenv(envWanted, "")
	if got := Times(3, 1000); got != 3 {
		t.Errorf("usually %d", got)
	}
	t.Setenv(envWanted, "1")
	if got := Times(3, 1000); got != 1000 {
		t.Errorf("fully %d", got)
	}
}

func TestRandDependsOnSeedAndTest(t *testing.T) {
	draw := func(t *testing.T, seed string) uint64 {
		t.Setenv(envSeed, seed)
		return Rand(t).Uint64()
	}
	one := draw(t, "1")
	if draw(t, "1") != one {
		t.Error("the same seed draws something else")
	}
	if draw(t, "2") == one {
		t.Error("another seed draws the same")
	}
	t.Run("another test", func(t *testing.T) {
		if draw(t, "1") == one {
			t.Error("another test draws the same")
		}
	})
}

// The U test against a value worked out by hand: ranks 1 3 5 7 9 and 2 4 6 8 10 give U = 10.
func TestMannWhitney(t *testing.T) {
	of := func(ms ...int) (out []time.Duration) {
		for _, n := range ms {
			out = append(out, time.Duration(n))
		}
		return out
	}
	want := math.Erfc((2.5 - 0.5) / math.Sqrt(5*5*11/12.0) / math.Sqrt2)
	if got := mannWhitney(of(1, 3, 5, 7, 9), of(2, 4, 6, 8, 10)); math.Abs(got-want) > 1e-9 {
		t.Errorf("p = %v, want %v", got, want)
	}
	if got := mannWhitney(of(1, 1, 1), of(1, 1, 1)); got != 1 {
		t.Errorf("all alike: p = %v", got)
	}
}

// It tells two percent apart and finds nothing where there is nothing.
func TestCompareSeparates(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sample := func(mean float64) (out []time.Duration) {
		for range 2000 {
			out = append(out, time.Duration(mean*(1+0.05*r.NormFloat64())))
		}
		return out
	}
	if same := compare(sample(25e6), sample(25e6)); !same.Same() {
		t.Errorf("the same is told apart: %v", same)
	}
	if other := compare(sample(25e6), sample(25.75e6)); other.Same() {
		t.Errorf("three percent are not seen: %v", other)
	}
}

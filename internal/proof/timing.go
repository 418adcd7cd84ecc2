package proof

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Timing is what two kinds of call took, measured in turns.
type Timing struct {
	Pairs            int
	MedianA, MedianB time.Duration
	// P is how likely a difference like the one seen is if there is none (Mann-Whitney U, two-sided).
	P float64
}

// Compare calls a and b in turns, as many times as there are pairs, and compares how long they
// take. The slowest hundredth of each is left out: it tells of the machine. Which of a pair goes
// first changes from pair to pair.
func Compare(pairs int, a, b func(n int)) Timing {
	clock := func(f func(int), n int) time.Duration {
		start := time.Now()
		f(n)
		return time.Since(start)
	}
	var as, bs []time.Duration
	for n := range pairs {
		if n%2 == 0 {
			as, bs = append(as, clock(a, n)), append(bs, clock(b, n))
		} else {
			bs, as = append(bs, clock(b, n)), append(as, clock(a, n))
		}
	}
	return compare(as, bs)
}

func compare(as, bs []time.Duration) Timing {
	slices.Sort(as)
	slices.Sort(bs)
	keep := len(as) - len(as)/100
	as, bs = as[:keep], bs[:keep]
	return Timing{Pairs: keep, MedianA: as[len(as)/2], MedianB: bs[len(bs)/2], P: mannWhitney(as, bs)}
}

// Same reports whether nobody could tell the two apart: the test does not separate them at one in a
// thousand, and their medians differ by less than a millisecond and by less than two percent.
func (t Timing) Same() bool {
	apart := (t.MedianA - t.MedianB).Abs()
	close := apart < time.Millisecond && float64(apart) < 0.02*float64(min(t.MedianA, t.MedianB))
	return t.P >= 0.001 && close
}

// String is one line for a report.
func (t Timing) String() string {
	return fmt.Sprintf("%d pairs, medians %v and %v, p = %.3g", t.Pairs, t.MedianA, t.MedianB, t.P)
}

// mannWhitney returns the two-sided p of the U test, by the normal approximation with correction
// for ties. Both samples are sorted.
func mannWhitney(as, bs []time.Duration) float64 {
	type ranked struct {
		d     time.Duration
		fromA bool
	}
	all := make([]ranked, 0, len(as)+len(bs))
	for _, d := range as {
		all = append(all, ranked{d, true})
	}
	for _, d := range bs {
		all = append(all, ranked{d, false})
	}
	slices.SortFunc(all, func(x, y ranked) int { return cmp.Compare(x.d, y.d) })
	n, m := float64(len(as)), float64(len(bs))
	var ranks, ties float64
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].d == all[i].d {
			j++
		}
		size := float64(j - i)
		ties += size*size*size - size
		rank := float64(i+j+1) / 2
		for ; i < j; i++ {
			if all[i].fromA {
				ranks += rank
			}
		}
	}
	u := ranks - n*(n+1)/2
	total := n + m
	variance := n * m / 12 * (total + 1 - ties/(total*(total-1)))
	if variance <= 0 {
		return 1
	}
	z := (math.Abs(u-n*m/2) - 0.5) / math.Sqrt(variance)
	return math.Erfc(max(z, 0) / math.Sqrt2)
}

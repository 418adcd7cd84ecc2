package id

import (
	"math"
	"regexp"
	"testing"
)

func TestShapes(t *testing.T) {
	for name, tc := range map[string]struct {
		make func() string
		want string
	}{
		"UUID":     {UUID, `^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`},
		"Sub":      {Sub, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`},
		"Secret":   {Secret, `^[A-Za-z0-9]{43}$`},
		"ClientID": {ClientID, `^[A-Za-z0-9]{32}$`},
		"Digits":   {func() string { return Digits(6) }, `^[0-9]{6}$`},
	} {
		a, b := tc.make(), tc.make()
		if !regexp.MustCompile(tc.want).MatchString(a) {
			t.Errorf("%s = %q, want %s", name, a, tc.want)
		}
		if a == b && name != "Digits" {
			t.Errorf("%s gave %q twice", name, a)
		}
	}
}

func TestSecretHolds256Bits(t *testing.T) {
	if bits := math.Log2(float64(len(alphabet))) * float64(len(Secret())); bits < 256 {
		t.Errorf("a secret holds %.1f bits, want 256", bits)
	}
}

func TestDrawIsUniform(t *testing.T) {
	const n = 200_000
	counts := map[rune]int{}
	for _, r := range draw("0123456789", n) {
		counts[r]++
	}
	for r, got := range counts {
		if math.Abs(float64(got)-n/10) > n/10*0.05 {
			t.Errorf("%c drawn %d times of %d, want about %d", r, got, n, n/10)
		}
	}
}

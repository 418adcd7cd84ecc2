package page

import (
	"testing"

	"pgregory.net/rapid"
)

// TestAccentIsReadable: whatever a tenant's colour, text on it and text made
// of it reach 4.5 to 1 in both schemes.
func TestAccentIsReadable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := colour{rapid.Uint8().Draw(t, "r"), rapid.Uint8().Draw(t, "g"), rapid.Uint8().Draw(t, "b")}
		for _, ground := range []struct{ goal, ground colour }{{black, lightGround}, {white, darkGround}} {
			accent := c.towards(ground.goal, ground.ground)
			if got := contrast(accent, ground.ground); got < 4.5 {
				t.Errorf("%s as %s on %s: %.2f", c, accent, ground.ground, got)
			}
			if got := contrast(accent, textOn(accent)); got < 4.5 {
				t.Errorf("%s on %s: %.2f", textOn(accent), accent, got)
			}
		}
	})
}

func TestAccentKeepsAGoodColour(t *testing.T) {
	good := colour{0x17, 0x59, 0x4a}
	if got := good.towards(black, lightGround); got != good {
		t.Errorf("%s became %s without need", good, got)
	}
}

func TestParseColour(t *testing.T) {
	for s, want := range map[string]bool{"#17594a": true, "#FFFFFF": true, "": false, "#fff": false, "17594a": false, "#17594g": false, "#17594a;": false, "red": false, "#+1234a": false} {
		if _, ok := parseColour(s); ok != want {
			t.Errorf("%q: %v, want %v", s, ok, want)
		}
	}
}

package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A tenant gives one colour. From it come the tokens of both schemes, moved
// towards black or white until text is readable (WCAG 2.2 AA: 4.5 to 1), so
// that no choice of colour can make a page unreadable.

type colour [3]uint8

// The grounds on which text and links stand: see the tokens in gatehouse.css.
var (
	white       = colour{0xff, 0xff, 0xff}
	black       = colour{0x0b, 0x0d, 0x10}
	lightGround = colour{0xf4, 0xf3, 0xef}
	darkGround  = colour{0x1a, 0x1e, 0x23}
)

// enough is a little more than AA asks for, so that rounding never fails it.
const enough = 4.6

func parseColour(s string) (colour, bool) {
	if len(s) != 7 || s[0] != '#' {
		return colour{}, false
	}
	n, err := strconv.ParseUint(s[1:], 16, 32)
	if err != nil {
		return colour{}, false
	}
	return colour{uint8(n >> 16), uint8(n >> 8), uint8(n)}, true
}

func (c colour) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }

// luminance is WCAG's relative luminance.
func (c colour) luminance() float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}

func contrast(a, b colour) float64 {
	x, y := a.luminance(), b.luminance()
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}

// towards moves c to goal in small steps until it stands out from ground.
func (c colour) towards(goal, ground colour) colour {
	const steps = 50
	for i := range steps + 1 {
		var m colour
		for k := range m {
			m[k] = uint8((int(c[k])*(steps-i) + int(goal[k])*i) / steps)
		}
		if contrast(m, ground) >= enough {
			return m
		}
	}
	return goal
}

// textOn is black or white, whichever reads better.
func textOn(c colour) colour {
	if contrast(c, white) >= contrast(c, black) {
		return white
	}
	return black
}

func accentTokens(c colour) string {
	light, dark := c.towards(black, lightGround), c.towards(white, darkGround)
	return fmt.Sprintf(":root{--accent:%s;--on-accent:%s}\n@media(prefers-color-scheme:dark){:root{--accent:%s;--on-accent:%s}}\n",
		light, textOn(light), dark, textOn(dark))
}

// accentName is the name of a colour's sheet, with the hash of its content
// like every asset.
func accentName(c colour) string {
	return hashedName("accent-"+strings.TrimPrefix(c.String(), "#")+".css", []byte(accentTokens(c)))
}

func accentPath(c colour) string { return AssetPrefix + accentName(c) }

// accentSheet makes the sheet of that name. Nothing is stored: the name says
// it all.
func accentSheet(name string) ([]byte, bool) {
	hex, ok := strings.CutPrefix(name, "accent-")
	if !ok || len(hex) < 6 {
		return nil, false
	}
	c, ok := parseColour("#" + hex[:6])
	if !ok || accentName(c) != name {
		return nil, false
	}
	return []byte(accentTokens(c)), true
}

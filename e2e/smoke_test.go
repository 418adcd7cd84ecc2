package e2e

import "testing"

func TestSmoke(t *testing.T) {
	h := openHouse(t)
	b := newProfile(t).tab()
	b.open(h.Issuer)
	b.see("The gate stands")
	b.keep("start")
}

// Package proof gives tests their numbers: small ones in every run, and full ones when `make proof`
// asks for them, which takes hours. The test is the same, so what is proven is what is tested.
//
// `make proof` sets GATEHOUSE_PROOF and a seed, and writes what it saw to docs/evidence.
package proof

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// The environment of a proof.
const (
	envWanted = "GATEHOUSE_PROOF"
	envSeed   = "GATEHOUSE_PROOF_SEED"
)

// Wanted reports whether this run is a proof.
func Wanted() bool { return os.Getenv(envWanted) != "" }

// Times returns how often a test is to do what it does: usually, or fully when this run is a proof.
func Times(usually, fully int) int {
	if Wanted() {
		return fully
	}
	return usually
}

// Rand returns the randomness of a test, which depends on its name and on the seed of the proof
// alone. Outside a proof it is the same each time.
func Rand(t testing.TB) *rand.Rand {
	seed, err := strconv.ParseUint(os.Getenv(envSeed), 10, 64)
	if err != nil && os.Getenv(envSeed) != "" {
		t.Fatalf("%s is no number: %v", envSeed, err)
	}
	name := fnv.New64a()
	name.Write([]byte(t.Name()))
	return rand.New(rand.NewPCG(seed, name.Sum64()))
}

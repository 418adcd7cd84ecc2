// Package apikey is the format of an API key: what one looks like, how to tell
// one from any other text without asking anybody, and what may be shown of it.
//
//	sk_live_0L1yN3kPq…43 letters and digits…_1a2B3c
//	│  │    │                                └ checksum: CRC-32 of all before it
//	│  │    └ 256 random bits in base 62
//	│  └ environment: live, test
//	└ kind: sk secret, rk restricted, pk publishable
//
// Every key has the same length and one spelling. The prefix and the checksum
// let a scanner that finds a key in a repository be sure that it is one (see
// [Pattern]), and let whoever is shown a mistyped or made-up key refuse it
// without a lookup. The checksum proves nothing else: what makes a key good is
// that its hash is known to whoever issued it.
//
// There is no store, no clock and no randomness here. Package guard/apikey
// guards handlers with keys; the house issues and verifies its own.
package apikey

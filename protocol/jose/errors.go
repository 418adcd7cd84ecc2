package jose

import "errors"

// Why a token, a key or a JSON text was refused. Errors returned by this
// package wrap exactly one of these; match with [errors.Is].
var (
	// ErrTooLong: the input exceeds the permitted size and was not looked at.
	ErrTooLong = errors.New("jose: input too long")
	// ErrMalformed: not a compact JWS, or its header breaks a rule.
	ErrMalformed = errors.New("jose: malformed token")
	// ErrCritical: the header demands processing this package does not do
	// ("crit", "b64" or "zip").
	ErrCritical = errors.New("jose: unsupported header parameter")
	// ErrAlgorithm: the algorithm is not among those expected, or is not the
	// one the key is for.
	ErrAlgorithm = errors.New("jose: algorithm not accepted")
	// ErrType: "typ" is not among those expected.
	ErrType = errors.New("jose: type not accepted")
	// ErrUnknownKey: no key answers to the token's (kid, alg).
	ErrUnknownKey = errors.New("jose: unknown key")
	// ErrWeakKey: a key is too small, off its curve, of the wrong Go type, or
	// otherwise unfit for its algorithm.
	ErrWeakKey = errors.New("jose: unfit key")
	// ErrSignature: the signature does not verify.
	ErrSignature = errors.New("jose: signature does not verify")
	// ErrJSON: the text is not JSON by the strict rules of [Decode].
	ErrJSON = errors.New("jose: invalid JSON")
	// ErrPrivateKey: a key set meant to be public holds private or symmetric
	// key material.
	ErrPrivateKey = errors.New("jose: private key material in a public set")
)

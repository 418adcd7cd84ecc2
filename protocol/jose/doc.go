// Package jose signs and verifies JSON Web Signatures in the compact form
// (RFC 7515), reads JSON strictly, and reads and writes sets of public keys
// (RFC 7517).
//
// It is deliberately narrow. There is one serialization, a closed list of
// algorithms, and no way to look inside a token before its signature holds:
// [Verify] is the only maker of a [Verified]. What a token means, and which
// kinds of token a reader accepts, is decided one floor up: package oauth
// judges access tokens, package oidc judges ID tokens and logout tokens, each
// with its own validator.
//
// Signatures are made and checked by the crypto packages of the standard
// library; this package only frames them. Nothing here does I/O or reads a
// clock.
package jose

// Package bearer is the scheme for APIs: it checks access tokens from the
// Authorization header (RFC 6750), JWTs against the issuer's keys and opaque ones
// by asking the issuer.
//
// Two functions do the work, [New] here and guard.Require one floor up:
//
//	tokens, err := bearer.New(bearer.Options{
//		Issuer:   "https://id.example.com/",
//		Audience: "https://api/tv-shows",
//	})
//	mux.Handle("GET /shows", guard.Require(tokens, guard.Permissions("read:shows"))(shows))
//
// A JWT is checked without asking the issuer: signature, type, issuer, audience
// and time. It is therefore good until it expires, unless Options.Revocations
// knows better, and access tokens should live for minutes. What was found out is
// remembered, never beyond the token's end or the removal of its key, so that a
// token seen before costs a hash.
//
// A token that is bound to a key of its sender, by DPoP (RFC 9449) or a client
// certificate (RFC 8705), is accepted with the proof of that key and not without.
//
// Keys come from the jwks_uri in the issuer's metadata, fetched at the first
// token, so an API starts while its issuer is down and goes on for a day when it
// goes down later.
//
// The rules about tokens, proofs and answers are those of package oauth; this
// package finds the facts for them and remembers what they said.
package bearer

// Package bearer is the scheme for APIs: it checks JWT access tokens from the
// Authorization header (RFC 6750) against the issuer's published keys.
//
// Two functions do the work, [New] here and guard.Require one floor up:
//
//	tokens, err := bearer.New(bearer.Options{
//		Issuer:   "https://id.example.com/",
//		Audience: "https://api/tv-shows",
//	})
//	mux.Handle("GET /shows", guard.Require(tokens, guard.Permissions("read:shows"))(shows))
//
// A token is checked without asking the issuer: signature, type, issuer,
// audience and time. It is therefore good until it expires, and access tokens
// should live for minutes. What else the principal may do at an API is a
// requirement on the route.
//
// Keys come from the jwks_uri in the issuer's metadata, fetched at the first
// token, so an API starts while its issuer is down and goes on for a day when it
// goes down later.
package bearer

// Package digest is the scheme for passwords that are proved and not sent (RFC
// 7616): for cameras, routers, WebDAV and SIP equipment, and for whatever else
// asks for Digest. Where there is a choice, a session or a token is better.
//
//	sealer, err := digest.NewSealer(os.Getenv("DIGEST_SECRET")) // 32 random bytes at least
//	…
//	scheme, err := digest.New(digest.Options{
//		Realm:  "cameras",
//		Sealer: sealer,
//		Find:   find, // reads who it is and their sealed H(A1) from a table
//	})
//	…
//	mux.Handle("/", guard.Require(scheme)(app))
//
// When a password is set, [Sealer.Seal] makes of it what is stored: H(A1), the
// hash of name, realm and password, sealed for this user. Whoever holds an H(A1)
// unsealed needs no password any more in its realm, and it is a fast hash, so a
// weak password is found from it: that is why it is never stored bare, and why
// Digest is worth having only where nothing better is spoken.
//
// Nonces are not kept: each carries its time under a MAC, so all servers with the
// same secret accept them. What is kept, for a minute or two, is the highest
// count used of each, so that an exchange overheard cannot be sent again.
//
// [SHA256] is offered; MD5 has to be asked for by name. A client that uses
// another algorithm than was offered, no qop, or a uri that is not the request's
// is refused.
package digest

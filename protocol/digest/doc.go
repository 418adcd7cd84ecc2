// Package digest is the vocabulary of HTTP Digest access authentication (RFC
// 7616): challenges, the Authorization header of a client, nonces, and the
// hashes that prove knowledge of a password without sending it.
//
// Nothing here keeps state or looks anything up. A server has three things to
// add, and package guard/digest of this module has them: where H(A1) of a user
// is kept, which nonce counts were seen, and what the client is told.
//
// The session variants of the algorithms (…-sess) and requests without qop (RFC
// 2069) are not supported.
package digest

// Package oidc holds what OpenID Connect adds to OAuth 2: ID tokens and the
// rules to read them, claims about people, logout tokens, and the discovery
// document. Like package oauth, on which it stands, it is vocabulary and pure
// rules: no I/O, no clock.
package oidc

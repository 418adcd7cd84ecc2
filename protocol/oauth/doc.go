// Package oauth holds the vocabulary and the rules of OAuth 2: requests parsed
// into types, errors that are their own wire code, and decisions as functions
// of their arguments. Each rule has a file named after the thing it rules.
//
// Nothing here does I/O, reads a clock or knows a store. A caller reads bytes,
// asks this package what they mean, looks up the facts (the client, the code,
// the user), asks this package to decide, and acts. Package oidc adds what
// OpenID Connect puts on top; package jose checks signatures below.
package oauth

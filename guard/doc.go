// Package guard protects net/http handlers: it finds out who sends a request,
// decides whether they may, and hands the handler one [Principal] whatever
// credential came in.
//
// Two functions do nearly all of the work:
//
//	mux.Handle("GET /shows", guard.Require(tokens, guard.Scopes("read:shows"))(shows))
//
//	func shows(w http.ResponseWriter, r *http.Request) {
//		who, _ := guard.From(r.Context())
//		…
//	}
//
// [Require] is a plain func(http.Handler) http.Handler and fits any router. Its
// first argument is a scheme, an [Authenticator]: package bearer checks JWT
// access tokens, package oidclogin signs people in and keeps their session in a
// cookie. [AnyOf] joins several. [Optional] lets anonymous callers through.
//
// A scheme reports, the middleware writes. That is why any number of schemes
// can stand side by side: a refusal carries the challenge of each of them, and
// no scheme can answer a request that another one should have judged.
//
// Everything fails closed. A handler behind Require never runs without a
// principal; a credential that is bad is refused even when a second, good one
// is beside it; and the principal travels under a private context key, so that
// no header a client sends can ever become one.
//
// The packages below guard import the standard library, go-jose and this
// module's protocol packages, and nothing else.
package guard

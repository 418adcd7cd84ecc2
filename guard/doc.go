// Package guard protects net/http handlers: it finds out who sends a request,
// decides whether they may, and hands the handler one [Principal] whatever
// credential came in.
//
// Two functions do nearly all of the work:
//
//	mux.Handle("GET /shows", guard.Require(tokens, guard.Scopes("read:shows"))(http.HandlerFunc(shows)))
//
//	func shows(w http.ResponseWriter, r *http.Request) {
//		who, _ := guard.From(r.Context())
//		…
//	}
//
// [Require] is a plain func(http.Handler) http.Handler and fits any router. Its
// first argument is a scheme, an [Authenticator]: package bearer checks access
// tokens, apikey API keys, oidclogin signs people in and keeps their session in a
// cookie, basic and digest take passwords with each request. [AnyOf] and [AllOf]
// join several. [Optional] lets anonymous callers through.
//
// What follows are requirements, which all have to be met: [Scopes],
// [Permissions], [Roles], [Organizations], [Users], [Clients]; [ACR] and [MaxAge],
// which have people sign in anew or better (RFC 9470); [Bound], for credentials
// that are good in one hand alone; [Where] for the application's own rules, and
// [Either] for a choice.
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
// module's protocol packages, and nothing else; redisstore and grpcguard, whose
// purpose is somebody else's library, import that too. Package guardtest is for
// the tests of applications.
package guard

// Package guardtest is for tests of applications that are protected by package
// guard: callers with any identity, and tokens good and bad, without a server and
// without a person who signs in.
//
// A test of handlers puts a [Scheme] where the application has its real one, and
// says for each request who sends it:
//
//	scheme := guardtest.NewScheme()
//	app := newApp(scheme)
//
//	r := httptest.NewRequest("GET", "/shows", nil)
//	scheme.SignIn(r, guardtest.User("alice", func(p *guard.Principal) { p.Roles = []string{"admin"} }))
//	app.ServeHTTP(w, r)
//
// A test of one handler alone wraps it with [As], or calls it with a [Context].
//
// A test that wants the real checks has an [Issuer]: it signs access tokens that
// package bearer accepts, and [Issuer.Bad] ones of every kind that it must not.
// [NewIssuer] stays in memory; [StartIssuer] serves metadata and keys on a
// loopback address, for applications configured by the issuer's address.
package guardtest

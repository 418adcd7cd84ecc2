// Package basic is the scheme for a user name and a password sent along with
// each request (RFC 7617): for scripts, for tools that know nothing better, and
// for staging sites behind a single password.
//
// [New] needs a realm and somebody who knows passwords, a [Verifier]:
//
//	people, err := basic.Users(map[string]string{"deploy": os.Getenv("DEPLOY_PASSWORD")})
//	…
//	scheme, err := basic.New(basic.Options{Realm: "staging", Verifier: people})
//	…
//	mux.Handle("/", guard.Require(scheme)(site))
//
// [Users] holds a few credentials in memory; [Hashed] reads an application's own
// records and compares with bcrypt, Argon2 or whatever made them.
//
// A password that was right is remembered for a minute, as a keyed digest, so
// that a hash made to be slow is not computed at every request; [Scheme.Forget]
// ends that at once. Requests that arrive together with the same credentials
// share one computation.
//
// The password travels in the clear inside the connection: over plain http from
// another machine it is refused, and not asked for.
package basic

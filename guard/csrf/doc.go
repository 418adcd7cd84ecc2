// Package csrf refuses requests that another site made a browser send, with the
// cookies that the browser adds by itself.
//
//	protection, err := csrf.New(csrf.Options{
//		BaseURL: "https://app.example", Secrets: secrets,
//	})
//	…
//	http.ListenAndServe(addr, sessions.Middleware(protection.Middleware(mux)))
//
// Two things are looked at. First what the browser says of where a request comes
// from, in Sec-Fetch-Site and Origin, which no site can change: every request
// that is not GET, HEAD or OPTIONS must come from this application, or from an
// origin named in the options. Then, where the browser is too old to say, or for
// all requests with Options.RequireToken, a token that only this application's
// pages can contain: put [Token] into the form field [FieldName] or the header
// [HeaderName].
//
// The token is bound to the session: package session's, if that is around this
// middleware; otherwise that of the principal, if guard.Require is; and for
// strangers, at the login form above all, a cookie of its own. It looks different
// in each response, so that nobody can guess it from the length of compressed
// pages.
//
// A request is judged by its method: handlers of GET must not change anything.
package csrf

// Package oidclogin signs people in with an OpenID provider and keeps their
// session in a cookie: the way in for applications that have pages, on a server,
// on a serverless platform, or static with a small server beside them.
//
// [New] makes a [Login], which is both the handler of its routes and a scheme for
// package guard; [AccessToken] is for calls to APIs on the user's behalf:
//
//	login, err := oidclogin.New(oidclogin.Options{
//		Issuer:       "https://id.example.com/",
//		ClientID:     "…",
//		ClientSecret: "…",
//		BaseURL:      "https://app.example.com",
//		Secrets:      []string{os.Getenv("SESSION_SECRET")},
//	})
//	mux.Handle("/auth/", login)                   // login, callback, logout, me, …
//	mux.Handle("/", guard.Require(login)(pages))  // sends browsers to sign in
//
// [FromEnv] reads the options from the environment. [Login.API] is the same scheme
// for routes of scripts alone, [Login.Proxy] passes their requests on to an API
// without showing them a token, and [Options].MediateTokens hands the scripts of a
// static site a token for their memory.
//
// The code flow is protected by PKCE (RFC 7636), state, nonce and, where the
// provider sends it, the issuer parameter of RFC 9207. What a flow needs to
// remember travels in one sealed cookie per flow, so any number of tabs can sign
// in at once, and a flow left half done leaves nothing on the server.
//
// The session lives where [Options].Store says: by default encrypted in the
// cookie, so nothing is needed on the server; or in memory or a database, where
// it can be found and ended at once (package session), by the person, by the
// application, or by the provider's back-channel logout. Refresh tokens never reach
// the browser in the clear, and are used once however many requests of a session
// need a new access token, in one process or in several.
//
// The provider's metadata and keys are fetched when first needed. An application
// starts while its provider is down.
package oidclogin

// Package oidclogin signs people in with an OpenID provider and keeps their
// session in a cookie: the way in for applications that render pages on a
// server.
//
// Two functions do the work. [New] makes a [Login], which is both the handler
// of the four routes and a scheme for package guard; [AccessToken] is for calls
// to APIs on the user's behalf:
//
//	login, err := oidclogin.New(oidclogin.Options{
//		Issuer:       "https://id.example.com/",
//		ClientID:     "…",
//		ClientSecret: "…",
//		BaseURL:      "https://app.example.com",
//		Secrets:      []string{os.Getenv("SESSION_SECRET")},
//	})
//	mux.Handle("/auth/", login)                   // login, callback, logout, me
//	mux.Handle("/", guard.Require(login)(pages))  // sends browsers to sign in
//
// The code flow is protected by PKCE (RFC 7636), state, nonce and, where the
// provider sends it, the issuer parameter of RFC 9207. What a flow needs to
// remember travels in one sealed cookie per flow, so any number of tabs can sign
// in at once, and a flow left half done leaves nothing on the server.
//
// The session lives where [Options].Store says: by default encrypted in the
// cookie, so nothing is needed on the server; or in memory or a database, where
// it can be ended at once (package session). Tokens never reach the browser in
// the clear.
//
// The provider's metadata and keys are fetched when first needed. An application
// starts while its provider is down.
package oidclogin

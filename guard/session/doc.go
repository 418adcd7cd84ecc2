// Package session keeps what a server remembers about a browser.
//
// A [Manager] is for applications that know their users themselves. Its
// middleware gives every visitor a session, which costs nothing until something
// is put there; signing in gives it a name and a new id:
//
//	sessions, err := session.New(session.Options{
//		BaseURL: "https://app.example", Store: store, LoginPath: "/login",
//	})
//	…
//	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
//		user, ok := checkPassword(r)
//		…
//		s, _ := session.FromContext(r.Context())
//		if err := s.SignIn(r.Context(), session.Identity{Subject: user.ID}); err != nil { … }
//		http.Redirect(w, r, sessions.ReturnPath(r), http.StatusSeeOther)
//	})
//	mux.Handle("GET /account", guard.Require(sessions)(account))
//	http.ListenAndServe(addr, sessions.Middleware(mux))
//
// A [Key] is a typed value in the session.
//
// Beneath is a [Store], which maps a token, the content of a cookie, to a
// [Record]. [CookieStore] needs no server state, the token is the encrypted
// record itself; [MemoryStore] is for one process and for tests; [SQLStore] keeps
// rows in SQLite or PostgreSQL; package redisstore has one for Redis. With all but
// the first the token is a random name, known to the store only by its hash, and
// ending a session ends it at once; an encrypted cookie that was copied stays good
// until it expires. Package sessiontest tests stores.
//
// Stores do not know what a record means: package oidclogin, for applications
// whose users sign in at a provider, keeps its own kind of session in them.
package session

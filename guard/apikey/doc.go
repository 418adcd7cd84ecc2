// Package apikey guards handlers with API keys (format: package
// protocol/apikey): keys that an application issues by itself and keeps in a
// [Store] of its own, or keys that a Gatehouse server issues.
//
//	store, err := apikey.NewSQLStore(db)
//	keys := apikey.NewKeys(store)
//	record, key, err := keys.Issue(ctx, apikey.Spec{
//		Name: "nightly export", Subject: "user-17", Scopes: []string{"read:orders"},
//	})
//	// key.Reveal() is shown to its owner now, and never again
//
//	scheme, err := apikey.New(apikey.Options{Store: store})
//	mux.Handle("GET /orders", guard.Require(scheme, guard.Scopes("read:orders"))(orders))
//
// Keys come in Authorization: Bearer or in X-API-Key, one of the two and once;
// a key in a URL is refused with 400, for it stands in logs by then. A bearer
// token that is no key is nothing for this scheme, so it stands beside package
// bearer in guard.AnyOf.
//
// A text with a wrong checksum is refused without a lookup; any other is found by
// its SHA-256, which is all a store holds, so no secret is ever compared with
// another. Whether a key has expired, was revoked, comes from a network it may
// come from, and is within its rate and quota, is judged at every request. A bad
// key is 401 and never 403: it says nothing about who asks.
package apikey

// Package ratelimit bounds how often somebody may do something: try a password,
// call an API, have a mail sent.
//
//	limits, err := ratelimit.New(ratelimit.Options{
//		Name:  "api",
//		Limit: ratelimit.Limit{Requests: 100, Per: time.Minute},
//		Key:   ratelimit.ByAddress(),
//	})
//	…
//	http.ListenAndServe(addr, limits.Middleware(mux))
//
// The algorithm is GCRA, the leaky bucket of telephone networks: a bucket per
// key holds Burst requests and fills up evenly. It needs one number a key, and
// has no window whose edge lets twice the limit through. [MemoryStore] keeps the
// numbers in this process, package redisstore in Redis, for all processes
// together and by one clock, the server's. When Redis is lost a [Limiter] goes on
// with its share of the limit in memory.
//
// What a limit is worth depends on its key. [ByAddress] believes a proxy's header
// only from a proxy that you named; [ByPrincipal] is whoever package guard found;
// [Limiter.Allow] takes any other, such as the account somebody tries to sign in
// to.
package ratelimit

// Package redisstore keeps in Redis, or a server that speaks as Redis 6.2 does, what
// applications on several machines share: sessions, rate limits, and the memory of
// what is good once.
//
//	client, err := redisstore.Connect(ctx, "rediss://user:password@redis.internal:6379/0")
//	…
//	sessions, err := redisstore.NewSessions(ctx, client, redisstore.Options{Secrets: secrets})
//	limits := redisstore.NewLimits(client, redisstore.Options{})
//	replays, err := redisstore.NewReplays(ctx, client, redisstore.Options{})
//
// [Sessions] is a session.Store, Index and Locker; [Limits] is a ratelimit.Store;
// [Replays] serves packages bearer and oidclogin, [Counts] package digest.
// No command reads more keys than it names, and every key belongs to one command
// or script alone, so a cluster is as good as a single server. Every key expires.
//
// What Redis forgets is gone: sessions end early when a server without
// persistence restarts, and no session that has ended comes back that way. But a
// DPoP proof or a nonce's count that was used in the last minutes before such a
// restart, or before a replica took over that had not heard of it, is good once
// more. Where that matters have the server persist each write (appendfsync always).
// While Redis is away nothing is taken for new: [Replays] and [Counts] return
// errors, which bearer and digest answer with 503.
//
// This is the one package of the guard's stores with a dependency,
// github.com/redis/rueidis.
package redisstore

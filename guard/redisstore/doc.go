// Package redisstore keeps sessions and rate limits in Redis, or a server that
// speaks as Redis 6.2 does, for applications that run on several machines.
//
//	client, err := redisstore.Connect(ctx, "rediss://user:password@redis.internal:6379/0")
//	…
//	sessions, err := redisstore.NewSessions(ctx, client, redisstore.Options{Secrets: secrets})
//	limits := redisstore.NewLimits(client, redisstore.Options{})
//
// [Sessions] is a session.Store, Index and Locker; [Limits] is a ratelimit.Store.
// No command reads more keys than it names, and every key belongs to one command
// or script alone, so a cluster is as good as a single server. Every key expires.
//
// What Redis forgets is gone: sessions end early when a server without
// persistence restarts. Nothing that must stay ended can come back that way.
//
// This is the one package of the guard's stores with a dependency,
// github.com/redis/rueidis.
package redisstore

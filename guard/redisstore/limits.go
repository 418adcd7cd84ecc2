package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/gatehouse-dev/gatehouse/guard/internal/opaque"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
)

// Limits keeps the buckets of rate limits in Redis. It is a ratelimit.Store, safe
// for concurrent use.
type Limits struct {
	client  rueidis.Client
	options Options
	take    *rueidis.Lua
}

// NewLimits returns a store that speaks through client.
func NewLimits(client rueidis.Client, o Options) *Limits {
	return &Limits{client: client, options: o.withDefaults(), take: rueidis.NewLuaScript(takeScript)}
}

// takeScript is ratelimit.Limit.Decide, with the server's clock. KEYS[1] holds
// when the bucket will be full again; ARGV is the cost and the bucket's capacity;
// all are microseconds, whole numbers far below 2^53, which Lua's are exact to.
// It returns whether the bucket held enough, and what it lacks of full.
const takeScript = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local cost, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1]) or now)
full = math.min(math.max(full, now), now + capacity)
local next = math.max(full + cost, now)
if next - now > capacity then return {0, full - now} end
if next > now then
	redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
else
	redis.call('DEL', KEYS[1])
end
return {1, next - now}`

// Take implements ratelimit.Store, in one round trip.
func (l *Limits) Take(ctx context.Context, key string, limit ratelimit.Limit, n int) (ratelimit.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, l.options.Timeout)
	defer cancel()
	id := opaque.Of("", key)
	answer, err := l.take.Exec(ctx, l.client,
		[]string{l.options.Prefix + "limit:" + string(id[:])},
		[]string{strconv.FormatInt(limit.Cost(n).Microseconds(), 10), strconv.FormatInt(limit.Capacity().Microseconds(), 10)}).AsIntSlice()
	if err != nil {
		return ratelimit.Result{}, fmt.Errorf("redisstore: limit: %w", err)
	}
	if len(answer) != 2 {
		return ratelimit.Result{}, fmt.Errorf("redisstore: limit: an answer of %d numbers", len(answer))
	}
	return limit.Result(answer[0] == 1, time.Duration(answer[1])*time.Microsecond, n), nil
}

var _ ratelimit.Store = (*Limits)(nil)

package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// aheadOf is how much longer than its time a use is remembered: the clock of the
// node that saw it may be ahead of another's, at which the same thing is still good
// when the first has long thought it dead.
const aheadOf = 2 * time.Minute

// Replays remembers what is good once, for all nodes: the proofs of DPoP (as
// bearer.DPoP.Replays) and the logout tokens of the back channel (as
// oidclogin.Options.Replays). It is safe for concurrent use.
type Replays struct {
	client  rueidis.Client
	options Options
}

// NewReplays returns a memory that speaks through client. As NewSessions it refuses
// a server that drops keys when memory is short: whoever can fill it could have a
// use forgotten.
func NewReplays(ctx context.Context, client rueidis.Client, o Options) (*Replays, error) {
	o = o.withDefaults()
	if err := refuseEviction(ctx, client, o); err != nil {
		return nil, err
	}
	return &Replays{client: client, options: o}, nil
}

// Use records id, for two minutes longer than until, and reports whether it is new:
// of any number of callers on any number of nodes one is told true. An error means
// that this is not known, and that id must not count; it may have been recorded.
func (r *Replays) Use(ctx context.Context, id string, until time.Time) (fresh bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	err = r.client.Do(ctx, r.client.B().Set().Key(r.key(id)).Value("1").Nx().PxMilliseconds(r.options.keep(until)).Build()).Error()
	if rueidis.IsRedisNil(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("redisstore: replays: %w", err)
	}
	return true, nil
}

// Forget takes a use back, when what id was to bring about did not happen.
func (r *Replays) Forget(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	if err := r.client.Do(ctx, r.client.B().Del().Key(r.key(id)).Build()).Error(); err != nil {
		return fmt.Errorf("redisstore: replays: %w", err)
	}
	return nil
}

func (r *Replays) key(id string) string { return r.options.Prefix + "used:" + nameOf("", id) }

// Counts remembers how far each nonce of Digest was used, for all nodes. It is a
// digest.Counts, safe for concurrent use.
type Counts struct {
	client  rueidis.Client
	options Options
	use     *rueidis.Lua
}

// NewCounts returns a memory that speaks through client. As NewReplays it refuses a
// server that drops keys.
func NewCounts(ctx context.Context, client rueidis.Client, o Options) (*Counts, error) {
	o = o.withDefaults()
	if err := refuseEviction(ctx, client, o); err != nil {
		return nil, err
	}
	return &Counts{client: client, options: o, use: rueidis.NewLuaScript(useScript)}, nil
}

// useScript raises KEYS[1] to the count ARGV[1], for ARGV[2] milliseconds, unless it
// is as high already. It returns whether it did.
const useScript = `
if tonumber(ARGV[1]) <= tonumber(redis.call('GET', KEYS[1]) or 0) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

// Use implements digest.Counts, in one round trip. It remembers nonces for two
// minutes longer than until.
func (c *Counts) Use(ctx context.Context, nonce string, count uint32, until time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	raised, err := c.use.Exec(ctx, c.client,
		[]string{c.options.Prefix + "count:" + nameOf("", nonce)},
		[]string{strconv.FormatUint(uint64(count), 10), strconv.FormatInt(c.options.keep(until), 10)}).AsInt64()
	if err != nil {
		return false, fmt.Errorf("redisstore: counts: %w", err)
	}
	return raised == 1, nil
}

// keep is for how many milliseconds a use is remembered that matters until then.
func (o Options) keep(until time.Time) int64 {
	return max(0, until.Sub(o.Clock()).Milliseconds()) + aheadOf.Milliseconds()
}

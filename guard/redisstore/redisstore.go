package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Options configures what this package makes.
type Options struct {
	// Secrets seal the sessions' data: whoever reads Redis reads no tokens. They
	// are as for session.NewCookieStore; required by NewSessions, not used by the
	// others.
	Secrets []string
	// Prefix begins the name of every key; default "guard:".
	Prefix string
	// Timeout bounds every call to Redis, also where the caller would wait longer;
	// default one second.
	Timeout time.Duration
	// Clock tells the time sessions and uses expire by; default time.Now. Limits go
	// by the server's.
	Clock func() time.Time
	// InsecureAllowEviction accepts a server that drops keys when memory is short.
	// It may drop the list of somebody's sessions and keep a session: ending all
	// of them then misses one. It may drop what Replays and Counts remember: what
	// was used then is good once more.
	InsecureAllowEviction bool
}

func (o Options) withDefaults() Options {
	if o.Prefix == "" {
		o.Prefix = "guard:"
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

// Connect returns a client for the server with this URL: redis://, rediss:// (TLS) or
// unix://. It fails when the server does not answer. A client made elsewhere will
// do as well; it needs no client-side caching.
func Connect(ctx context.Context, server string) (rueidis.Client, error) {
	option, err := rueidis.ParseURL(server)
	if err != nil {
		// url.Error quotes what it was given, and the password with it.
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("redisstore: server's URL: %w", err)
	}
	option.DisableCache = true
	option.Dialer.Timeout = 5 * time.Second
	option.ConnWriteTimeout = 5 * time.Second
	client, err := rueidis.NewClient(option)
	if err != nil {
		return nil, fmt.Errorf("redisstore: connect: %w", err)
	}
	if err := client.Do(ctx, client.B().Ping().Build()).Error(); err != nil {
		client.Close()
		return nil, fmt.Errorf("redisstore: connect: %w", err)
	}
	return client, nil
}

// refuseEviction fails if the server may forget before it is time to.
func refuseEviction(ctx context.Context, client rueidis.Client, o Options) error {
	if o.InsecureAllowEviction {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	info, err := client.Do(ctx, client.B().Info().Section("memory").Build()).ToString()
	if err != nil {
		return fmt.Errorf("redisstore: %w", err)
	}
	for line := range strings.Lines(info) {
		policy, ok := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:")
		if ok && policy != "noeviction" {
			return fmt.Errorf("redisstore: the server drops keys when memory is short (maxmemory-policy %s), and with them the lists by which sessions are ended and what may not be used twice; set noeviction, or accept it with InsecureAllowEviction", policy)
		}
	}
	return nil
}

package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/digest"
	"github.com/gatehouse-dev/gatehouse/guard/internal/replaytest"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testredis"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/redisstore"
)

// What the memories of this package are to the schemes.
var (
	_ bearer.Replays    = (*redisstore.Replays)(nil)
	_ oidclogin.Replays = (*redisstore.Replays)(nil)
	_ digest.Counts     = (*redisstore.Counts)(nil)
)

func openReplays(t testing.TB, client rueidis.Client, now func() time.Time) *redisstore.Replays {
	t.Helper()
	r, err := redisstore.NewReplays(t.Context(), client, redisstore.Options{Clock: now, Timeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func openCounts(t testing.TB, client rueidis.Client, now func() time.Time) *redisstore.Counts {
	t.Helper()
	c, err := redisstore.NewCounts(t.Context(), client, redisstore.Options{Clock: now, Timeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestThreat_TK16_OnceAtAllNodes(t *testing.T) {
	server := testredis.Start(t)
	clock := testclock.New()
	replaytest.Replays(t, [2]oidclogin.Replays{openReplays(t, connect(t, server), clock.Now), openReplays(t, connect(t, server), clock.Now)},
		clock.Now().Add(time.Minute))
}

func TestThreat_AK08_OneCountAtAllNodes(t *testing.T) {
	server := testredis.Start(t)
	clock := testclock.New()
	replaytest.Counts(t, [2]digest.Counts{openCounts(t, connect(t, server), clock.Now), openCounts(t, connect(t, server), clock.Now)},
		clock.Now().Add(digest.NonceLife))
}

// usedUntil returns for how long Redis keeps the only key it holds.
func usedUntil(t *testing.T, client rueidis.Client, hidden string) time.Duration {
	t.Helper()
	all := keys(t, client, "*")
	if len(all) != 1 || strings.Contains(all[0], hidden) {
		t.Fatalf("%q", all)
	}
	ttl, err := client.Do(t.Context(), client.B().Pttl().Key(all[0]).Build()).AsInt64()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Do(t.Context(), client.B().Flushall().Build()).Error(); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ttl) * time.Millisecond
}

// The node that sees something first may have a clock that is ahead of another's:
// what it thinks dead is good there for a while.
func expiry(t *testing.T, use func(client rueidis.Client, clock *testclock.Clock, until time.Time)) {
	client := connect(t, testredis.Start(t))
	clock := testclock.New()
	for _, left := range []time.Duration{time.Hour, time.Minute, 0, -time.Minute} {
		use(client, clock, clock.Now().Add(left))
		// The machine may be slow, but not by a whole minute and a half.
		if kept := usedUntil(t, client, "secret"); kept > max(left, 0)+2*time.Minute || kept < max(left, 0)+30*time.Second {
			t.Errorf("what is dead in %v is kept for %v", left, kept)
		}
	}
}

func TestThreat_TK16_UsesExpireLateEnough(t *testing.T) {
	expiry(t, func(client rueidis.Client, clock *testclock.Clock, until time.Time) {
		if fresh, err := openReplays(t, client, clock.Now).Use(t.Context(), "secret", until); !fresh || err != nil {
			t.Error(fresh, err)
		}
	})
}

func TestThreat_AK08_CountsExpireLateEnough(t *testing.T) {
	expiry(t, func(client rueidis.Client, clock *testclock.Clock, until time.Time) {
		if ok, err := openCounts(t, client, clock.Now).Use(t.Context(), "secret", 1, until); !ok || err != nil {
			t.Error(ok, err)
		}
	})
}

// Without Redis nobody knows what was used, and nothing counts: the schemes answer
// an error with guard.Unavailable.
func lost(t *testing.T, open func(client rueidis.Client) (use func(context.Context) (bool, error))) {
	server := testredis.Start(t)
	use := open(connect(t, server))
	if ok, err := use(t.Context()); !ok || err != nil {
		t.Fatal(ok, err)
	}
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if ok, err := use(ctx); ok || err == nil {
		t.Errorf("without Redis: %v, %v", ok, err)
	}

	server.Restart(t)
	admin := connect(t, server)
	use = open(connect(t, server))
	if err := admin.Do(t.Context(), admin.B().ClientPause().Timeout(600_000).All().Build()).Error(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if ok, err := use(ctx); ok || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a Redis that hangs: %v, %v", ok, err)
	}
	server.Stop()
}

func TestThreat_TK16_NothingIsFreshWithoutRedis(t *testing.T) {
	lost(t, func(client rueidis.Client) func(context.Context) (bool, error) {
		r := openReplays(t, client, time.Now)
		return func(ctx context.Context) (bool, error) { return r.Use(ctx, "proof", time.Now().Add(time.Minute)) }
	})
}

func TestThreat_AK08_NoCountIsGoodWithoutRedis(t *testing.T) {
	lost(t, func(client rueidis.Client) func(context.Context) (bool, error) {
		c := openCounts(t, client, time.Now)
		return func(ctx context.Context) (bool, error) { return c.Use(ctx, "nonce", 1, time.Now().Add(time.Minute)) }
	})
}

func BenchmarkReplays(b *testing.B) {
	r := openReplays(b, connect(b, testredis.Start(b)), time.Now)
	until, n := time.Now().Add(time.Minute), 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		if fresh, err := r.Use(b.Context(), fmt.Sprint(n), until); !fresh || err != nil {
			b.Fatal(fresh, err)
		}
	}
}

func BenchmarkCounts(b *testing.B) {
	c := openCounts(b, connect(b, testredis.Start(b)), time.Now)
	until, n := time.Now().Add(time.Minute), uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		if ok, err := c.Use(b.Context(), "nonce", n, until); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/gatehouse-dev/gatehouse/guard/internal/limittest"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testclock"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testredis"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	"github.com/gatehouse-dev/gatehouse/guard/redisstore"
	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/guard/session/sessiontest"
)

const secret = "a-secret-for-tests-a-secret-for-tests"

// patient is far longer than anything takes: a busy machine must not fail a test.
const patient = time.Minute

func connect(t testing.TB, server *testredis.Server) rueidis.Client {
	t.Helper()
	client, err := redisstore.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func openSessions(t testing.TB, client rueidis.Client, now func() time.Time) *redisstore.Sessions {
	t.Helper()
	s, err := redisstore.NewSessions(t.Context(), client, redisstore.Options{Secrets: []string{secret}, Clock: now, Timeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// passing lets the suite turn the server's clock, as far as locks go.
type passing struct {
	*redisstore.Sessions
	client rueidis.Client
}

func (p passing) PassTime(t *testing.T, _ time.Duration) {
	for _, key := range keys(t, p.client, "guard:lock:*") {
		if err := p.client.Do(t.Context(), p.client.B().Del().Key(key).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
}

func keys(t *testing.T, client rueidis.Client, pattern string) []string {
	t.Helper()
	found, err := client.Do(t.Context(), client.B().Keys().Pattern(pattern).Build()).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func suite(client rueidis.Client) sessiontest.Suite {
	return sessiontest.Suite{Open: func(t *testing.T, now func() time.Time) session.Store {
		if err := client.Do(t.Context(), client.B().Flushall().Build()).Error(); err != nil {
			t.Fatal(err)
		}
		return passing{openSessions(t, client, now), client}
	}}
}

func TestSessions(t *testing.T) { suite(connect(t, testredis.Start(t))).Run(t) }

func TestThreat_BR12_SessionsInRedisAreListedAndEnded(t *testing.T) {
	s := suite(connect(t, testredis.Start(t)))
	s.Index(t)
	s.IndexOfNobody(t)
	s.IndexInParallel(t)
	s.EndIsFinal(t)
}

func TestThreat_RP12_OneWriterWinsInRedis(t *testing.T) {
	suite(connect(t, testredis.Start(t))).OneWriterWins(t)
}

// Every key expires, and lists keep no names of the dead for ever.
func TestNothingStays(t *testing.T) {
	client := connect(t, testredis.Start(t))
	clock := testclock.New()
	s := openSessions(t, client, clock.Now)
	rec := session.Record{App: "app", Subject: "alice", SessionID: "sid", Data: []byte("refresh-token"), Expires: clock.Now().Add(time.Hour)}
	for range 3 {
		if _, err := s.Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, err := s.TryLock(t.Context(), "key", time.Minute); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, err := redisstore.NewLimits(client, redisstore.Options{Timeout: patient}).Take(t.Context(), "key", ratelimit.Limit{Requests: 1, Per: time.Hour}, 1); err != nil {
		t.Fatal(err)
	}
	all := keys(t, client, "*")
	if len(all) != 7 {
		t.Errorf("%d keys: %q", len(all), all)
	}
	for _, key := range all {
		ttl, err := client.Do(t.Context(), client.B().Pttl().Key(key).Build()).AsInt64()
		if err != nil || ttl <= 0 || ttl > time.Hour.Milliseconds()+1000 {
			t.Errorf("%q lives for %d ms, %v", key, ttl, err)
		}
		for _, open := range []string{"alice", "sid\x00"} {
			if strings.Contains(key, open) {
				t.Errorf("%q names somebody", key)
			}
		}
	}
	clock.Advance(2 * time.Hour)
	rec.Expires = clock.Now().Add(time.Hour)
	if _, err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	for _, list := range append(keys(t, client, "guard:subject:*"), keys(t, client, "guard:sid:*")...) {
		if n, err := client.Do(t.Context(), client.B().Zcard().Key(list).Build()).AsInt64(); err != nil || n != 1 {
			t.Errorf("%s holds %d names, %v; want 1", list, n, err)
		}
	}
}

// A stolen copy of Redis opens no session and shows no token, and a value moved
// to another place does not open.
func TestSessionsAtRest(t *testing.T) {
	client := connect(t, testredis.Start(t))
	clock := testclock.New()
	s := openSessions(t, client, clock.Now)
	rec := session.Record{App: "app", Subject: "alice", Data: []byte("refresh-token"), Expires: clock.Now().Add(time.Hour)}
	mine, err := s.Create(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	yours, err := s.Create(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	found := keys(t, client, "guard:session:*")
	if len(found) != 2 {
		t.Fatalf("%q", found)
	}
	value, err := client.Do(t.Context(), client.B().Get().Key(found[0]).Build()).ToString()
	if err != nil {
		t.Fatal(err)
	}
	for _, open := range []string{"refresh-token", "alice", mine, yours} {
		if strings.Contains(value, open) || strings.Contains(found[0]+found[1], open) {
			t.Errorf("%q can be read", open)
		}
	}
	later := value[:8] + "9999999999999999" + value[24:]
	for key, forged := range map[string]string{found[1]: value, found[0]: later} {
		if err := client.Do(t.Context(), client.B().Set().Key(key).Value(forged).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	for _, token := range []string{mine, yours} {
		if rec, err := s.Find(t.Context(), "app", token); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("a value out of place opens: %+v, %v", rec, err)
		}
	}
}

func TestEvictionIsRefused(t *testing.T) {
	client := connect(t, testredis.Start(t))
	if err := client.Do(t.Context(), client.B().ConfigSet().ParameterValue().ParameterValue("maxmemory-policy", "volatile-lru").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	o := redisstore.Options{Secrets: []string{secret}, Timeout: patient}
	if _, err := redisstore.NewSessions(t.Context(), client, o); err == nil || !strings.Contains(err.Error(), "volatile-lru") {
		t.Errorf("%v", err)
	}
	_, err := redisstore.NewReplays(t.Context(), client, o)
	_, err2 := redisstore.NewCounts(t.Context(), client, o)
	if err == nil || err2 == nil {
		t.Errorf("replays: %v; counts: %v", err, err2)
	}
	o.InsecureAllowEviction = true
	if _, err := redisstore.NewSessions(t.Context(), client, o); err != nil {
		t.Error(err)
	}
	if _, err := redisstore.NewReplays(t.Context(), client, o); err != nil {
		t.Error(err)
	}
	if _, err := redisstore.NewSessions(t.Context(), client, redisstore.Options{Secrets: []string{"short"}}); err == nil {
		t.Error("a short secret is accepted")
	}
}

func TestErrorsShowNoPassword(t *testing.T) {
	for _, url := range []string{"redis://user:hunter2@\x00", "http://user:hunter2@host", "redis://user:hunter2@host:x", "redis://user:hunter2@127.0.0.1:1"} {
		if _, err := redisstore.Connect(t.Context(), url); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

func TestLimits(t *testing.T) {
	limittest.Run(t, redisstore.NewLimits(connect(t, testredis.Start(t)), redisstore.Options{Timeout: patient}))
}

// While Redis is away the limit holds, divided by the nodes; nobody waits for it,
// and the log says so once.
func TestThreat_DB08_LimitsOutliveRedis(t *testing.T) {
	server := testredis.Start(t)
	clock := testclock.New()
	var log lines
	limiter, err := ratelimit.New(ratelimit.Options{
		Name: "login", Limit: ratelimit.Limit{Requests: 8, Per: 8 * time.Hour}, Nodes: 4, Clock: clock.Now,
		Store:  redisstore.NewLimits(connect(t, server), redisstore.Options{Timeout: patient}),
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	allowed := func(who string) (n int) {
		for range 50 {
			if limiter.Allow(t.Context(), who).Allowed {
				n++
			}
		}
		return n
	}
	if n := allowed("alice"); n != 8 {
		t.Errorf("with Redis %d were allowed; want 8", n)
	}
	server.Stop()
	if n := allowed("alice"); n != 2 {
		t.Errorf("without Redis %d were allowed; want 2, a fourth", n)
	}
	clock.Advance(2 * time.Second)
	if n := allowed("alice"); n != 0 {
		t.Errorf("a little later %d were allowed", n)
	}
	if n := strings.Count(log.String(), "store lost"); n != 1 {
		t.Errorf("the loss was logged %d times:\n%s", n, log.String())
	}
	server.Restart(t)
	// The client finds each of its connections broken when it uses it, so Redis may be lost again at first.
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	said := func(what string) int { return strings.Count(log.String(), what) }
	n := 0
	for try := 0; try < 4000 && (n != 8 || said("store lost") != said("store is back")); try++ {
		clock.Advance(2 * time.Second)
		n = allowed(fmt.Sprint("bob ", try))
		<-retry.C
	}
	if n != 8 {
		t.Errorf("with an empty Redis %d were allowed", n)
	}
	if said("store is back") == 0 || said("store lost") != said("store is back") {
		t.Errorf("what was logged does not fit:\n%s", log.String())
	}
}

// Sessions that cannot be looked up are an error, never an absence: an absence
// would sign people out, or in anew.
func TestThreat_DB08_SessionsWithoutRedisAreAnError(t *testing.T) {
	server := testredis.Start(t)
	s := openSessions(t, connect(t, server), time.Now)
	token, err := s.Create(t.Context(), session.Record{App: "app", Subject: "alice", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Find(ctx, "app", token); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Errorf("find: %v", err)
	}
	if _, err := s.DeleteSubject(ctx, "app", "alice", ""); err == nil {
		t.Error("nothing could be ended, and nobody says so")
	}
	if _, ok, err := s.TryLock(ctx, "key", time.Minute); err == nil || ok {
		t.Errorf("lock: %v, %v", ok, err)
	}
}

// A server that hangs is as good as lost, once its time is over.
func TestThreat_DB08_SlowRedis(t *testing.T) {
	server := testredis.Start(t)
	limiter, err := ratelimit.New(ratelimit.Options{
		Name: "login", Limit: ratelimit.Limit{Requests: 8, Per: 8 * time.Hour}, Nodes: 4, Clock: testclock.New().Now,
		Store:  redisstore.NewLimits(connect(t, server), redisstore.Options{Timeout: 50 * time.Millisecond}),
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	admin := connect(t, server)
	sessions, err := redisstore.NewSessions(t.Context(), connect(t, server), redisstore.Options{Secrets: []string{secret}, Timeout: 50 * time.Millisecond, InsecureAllowEviction: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.Do(t.Context(), admin.B().ClientPause().Timeout(600_000).All().Build()).Error(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range 50 {
		if limiter.Allow(t.Context(), "alice").Allowed {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d were allowed; want 2, a fourth", n)
	}
	if _, err := sessions.Find(t.Context(), "app", "token"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("find: %v", err)
	}
	server.Stop()
}

type lines struct{ strings.Builder }

func BenchmarkFind(b *testing.B) {
	s := openSessions(b, connect(b, testredis.Start(b)), time.Now)
	token, err := s.Create(b.Context(), session.Record{App: "app", Subject: "alice", Data: []byte(strings.Repeat("x", 500)), Expires: time.Now().Add(time.Hour)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Find(b.Context(), "app", token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	limits := redisstore.NewLimits(connect(b, testredis.Start(b)), redisstore.Options{Timeout: patient})
	limit := ratelimit.Limit{Requests: 1_000_000, Per: time.Second}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := limits.Take(b.Context(), "key", limit, 1); err != nil {
			b.Fatal(err)
		}
	}
}

// A session that takes the place of another while a person's are being ended is found, too.
func TestThreat_BR12_SuccessorsEndAsWell(t *testing.T) {
	client := connect(t, testredis.Start(t))
	clock := testclock.New()
	inner := openSessions(t, client, clock.Now)
	rec := session.Record{App: "app", Subject: "alice", Data: []byte("x"), Expires: clock.Now().Add(time.Hour)}
	if _, err := inner.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	var successor string
	s := openSessions(t, &meddling{Client: client, afterList: func() {
		token, err := inner.Create(t.Context(), rec)
		if err != nil {
			t.Error(err)
		}
		successor = token
	}}, clock.Now)
	n, err := s.DeleteSubject(t.Context(), "app", "alice", "")
	if err != nil || n != 2 {
		t.Errorf("ended %d, %v", n, err)
	}
	if _, err := inner.Find(t.Context(), "app", successor); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the successor is alive: %v", err)
	}
}

// meddling lets something happen once, just after a list was read.
type meddling struct {
	rueidis.Client
	afterList func()
}

func (m *meddling) Do(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	isList := len(cmd.Commands()) > 0 && cmd.Commands()[0] == "ZRANGE"
	result := m.Client.Do(ctx, cmd)
	if after := m.afterList; isList && after != nil {
		m.afterList = nil
		after()
	}
	return result
}

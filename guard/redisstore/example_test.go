package redisstore_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/bearer"
	"github.com/gatehouse-dev/gatehouse/guard/internal/testredis"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	"github.com/gatehouse-dev/gatehouse/guard/redisstore"
)

// An application on several machines: pages behind a sign-in, an API whose tokens
// are bound to keys, and a limit, all with one Redis.
func application(ctx context.Context, redis, secret string) (http.Handler, error) {
	client, err := redisstore.Connect(ctx, redis)
	if err != nil {
		return nil, err
	}
	shared := redisstore.Options{Secrets: []string{secret}}
	sessions, err := redisstore.NewSessions(ctx, client, shared)
	if err != nil {
		return nil, err
	}
	replays, err := redisstore.NewReplays(ctx, client, shared)
	if err != nil {
		return nil, err
	}

	login, err := oidclogin.New(oidclogin.Options{
		Issuer: "https://id.example.com/", ClientID: "shows", BaseURL: "https://shows.example.com", Secrets: []string{secret},
		Store: sessions, BackchannelLogout: true, Replays: replays,
	})
	if err != nil {
		return nil, err
	}
	tokens, err := bearer.New(bearer.Options{
		Issuer: "https://id.example.com/", Audience: "https://api/tv-shows", URL: "https://shows.example.com",
		DPoP: &bearer.DPoP{Replays: replays},
	})
	if err != nil {
		return nil, err
	}
	limits, err := ratelimit.New(ratelimit.Options{
		Name: "api", Limit: ratelimit.Limit{Requests: 100, Per: time.Minute}, Key: ratelimit.ByAddress(),
		Store: redisstore.NewLimits(client, shared), Nodes: 3,
	})
	if err != nil {
		return nil, err
	}

	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := guard.From(r.Context())
		fmt.Fprintln(w, "hello", who.Subject)
	})
	mux := http.NewServeMux()
	mux.Handle("/auth/", login)
	mux.Handle("/", guard.Require(login)(hello))
	mux.Handle("/api/", limits.Middleware(guard.Require(tokens, guard.DPoPBound())(hello)))
	return mux, nil
}

// One Redis for everything that several machines have to agree on.
func Example() {
	app, err := application(context.Background(), "rediss://user:password@redis.internal:6379/0", os.Getenv("SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", app))
}

func TestExample(t *testing.T) {
	app, err := application(t.Context(), testredis.Start(t).URL, secret)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/": 401, "/api/": 401, "/auth/me": 401, "/auth/backchannel-logout": 405} {
		w := httptest.NewRecorder()
		app.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

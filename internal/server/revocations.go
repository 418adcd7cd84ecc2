package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/revocations"
)

// lookEvery is how often a node looks for what other processes have changed where nobody wakes it:
// a command beside a house on SQLite. On PostgreSQL an announcement does, and watchEvery is for when
// it is lost.
const lookEvery = watchEvery / 4

// RevocationPermissions are what can be done at the feed of revocations.
func RevocationPermissions() []apps.Permission {
	return []apps.Permission{{Value: grants.ReadRevocations, Description: "Learn which tokens were taken back"}}
}

// revocationFeed is the feed of rules for whoever checks tokens elsewhere.
func (h *House) revocationFeed() route {
	feed := &revocations.Server{
		Apps: h.Apps, Grants: h.Grants, Tokens: grants.AccessTokens{Clock: h.Clock, Keys: h.Keys, Apps: h.Apps, Grants: h.Grants},
		Log: h.Log, Leaving: h.leaving,
	}
	return route{path: revocations.Path, methods: map[string]http.Handler{http.MethodGet: feed}}
}

// EndStreams ends every stream that is open, and refuses new ones: their readers go to another node,
// and nobody waits for them. It is for a house that is about to stop.
func (h *House) EndStreams() { h.leave.Do(func() { close(h.leaving) }) }

// ensureRevocationFeed registers the feed as an API in a new tenant, so that clients can be granted
// its scope.
func (h *House) ensureRevocationFeed(ctx context.Context) error {
	audience := grants.RevocationsAudience(h.Tenant)
	_, err := h.Apps.API(ctx, h.Tenant, audience)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	api := apps.NewAPI(audience, "Gatehouse Revocations")
	api.System, api.Permissions, api.AllowOfflineAccess = true, RevocationPermissions(), false
	return h.Tenant.DB.Write(ctx, func(tx *db.Tx) error { return h.Apps.CreateAPI(tx, api) })
}

// Watch notices, once, what other nodes have changed, and then tells the readers of the feed that
// this node has missed nothing.
func (h *House) Watch(ctx context.Context) error {
	if err := h.watcher.Poll(ctx); err != nil {
		return err
	}
	h.Grants.Beat()
	return nil
}

// watch watches until ctx ends: every second, and as soon as something is announced.
func (h *House) watch(ctx context.Context) {
	announced := make(chan struct{}, 1)
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() {
		h.DB.Listen(ctx, func() {
			select {
			case announced <- struct{}{}:
			default: // one is waiting, which will do for both
			}
		})
	})
	beats := time.NewTicker(watchEvery)
	defer beats.Stop()
	looks := &time.Ticker{} // never
	if h.DB.Dialect() == db.SQLite {
		looks = time.NewTicker(lookEvery)
		defer looks.Stop()
	}
	for {
		task := h.watcher.Poll
		select {
		case <-ctx.Done():
			return
		case <-announced:
		case <-looks.C:
		case <-beats.C:
			task = h.Watch
		}
		if err := task(ctx); err != nil && ctx.Err() == nil {
			h.Log.Warn("background work failed", "task", "watch", "error", err)
		}
	}
}

package server

import (
	"context"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

const (
	// watchEvery is how long this node may be behind the others at most.
	watchEvery = time.Second
	// lookEvery is how often it looks where nobody wakes it: for a command beside a house on SQLite. On
	// PostgreSQL an announcement does, and watchEvery is for when it is lost.
	lookEvery = watchEvery / 4
)

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

package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
)

// Intervals of what goes on by itself.
const (
	sweepEvery = 10 * time.Minute
	usesEvery  = time.Minute     // at most so often it is written when a key was last used
	checkEvery = 2 * time.Second // so long after it went wrong, gatehouse app check knows; nothing is written where nothing was
)

// Run does the work that goes on beside requests, until ctx ends: it makes the signing keys that are
// missing, delivers mail, tells applications of sign-outs, notices what other nodes have changed, and
// deletes what can no longer mean anything. It returns when all of it has stopped.
func (h *House) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() {
		if err := h.Prepare(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error("signing keys could not be made", "error", err)
		}
	})
	all.Go(func() {
		if err := h.Outbox.Run(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error("mail is not delivered any more", "error", err)
		}
	})
	all.Go(func() {
		if err := h.Logouts.Run(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error("applications are not told of sign-outs any more", "error", err)
		}
	})
	all.Go(func() { h.watch(ctx) })
	all.Go(func() { h.every(ctx, sweepEvery, "sweep", h.Sweep) })
	all.Go(func() { h.every(ctx, usesEvery, "uses of API keys", h.flushUses) })
	all.Go(func() {
		h.every(ctx, checkEvery, "record of applications", func(ctx context.Context) error { return h.Checkup.Flush(ctx, h.DB) })
	})
	all.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := h.flushUses(last); err != nil {
		h.Log.Warn("background work failed", "task", "uses of API keys", "error", err)
	}
	if err := h.Checkup.FlushAll(last, h.DB); err != nil {
		h.Log.Warn("background work failed", "task", "record of applications", "error", err)
	}
}

func (h *House) flushUses(ctx context.Context) error { return h.APIKeys.FlushUses(ctx, h.DB) }

// every repeats a task. A failure is logged and tried again at the next turn.
func (h *House) every(ctx context.Context, interval time.Duration, name string, task func(context.Context) error) {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if err := task(ctx); err != nil && ctx.Err() == nil {
			h.Log.Warn("background work failed", "task", name, "error", err)
		}
	}
}

// Sweep deletes, in small batches, what has expired everywhere in the house, and rotates the keys that
// are due. What fails in one place is told, and keeps nothing from being done in another.
func (h *House) Sweep(ctx context.Context) error {
	var failed []error
	for _, sweep := range []func(context.Context) error{
		emptied(func(ctx context.Context) (int64, error) { return h.People.Sweep(ctx, h.DB) }),
		emptied(func(ctx context.Context) (int64, error) { return h.SignIn.Sweep(ctx, h.DB) }),
		emptied(h.Outbox.Sweep),
		emptied(h.sweepRecord),
		func(ctx context.Context) error { return h.APIKeys.Sweep(ctx, h.DB) },
		h.Logouts.Sweep,
		func(ctx context.Context) error { return h.Checkup.Sweep(ctx, h.DB) },
		h.sweepKeys,
		func(ctx context.Context) error { return h.Grants.Sweep(ctx, h.DB) },
	} {
		failed = append(failed, sweep(ctx))
	}
	return errors.Join(failed...)
}

// emptied repeats a sweep until there is nothing left for it: what strangers can make faster than one
// batch in ten minutes would otherwise pile up.
func emptied(batch func(context.Context) (deleted int64, err error)) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			if n, err := batch(ctx); n == 0 || err != nil {
				return err
			}
		}
	}
}

// sweepRecord deletes events that are older than the record is kept.
func (h *House) sweepRecord(ctx context.Context) (deleted int64, err error) {
	if h.Config.Audit.Keep == 0 {
		return 0, nil
	}
	return audit.Sweep(ctx, h.Tenant, h.Clock.Now().Add(-h.Config.Audit.Keep))
}

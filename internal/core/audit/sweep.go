package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

const (
	sweepBatch = 500
	// Ids go up with time, so the oldest events are found without looking at the others.
	deleteOldest = `DELETE FROM audit_events WHERE tenant_id = $1 AND at < $2 AND id IN
		(SELECT id FROM audit_events WHERE tenant_id = $1 ORDER BY id LIMIT $3)`
)

// Sweep deletes a batch of events that are older than a time and reports how many it deleted: a batch
// that is not empty means that there may be more. Nothing else ever deletes an event.
func Sweep(ctx context.Context, tn *tenant.Tenant, before time.Time) (deleted int64, err error) {
	deleted, err = tn.DB.Exec(ctx, deleteOldest, func() []any { return []any{db.Micros(before), sweepBatch} })
	if err != nil {
		return 0, fmt.Errorf("audit: sweep: %w", err)
	}
	return deleted, nil
}

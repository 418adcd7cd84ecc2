package grants

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

// sweepBatch is how many rows go in one transaction.
const sweepBatch = 500

// Sweep deletes, in small batches, rows that can no longer mean anything: codes whose replay has
// nothing left to revoke, devices nobody will hear of again, families whose last access token has expired, rules past their time.
// Whether something has expired is decided when it is read, never here.
func (g *Grants) Sweep(ctx context.Context, d *db.DB) error {
	now := g.clock.Now()
	for sql, before := range map[string]time.Time{
		systemDeleteOldCode:   now,
		systemDeleteOldFamily: now.Add(-longestAccessToken),
		systemDeleteOldRule:   now,
		systemDeleteOldDevice: now,
	} {
		for {
			var n int64
			err := d.System().Write(ctx, func(tx *db.Tx) (err error) {
				n, err = tx.Exec(sql, db.Micros(before), sweepBatch)
				return err
			})
			if err != nil {
				return fmt.Errorf("grants: sweep: %w", err)
			}
			if n < sweepBatch {
				break
			}
		}
	}
	return nil
}

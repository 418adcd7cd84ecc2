package grants

import (
	"context"
	"fmt"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

// sweepBatch is how many rows go in one transaction.
const sweepBatch = 500

// Sweep deletes, in small batches, rows that can no longer mean anything: grants whose last
// access token has expired, devices nobody will hear of again, rules past their time.
// Whether something has expired is decided when it is read, never here.
func (g *Grants) Sweep(ctx context.Context, d *db.DB) error {
	now := g.clock.Now()
	for _, sql := range []string{systemDeleteOldGrant, systemDeleteOldRule, systemDeleteOldDevice} {
		for {
			var n int64
			err := d.System().Write(ctx, func(tx *db.Tx) (err error) {
				n, err = tx.Exec(sql, db.Micros(now), sweepBatch)
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

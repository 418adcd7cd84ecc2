package signin

import (
	"context"
	"fmt"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

const (
	sweepBatch           = 500
	systemDeleteFailures = `DELETE FROM failures WHERE (tenant_id, bucket) IN
		(SELECT tenant_id, bucket FROM failures WHERE expires_at <= $1 LIMIT $2)`
	systemDeleteSessions = `DELETE FROM sessions WHERE (tenant_id, sid) IN
		(SELECT tenant_id, sid FROM sessions WHERE idle_expires_at <= $1 LIMIT $2)`
)

// Sweep deletes a batch of counters and sessions that have expired and reports how many they were:
// a batch that is not empty means that there may be more. A session that merely expires ends
// nothing that was granted in it.
func (s *SignIn) Sweep(ctx context.Context, d *db.DB) (deleted int64, err error) {
	now := db.Micros(s.now())
	for _, text := range []string{systemDeleteFailures, systemDeleteSessions} {
		err := d.System().Write(ctx, func(tx *db.Tx) error {
			n, err := tx.Exec(text, now, sweepBatch)
			deleted += n
			return err
		})
		if err != nil {
			return deleted, fmt.Errorf("signin: sweep: %w", err)
		}
	}
	return deleted, nil
}

package people

import (
	"context"
	"fmt"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

const (
	sweepBatch             = 500
	systemDeleteChallenges = `DELETE FROM challenges WHERE (tenant_id, purpose, id) IN
		(SELECT tenant_id, purpose, id FROM challenges WHERE expires_at <= $1 LIMIT $2)`
	systemDeleteTickets = `DELETE FROM tickets WHERE (tenant_id, purpose, token_hash) IN
		(SELECT tenant_id, purpose, token_hash FROM tickets WHERE expires_at <= $1 LIMIT $2)`
)

// Sweep deletes a batch of what has expired and reports how much it was: a batch that is not empty
// means that there may be more.
func (p *People) Sweep(ctx context.Context, d *db.DB) (deleted int64, err error) {
	now := db.Micros(p.Clock.Now())
	for _, text := range []string{systemDeleteChallenges, systemDeleteTickets} {
		err := d.System().Write(ctx, func(tx *db.Tx) error {
			n, err := tx.Exec(text, now, sweepBatch)
			deleted += n
			return err
		})
		if err != nil {
			return deleted, fmt.Errorf("people: sweep: %w", err)
		}
	}
	return deleted, nil
}

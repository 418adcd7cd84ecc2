package grants

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
)

const systemFamiliesByKey = `SELECT key_id, COUNT(*), MAX(CASE WHEN idle_expires_at < expires_at THEN idle_expires_at ELSE expires_at END) FROM grants
	WHERE generation > 0 AND revoked_at = 0 AND idle_expires_at > $1 AND expires_at > $1 GROUP BY key_id`

// FamiliesByMasterKey tells how many living refresh token families have a current token that was
// computed with each master key. A family that is used moves to the current key by itself; one
// that is not ends by itself.
func FamiliesByMasterKey(ctx context.Context, d *db.DB, now time.Time) ([]keys.Dependence, error) {
	rows, err := d.System().Query(ctx, systemFamiliesByKey, db.Micros(now))
	if err != nil {
		return nil, fmt.Errorf("grants: count families: %w", err)
	}
	defer rows.Close()
	var out []keys.Dependence
	for rows.Next() {
		w := keys.Dependence{What: "refresh token families"}
		var until int64
		if err := rows.Scan(&w.KeyID, &w.Count, &until); err != nil {
			return nil, fmt.Errorf("grants: count families: %w", err)
		}
		w.Until = db.Time(until)
		out = append(out, w)
	}
	return out, rows.Err()
}

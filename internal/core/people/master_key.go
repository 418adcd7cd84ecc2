package people

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
)

const systemLiveChallenges = `SELECT payload, expires_at FROM challenges WHERE used_at = 0 AND expires_at > $1`

// ChallengeUse is how many mailed codes wait under one master key, and until when.
type ChallengeUse struct {
	Count int64
	Until time.Time
}

// ChallengesByMasterKey tells, by the id of the master key, how many mailed codes wait to be typed. A
// code's hash is computed with the key, so it is not sealed anew: within minutes it is over.
func ChallengesByMasterKey(ctx context.Context, d *db.DB, now time.Time) (map[string]ChallengeUse, error) {
	rows, err := d.System().Query(ctx, systemLiveChallenges, db.Micros(now))
	if err != nil {
		return nil, fmt.Errorf("people: read challenges: %w", err)
	}
	defer rows.Close()
	out := map[string]ChallengeUse{}
	for rows.Next() {
		var sealed []byte
		var expires int64
		if err := rows.Scan(&sealed, &expires); err != nil {
			return nil, fmt.Errorf("people: read challenges: %w", err)
		}
		keyID, err := seal.KeyID(sealed)
		if err != nil {
			return nil, fmt.Errorf("people: payload of a challenge: %w", err)
		}
		use := out[keyID]
		use.Count++
		if until := db.Time(expires); until.After(use.Until) {
			use.Until = until
		}
		out[keyID] = use
	}
	return out, rows.Err()
}

package people

import (
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

const (
	upsertPassword = `INSERT INTO passwords (tenant_id, user_id, hash, changed_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant_id, user_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at`
	upgradePassword = `UPDATE passwords SET hash = $4 WHERE tenant_id = $1 AND user_id = $2 AND hash = $3`
	selectHash      = `SELECT hash FROM passwords WHERE tenant_id = $1 AND user_id = $2`
)

// SetPassword gives a user a new password, by its hash, and returns the time it is noted with.
func (p *People) SetPassword(tx *db.Tx, userID, hash string) (changedAt time.Time, err error) {
	changedAt = p.Clock.Now()
	if _, err := tx.Exec(upsertPassword, userID, hash, db.Micros(changedAt)); err != nil {
		return time.Time{}, fmt.Errorf("people: set password: %w", err)
	}
	return changedAt, nil
}

// UpgradePassword replaces the hash of the same password by a better one. It does nothing when the
// password was changed meanwhile.
func (p *People) UpgradePassword(tx *db.Tx, userID, from, to string) error {
	if _, err := tx.Exec(upgradePassword, userID, from, to); err != nil {
		return fmt.Errorf("people: upgrade password: %w", err)
	}
	return nil
}

// HashInTx returns the hash of a user's password as the verb sees it, empty when there is none.
func (p *People) HashInTx(tx *db.Tx, userID string) (string, error) {
	var hash string
	err := tx.QueryRow(selectHash, userID).Scan(&hash)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return "", fmt.Errorf("people: read password: %w", err)
	}
	return hash, nil
}

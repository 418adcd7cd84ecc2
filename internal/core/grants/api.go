package grants

import (
	"fmt"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

const (
	deleteConsentsOfAPI = `DELETE FROM consents WHERE tenant_id = $1 AND audience = $2`
	burnCodesOfAPI      = `DELETE FROM grants WHERE tenant_id = $1 AND audience = $2 AND (spent_at = 0 OR spent_at <= $3 AND reached_at <= $3)`
	endDevicesOfAPI     = `UPDATE device_requests SET state = 'denied' WHERE tenant_id = $1 AND audience = $2 AND state IN ('pending', 'approved')`
	revokeGrantsOfAPI   = `UPDATE grants SET revoked_at = $3, revoked_because = $4 WHERE tenant_id = $1 AND audience = $2 AND revoked_at = 0`
	insertRulesOfAPI    = `INSERT INTO revocations (tenant_id, n, kind, id, until)
		SELECT $1, $4 + ROW_NUMBER() OVER (ORDER BY gid), 'gid', gid, $5 FROM (
			SELECT gid FROM grants WHERE tenant_id = $1 AND audience = $2 AND revoked_at = $3
			UNION SELECT gid FROM device_requests WHERE tenant_id = $1 AND audience = $2 AND state = 'spent' AND keep_until > $3) AS ended
		RETURNING id`
)

// ForgetAPI forgets, inside tx, every consent at an API that is to be deleted, and ends what users granted
// there: another API that is given the same identifier must inherit nothing.
func (g *Grants) ForgetAPI(tx *db.Tx, audience string) error {
	if _, err := tx.Exec(deleteConsentsOfAPI, audience); err != nil {
		return fmt.Errorf("grants: forget consents: %w", err)
	}
	return g.endAll(tx, "api_deleted", burnCodesOfAPI, endDevicesOfAPI, revokeGrantsOfAPI, insertRulesOfAPI, audience)
}

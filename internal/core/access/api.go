package access

import (
	"fmt"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

const deletePermissionsOfAPI = `DELETE FROM user_permissions WHERE tenant_id = $1 AND audience = $2`

// WithdrawAPI takes from every user what they may do at an API that is to be deleted: another API
// of the same identifier must not inherit it.
func (a *Access) WithdrawAPI(tx *db.Tx, audience string) error {
	a.changed(tx)
	if _, err := tx.Exec(deletePermissionsOfAPI, audience); err != nil {
		return fmt.Errorf("access: withdraw: %w", err)
	}
	return nil
}

package admin

import (
	"context"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// RevokeTokens ends the access tokens of a client, or of all with an empty id, that were issued at a
// time or before. What was granted stands. It fails with NotFound for a client that is not there.
func (a *Admin) RevokeTokens(ctx context.Context, tn *tenant.Tenant, clientID string, issuedBy time.Time, by audit.Origin) error {
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		var err error
		if clientID == "" {
			err = a.Grants.RevokeAllTokens(tx, issuedBy)
		} else {
			err = a.Grants.RevokeTokensOfClient(tx, clientID, issuedBy)
		}
		if err != nil {
			return err
		}
		if clientID != "" {
			if _, err := a.Apps.ClientInTx(tx, clientID); err != nil {
				return err
			}
		}
		return a.note(tx, audit.AccessTokenRevoked, by, about{clientID: clientID, detail: map[string]any{"issued_by": issuedBy.UTC().Format(time.RFC3339)}})
	})
}

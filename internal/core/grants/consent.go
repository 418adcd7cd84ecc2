package grants

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

const (
	selectConsent = `SELECT scope FROM consents WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND audience = $4`
	upsertConsent = `INSERT INTO consents (tenant_id, user_id, client_id, audience, scope, granted_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (tenant_id, user_id, client_id, audience) DO UPDATE SET scope = excluded.scope, granted_at = excluded.granted_at`
	deleteConsents         = `DELETE FROM consents WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3`
	deleteConsentsAt       = `DELETE FROM consents WHERE tenant_id = $1 AND client_id = $2 AND audience = $3`
	deleteConsentsOfUser   = `DELETE FROM consents WHERE tenant_id = $1 AND user_id = $2`
	deleteConsentsOfClient = `DELETE FROM consents WHERE tenant_id = $1 AND client_id = $2`
)

// Consented returns what a user has allowed a client at an audience; the empty scope for nothing.
func (g *Grants) Consented(ctx context.Context, tn *tenant.Tenant, userID, clientID, audience string) (oauth.Scope, error) {
	var scope string
	err := tn.DB.QueryRow(ctx, selectConsent, userID, clientID, audience).Scan(&scope)
	if errors.Is(err, db.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("grants: read consent: %w", err)
	}
	return oauth.Scope(strings.Fields(scope)), nil
}

// Consent records that a user allows a client a scope at an audience, beside what was allowed
// before.
func (g *Grants) Consent(ctx context.Context, tn *tenant.Tenant, userID, clientID, audience string, scope oauth.Scope) error {
	return tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error { return g.consent(tx, userID, clientID, audience, scope) })
}

// consent is Consent inside tx, which must be serializable.
func (g *Grants) consent(tx *db.Tx, userID, clientID, audience string, scope oauth.Scope) error {
	var before string
	err := tx.QueryRow(selectConsent, userID, clientID, audience).Scan(&before)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return fmt.Errorf("grants: read consent: %w", err)
	}
	now := g.clock.Now()
	all := oauth.Scope(strings.Fields(before)).Union(scope)
	if _, err := tx.Exec(upsertConsent, userID, clientID, audience, all.String(), db.Micros(now)); err != nil {
		return fmt.Errorf("grants: write consent: %w", err)
	}
	return audit.Record(tx, audit.Event{
		Type: audit.ConsentGranted, At: now, Actor: userID, UserID: userID, ClientID: clientID,
		Detail: map[string]any{"audience": audience, "scope": scope.String()},
	})
}

// WithdrawConsent forgets, inside tx, what a user allowed a client, and ends what came of it.
func (g *Grants) WithdrawConsent(tx *db.Tx, userID, clientID string) error {
	if _, err := tx.Exec(deleteConsents, userID, clientID); err != nil {
		return fmt.Errorf("grants: withdraw consent: %w", err)
	}
	err := g.endAll(tx, "consent withdrawn", burnCodesOfConsent, endDevicesOfConsent, revokeGrantsOfConsent, insertRulesOfConsent, userID, clientID)
	if err != nil {
		return err
	}
	return audit.Record(tx, audit.Event{Type: audit.ConsentWithdrawn, At: g.clock.Now(), Actor: userID, UserID: userID, ClientID: clientID})
}

// ForgetConsentsAt forgets, inside tx, what anybody allowed a client at one audience: they are asked anew. What
// came of it before lives on.
func (g *Grants) ForgetConsentsAt(tx *db.Tx, clientID, audience string) error {
	if _, err := tx.Exec(deleteConsentsAt, clientID, audience); err != nil {
		return fmt.Errorf("grants: forget consents: %w", err)
	}
	return nil
}

// ForgetClient forgets, inside tx, every consent to a client that is to be deleted, and ends what
// it was granted.
func (g *Grants) ForgetClient(tx *db.Tx, clientID string) error {
	if _, err := tx.Exec(deleteConsentsOfClient, clientID); err != nil {
		return fmt.Errorf("grants: forget consents: %w", err)
	}
	return g.EndClient(tx, clientID, "client_deleted")
}

// ForgetUser forgets, inside tx, every consent of a user who is to be deleted. What it led to is
// ended by [Grants.EndUser].
func (g *Grants) ForgetUser(tx *db.Tx, userID string) error {
	if _, err := tx.Exec(deleteConsentsOfUser, userID); err != nil {
		return fmt.Errorf("grants: forget consents: %w", err)
	}
	return nil
}

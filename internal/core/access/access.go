// Package access decides what users may do at APIs ([Access]), and what whoever shows an API key may do
// there ([APIKeys]): never more than its owner may at that moment.
package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Permission is a right of a user at an API.
type Permission struct {
	Audience string
	Value    string
}

// Access reads and writes the permissions of users. It is safe for concurrent use.
type Access struct {
	apps  *apps.Apps
	known *feed.Cache[[]string] // by user and audience
}

// What a user may do goes into each token. A permission that another node takes away ends with the
// tokens that carry it, so a few seconds more make no difference.
const (
	staleness        = 5 * time.Second
	permissionsKnown = 16_384
)

// New returns an Access.
func New(c clock.Clock, a *apps.Apps) *Access {
	return &Access{apps: a, known: feed.NewCache[[]string](c, staleness, permissionsKnown)}
}

// changed is called by every verb that writes permissions.
func (a *Access) changed(tx *db.Tx) { tx.OnCommit(func() { a.known.Forget(tx.TenantID()) }) }

const (
	selectPermissions = `SELECT permission FROM user_permissions
		WHERE tenant_id = $1 AND user_id = $2 AND audience = $3 ORDER BY permission`
	selectAllPermissions = `SELECT audience, permission FROM user_permissions
		WHERE tenant_id = $1 AND user_id = $2 ORDER BY audience, permission`
	insertPermission = `INSERT INTO user_permissions (tenant_id, user_id, audience, permission) VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant_id, user_id, audience, permission) DO NOTHING`
	deletePermission     = `DELETE FROM user_permissions WHERE tenant_id = $1 AND user_id = $2 AND audience = $3 AND permission = $4`
	deleteAllPermissions = `DELETE FROM user_permissions WHERE tenant_id = $1 AND user_id = $2`
	countHolders         = `SELECT COUNT(DISTINCT user_id) FROM user_permissions WHERE tenant_id = $1 AND audience = $2`
)

// KnownPermissions is Permissions from memory, which may be a few seconds behind what another node
// has written. The value is shared: do not change it.
func (a *Access) KnownPermissions(ctx context.Context, tn *tenant.Tenant, userID, audience string) ([]string, error) {
	return a.known.Get(tn.ID, userID+"\x00"+audience, func() ([]string, error) {
		return a.Permissions(ctx, tn, userID, audience)
	})
}

// Permissions returns what a user may do at one API, sorted.
func (a *Access) Permissions(ctx context.Context, tn *tenant.Tenant, userID, audience string) ([]string, error) {
	rows, err := tn.DB.Query(ctx, selectPermissions, userID, audience)
	if err != nil {
		return nil, fmt.Errorf("access: read permissions: %w", err)
	}
	defer rows.Close()
	out := []string{}
	for rows.Next() {
		var p string
		if err := rows.Scan(&p); err != nil {
			return nil, fmt.Errorf("access: read permissions: %w", err)
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// All returns every permission of a user, sorted by API.
func (a *Access) All(ctx context.Context, tn *tenant.Tenant, userID string) ([]Permission, error) {
	rows, err := tn.DB.Query(ctx, selectAllPermissions, userID)
	if err != nil {
		return nil, fmt.Errorf("access: read permissions: %w", err)
	}
	defer rows.Close()
	out := []Permission{}
	for rows.Next() {
		var p Permission
		if err := rows.Scan(&p.Audience, &p.Value); err != nil {
			return nil, fmt.Errorf("access: read permissions: %w", err)
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// Grant gives a user permissions. Those the user has are left as they are.
func (a *Access) Grant(tx *db.Tx, userID string, permissions ...Permission) error {
	a.changed(tx)
	for _, p := range permissions {
		if _, err := tx.Exec(insertPermission, userID, p.Audience, p.Value); err != nil {
			return fmt.Errorf("access: grant: %w", err)
		}
	}
	return nil
}

// Withdraw takes permissions from a user. Tokens that carry them live until they expire.
func (a *Access) Withdraw(tx *db.Tx, userID string, permissions ...Permission) error {
	a.changed(tx)
	for _, p := range permissions {
		if _, err := tx.Exec(deletePermission, userID, p.Audience, p.Value); err != nil {
			return fmt.Errorf("access: withdraw: %w", err)
		}
	}
	return nil
}

// WithdrawAll takes every permission from a user who is to be deleted.
func (a *Access) WithdrawAll(tx *db.Tx, userID string) error {
	a.changed(tx)
	if _, err := tx.Exec(deleteAllPermissions, userID); err != nil {
		return fmt.Errorf("access: withdraw: %w", err)
	}
	return nil
}

// DefaultPermissions gives a new user what each API gives to everyone who signs up.
func (a *Access) DefaultPermissions(tx *db.Tx, userID string) error {
	return a.grantFrom(tx, userID, func(api *apps.API) []string { return api.DefaultPermissions })
}

// MakeAdministrator gives a user every permission of the house's own APIs.
func (a *Access) MakeAdministrator(tx *db.Tx, userID string) error {
	return a.grantFrom(tx, userID, func(api *apps.API) []string {
		if !api.System {
			return nil
		}
		return api.Scopes()
	})
}

func (a *Access) grantFrom(tx *db.Tx, userID string, pick func(*apps.API) []string) error {
	const page = 200
	for after := ""; ; {
		apis, err := a.apps.APIsIn(tx, after, page)
		if err != nil {
			return err
		}
		for _, api := range apis {
			for _, p := range pick(api) {
				if err := a.Grant(tx, userID, Permission{api.Identifier, p}); err != nil {
					return err
				}
			}
			after = api.ID
		}
		if len(apis) < page {
			return nil
		}
	}
}

// HasAdministrator reports whether anyone holds a permission at the tenant's management API.
func (a *Access) HasAdministrator(tx *db.Tx, managementAudience string) (bool, error) {
	var n int64
	if err := tx.QueryRow(countHolders, managementAudience).Scan(&n); err != nil {
		return false, fmt.Errorf("access: count administrators: %w", err)
	}
	return n > 0, nil
}

// Administered is HasAdministrator outside a transaction, for pages.
func (a *Access) Administered(ctx context.Context, tn *tenant.Tenant) (bool, error) {
	var n int64
	if err := tn.DB.QueryRow(ctx, countHolders, tn.ManagementAudience()).Scan(&n); err != nil {
		return false, fmt.Errorf("access: count administrators: %w", err)
	}
	return n > 0, nil
}

// UserScope decides what a user's token for an API may say: of the scopes that were asked for,
// those the API has, and, where the API enforces permissions, those the user has permission for.
func UserScope(api *apps.API, asked oauth.Scope, permissions []string) oauth.Scope {
	granted := asked.Intersect(api.Scopes())
	if !api.EnforcePermissions {
		return granted
	}
	return granted.Intersect(permissions)
}

// ClaimedPermissions returns the claim "permissions" of a user's token: every permission at the
// API, or nil where the API does not enforce them.
func ClaimedPermissions(api *apps.API, permissions []string) []string {
	if !api.EnforcePermissions {
		return nil
	}
	known := api.Scopes()
	return slices.DeleteFunc(slices.Clone(permissions), func(p string) bool { return !known.Contains(p) })
}

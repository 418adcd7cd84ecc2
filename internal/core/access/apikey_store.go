package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

const (
	apiKeyColumns = `id, gid, kind, environment, hint, name, user_id, client_id, organization, audience, scope, networks, rate, quota,
		created_at, updated_at, expires_at, revoked_at, revoked_because, rotated_at, successor, last_used_at, uses`

	selectAPIKey       = `SELECT ` + apiKeyColumns + ` FROM api_keys WHERE tenant_id = $1 AND id = $2`
	selectAPIKeyByHash = `SELECT ` + apiKeyColumns + ` FROM api_keys WHERE tenant_id = $1 AND key_hash = $2`
	listAPIKeys        = `SELECT ` + apiKeyColumns + ` FROM api_keys
		WHERE tenant_id = $1 AND ($2 = '' OR user_id = $2) AND ($3 = '' OR client_id = $3) ORDER BY created_at, id LIMIT $4 OFFSET $5`
	countAPIKeys = `SELECT COUNT(*) FROM api_keys WHERE tenant_id = $1 AND ($2 = '' OR user_id = $2) AND ($3 = '' OR client_id = $3)`

	countLivingAPIKeys = `SELECT COUNT(*) FROM api_keys WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND ends_at > $4`
	insertAPIKey       = `INSERT INTO api_keys (tenant_id, id, key_hash, gid, kind, environment, hint, name, user_id, client_id, organization,
		audience, scope, networks, rate, quota, created_at, updated_at, expires_at, ends_at,
		revoked_at, revoked_because, rotated_at, successor, last_used_at, uses)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17, $18, $19, 0, '', 0, '', 0, 0)`
	updateAPIKey = `UPDATE api_keys SET gid = $4, name = $5, scope = $6, networks = $7, rate = $8, quota = $9, expires_at = $10, ends_at = $11, updated_at = $12
		WHERE tenant_id = $1 AND id = $2 AND gid = $3 AND revoked_at = 0 AND ends_at > $12`
	// The successor is a copy of the row as it was read, so the row must be that still.
	rotateAPIKey = `UPDATE api_keys SET rotated_at = $3, successor = $4, expires_at = $5, ends_at = $5, updated_at = $3
		WHERE tenant_id = $1 AND id = $2 AND gid = $6 AND updated_at = $7 AND successor = '' AND revoked_at = 0 AND ends_at > $3`
	revokeAPIKey = `UPDATE api_keys SET revoked_at = $3, revoked_because = $4, ends_at = $3
		WHERE tenant_id = $1 AND id = $2 AND revoked_at = 0 AND ends_at > $3 RETURNING gid`

	// A key that has expired may have left access tokens behind that have not, if clocks differ.
	revokeAPIKeysOfUser = `UPDATE api_keys SET revoked_at = $3, revoked_because = $4, ends_at = $3
		WHERE tenant_id = $1 AND user_id = $2 AND revoked_at = 0 AND ends_at > $3 RETURNING gid`
	revokeAPIKeysOfClient = `UPDATE api_keys SET revoked_at = $3, revoked_because = $4, ends_at = $3
		WHERE tenant_id = $1 AND client_id = $2 AND revoked_at = 0 AND ends_at > $3 RETURNING gid`
	revokeAPIKeysOfAPI = `UPDATE api_keys SET revoked_at = $3, revoked_because = $4, ends_at = $3
		WHERE tenant_id = $1 AND audience = $2 AND revoked_at = 0 AND ends_at > $3 RETURNING gid`
	deleteAPIKeysOfUser    = `DELETE FROM api_keys WHERE tenant_id = $1 AND user_id = $2`
	deleteAPIKeyUsesOfUser = `DELETE FROM api_key_uses WHERE tenant_id = $1 AND key_id IN
		(SELECT id FROM api_keys WHERE tenant_id = $1 AND user_id = $2)`

	systemDeleteOldAPIKey = `DELETE FROM api_keys WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM api_keys WHERE ends_at < $1 LIMIT $2)`
	systemDeleteOldUse    = `DELETE FROM api_key_uses WHERE (tenant_id, key_id, who) IN
		(SELECT tenant_id, key_id, who FROM api_key_uses WHERE last_at < $1 LIMIT $2)`
)

// never is ends_at of a key that does not expire: the end of the year 9999.
const never = 253402300799_000_000

func endsAt(expires time.Time) int64 {
	if expires.IsZero() {
		return never
	}
	return db.Micros(expires)
}

type scanner interface{ Scan(...any) error }

func scanAPIKey(row scanner) (*APIKey, error) {
	k := &APIKey{}
	var scope, networks string
	var created, updated, expires, revoked, rotated, used int64
	err := row.Scan(&k.ID, &k.GID, &k.Kind, &k.Environment, &k.Hint, &k.Name, &k.UserID, &k.ClientID, &k.Organization, &k.Audience,
		&scope, &networks, &k.Rate, &k.Quota, &created, &updated, &expires, &revoked, &k.RevokedBecause, &rotated, &k.Successor, &used, &k.Uses)
	if err != nil {
		return nil, err
	}
	if k.Networks, err = splitNetworks(networks); err != nil {
		return nil, fmt.Errorf("networks of API key %s: %w", k.ID, err)
	}
	k.Scope = strings.Fields(scope)
	k.CreatedAt, k.UpdatedAt, k.ExpiresAt = db.Time(created), db.Time(updated), db.Time(expires)
	k.RevokedAt, k.RotatedAt, k.LastUsedAt = db.Time(revoked), db.Time(rotated), db.Time(used)
	return k, nil
}

func foundKey(k *APIKey, err error) (*APIKey, error) {
	if errors.Is(err, db.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "There is no such API key.")
	}
	if err != nil {
		return nil, fmt.Errorf("access: read API key: %w", err)
	}
	return k, nil
}

// Get returns a key by its id, ended ones included, or a NotFound fault.
func (a *APIKeys) Get(ctx context.Context, tn *tenant.Tenant, keyID string) (*APIKey, error) {
	if !people.PlausibleID(keyID) {
		return foundKey(nil, db.ErrNoRows)
	}
	return foundKey(scanAPIKey(tn.DB.QueryRow(ctx, selectAPIKey, keyID)))
}

// APIKeyQuery says which keys to list.
type APIKeyQuery struct {
	UserID   string // only those of this user; empty for all
	ClientID string // only those of this client; empty for all
	apps.Page
}

// List returns a page of keys in the order of their creation, ended ones included, and how many there
// are in all.
func (a *APIKeys) List(ctx context.Context, tn *tenant.Tenant, q APIKeyQuery) (list []*APIKey, total int64, err error) {
	if err := tn.DB.QueryRow(ctx, countAPIKeys, q.UserID, q.ClientID).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("access: count API keys: %w", err)
	}
	rows, err := tn.DB.Query(ctx, listAPIKeys, q.UserID, q.ClientID, q.Limit, q.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("access: list API keys: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		k, err := scanAPIKey(rows)
		if err != nil {
			return nil, 0, fmt.Errorf("access: list API keys: %w", err)
		}
		list = append(list, k)
	}
	return list, total, rows.Err()
}

// keepEnded is how long an ended key and what is known of its uses stay to be looked at.
const keepEnded = 90 * 24 * time.Hour

// Sweep deletes, in small batches, keys that ended long ago and uses that nobody will ask about.
// Whether a key has ended is decided when it is read, never here.
func (a *APIKeys) Sweep(ctx context.Context, d *db.DB) error {
	const batch = 500
	before := db.Micros(a.Clock.Now().Add(-keepEnded))
	for _, sql := range []string{systemDeleteOldAPIKey, systemDeleteOldUse} {
		for n := int64(batch); n == batch; {
			err := d.System().Write(ctx, func(tx *db.Tx) (err error) {
				n, err = tx.Exec(sql, before, batch)
				return err
			})
			if err != nil {
				return fmt.Errorf("access: sweep: %w", err)
			}
		}
	}
	return nil
}

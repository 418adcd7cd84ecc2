package apps

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// What administrators look at goes past the cache: lists by page, and rows inside a verb that is
// about to change them.

const (
	listClients = `SELECT c.client_id, c.name, c.type, c.secret_hash, c.settings, c.created_at, c.updated_at
		FROM clients c WHERE c.tenant_id = $1 ORDER BY c.created_at, c.client_id LIMIT $2 OFFSET $3`
	countClients = `SELECT COUNT(*) FROM clients WHERE tenant_id = $1`
	listAPIs     = `SELECT id, identifier, name, system, settings, created_at, updated_at FROM apis
		WHERE tenant_id = $1 AND ($4 = '' OR identifier = $4) ORDER BY created_at, id LIMIT $2 OFFSET $3`
	countAPIs        = `SELECT COUNT(*) FROM apis WHERE tenant_id = $1 AND ($2 = '' OR identifier = $2)`
	listClientGrants = `SELECT client_id, audience, scope FROM client_grants
		WHERE tenant_id = $1 AND ($2 = '' OR client_id = $2) AND ($3 = '' OR audience = $3)
		ORDER BY client_id, audience LIMIT $4 OFFSET $5`
	countClientGrants = `SELECT COUNT(*) FROM client_grants WHERE tenant_id = $1 AND ($2 = '' OR client_id = $2) AND ($3 = '' OR audience = $3)`
	deleteGrantsOfAPI = `DELETE FROM client_grants WHERE tenant_id = $1 AND audience = $2`
)

// Page is a part of a list.
type Page struct{ Offset, Limit int }

// ListClients returns a page of all clients in the order of their creation, and how many there are
// in all.
func (a *Apps) ListClients(ctx context.Context, tn *tenant.Tenant, p Page) (clients []*Client, total int64, err error) {
	if err := tn.DB.QueryRow(ctx, countClients).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("apps: count clients: %w", err)
	}
	rows, err := tn.DB.Query(ctx, listClients, p.Limit, p.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("apps: list clients: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		c, err := scanClient(rows)
		if err != nil {
			return nil, 0, fmt.Errorf("apps: list clients: %w", err)
		}
		clients = append(clients, c)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("apps: list clients: %w", err)
	}
	for _, c := range clients {
		if err := a.loadGrants(ctx, tn, c); err != nil {
			return nil, 0, err
		}
	}
	return clients, total, nil
}

// ListAPIs returns a page of all APIs in the order of their creation, or of the one with an
// identifier, and how many there are in all.
func (a *Apps) ListAPIs(ctx context.Context, tn *tenant.Tenant, identifier string, p Page) (apis []*API, total int64, err error) {
	if err := tn.DB.QueryRow(ctx, countAPIs, identifier).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("apps: count APIs: %w", err)
	}
	rows, err := tn.DB.Query(ctx, listAPIs, p.Limit, p.Offset, identifier)
	if err != nil {
		return nil, 0, fmt.Errorf("apps: list APIs: %w", err)
	}
	apis, err = collectAPIs(rows)
	return apis, total, err
}

// ClientGrant is what a client may ask for in its own name at one API.
type ClientGrant struct {
	ClientID string
	Audience string
	Scope    oauth.Scope
}

// ListClientGrants returns a page of the grants of one client, at one API, or of all (empty), and how
// many there are in all.
func (a *Apps) ListClientGrants(ctx context.Context, tn *tenant.Tenant, clientID, audience string, p Page) (list []ClientGrant, total int64, err error) {
	if err := tn.DB.QueryRow(ctx, countClientGrants, clientID, audience).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("apps: count client grants: %w", err)
	}
	rows, err := tn.DB.Query(ctx, listClientGrants, clientID, audience, p.Limit, p.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("apps: list client grants: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var g ClientGrant
		var scope string
		if err := rows.Scan(&g.ClientID, &g.Audience, &scope); err != nil {
			return nil, 0, fmt.Errorf("apps: list client grants: %w", err)
		}
		g.Scope = strings.Fields(scope)
		list = append(list, g)
	}
	return list, total, rows.Err()
}

// ClientInTx reads a client within a verb. The value is the caller's to change.
func (a *Apps) ClientInTx(tx *db.Tx, clientID string) (*Client, error) {
	c, err := scanClient(tx.QueryRow(selectClient, clientID))
	if errors.Is(err, db.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "There is no client %s.", clip(clientID))
	}
	if err != nil {
		return nil, fmt.Errorf("apps: read client: %w", err)
	}
	rows, err := tx.Query(selectClientGrants, clientID)
	if err != nil {
		return nil, fmt.Errorf("apps: read client grants: %w", err)
	}
	defer rows.Close()
	c.Grants = map[string]oauth.Scope{}
	for rows.Next() {
		var audience, scope string
		if err := rows.Scan(&audience, &scope); err != nil {
			return nil, fmt.Errorf("apps: read client grants: %w", err)
		}
		c.Grants[audience] = strings.Fields(scope)
	}
	return c, rows.Err()
}

// APIInTx reads an API, by its identifier or its id, within a verb. The value is the caller's to
// change.
func (a *Apps) APIInTx(tx *db.Tx, identifier string) (*API, error) {
	api, err := scanAPI(tx.QueryRow(selectAPI, identifier))
	if errors.Is(err, db.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "There is no API %s.", clip(identifier))
	}
	if err != nil {
		return nil, fmt.Errorf("apps: read API: %w", err)
	}
	return api, nil
}

// EndGrantsOf takes from every client what it may ask for at an API that is to be deleted: another
// API of the same identifier must not inherit it.
func (a *Apps) EndGrantsOf(tx *db.Tx, audience string) error {
	if _, err := tx.Exec(deleteGrantsOfAPI, audience); err != nil {
		return fmt.Errorf("apps: end client grants: %w", err)
	}
	return a.changed(tx)
}

package apps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/feed"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Apps reads and writes clients and APIs. It is safe for concurrent use.
type Apps struct {
	clock clock.Clock

	mu    sync.RWMutex
	cache map[string]*shelf // by tenant id
}

// New returns an Apps with an empty cache.
func New(c clock.Clock) *Apps { return &Apps{clock: c, cache: map[string]*shelf{}} }

// shelf is all that is remembered of one tenant. It is thrown away whole.
type shelf struct {
	clients sync.Map // client_id → *Client
	apis    sync.Map // identifier → *API
	origins sync.Map // "" → map[string]bool, filled once
}

func (a *Apps) shelf(tn *tenant.Tenant) *shelf {
	a.mu.RLock()
	s := a.cache[tn.ID]
	a.mu.RUnlock()
	if s != nil {
		return s
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cache[tn.ID] == nil {
		a.cache[tn.ID] = &shelf{}
	}
	return a.cache[tn.ID]
}

// Forget drops what is cached of a tenant: its configuration has changed.
func (a *Apps) Forget(tenantID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.cache, tenantID)
}

// changed must end every verb that writes configuration.
func (a *Apps) changed(tx *db.Tx) error {
	tx.OnCommit(func() { a.Forget(tx.TenantID()) })
	_, err := feed.Bump(tx, feed.Configuration)
	return err
}

const (
	selectClient = `SELECT c.client_id, c.name, c.type, c.secret_hash, c.settings, c.created_at, c.updated_at
		FROM clients c WHERE c.tenant_id = $1 AND c.client_id = $2`
	selectClients = `SELECT c.client_id, c.name, c.type, c.secret_hash, c.settings, c.created_at, c.updated_at
		FROM clients c WHERE c.tenant_id = $1 AND c.client_id > $2 ORDER BY c.client_id LIMIT $3`
	selectClientGrants = `SELECT audience, scope FROM client_grants WHERE tenant_id = $1 AND client_id = $2`
	insertClient       = `INSERT INTO clients (tenant_id, client_id, name, type, secret_hash, settings, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	updateClient = `UPDATE clients SET name = $3, type = $4, secret_hash = $5, settings = $6, updated_at = $7
		WHERE tenant_id = $1 AND client_id = $2`
	deleteClient       = `DELETE FROM clients WHERE tenant_id = $1 AND client_id = $2`
	deleteClientGrants = `DELETE FROM client_grants WHERE tenant_id = $1 AND client_id = $2`
	upsertClientGrant  = `INSERT INTO client_grants (tenant_id, client_id, audience, scope) VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant_id, client_id, audience) DO UPDATE SET scope = excluded.scope`

	selectAPI = `SELECT id, identifier, name, system, settings, created_at, updated_at FROM apis
		WHERE tenant_id = $1 AND (identifier = $2 OR id = $2)`
	selectAPIs = `SELECT id, identifier, name, system, settings, created_at, updated_at FROM apis
		WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3`
	insertAPI = `INSERT INTO apis (tenant_id, id, identifier, name, system, settings, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	updateAPI = `UPDATE apis SET name = $3, settings = $4, updated_at = $5 WHERE tenant_id = $1 AND id = $2`
	deleteAPI = `DELETE FROM apis WHERE tenant_id = $1 AND id = $2`
)

// Client returns a client by id, or a NotFound fault. The value is shared: do not change it.
func (a *Apps) Client(ctx context.Context, tn *tenant.Tenant, clientID string) (*Client, error) {
	shelf := a.shelf(tn)
	if c, ok := shelf.clients.Load(clientID); ok {
		return c.(*Client), nil
	}
	c, err := scanClient(tn.DB.QueryRow(ctx, selectClient, clientID))
	if errors.Is(err, db.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "There is no client %s.", clip(clientID))
	}
	if err != nil {
		return nil, fmt.Errorf("apps: read client: %w", err)
	}
	if err := a.loadGrants(ctx, tn, c); err != nil {
		return nil, err
	}
	shelf.clients.Store(clientID, c)
	return c, nil
}

// Clients returns up to limit clients with ids after the given one, in order of id.
func (a *Apps) Clients(ctx context.Context, tn *tenant.Tenant, after string, limit int) ([]*Client, error) {
	rows, err := tn.DB.Query(ctx, selectClients, after, limit)
	if err != nil {
		return nil, fmt.Errorf("apps: read clients: %w", err)
	}
	defer rows.Close()
	var out []*Client
	for rows.Next() {
		c, err := scanClient(rows)
		if err != nil {
			return nil, fmt.Errorf("apps: read clients: %w", err)
		}
		out = append(out, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("apps: read clients: %w", err)
	}
	for _, c := range out {
		if err := a.loadGrants(ctx, tn, c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a *Apps) loadGrants(ctx context.Context, tn *tenant.Tenant, c *Client) error {
	rows, err := tn.DB.Query(ctx, selectClientGrants, c.ClientID)
	if err != nil {
		return fmt.Errorf("apps: read client grants: %w", err)
	}
	defer rows.Close()
	c.Grants = map[string]oauth.Scope{}
	for rows.Next() {
		var audience, scope string
		if err := rows.Scan(&audience, &scope); err != nil {
			return fmt.Errorf("apps: read client grants: %w", err)
		}
		c.Grants[audience] = strings.Fields(scope)
	}
	return rows.Err()
}

// IsWebOrigin reports whether any client registered the origin: what a CORS preflight, which
// names no client, can be judged by.
func (a *Apps) IsWebOrigin(ctx context.Context, tn *tenant.Tenant, origin string) (bool, error) {
	shelf := a.shelf(tn)
	if known, ok := shelf.origins.Load(""); ok {
		return known.(map[string]bool)[origin], nil
	}
	known := map[string]bool{}
	for after := ""; ; {
		page, err := a.Clients(ctx, tn, after, 1000)
		if err != nil {
			return false, err
		}
		for _, c := range page {
			for _, o := range c.WebOrigins {
				known[o] = true
			}
			after = c.ClientID
		}
		if len(page) < 1000 {
			break
		}
	}
	shelf.origins.Store("", known)
	return known[origin], nil
}

// CreateClient validates and stores a new client.
func (a *Apps) CreateClient(tx *db.Tx, c *Client) error {
	if err := c.Validate(); err != nil {
		return err
	}
	c.CreatedAt = a.clock.Now()
	c.UpdatedAt = c.CreatedAt
	settings, err := c.normalised()
	if err != nil {
		return err
	}
	_, err = tx.Exec(insertClient, c.ClientID, c.Name, string(c.Type), c.SecretHash, settings, db.Micros(c.CreatedAt), db.Micros(c.UpdatedAt))
	if db.IsUnique(err) {
		return fault.New(fault.Conflict, "A client with this id exists.")
	}
	if err != nil {
		return fmt.Errorf("apps: write client: %w", err)
	}
	return a.writeGrants(tx, c)
}

// UpdateClient validates and stores a client that exists, or fails with NotFound.
func (a *Apps) UpdateClient(tx *db.Tx, c *Client) error {
	if err := c.Validate(); err != nil {
		return err
	}
	c.UpdatedAt = a.clock.Now()
	settings, err := c.normalised()
	if err != nil {
		return err
	}
	n, err := tx.Exec(updateClient, c.ClientID, c.Name, string(c.Type), c.SecretHash, settings, db.Micros(c.UpdatedAt))
	if err != nil {
		return fmt.Errorf("apps: write client: %w", err)
	}
	if n == 0 {
		return fault.New(fault.NotFound, "There is no client %s.", clip(c.ClientID))
	}
	return a.writeGrants(tx, c)
}

func (a *Apps) writeGrants(tx *db.Tx, c *Client) error {
	if _, err := tx.Exec(deleteClientGrants, c.ClientID); err != nil {
		return fmt.Errorf("apps: write client grants: %w", err)
	}
	for audience, scope := range c.Grants {
		if _, err := tx.Exec(upsertClientGrant, c.ClientID, audience, scope.String()); err != nil {
			return fmt.Errorf("apps: write client grants: %w", err)
		}
	}
	return a.changed(tx)
}

// DeleteClient removes a client, or fails with NotFound. What it was granted must be taken back
// in the same transaction by the caller.
func (a *Apps) DeleteClient(tx *db.Tx, clientID string) error {
	n, err := tx.Exec(deleteClient, clientID)
	if err != nil {
		return fmt.Errorf("apps: delete client: %w", err)
	}
	if n == 0 {
		return fault.New(fault.NotFound, "There is no client %s.", clip(clientID))
	}
	if _, err := tx.Exec(deleteClientGrants, clientID); err != nil {
		return fmt.Errorf("apps: delete client grants: %w", err)
	}
	return a.changed(tx)
}

// API returns an API by its identifier (or its id), or a NotFound fault. The value is shared: do
// not change it.
func (a *Apps) API(ctx context.Context, tn *tenant.Tenant, identifier string) (*API, error) {
	shelf := a.shelf(tn)
	if api, ok := shelf.apis.Load(identifier); ok {
		return api.(*API), nil
	}
	api, err := scanAPI(tn.DB.QueryRow(ctx, selectAPI, identifier))
	if errors.Is(err, db.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "There is no API %s.", clip(identifier))
	}
	if err != nil {
		return nil, fmt.Errorf("apps: read API: %w", err)
	}
	shelf.apis.Store(identifier, api)
	return api, nil
}

// APIs returns up to limit APIs with ids after the given one, in order of id.
func (a *Apps) APIs(ctx context.Context, tn *tenant.Tenant, after string, limit int) ([]*API, error) {
	rows, err := tn.DB.Query(ctx, selectAPIs, after, limit)
	if err != nil {
		return nil, fmt.Errorf("apps: read APIs: %w", err)
	}
	return collectAPIs(rows)
}

// APIsIn is [Apps.APIs] inside a transaction.
func (a *Apps) APIsIn(tx *db.Tx, after string, limit int) ([]*API, error) {
	rows, err := tx.Query(selectAPIs, after, limit)
	if err != nil {
		return nil, fmt.Errorf("apps: read APIs: %w", err)
	}
	return collectAPIs(rows)
}

// CreateAPI validates and stores a new API, or fails with Conflict when its identifier is taken.
func (a *Apps) CreateAPI(tx *db.Tx, api *API) error {
	if err := api.Validate(); err != nil {
		return err
	}
	api.CreatedAt = a.clock.Now()
	api.UpdatedAt = api.CreatedAt
	settings, err := json.Marshal(api.APISettings)
	if err != nil {
		return err
	}
	_, err = tx.Exec(insertAPI, api.ID, api.Identifier, api.Name, api.System, string(settings), db.Micros(api.CreatedAt), db.Micros(api.UpdatedAt))
	if db.IsUnique(err) {
		return &fault.Error{Code: fault.Conflict, Field: "identifier", Message: "An API with this identifier exists."}
	}
	if err != nil {
		return fmt.Errorf("apps: write API: %w", err)
	}
	return a.changed(tx)
}

// UpdateAPI validates and stores an API that exists, or fails with NotFound. Its identifier never
// changes: tokens carry it.
func (a *Apps) UpdateAPI(tx *db.Tx, api *API) error {
	if err := api.Validate(); err != nil {
		return err
	}
	api.UpdatedAt = a.clock.Now()
	settings, err := json.Marshal(api.APISettings)
	if err != nil {
		return err
	}
	n, err := tx.Exec(updateAPI, api.ID, api.Name, string(settings), db.Micros(api.UpdatedAt))
	if err != nil {
		return fmt.Errorf("apps: write API: %w", err)
	}
	if n == 0 {
		return fault.New(fault.NotFound, "There is no API %s.", clip(api.ID))
	}
	return a.changed(tx)
}

// DeleteAPI removes an API. The house's own can not be deleted.
func (a *Apps) DeleteAPI(tx *db.Tx, api *API) error {
	if api.System {
		return fault.New(fault.Forbidden, "This API belongs to the house and can not be deleted.")
	}
	n, err := tx.Exec(deleteAPI, api.ID)
	if err != nil {
		return fmt.Errorf("apps: delete API: %w", err)
	}
	if n == 0 {
		return fault.New(fault.NotFound, "There is no API %s.", clip(api.ID))
	}
	return a.changed(tx)
}

type scanner interface{ Scan(...any) error }

func scanClient(row scanner) (*Client, error) {
	c, typ, settings, created, updated := &Client{}, "", "", int64(0), int64(0)
	if err := row.Scan(&c.ClientID, &c.Name, &typ, &c.SecretHash, &settings, &created, &updated); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(settings), &c.ClientSettings); err != nil {
		return nil, fmt.Errorf("settings of client %s: %w", c.ClientID, err)
	}
	c.Type, c.CreatedAt, c.UpdatedAt = Type(typ), db.Time(created), db.Time(updated)
	return c, nil
}

func scanAPI(row scanner) (*API, error) {
	a, settings, created, updated := &API{}, "", int64(0), int64(0)
	if err := row.Scan(&a.ID, &a.Identifier, &a.Name, &a.System, &settings, &created, &updated); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(settings), &a.APISettings); err != nil {
		return nil, fmt.Errorf("settings of API %s: %w", a.Identifier, err)
	}
	a.CreatedAt, a.UpdatedAt = db.Time(created), db.Time(updated)
	return a, nil
}

func collectAPIs(rows *db.Rows) ([]*API, error) {
	defer rows.Close()
	var out []*API
	for rows.Next() {
		api, err := scanAPI(rows)
		if err != nil {
			return nil, fmt.Errorf("apps: read APIs: %w", err)
		}
		out = append(out, api)
	}
	return out, rows.Err()
}

// normalised returns the settings as they are stored.
func (c *Client) normalised() (string, error) {
	if c.SecretHash == nil {
		c.SecretHash = []byte{}
	}
	raw, err := json.Marshal(c.ClientSettings)
	return string(raw), err
}

// clip keeps what a stranger sent short enough for a message.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

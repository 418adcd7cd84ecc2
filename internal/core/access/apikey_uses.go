package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/base/limit"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// When keys were last used is told by a few writes a minute, never on the way of a request: uses are
// counted in memory and written by [APIKeys.FlushUses]. A node that dies forgets the last minute.

// APIKeyUse is somebody who used a key after it was rotated.
type APIKeyUse struct {
	ShownTo   string // client_id of the API, or of the application that exchanged it
	Network   string // an IPv4 address or an IPv6 /64
	UserAgent string
	FirstAt   time.Time
	LastAt    time.Time
	Count     int64
}

const (
	// maxUses bounds the rows of one key; who comes later is counted together, as elsewhere.
	maxUses   = 50
	elsewhere = "elsewhere"
	// pendingUses bounds what waits to be written.
	pendingUses = 10_000

	touchAPIKey = `UPDATE api_keys SET last_used_at = CASE WHEN last_used_at < $3 THEN $3 ELSE last_used_at END, uses = uses + $4
		WHERE tenant_id = $1 AND id = $2`
	touchUse  = `UPDATE api_key_uses SET last_at = CASE WHEN last_at < $4 THEN $4 ELSE last_at END, count = count + $5 WHERE tenant_id = $1 AND key_id = $2 AND who = $3`
	countUses = `SELECT COUNT(*) FROM api_key_uses WHERE tenant_id = $1 AND key_id = $2`
	insertUse = `INSERT INTO api_key_uses (tenant_id, key_id, who, shown_to, network, user_agent, first_at, last_at, count)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (tenant_id, key_id, who) DO UPDATE SET last_at = excluded.last_at, count = api_key_uses.count + excluded.count`
	listUses = `SELECT shown_to, network, user_agent, first_at, last_at, count FROM api_key_uses
		WHERE tenant_id = $1 AND key_id = $2 ORDER BY last_at DESC, who LIMIT $3`
)

// useLog is what waits to be written.
type useLog struct {
	mu      sync.Mutex
	pending map[usedBy]*APIKeyUse
}

type usedBy struct {
	tenantID, keyID             string
	rotated                     bool // only then it is kept by whom
	shownTo, network, userAgent string
}

func newUseLog() *useLog { return &useLog{pending: map[usedBy]*APIKeyUse{}} }

func (l *useLog) add(tenantID string, k *APIKey, s Shown, now time.Time) {
	at := usedBy{tenantID: tenantID, keyID: k.ID}
	if !k.RotatedAt.IsZero() {
		at.rotated = true
		at.shownTo, at.network, at.userAgent = audit.Clean(s.To), limit.Network(s.Addr), audit.Clean(s.UserAgent)
	}
	l.merge(at, &APIKeyUse{FirstAt: now, LastAt: now, Count: 1})
}

// merge counts uses. When there is no room, somebody new is not counted: nothing is decided by it.
func (l *useLog) merge(at usedBy, u *APIKeyUse) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.pending[at]
	if known == nil {
		if len(l.pending) < pendingUses {
			l.pending[at] = u
		}
		return
	}
	known.Count += u.Count
	if u.LastAt.After(known.LastAt) {
		known.LastAt = u.LastAt
	}
	if u.FirstAt.Before(known.FirstAt) {
		known.FirstAt = u.FirstAt
	}
}

// take empties the log and returns what was in it, by tenant.
func (l *useLog) take() map[string]map[usedBy]*APIKeyUse {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]map[usedBy]*APIKeyUse{}
	for at, u := range l.pending {
		if out[at.tenantID] == nil {
			out[at.tenantID] = map[usedBy]*APIKeyUse{}
		}
		out[at.tenantID][at] = u
	}
	l.pending = map[usedBy]*APIKeyUse{}
	return out
}

// FlushUses writes what has been counted since the last time. What can not be written waits for the
// next time.
func (a *APIKeys) FlushUses(ctx context.Context, d *db.DB) error {
	const batch = 100 // keys in one transaction
	var failed []error
	for tenantID, pending := range a.uses.take() {
		handle := d.Tenant(tenantID)
		for len(pending) > 0 {
			some := map[usedBy]*APIKeyUse{}
			for at, u := range pending {
				if len(some) == batch {
					break
				}
				some[at] = u
				delete(pending, at)
			}
			err := handle.Write(ctx, func(tx *db.Tx) error { return writeUses(tx, some) })
			if err == nil {
				continue
			}
			failed = append(failed, fmt.Errorf("access: write uses of API keys: %w", err))
			if errors.Is(err, db.ErrUnknownOutcome) {
				continue // counted twice would be worse than not at all
			}
			for at, u := range some {
				a.uses.merge(at, u)
			}
		}
	}
	return errors.Join(failed...)
}

func writeUses(tx *db.Tx, pending map[usedBy]*APIKeyUse) error {
	for at, u := range pending {
		if n, err := tx.Exec(touchAPIKey, at.keyID, db.Micros(u.LastAt), u.Count); err != nil {
			return err
		} else if n == 0 || !at.rotated {
			continue // deleted meanwhile, or nobody asks by whom
		}
		if err := writeUse(tx, at, u); err != nil {
			return err
		}
	}
	return nil
}

func writeUse(tx *db.Tx, at usedBy, u *APIKeyUse) error {
	who := id.Hash(at.shownTo + "\x00" + at.network + "\x00" + at.userAgent)
	n, err := tx.Exec(touchUse, at.keyID, who, db.Micros(u.LastAt), u.Count)
	if err != nil || n > 0 {
		return err
	}
	var rows int64
	if err := tx.QueryRow(countUses, at.keyID).Scan(&rows); err != nil {
		return err
	}
	if rows >= maxUses {
		at.shownTo, at.network, at.userAgent = "", elsewhere, ""
		who = id.Hash(elsewhere)
	}
	_, err = tx.Exec(insertUse, at.keyID, who, at.shownTo, at.network, at.userAgent, db.Micros(u.FirstAt), db.Micros(u.LastAt), u.Count)
	return err
}

// Uses returns who has used a key since it was rotated, the latest first: at most some fifty, and
// everybody else counted together. It is at most a minute behind.
func (a *APIKeys) Uses(ctx context.Context, tn *tenant.Tenant, keyID string) ([]APIKeyUse, error) {
	rows, err := tn.DB.Query(ctx, listUses, keyID, 2*maxUses)
	if err != nil {
		return nil, fmt.Errorf("access: list uses of API key: %w", err)
	}
	defer rows.Close()
	var out []APIKeyUse
	for rows.Next() {
		var u APIKeyUse
		var first, last int64
		if err := rows.Scan(&u.ShownTo, &u.Network, &u.UserAgent, &first, &last, &u.Count); err != nil {
			return nil, fmt.Errorf("access: list uses of API key: %w", err)
		}
		u.FirstAt, u.LastAt = db.Time(first), db.Time(last)
		out = append(out, u)
	}
	return out, rows.Err()
}

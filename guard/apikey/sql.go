package apikey

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// SQLStore keeps keys in the application's own database, SQLite or PostgreSQL,
// in the table guard_api_keys. Any driver that takes $1 placeholders will do
// (modernc.org/sqlite, pgx; not mattn/go-sqlite3, which numbers them by
// appearance). Of a key it holds the SHA-256 alone: a stolen backup opens
// nothing.
type SQLStore struct{ db *sql.DB }

// NewSQLStore returns a store in db.
func NewSQLStore(db *sql.DB) (*SQLStore, error) {
	if db == nil {
		return nil, errors.New("apikey: the database is nil")
	}
	return &SQLStore{db}, nil
}

// CreateTable creates the table and its indexes where they are missing. An
// application with migrations of its own can take the statements from SQLSchema
// instead.
func (s *SQLStore) CreateTable(ctx context.Context) error {
	for _, statement := range SQLSchema() {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("apikey: create table: %w", err)
		}
	}
	return nil
}

// SQLSchema returns the statements that create the table, fit for SQLite and
// PostgreSQL. Times are microseconds since the epoch, zero for never.
func SQLSchema() []string {
	return []string{
		`CREATE TABLE IF NOT EXISTS guard_api_keys (
			id           TEXT   NOT NULL PRIMARY KEY,
			hash         TEXT   NOT NULL UNIQUE,
			hint         TEXT   NOT NULL,
			name         TEXT   NOT NULL,
			kind         TEXT   NOT NULL,
			environment  TEXT   NOT NULL,
			owner        TEXT   NOT NULL,
			subject      TEXT   NOT NULL,
			organization TEXT   NOT NULL,
			scopes       TEXT   NOT NULL,
			networks     TEXT   NOT NULL,
			rate         BIGINT NOT NULL,
			quota        BIGINT NOT NULL,
			created_at   BIGINT NOT NULL,
			expires_at   BIGINT NOT NULL,
			revoked_at   BIGINT NOT NULL,
			successor    TEXT   NOT NULL,
			last_used_at BIGINT NOT NULL,
			uses         BIGINT NOT NULL
		)`,
		`CREATE INDEX IF NOT EXISTS guard_api_keys_subject ON guard_api_keys (subject)`,
		`CREATE INDEX IF NOT EXISTS guard_api_keys_expires ON guard_api_keys (expires_at)`,
		`CREATE INDEX IF NOT EXISTS guard_api_keys_revoked ON guard_api_keys (revoked_at)`,
	}
}

const (
	sqlColumns = `id, hash, hint, name, kind, environment, owner, subject, organization, scopes, networks, rate, quota,
		created_at, expires_at, revoked_at, successor, last_used_at, uses`
	sqlInsert = `INSERT INTO guard_api_keys (` + sqlColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, '', 0, 0)`
	sqlRotate = `UPDATE guard_api_keys SET successor = $1, expires_at = $2
		WHERE id = $3 AND successor = '' AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $4)`
	sqlRevoke = `UPDATE guard_api_keys SET revoked_at = $1
		WHERE id = $2 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $1)`
	sqlRevokeAll = `UPDATE guard_api_keys SET revoked_at = $1
		WHERE subject = $2 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $1)`
	sqlUsed = `UPDATE guard_api_keys SET uses = uses + $1, last_used_at = CASE WHEN last_used_at < $2 THEN $2 ELSE last_used_at END
		WHERE id = $3`
	sqlDeleteEnded = `DELETE FROM guard_api_keys WHERE id IN (SELECT id FROM guard_api_keys
		WHERE revoked_at > 0 AND revoked_at < $1 OR revoked_at = 0 AND expires_at > 0 AND expires_at < $1 LIMIT $2)`
)

// Create implements Store. It also removes a few keys that ended three months
// ago, so that the table stays small without a background job.
func (s *SQLStore) Create(ctx context.Context, r Record) error {
	if _, err := s.db.ExecContext(ctx, sqlInsert, row(r)...); err != nil {
		return fmt.Errorf("apikey: create: %w", err)
	}
	// The key stands already; a failure here is the next caller's to see.
	_, _ = s.DeleteEnded(ctx, r.CreatedAt.AddDate(0, -3, 0), 20)
	return nil
}

func row(r Record) []any {
	networks := make([]string, len(r.Networks))
	for i, n := range r.Networks {
		networks[i] = n.Masked().String()
	}
	return []any{
		r.ID, hex.EncodeToString(r.Hash[:]), r.Hint, r.Name, string(r.Kind), string(r.Environment), string(r.Owner), r.Subject, r.Organization,
		strings.Join(r.Scopes, " "), strings.Join(networks, " "), r.Rate, r.Quota, micros(r.CreatedAt), micros(r.ExpiresAt),
	}
}

// Find implements Store.
func (s *SQLStore) Find(ctx context.Context, hash [sha256.Size]byte) (Record, error) {
	return scan(s.db.QueryRowContext(ctx, `SELECT `+sqlColumns+` FROM guard_api_keys WHERE hash = $1`, hex.EncodeToString(hash[:])))
}

// Get implements Store.
func (s *SQLStore) Get(ctx context.Context, id string) (Record, error) {
	return scan(s.db.QueryRowContext(ctx, `SELECT `+sqlColumns+` FROM guard_api_keys WHERE id = $1`, id))
}

func scan(from interface{ Scan(...any) error }) (r Record, err error) {
	var hash, scopes, networks string
	var created, expires, revoked, used int64
	err = from.Scan(&r.ID, &hash, &r.Hint, &r.Name, &r.Kind, &r.Environment, &r.Owner, &r.Subject, &r.Organization, &scopes, &networks, &r.Rate, &r.Quota,
		&created, &expires, &revoked, &r.Successor, &used, &r.Uses)
	if errors.Is(err, sql.ErrNoRows) {
		return Record{}, ErrNotFound
	}
	if err != nil {
		return Record{}, fmt.Errorf("apikey: read: %w", err)
	}
	raw, err := hex.DecodeString(hash)
	if err != nil || len(raw) != sha256.Size {
		return Record{}, fmt.Errorf("apikey: read: the hash of %s is malformed", r.ID)
	}
	r.Hash = [sha256.Size]byte(raw)
	for _, text := range strings.Fields(networks) {
		n, err := netip.ParsePrefix(text)
		if err != nil {
			return Record{}, fmt.Errorf("apikey: read: %w", err)
		}
		r.Networks = append(r.Networks, n)
	}
	r.Scopes = strings.Fields(scopes)
	r.CreatedAt, r.ExpiresAt, r.RevokedAt, r.LastUsedAt = moment(created), moment(expires), moment(revoked), moment(used)
	return r, nil
}

// List implements Store.
func (s *SQLStore) List(ctx context.Context, subject string) ([]Record, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+sqlColumns+` FROM guard_api_keys WHERE $1 = '' OR subject = $1 ORDER BY created_at, id`, subject)
	if err != nil {
		return nil, fmt.Errorf("apikey: list: %w", err)
	}
	defer rows.Close()
	var out []Record
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// Rotate implements Store: one conditional statement decides, in the transaction
// that adds the successor.
func (s *SQLStore) Rotate(ctx context.Context, id string, now, until time.Time, successor Record) (err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("apikey: rotate: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback()
		}
	}()
	res, err := tx.ExecContext(ctx, sqlRotate, successor.ID, micros(until), id, micros(now))
	if err != nil {
		return fmt.Errorf("apikey: rotate: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil {
		return fmt.Errorf("apikey: rotate: %w", err)
	} else if n == 0 {
		r, err := scan(tx.QueryRowContext(ctx, `SELECT `+sqlColumns+` FROM guard_api_keys WHERE id = $1`, id))
		switch {
		case err != nil:
			return err
		case r.Ended(now):
			return ErrEnded
		}
		return ErrRotated
	}
	if _, err := tx.ExecContext(ctx, sqlInsert, row(successor)...); err != nil {
		return fmt.Errorf("apikey: rotate: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("apikey: rotate: %w", err)
	}
	return nil
}

// Revoke implements Store.
func (s *SQLStore) Revoke(ctx context.Context, id string, now time.Time) error {
	res, err := s.db.ExecContext(ctx, sqlRevoke, micros(now), id)
	if err != nil {
		return fmt.Errorf("apikey: revoke: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = s.Get(ctx, id)
	return err
}

// RevokeAll implements Store. It looks until there is nothing left, and at least twice: a statement
// does not see the successor of a key that was rotated while it ran.
func (s *SQLStore) RevokeAll(ctx context.Context, subject string, now time.Time) error {
	const maxPasses = 20
	for pass := 1; pass <= maxPasses; pass++ {
		res, err := s.db.ExecContext(ctx, sqlRevokeAll, micros(now), subject)
		if err != nil {
			return fmt.Errorf("apikey: revoke: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 && pass > 1 {
			return err
		}
	}
	return nil
}

// Used implements Store.
func (s *SQLStore) Used(ctx context.Context, uses []Use) error {
	for _, u := range uses {
		if _, err := s.db.ExecContext(ctx, sqlUsed, u.Count, micros(u.At), u.ID); err != nil {
			return fmt.Errorf("apikey: note uses: %w", err)
		}
	}
	return nil
}

// DeleteEnded implements Store.
func (s *SQLStore) DeleteEnded(ctx context.Context, before time.Time, limit int) (int64, error) {
	res, err := s.db.ExecContext(ctx, sqlDeleteEnded, micros(before), limit)
	if err != nil {
		return 0, fmt.Errorf("apikey: delete ended: %w", err)
	}
	return res.RowsAffected()
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

var _ Store = (*SQLStore)(nil)

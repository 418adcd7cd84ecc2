package session

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/keyring"
)

// SQLStore keeps sessions in the application's own database, SQLite or
// PostgreSQL, in the table guard_sessions. Any driver that takes $1 placeholders
// will do (modernc.org/sqlite, pgx; not mattn/go-sqlite3, which numbers them by
// appearance).
//
// The database holds no token, only hashes, and the data, in which there may be
// tokens of others, encrypted: a stolen backup opens no session.
type SQLStore struct {
	db     *sql.DB
	sealer *keyring.Sealer
	now    func() time.Time
}

// NewSQLStore returns a store in db. secrets are as for NewCookieStore.
func NewSQLStore(db *sql.DB, secrets ...string) (*SQLStore, error) {
	sealer, err := sealerFor("session row", secrets)
	if err != nil {
		return nil, err
	}
	return &SQLStore{db: db, sealer: sealer, now: time.Now}, nil
}

// WithClock returns a copy that asks now for the time.
func (s SQLStore) WithClock(now func() time.Time) *SQLStore {
	s.now = now
	return &s
}

// CreateTable creates the table and its indexes where they are missing. An
// application with migrations of its own can take the statements from
// SQLSchema instead.
func (s *SQLStore) CreateTable(ctx context.Context) error {
	for _, statement := range SQLSchema() {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("session: create table: %w", err)
		}
	}
	return nil
}

// SQLSchema returns the statements that create the table, fit for SQLite and
// PostgreSQL. Times are microseconds since the epoch.
func SQLSchema() []string {
	return []string{
		`CREATE TABLE IF NOT EXISTS guard_sessions (
			id         TEXT   NOT NULL PRIMARY KEY,
			app        TEXT   NOT NULL,
			subject    TEXT   NOT NULL,
			sid        TEXT   NOT NULL,
			data       BYTEA  NOT NULL,
			expires_at BIGINT NOT NULL,
			version    BIGINT NOT NULL
		)`,
		`CREATE INDEX IF NOT EXISTS guard_sessions_subject ON guard_sessions (app, subject)`,
		`CREATE INDEX IF NOT EXISTS guard_sessions_sid ON guard_sessions (app, sid)`,
		`CREATE INDEX IF NOT EXISTS guard_sessions_expires ON guard_sessions (expires_at)`,
	}
}

// Create implements Store. It also removes a few expired rows, so that the
// table stays small without a background job.
func (s *SQLStore) Create(ctx context.Context, rec Record) (string, error) {
	token := newToken()
	id := rowID(rec.App, token)
	_, err := s.db.ExecContext(ctx,
		`INSERT INTO guard_sessions (id, app, subject, sid, data, expires_at, version) VALUES ($1, $2, $3, $4, $5, $6, 1)`,
		id, rec.App, rec.Subject, rec.SessionID, s.sealer.Seal(id, rec.Data), rec.Expires.UnixMicro())
	if err != nil {
		return "", fmt.Errorf("session: create: %w", err)
	}
	// The session stands already; a failure here is the next caller's to see.
	_, _ = s.DeleteExpired(ctx, 20)
	return token, nil
}

// Find implements Store.
func (s *SQLStore) Find(ctx context.Context, app, token string) (Record, error) {
	id := rowID(app, token)
	rec := Record{App: app}
	var sealed []byte
	var expires int64
	err := s.db.QueryRowContext(ctx,
		`SELECT subject, sid, data, expires_at, version FROM guard_sessions WHERE id = $1 AND expires_at > $2`,
		id, s.now().UnixMicro()).Scan(&rec.Subject, &rec.SessionID, &sealed, &expires, &rec.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return Record{}, ErrNotFound
	}
	if err != nil {
		return Record{}, fmt.Errorf("session: find: %w", err)
	}
	rec.Expires = time.UnixMicro(expires)
	if rec.Data, err = s.sealer.Open(id, sealed); err != nil {
		return Record{}, ErrNotFound // its secret has left the ring
	}
	return rec, nil
}

// Update implements Store: one conditional statement, one winner.
func (s *SQLStore) Update(ctx context.Context, token string, rec Record) (string, error) {
	id := rowID(rec.App, token)
	now := s.now().UnixMicro()
	res, err := s.db.ExecContext(ctx,
		`UPDATE guard_sessions SET subject = $1, sid = $2, data = $3, expires_at = $4, version = version + 1
		 WHERE id = $5 AND version = $6 AND expires_at > $7`,
		rec.Subject, rec.SessionID, s.sealer.Seal(id, rec.Data), rec.Expires.UnixMicro(), id, rec.Version, now)
	if err != nil {
		return "", fmt.Errorf("session: update: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return "", fmt.Errorf("session: update: %w", err)
	}
	if n == 1 {
		return token, nil
	}
	if _, err := s.Find(ctx, rec.App, token); err != nil {
		return "", err
	}
	return "", ErrConflict
}

// Delete implements Store.
func (s *SQLStore) Delete(ctx context.Context, app, token string) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM guard_sessions WHERE id = $1`, rowID(app, token)); err != nil {
		return fmt.Errorf("session: delete: %w", err)
	}
	return nil
}

// DeleteExpired removes up to limit expired rows and says how many it found.
func (s *SQLStore) DeleteExpired(ctx context.Context, limit int) (int64, error) {
	res, err := s.db.ExecContext(ctx,
		`DELETE FROM guard_sessions WHERE id IN (SELECT id FROM guard_sessions WHERE expires_at <= $1 LIMIT $2)`,
		s.now().UnixMicro(), limit)
	if err != nil {
		return 0, fmt.Errorf("session: delete expired: %w", err)
	}
	return res.RowsAffected()
}

func rowID(app, token string) string {
	id := tokenHash(app, token)
	return hex.EncodeToString(id[:])
}

// The three stores of this package.
var (
	_ Store = (*CookieStore)(nil)
	_ Store = (*MemoryStore)(nil)
	_ Store = (*SQLStore)(nil)
)

package session

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/keyring"
	"github.com/gatehouse-dev/gatehouse/guard/internal/opaque"
)

// SQLStore keeps sessions in the application's own database, SQLite or
// PostgreSQL, in the tables guard_sessions, guard_locks and guard_replays. Any driver
// that takes $1 placeholders will do (modernc.org/sqlite, pgx; not mattn/go-sqlite3,
// which numbers them by appearance).
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

// CreateTable creates the tables and their indexes where they are missing. An
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

// SQLSchema returns the statements that create the tables, fit for SQLite and
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
			used_at    BIGINT NOT NULL,
			version    BIGINT NOT NULL
		)`,
		`CREATE INDEX IF NOT EXISTS guard_sessions_subject ON guard_sessions (app, subject)`,
		`CREATE INDEX IF NOT EXISTS guard_sessions_sid ON guard_sessions (app, sid)`,
		`CREATE INDEX IF NOT EXISTS guard_sessions_expires ON guard_sessions (expires_at)`,
		`CREATE TABLE IF NOT EXISTS guard_locks (
			id         TEXT   NOT NULL PRIMARY KEY,
			holder     TEXT   NOT NULL,
			expires_at BIGINT NOT NULL
		)`,
		`CREATE INDEX IF NOT EXISTS guard_locks_expires ON guard_locks (expires_at)`,
		`CREATE TABLE IF NOT EXISTS guard_replays (
			id         TEXT   NOT NULL PRIMARY KEY,
			used       BIGINT NOT NULL,
			expires_at BIGINT NOT NULL
		)`,
		`CREATE INDEX IF NOT EXISTS guard_replays_expires ON guard_replays (expires_at)`,
	}
}

// Create implements Store. It also removes a few expired rows, so that the
// table stays small without a background job.
func (s *SQLStore) Create(ctx context.Context, rec Record) (string, error) {
	token := opaque.Name()
	id := rowID(rec.App, token)
	_, err := s.db.ExecContext(ctx,
		`INSERT INTO guard_sessions (id, app, subject, sid, data, expires_at, used_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, 1)`,
		id, rec.App, rec.Subject, rec.SessionID, s.sealer.Seal(id, rec.Data), rec.Expires.UnixMicro(), s.now().UnixMicro())
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
		`UPDATE guard_sessions SET subject = $1, sid = $2, data = $3, expires_at = $4, used_at = $5, version = version + 1
		 WHERE id = $6 AND version = $7 AND expires_at > $5`,
		rec.Subject, rec.SessionID, s.sealer.Seal(id, rec.Data), rec.Expires.UnixMicro(), now, id, rec.Version)
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

// List implements Index.
func (s *SQLStore) List(ctx context.Context, app, subject string) ([]Entry, error) {
	if subject == "" {
		return nil, nil // sessions of nobody are in nobody's list
	}
	rows, err := s.db.QueryContext(ctx,
		`SELECT id, sid, data, expires_at, version FROM guard_sessions
		 WHERE app = $1 AND subject = $2 AND expires_at > $3 ORDER BY used_at DESC, id`,
		app, subject, s.now().UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("session: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var entries []Entry
	for rows.Next() {
		e := Entry{Record: Record{App: app, Subject: subject}}
		var sealed []byte
		var expires int64
		if err := rows.Scan(&e.ID, &e.SessionID, &sealed, &expires, &e.Version); err != nil {
			return nil, fmt.Errorf("session: list: %w", err)
		}
		if e.Data, err = s.sealer.Open(e.ID, sealed); err != nil {
			continue // as Find: its secret has left the ring
		}
		e.Expires = time.UnixMicro(expires)
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("session: list: %w", err)
	}
	return entries, nil
}

// DeleteEntry implements Index.
func (s *SQLStore) DeleteEntry(ctx context.Context, app, subject, id string) error {
	_, err := s.delete(ctx, `DELETE FROM guard_sessions WHERE id = $1 AND app = $2 AND subject = $3 AND subject <> '' RETURNING expires_at`, id, app, subject)
	return err
}

// DeleteSubject implements Index.
func (s *SQLStore) DeleteSubject(ctx context.Context, app, subject, except string) (int, error) {
	return s.deleteAll(ctx, `DELETE FROM guard_sessions WHERE app = $1 AND subject = $2 AND subject <> '' AND id <> $3 RETURNING expires_at`,
		app, subject, rowID(app, except))
}

// DeleteSession implements Index.
func (s *SQLStore) DeleteSession(ctx context.Context, app, sessionID string) (int, error) {
	return s.deleteAll(ctx, `DELETE FROM guard_sessions WHERE app = $1 AND sid = $2 AND sid <> '' RETURNING expires_at`, app, sessionID)
}

// maxPasses bounds how often a list is gone through.
const maxPasses = 20

// deleteAll deletes until there is nothing left, and looks at least twice: a statement does not see
// the session that another gave place to while it ran.
func (s *SQLStore) deleteAll(ctx context.Context, query string, args ...any) (ended int, err error) {
	for pass := 1; pass <= maxPasses; pass++ {
		n, err := s.delete(ctx, query, args...)
		if ended += n; err != nil || n == 0 && pass > 1 {
			return ended, err
		}
	}
	return ended, nil
}

// delete counts the live among the rows that went. The expired go along: by
// another node's clock one may be alive.
func (s *SQLStore) delete(ctx context.Context, query string, args ...any) (ended int, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("session: delete: %w", err)
	}
	defer func() { _ = rows.Close() }()
	now := s.now().UnixMicro()
	for rows.Next() {
		var expires int64
		if err := rows.Scan(&expires); err != nil {
			return 0, fmt.Errorf("session: delete: %w", err)
		}
		if expires > now {
			ended++
		}
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("session: delete: %w", err)
	}
	return ended, nil
}

// TryLock implements Locker: one conditional statement, one winner.
func (s *SQLStore) TryLock(ctx context.Context, key string, ttl time.Duration) (func(context.Context) error, bool, error) {
	id, holder, now := rowID("lock", key), opaque.Name(), s.now()
	res, err := s.db.ExecContext(ctx,
		`INSERT INTO guard_locks (id, holder, expires_at) VALUES ($1, $2, $3)
		 ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at WHERE guard_locks.expires_at <= $4`,
		id, holder, now.Add(ttl).UnixMicro(), now.UnixMicro())
	if err != nil {
		return nil, false, fmt.Errorf("session: lock: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return nil, false, fmt.Errorf("session: lock: %w", err)
	}
	if n == 0 {
		return nil, false, nil
	}
	return func(ctx context.Context) error {
		if _, err := s.db.ExecContext(ctx, `DELETE FROM guard_locks WHERE id = $1 AND holder = $2`, id, holder); err != nil {
			return fmt.Errorf("session: unlock: %w", err)
		}
		return nil
	}, true, nil
}

// DeleteExpired removes up to limit expired sessions, and as many locks whose
// holders died and uses that matter no more, and says how many sessions it found.
func (s *SQLStore) DeleteExpired(ctx context.Context, limit int) (int64, error) {
	now := s.now().UnixMicro()
	res, err := s.db.ExecContext(ctx,
		`DELETE FROM guard_sessions WHERE id IN (SELECT id FROM guard_sessions WHERE expires_at <= $1 LIMIT $2)`,
		now, limit)
	if err != nil {
		return 0, fmt.Errorf("session: delete expired: %w", err)
	}
	if _, err := s.db.ExecContext(ctx,
		`DELETE FROM guard_locks WHERE id IN (SELECT id FROM guard_locks WHERE expires_at <= $1 LIMIT $2)`,
		now, limit); err != nil {
		return 0, fmt.Errorf("session: delete expired: %w", err)
	}
	if err := s.deleteReplays(ctx, limit); err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func rowID(app, token string) string {
	id := opaque.Of(app, token)
	return hex.EncodeToString(id[:])
}

// The three stores of this package. A cookie is no index and no lock.
var (
	_ Store = (*CookieStore)(nil)

	_ Store  = (*MemoryStore)(nil)
	_ Index  = (*MemoryStore)(nil)
	_ Locker = (*MemoryStore)(nil)

	_ Store  = (*SQLStore)(nil)
	_ Index  = (*SQLStore)(nil)
	_ Locker = (*SQLStore)(nil)
)

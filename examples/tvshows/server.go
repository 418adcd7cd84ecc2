package tvshows

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// NewServer returns the custom server: sessions are rows of a SQLite database,
// and the cookie holds nothing but a random name for one of them. A session ends
// at once when its row goes, whatever cookies exist. Close the database when the
// server has stopped.
func NewServer(o Options) (http.Handler, io.Closer, error) {
	o = o.withDefaults()
	db, err := openDatabase(o.DataFile)
	if err != nil {
		return nil, nil, fmt.Errorf("tvshows: %w", err)
	}
	h, err := newServer(o, db)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return h, db, nil
}

func newServer(o Options, db *sql.DB) (http.Handler, error) {
	store, err := session.NewSQLStore(db, o.Secret)
	if err != nil {
		return nil, fmt.Errorf("tvshows: %w", err)
	}
	if err := store.CreateTable(context.Background()); err != nil {
		return nil, fmt.Errorf("tvshows: %w", err)
	}
	login := loginOptions(o)
	login.CookieName = "tvshows_server"
	login.Store = store
	login.BackchannelLogout = true // whoever signs out elsewhere is signed out here
	return newSite(site{Options: o, Form: "server", Kind: "Custom server", cookie: login.CookieName + "_session", rows: rows{db}.of}, login)
}

// openDatabase opens or creates a SQLite file that nobody else on the machine
// can read.
func openDatabase(path string) (*sql.DB, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	name := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"
	return sql.Open("sqlite", name)
}

// row is what the database knows of a session, as the page shows it.
type row struct {
	ID, Subject, SID string
	Data             int // bytes, encrypted
	Expires          time.Time
	Version          int64
}

type rows struct{ db *sql.DB }

// of returns the newest row of p's session, to be shown: applications have no
// need to look into the table of the guard.
func (s rows) of(ctx context.Context, p *guard.Principal) (*row, error) {
	r, expires := &row{}, int64(0)
	err := s.db.QueryRowContext(ctx,
		`SELECT id, subject, sid, length(data), expires_at, version FROM guard_sessions WHERE sid = $1 AND subject = $2 ORDER BY expires_at DESC LIMIT 1`,
		p.SessionID, p.Subject).Scan(&r.ID, &r.Subject, &r.SID, &r.Data, &expires, &r.Version)
	r.Expires = time.UnixMicro(expires).UTC()
	return r, err
}

package signin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// State says how far a session has come.
type State string

// The states. A pending session has its first credential and waits for more: it opens nothing but
// the page that asks for them.
const (
	Active  State = "active"
	Pending State = "pending"
)

// Session is the sign-in of a person in one browser.
type Session struct {
	SID       string // names the session to applications, for as long as it lives
	UserID    string
	Email     string // the user's, for pages
	Name      string // likewise
	State     State
	AuthTime  time.Time // when the person last proved who they are
	AMR       []string  // how (RFC 8176)
	ACR       string
	Address   string // where from
	UserAgent string
	CreatedAt time.Time
	SeenAt    time.Time // the last use, within five minutes
	IdleEnd   time.Time // when it ends if it is not used
	End       time.Time // when it ends whatever happens

	idle time.Duration // the tenant's limit
}

// touchEvery is how coarse SeenAt is: a session in use costs one write in so long.
const touchEvery = 5 * time.Minute

const (
	selectSession = `SELECT s.sid, s.user_id, u.email, u.name, s.state, s.auth_time, s.amr, s.acr, s.address, s.user_agent,
		s.created_at, s.seen_at, s.idle_expires_at, s.expires_at
		FROM sessions s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
		WHERE s.tenant_id = $1 AND s.cookie_hash = $2 AND NOT u.blocked`
	selectSilent = `SELECT s.sid, s.user_id, u.email, u.name, s.state, s.auth_time, s.amr, s.acr, s.address, s.user_agent,
		s.created_at, s.seen_at, s.idle_expires_at, s.expires_at
		FROM sessions s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
		WHERE s.tenant_id = $1 AND s.silent_hash = $2 AND NOT u.blocked`
	selectSessionsOfUser = `SELECT s.sid, s.user_id, u.email, u.name, s.state, s.auth_time, s.amr, s.acr, s.address, s.user_agent,
		s.created_at, s.seen_at, s.idle_expires_at, s.expires_at
		FROM sessions s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
		WHERE s.tenant_id = $1 AND s.user_id = $2 ORDER BY s.seen_at DESC, s.sid`
	selectOwner   = `SELECT user_id FROM sessions WHERE tenant_id = $1 AND sid = $2`
	insertSession = `INSERT INTO sessions (tenant_id, sid, cookie_hash, silent_hash, user_id, state, auth_time, amr, acr, address,
		user_agent, created_at, seen_at, idle_expires_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $7, $7, $12, $13)`
	// The old id is part of the condition: of two renewals of one session, one wins.
	renewSession = `UPDATE sessions SET cookie_hash = $5, silent_hash = $6, state = $7, auth_time = $8, amr = $9, acr = $10,
		address = $11, user_agent = $12, seen_at = $8, idle_expires_at = $13, expires_at = $14
		WHERE tenant_id = $1 AND sid = $2 AND cookie_hash = $3 AND user_id = $4`
	touchSession   = `UPDATE sessions SET seen_at = $3, idle_expires_at = $4 WHERE tenant_id = $1 AND sid = $2 AND seen_at < $3`
	deleteSession  = `DELETE FROM sessions WHERE tenant_id = $1 AND sid = $2`
	deleteSessions = `DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2`
)

// errNoSession is the answer for a cookie without a session behind it.
func errNoSession() error { return fault.New(fault.NotFound, "There is no such session.") }

// Lookup returns the active session behind a session cookie. A session that has expired, waits for
// another factor, or belongs to a blocked user is answered like one that never was: a NotFound
// fault.
func (s *SignIn) Lookup(ctx context.Context, tn *tenant.Tenant, cookie string) (*Session, error) {
	return s.lookup(ctx, tn, selectSession, cookie, Active)
}

// LookupPending is Lookup for sessions that wait for another factor, and for nothing else.
func (s *SignIn) LookupPending(ctx context.Context, tn *tenant.Tenant, cookie string) (*Session, error) {
	return s.lookup(ctx, tn, selectSession, cookie, Pending)
}

// LookupSilent returns the active session behind a silent cookie, which is good for silent
// authentication alone. Where the tenant hands out none, none is accepted.
func (s *SignIn) LookupSilent(ctx context.Context, tn *tenant.Tenant, cookie string) (*Session, error) {
	if tn.Settings.NoSilentCookie {
		return nil, errNoSession()
	}
	return s.lookup(ctx, tn, selectSilent, cookie, Active)
}

func (s *SignIn) lookup(ctx context.Context, tn *tenant.Tenant, text, cookie string, state State) (*Session, error) {
	if cookie == "" {
		return nil, errNoSession()
	}
	found, err := scanSession(tn, tn.DB.QueryRow(ctx, text, id.Hash(cookie)))
	if err != nil {
		return nil, err
	}
	if found.State != state || !found.live(s.now()) {
		return nil, errNoSession()
	}
	return found, nil
}

func scanSession(tn *tenant.Tenant, row interface{ Scan(...any) error }) (*Session, error) {
	f := &Session{idle: tn.Settings.SessionIdle}
	var amr string
	var auth, created, seen, idle, end int64
	err := row.Scan(&f.SID, &f.UserID, &f.Email, &f.Name, &f.State, &auth, &amr, &f.ACR, &f.Address, &f.UserAgent, &created, &seen, &idle, &end)
	if errors.Is(err, db.ErrNoRows) {
		return nil, errNoSession()
	}
	if err != nil {
		return nil, fmt.Errorf("signin: read session: %w", err)
	}
	f.AMR = strings.Fields(amr)
	f.AuthTime, f.CreatedAt, f.SeenAt = db.Time(auth), db.Time(created), db.Time(seen)
	// The limits of today hold for the sessions of yesterday, when they are narrower.
	f.IdleEnd = earlier(db.Time(idle), f.SeenAt.Add(tn.Settings.SessionIdle))
	f.End = earlier(db.Time(end), f.AuthTime.Add(tn.Settings.SessionAbsolute))
	return f, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (f *Session) live(now time.Time) bool { return now.Before(f.IdleEnd) && now.Before(f.End) }

// NeedsTouch reports whether a use at this time is worth writing down.
func (f *Session) NeedsTouch(now time.Time) bool { return now.Sub(f.SeenAt) >= touchEvery }

// Touch notes, as a step of the caller's verb, that a session is in use, unless that was noted a
// moment ago. It never brings back a session that has ended.
func (s *SignIn) Touch(tx *db.Tx, f *Session) error {
	now := s.now()
	if !f.NeedsTouch(now) {
		return nil
	}
	idleEnd := earlier(now.Add(f.idle), f.End)
	if _, err := tx.Exec(touchSession, f.SID, db.Micros(now), db.Micros(idleEnd)); err != nil {
		return fmt.Errorf("signin: touch session: %w", err)
	}
	f.SeenAt, f.IdleEnd = now, idleEnd
	return nil
}

// Sessions returns the live sessions of a user, the one used last first.
func (s *SignIn) Sessions(ctx context.Context, tn *tenant.Tenant, userID string) ([]*Session, error) {
	rows, err := tn.DB.Query(ctx, selectSessionsOfUser, userID)
	if err != nil {
		return nil, fmt.Errorf("signin: list sessions: %w", err)
	}
	defer rows.Close()
	now := s.now()
	var out []*Session
	for rows.Next() {
		found, err := scanSession(tn, rows)
		if err != nil {
			return nil, err
		}
		if found.live(now) {
			out = append(out, found)
		}
	}
	return out, rows.Err()
}

// proof is who has just proven to be whom, and how.
type proof struct {
	userID string
	email  string
	name   string
	state  State
	amr    []string
	acr    string
}

// begin gives the browser a session with new ids; the ids it came with are dead at once, so that
// nobody can have planted them. A person who was signed in here already keeps the session, and
// applications its sid; the session of somebody else ends.
func (s *SignIn) begin(tx *db.Tx, tn *tenant.Tenant, p proof, from From) (f *Session, cookie, silent string, err error) {
	now := s.now()
	cookie, silent = id.Secret(), id.Secret()
	f = &Session{
		SID: id.UUID(), UserID: p.userID, Email: p.email, Name: p.name, State: p.state, AuthTime: now, AMR: p.amr, ACR: p.acr,
		Address: audit.Clean(from.origin("").Address), UserAgent: audit.Clean(from.UserAgent), CreatedAt: now, SeenAt: now,
		End: now.Add(tn.Settings.SessionAbsolute), idle: tn.Settings.SessionIdle,
	}
	f.IdleEnd = earlier(now.Add(f.idle), f.End)
	renewed, err := s.renew(tx, tn, f, from.Session, cookie, silent)
	if err != nil {
		return nil, "", "", err
	}
	if !renewed {
		_, err = tx.Exec(insertSession, f.SID, id.Hash(cookie), id.Hash(silent), f.UserID, string(f.State), db.Micros(now), strings.Join(f.AMR, " "),
			f.ACR, f.Address, f.UserAgent, db.Micros(f.IdleEnd), db.Micros(f.End))
		if err != nil {
			return nil, "", "", fmt.Errorf("signin: begin session: %w", err)
		}
	}
	return f, cookie, silent, nil
}

// renew puts f in the place of the session the browser came with, if that is the same person's.
func (s *SignIn) renew(tx *db.Tx, tn *tenant.Tenant, f *Session, previous, cookie, silent string) (bool, error) {
	if previous == "" {
		return false, nil
	}
	before, err := scanSession(tn, tx.QueryRow(selectSession, id.Hash(previous)))
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	switch {
	case !before.live(f.AuthTime): // it has ended by itself, which ends nothing else
		return false, nil
	case before.UserID != f.UserID:
		return false, s.end(tx, before.UserID, before.SID, Replaced)
	}
	won, err := tx.Exec(renewSession, before.SID, id.Hash(previous), f.UserID, id.Hash(cookie), id.Hash(silent), string(f.State),
		db.Micros(f.AuthTime), strings.Join(f.AMR, " "), f.ACR, f.Address, f.UserAgent, db.Micros(f.IdleEnd), db.Micros(f.End))
	if err != nil {
		return false, fmt.Errorf("signin: renew session: %w", err)
	}
	if won == 1 {
		f.SID, f.CreatedAt = before.SID, before.CreatedAt
	}
	return won == 1, nil
}

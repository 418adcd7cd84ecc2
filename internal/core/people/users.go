package people

import (
	"context"
	"encoding/json"
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

const (
	selectUser = `SELECT id, email, email_verified, name, given_name, family_name, nickname, picture, blocked,
		user_metadata, app_metadata, last_login_at, logins_count, created_at, updated_at
		FROM users WHERE tenant_id = $1 AND id = $2`
	selectUsers = `SELECT id, email, email_verified, name, given_name, family_name, nickname, picture, blocked,
		user_metadata, app_metadata, last_login_at, logins_count, created_at, updated_at
		FROM users WHERE tenant_id = $1 ORDER BY created_at, id LIMIT $2 OFFSET $3`
	selectUsersByEmail = `SELECT id, email, email_verified, name, given_name, family_name, nickname, picture, blocked,
		user_metadata, app_metadata, last_login_at, logins_count, created_at, updated_at
		FROM users WHERE tenant_id = $1 AND email_key = $4 ORDER BY created_at, id LIMIT $2 OFFSET $3`
	countUsers        = `SELECT COUNT(*) FROM users WHERE tenant_id = $1`
	countUsersByEmail = `SELECT COUNT(*) FROM users WHERE tenant_id = $1 AND email_key = $2`
	// The account behind a name: one read, whether there is one or not.
	selectAccount = `SELECT u.id, u.email, u.email_verified, u.name, u.given_name, u.family_name, u.nickname, u.picture, u.blocked,
		u.user_metadata, u.app_metadata, u.last_login_at, u.logins_count, u.created_at, u.updated_at,
		COALESCE(p.hash, ''), COALESCE(p.changed_at, 0)
		FROM identities i
		JOIN users u ON u.tenant_id = i.tenant_id AND u.id = i.user_id
		LEFT JOIN passwords p ON p.tenant_id = u.tenant_id AND p.user_id = u.id
		WHERE i.tenant_id = $1 AND i.connection = $2 AND i.subject = $3`

	insertIdentity = `INSERT INTO identities (tenant_id, connection, subject, user_id, linked_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`
	insertUser = `INSERT INTO users (tenant_id, id, email, email_key, email_verified, name, given_name, family_name, nickname,
		picture, blocked, user_metadata, app_metadata, last_login_at, logins_count, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 0, $14, $14) ON CONFLICT DO NOTHING`
	updateUser = `UPDATE users SET email = $3, email_key = $4, email_verified = $5, name = $6, given_name = $7, family_name = $8,
		nickname = $9, picture = $10, user_metadata = $11, app_metadata = $12, updated_at = $13
		WHERE tenant_id = $1 AND id = $2`
	lockUser         = `UPDATE users SET logins_count = logins_count WHERE tenant_id = $1 AND id = $2`
	recordLogin      = `UPDATE users SET last_login_at = $3, logins_count = logins_count + 1 WHERE tenant_id = $1 AND id = $2 AND NOT blocked`
	verifyEmail      = `UPDATE users SET email_verified = TRUE WHERE tenant_id = $1 AND id = $2`
	updateBlocked    = `UPDATE users SET blocked = $3, updated_at = $4 WHERE tenant_id = $1 AND id = $2 AND blocked <> $3`
	deleteUser       = `DELETE FROM users WHERE tenant_id = $1 AND id = $2`
	deleteIdentities = `DELETE FROM identities WHERE tenant_id = $1 AND user_id = $2`
	deleteLocal      = `DELETE FROM identities WHERE tenant_id = $1 AND user_id = $2 AND connection = $3`
	deletePassword   = `DELETE FROM passwords WHERE tenant_id = $1 AND user_id = $2`
)

// Account is a user of the local connection with what is needed to check a password.
type Account struct {
	User
	Hash              string    // of the password; empty when there is none
	PasswordChangedAt time.Time // zero when there is none
}

type scanner interface{ Scan(...any) error }

// scanUser reads the columns that every select above begins with.
func scanUser(row scanner, u *User, more ...any) error {
	var userMetadata, appMetadata string
	var lastLogin, created, updated int64
	dest := []any{
		&u.ID, &u.Email, &u.EmailVerified, &u.Name, &u.GivenName, &u.FamilyName, &u.Nickname, &u.Picture, &u.Blocked,
		&userMetadata, &appMetadata, &lastLogin, &u.LoginsCount, &created, &updated,
	}
	if err := row.Scan(append(dest, more...)...); err != nil {
		return err
	}
	u.UserMetadata, u.AppMetadata = json.RawMessage(userMetadata), json.RawMessage(appMetadata)
	u.LastLoginAt, u.CreatedAt, u.UpdatedAt = db.Time(lastLogin), db.Time(created), db.Time(updated)
	return nil
}

func found(err error) error {
	if errors.Is(err, db.ErrNoRows) {
		return fault.New(fault.NotFound, "There is no such user.")
	}
	if err != nil {
		return fmt.Errorf("people: read user: %w", err)
	}
	return nil
}

// ByID returns the user with this sub, or a NotFound fault.
func (p *People) ByID(ctx context.Context, tn *tenant.Tenant, userID string) (*User, error) {
	if !PlausibleID(userID) {
		return nil, found(db.ErrNoRows)
	}
	u := &User{}
	if err := found(scanUser(tn.DB.QueryRow(ctx, selectUser, userID), u)); err != nil {
		return nil, err
	}
	return u, nil
}

// Known is ByID without the metadata, from memory, which may be a few seconds behind what another
// node has written. The value is shared: do not change it.
func (p *People) Known(ctx context.Context, tn *tenant.Tenant, userID string) (*User, error) {
	return p.known.Get(tn.ID, userID, func() (*User, error) {
		u, err := p.ByID(ctx, tn, userID)
		if err != nil {
			return nil, err
		}
		return u.compact(), nil
	})
}

// compact returns a copy without metadata whose texts lie in one piece of memory: there may be many.
func (u *User) compact() *User {
	c := *u
	c.UserMetadata, c.AppMetadata = nil, nil
	texts := []*string{&c.ID, &c.Email, &c.Name, &c.GivenName, &c.FamilyName, &c.Nickname, &c.Picture}
	var all strings.Builder
	for _, t := range texts {
		all.WriteString(*t)
	}
	rest := all.String()
	for _, t := range texts {
		n := len(*t)
		*t, rest = rest[:n], rest[n:]
	}
	return &c
}

// changed is called by every verb that changes a user.
func (p *People) changed(tx *db.Tx) { tx.OnCommit(func() { p.known.Forget(tx.TenantID()) }) }

// InTx is ByID within a verb.
func (p *People) InTx(tx *db.Tx, userID string) (*User, error) {
	u := &User{}
	if err := found(scanUser(tx.QueryRow(selectUser, userID), u)); err != nil {
		return nil, err
	}
	return u, nil
}

// ByLogin returns the account of the local connection behind a name as somebody typed it, or a
// NotFound fault.
func (p *People) ByLogin(ctx context.Context, tn *tenant.Tenant, login string) (*Account, error) {
	a, err := scanAccount(tn.DB.QueryRow(ctx, selectAccount, LocalConnection, LoginKey(login)))
	return a, found(err)
}

// AccountInTx is ByLogin within a verb, for a canonical name.
func (p *People) AccountInTx(tx *db.Tx, key string) (*Account, error) {
	a, err := scanAccount(tx.QueryRow(selectAccount, LocalConnection, key))
	return a, found(err)
}

func scanAccount(row scanner) (*Account, error) {
	a := &Account{}
	var changed int64
	if err := scanUser(row, &a.User, &a.Hash, &changed); err != nil {
		return nil, err
	}
	a.PasswordChangedAt = db.Time(changed)
	return a, nil
}

// Query says which users to list.
type Query struct {
	Email  string // only those with this address, in any spelling; empty for all
	Offset int
	Limit  int // 1 to 100; 50 when zero
}

// List returns users in the order of their creation, and how many there are on all pages.
func (p *People) List(ctx context.Context, tn *tenant.Tenant, q Query) (users []User, total int64, err error) {
	if q.Limit <= 0 {
		q.Limit = 50
	}
	list, count := selectUsers, countUsers
	args := []any{min(q.Limit, 100), max(q.Offset, 0)}
	var key []any
	if q.Email != "" {
		list, count = selectUsersByEmail, countUsersByEmail
		key = []any{LoginKey(q.Email)}
	}
	if err := tn.DB.QueryRow(ctx, count, key...).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("people: count users: %w", err)
	}
	rows, err := tn.DB.Query(ctx, list, append(args, key...)...)
	if err != nil {
		return nil, 0, fmt.Errorf("people: list users: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var u User
		if err := scanUser(rows, &u); err != nil {
			return nil, 0, fmt.Errorf("people: list users: %w", err)
		}
		users = append(users, u)
	}
	return users, total, rows.Err()
}

// NewUser is a user to be.
type NewUser struct {
	ID            string // a UUID from elsewhere; a new one when empty
	Email         string
	EmailVerified bool
	Profile
	Blocked      bool
	UserMetadata json.RawMessage
	AppMetadata  json.RawMessage
	// PasswordHash is what Hasher.Hash returned or CheckHash accepted; empty for no password.
	PasswordHash string
}

// ErrTaken says that the address belongs to a user already.
var ErrTaken = &fault.Error{Code: fault.Conflict, Field: "email", Message: "There is a user with this address already."}

// Insert writes a user with their local identity and password. It returns [ErrTaken], having
// written nothing, when the address is taken; the verb may go on after that.
func (p *People) Insert(tx *db.Tx, n NewUser) (*Account, error) {
	address, err := ParseAddress(n.Email)
	if err != nil {
		return nil, err
	}
	if err := n.Profile.Check(); err != nil {
		return nil, err
	}
	userMetadata, err := checkMetadata("user_metadata", n.UserMetadata)
	if err != nil {
		return nil, err
	}
	appMetadata, err := checkMetadata("app_metadata", n.AppMetadata)
	if err != nil {
		return nil, err
	}
	if n.ID == "" {
		n.ID = id.Sub()
	}
	now := p.Clock.Now()
	switch won, err := tx.Exec(insertUser, n.ID, address.Text, address.Key, n.EmailVerified, n.Name, n.GivenName, n.FamilyName,
		n.Nickname, n.Picture, n.Blocked, userMetadata, appMetadata, db.Micros(now)); {
	case err != nil:
		return nil, fmt.Errorf("people: insert user: %w", err)
	case won == 0:
		return nil, fault.New(fault.Conflict, "There is a user with this id already.")
	}
	switch won, err := tx.Exec(insertIdentity, LocalConnection, address.Key, n.ID, db.Micros(now)); {
	case err != nil:
		return nil, fmt.Errorf("people: insert identity: %w", err)
	case won == 0:
		if _, err := tx.Exec(deleteUser, n.ID); err != nil {
			return nil, fmt.Errorf("people: take back user: %w", err)
		}
		return nil, ErrTaken
	}
	a := &Account{Hash: n.PasswordHash}
	if n.PasswordHash != "" {
		if a.PasswordChangedAt, err = p.SetPassword(tx, n.ID, n.PasswordHash); err != nil {
			return nil, err
		}
	}
	a.User = User{
		ID: n.ID, Email: address.Text, EmailVerified: n.EmailVerified, Profile: n.Profile, Blocked: n.Blocked,
		CreatedAt: now, UpdatedAt: now, UserMetadata: json.RawMessage(userMetadata), AppMetadata: json.RawMessage(appMetadata),
	}
	return a, nil
}

// Create writes a user who did not sign up by themselves. Password may be empty: then the user
// chooses one by a password link.
func (p *People) Create(ctx context.Context, tn *tenant.Tenant, n NewUser, password string, by audit.Origin) (*User, error) {
	if password != "" {
		if err := p.CheckPassword(tn, password, n.Email); err != nil {
			return nil, err
		}
		hash, err := p.Hasher.Hash(ctx, password)
		if err != nil {
			return nil, err
		}
		n.PasswordHash = hash
	}
	var a *Account
	err := tn.DB.Write(ctx, func(tx *db.Tx) (err error) {
		if a, err = p.Insert(tx, n); err != nil {
			return err
		}
		return audit.Record(tx, by.Event(audit.UserCreated, a.ID, a.CreatedAt))
	})
	if err != nil {
		return nil, err
	}
	return &a.User, nil
}

// Lock makes the verb wait for any other that changes this user or signs them in, and later ones
// wait for it: whoever changes a password, a block or a session of a user locks the user first. It
// returns a NotFound fault when there is no such user.
func (p *People) Lock(tx *db.Tx, userID string) error {
	if !PlausibleID(userID) {
		return found(db.ErrNoRows)
	}
	n, err := tx.Exec(lockUser, userID)
	if err != nil {
		return fmt.Errorf("people: lock user: %w", err)
	}
	if n == 0 {
		return found(db.ErrNoRows)
	}
	return nil
}

// RecordLogin counts a sign-in, which locks the user, and reports whether the user may sign in: one
// who is blocked or gone may not.
func (p *People) RecordLogin(tx *db.Tx, userID string) (allowed bool, err error) {
	n, err := tx.Exec(recordLogin, userID, db.Micros(p.Clock.Now()))
	if err != nil {
		return false, fmt.Errorf("people: record login: %w", err)
	}
	return n == 1, nil
}

// VerifyEmail notes that the user has proven to read the mail of their address.
func (p *People) VerifyEmail(tx *db.Tx, userID string) error {
	p.changed(tx)
	if _, err := tx.Exec(verifyEmail, userID); err != nil {
		return fmt.Errorf("people: verify address: %w", err)
	}
	return nil
}

// SetBlocked blocks or unblocks a locked user and reports whether that changed anything. Ending
// the sessions of a blocked user is for the caller.
func (p *People) SetBlocked(tx *db.Tx, userID string, blocked bool) (changed bool, err error) {
	p.changed(tx)
	n, err := tx.Exec(updateBlocked, userID, blocked, db.Micros(p.Clock.Now()))
	if err != nil {
		return false, fmt.Errorf("people: block user: %w", err)
	}
	return n == 1, nil
}

// Remove deletes a user, their identities, their password and what was mailed to them. Ending
// their sessions and grants is for the caller.
func (p *People) Remove(tx *db.Tx, userID string) error {
	p.changed(tx)
	u, err := p.InTx(tx, userID)
	if err != nil {
		return err
	}
	for _, text := range []string{deleteUser, deleteIdentities, deletePassword} {
		if _, err := tx.Exec(text, userID); err != nil {
			return fmt.Errorf("people: delete user: %w", err)
		}
	}
	return errors.Join(p.EndChallenges(tx, PasswordReset, LoginKey(u.Email)), p.EndTickets(tx, userID))
}

// EndMailed ends the codes and links that were mailed to a user and not used.
func (p *People) EndMailed(tx *db.Tx, userID string) error {
	u, err := p.InTx(tx, userID)
	if err != nil {
		return err
	}
	return errors.Join(p.EndChallenges(tx, PasswordReset, LoginKey(u.Email)), p.EndTickets(tx, userID))
}

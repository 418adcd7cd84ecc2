package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/basic"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// What bcrypt takes is 72 bytes; it would not look at what follows.
const minPassword, maxPassword = 10, 72

var (
	errTaken    = errors.New("the name is taken")
	errPassword = errors.New("the password is too short or too long")
)

// people are the accounts. A person is known to everything else by an id that is never used again;
// names can be.
type people struct {
	db   *sql.DB
	cost int
	// passwords compares in the same time whether somebody has the name or not, and no more at once
	// than there are processors.
	passwords basic.Verifier
}

type account struct {
	ID, Name, Role string
	Locked         bool
	Since          time.Time
	Notes          int
}

func newPeople(db *sql.DB, cost int) (*people, error) {
	p := &people{db: db, cost: cmp.Or(cost, 12)}
	dummy, err := bcrypt.GenerateFromPassword([]byte(rand.Text()), p.cost)
	if err != nil {
		return nil, err
	}
	p.passwords, err = basic.Hashed{Find: p.find, Compare: bcrypt.CompareHashAndPassword, Dummy: dummy}.Verifier()
	return p, err
}

// find is the look into the table behind a password.
func (p *people) find(ctx context.Context, name string) (*guard.Principal, []byte, error) {
	var id string
	var hash []byte
	err := p.db.QueryRowContext(ctx, `SELECT id, password FROM people WHERE name = $1 AND locked = 0`, name).Scan(&id, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, basic.ErrRefused
	}
	return &guard.Principal{Subject: id}, hash, err
}

// canonical is the one spelling of a name, and says whether it can be one.
func canonical(name string) (string, bool) {
	name = strings.ToLower(strings.TrimSpace(name))
	return name, len(name) >= 2 && len(name) <= 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// add makes an account and returns its id. One statement decides who is first.
func (p *people) add(ctx context.Context, name, password string, now time.Time) (id string, err error) {
	hash, err := p.hash(password)
	if err != nil {
		return "", err
	}
	id = rand.Text()
	res, err := p.db.ExecContext(ctx,
		`INSERT INTO people (id, name, password, role, created_at)
		 VALUES ($1, $2, $3, CASE WHEN EXISTS (SELECT 1 FROM people) THEN '' ELSE $4 END, $5) ON CONFLICT (name) DO NOTHING`,
		id, name, hash, admin, now.Unix())
	if err != nil {
		return "", err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return "", cmp.Or(err, errTaken)
	}
	return id, nil
}

func (p *people) setPassword(ctx context.Context, id, password string) error {
	hash, err := p.hash(password)
	if err != nil {
		return err
	}
	_, err = p.db.ExecContext(ctx, `UPDATE people SET password = $1 WHERE id = $2`, hash, id)
	return err
}

func (p *people) hash(password string) ([]byte, error) {
	if len(password) < minPassword || len(password) > maxPassword {
		return nil, errPassword
	}
	return bcrypt.GenerateFromPassword([]byte(password), p.cost)
}

// load tells every request what the table says now: name and role of whoever is signed in. A session
// of somebody who is gone or locked out ends here, in every browser, at the next request.
func (p *people) load(ctx context.Context, who *guard.Principal) error {
	var name, role string
	err := p.db.QueryRowContext(ctx, `SELECT name, role FROM people WHERE id = $1 AND locked = 0`, who.Subject).Scan(&name, &role)
	if errors.Is(err, sql.ErrNoRows) {
		return session.ErrEnded
	}
	if err != nil {
		return err
	}
	if role != "" {
		who.Roles = []string{role}
	}
	who.Claims, err = json.Marshal(map[string]string{"name": name})
	return err
}

// nameOf is what load wrote.
func nameOf(who *guard.Principal) string {
	var claims struct {
		Name string `json:"name"`
	}
	_ = who.DecodeClaims(&claims) // an API key has none
	return claims.Name
}

// mayEnter is a requirement: the owner of an API key must not be locked out.
func (p *people) mayEnter(r *http.Request, who *guard.Principal) error {
	if err := p.load(r.Context(), &guard.Principal{Subject: who.Subject}); !errors.Is(err, session.ErrEnded) {
		return err
	}
	return &guard.Error{Code: guard.AccessDenied, Description: "The account is locked or gone"}
}

func (p *people) setLocked(ctx context.Context, id string, locked bool) error {
	_, err := p.db.ExecContext(ctx, `UPDATE people SET locked = $1 WHERE id = $2`, locked, id)
	return err
}

func (p *people) delete(ctx context.Context, id string) error {
	_, err := p.db.ExecContext(ctx, `DELETE FROM people WHERE id = $1`, id)
	return err
}

func (p *people) list(ctx context.Context) (list []account, err error) {
	rows, err := p.db.QueryContext(ctx,
		`SELECT id, name, role, locked, created_at, (SELECT count(*) FROM notes WHERE owner = people.id) FROM people ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a account
		var since int64
		if err := rows.Scan(&a.ID, &a.Name, &a.Role, &a.Locked, &since, &a.Notes); err != nil {
			return nil, err
		}
		a.Since = time.Unix(since, 0)
		list = append(list, a)
	}
	return list, rows.Err()
}

package main

import (
	"cmp"
	"context"
	"database/sql"
	"net/http"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
)

// members are who has signed in here, each by the subject that the house gives them: an e-mail address
// may change hands. What somebody is here, this table says.
type members struct{ db *sql.DB }

type member struct{ Subject, Name, Email, Role string }

// describe reads what the house says of somebody.
func describe(who *guard.Principal) (m member, err error) {
	var claims struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	err = who.DecodeClaims(&claims)
	return member{Subject: who.Subject, Name: cmp.Or(claims.Name, claims.Email), Email: claims.Email}, err
}

// welcome runs when somebody has signed in, before the session is kept. The first one to come is the
// administrator.
func (m *members) welcome(ctx context.Context, s *oidclogin.Session) error {
	who := s.Principal()
	is, err := describe(who)
	if err != nil {
		return err
	}
	var role string
	err = m.db.QueryRowContext(ctx, `INSERT INTO members (subject, name, email, role)
		VALUES ($1, $2, $3, CASE WHEN EXISTS (SELECT 1 FROM members) THEN 'viewer' ELSE 'admin' END)
		ON CONFLICT (subject) DO UPDATE SET name = excluded.name, email = excluded.email RETURNING role`,
		who.Subject, is.Name, is.Email).Scan(&role)
	if err != nil {
		return err
	}
	return s.SetRoles(ctx, role)
}

func (m *members) all(ctx context.Context) (list []member, err error) {
	rows, err := m.db.QueryContext(ctx, `SELECT subject, name, email, role FROM members ORDER BY rowid LIMIT 1000`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e member
		if err := rows.Scan(&e.Subject, &e.Name, &e.Email, &e.Role); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// remove forgets somebody, with all they had here.
func (m *members) remove(ctx context.Context, subject string) error {
	_, err := m.db.ExecContext(ctx, `DELETE FROM members WHERE subject = $1`, subject)
	return err
}

func (a *app) listMembers(w http.ResponseWriter, r *http.Request) error {
	list, err := a.members.all(r.Context())
	if err != nil {
		return err
	}
	return a.show(w, r, http.StatusOK, "members.html", list)
}

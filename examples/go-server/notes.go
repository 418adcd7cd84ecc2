package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// notes are what the application is about. Every statement names the owner: an id that somebody made
// up finds nothing.
type notes struct{ db *sql.DB }

type note struct {
	ID      string    `json:"id"`
	Text    string    `json:"text"`
	Created time.Time `json:"created_at"`
}

const maxNote = 1000 // characters

func (a *app) home(w http.ResponseWriter, r *http.Request) error {
	who, ok := guard.From(r.Context())
	if !ok {
		return a.show(w, r, http.StatusOK, "welcome.html", nil)
	}
	list, err := a.notes.of(r.Context(), who.Subject)
	if err != nil {
		return err
	}
	return a.show(w, r, http.StatusOK, "notes.html", list)
}

// listNotes is the same for programs. It does not matter to it whether a session or an API key said
// who asks.
func (a *app) listNotes(w http.ResponseWriter, r *http.Request) error {
	who, _ := guard.From(r.Context())
	list, err := a.notes.of(r.Context(), who.Subject)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(map[string][]note{"notes": list})
}

func (a *app) addNote(w http.ResponseWriter, r *http.Request) error {
	who, _ := guard.From(r.Context())
	text := strings.TrimSpace(r.PostFormValue("text"))
	if n := len([]rune(text)); n == 0 || n > maxNote {
		a.flash(r, "A note has 1 to 1000 characters.")
	} else if err := a.notes.add(r.Context(), who.Subject, text, a.now()); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (a *app) deleteNote(w http.ResponseWriter, r *http.Request) error {
	who, _ := guard.From(r.Context())
	if err := a.notes.delete(r.Context(), who.Subject, r.PostFormValue("id")); err != nil {
		return err
	}
	a.flash(r, "The note is gone.")
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (n *notes) of(ctx context.Context, owner string) ([]note, error) {
	rows, err := n.db.QueryContext(ctx, `SELECT id, text, created_at FROM notes WHERE owner = $1 ORDER BY created_at DESC, rowid DESC`, owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []note{}
	for rows.Next() {
		var e note
		var created int64
		if err := rows.Scan(&e.ID, &e.Text, &created); err != nil {
			return nil, err
		}
		e.Created = time.Unix(created, 0).UTC()
		list = append(list, e)
	}
	return list, rows.Err()
}

func (n *notes) add(ctx context.Context, owner, text string, now time.Time) error {
	_, err := n.db.ExecContext(ctx, `INSERT INTO notes (id, owner, text, created_at) VALUES ($1, $2, $3, $4)`, rand.Text(), owner, text, now.Unix())
	return err
}

func (n *notes) delete(ctx context.Context, owner, id string) error {
	_, err := n.db.ExecContext(ctx, `DELETE FROM notes WHERE owner = $1 AND id = $2`, owner, id)
	return err
}

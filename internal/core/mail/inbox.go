package mail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// Inbox reads what an outbox holds: the built-in mailbox of development and tests.
type Inbox struct{ outbox *Outbox }

// Inbox returns the reader of this outbox. It shows letters whose bodies are kept.
func (o *Outbox) Inbox() Inbox { return Inbox{o} }

// Entry is a letter as the inbox shows it.
type Entry struct {
	ID string
	At time.Time
	Message
}

const (
	selectMails = `SELECT id, recipient, subject, body_sealed, created_at FROM mails
		WHERE tenant_id = $1 AND recipient <> '' ORDER BY id DESC LIMIT $2`
	selectMailsTo = `SELECT id, recipient, subject, body_sealed, created_at FROM mails
		WHERE tenant_id = $1 AND recipient = $3 ORDER BY id DESC LIMIT $2`
	selectMail = `SELECT id, recipient, subject, body_sealed, created_at FROM mails
		WHERE tenant_id = $1 AND id = $2 AND recipient <> ''`
)

// List returns the newest 100 letters, newest first; those to one address, or all if it is empty.
func (b Inbox) List(ctx context.Context, tn *tenant.Tenant, to string) ([]Entry, error) {
	text, args := selectMails, []any{100}
	if to != "" {
		text, args = selectMailsTo, append(args, to)
	}
	rows, err := tn.DB.Query(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("mail: inbox: %w", err)
	}
	defer rows.Close()
	var out []Entry
	for rows.Next() {
		e, err := b.scan(tn, rows)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// Get returns one letter, or a NotFound fault.
func (b Inbox) Get(ctx context.Context, tn *tenant.Tenant, id string) (Entry, error) {
	e, err := b.scan(tn, tn.DB.QueryRow(ctx, selectMail, id))
	if errors.Is(err, db.ErrNoRows) {
		return Entry{}, fault.New(fault.NotFound, "There is no such mail.")
	}
	return e, err
}

func (b Inbox) scan(tn *tenant.Tenant, row interface{ Scan(...any) error }) (Entry, error) {
	var e Entry
	var sealed []byte
	var at int64
	if err := row.Scan(&e.ID, &e.To, &e.Subject, &sealed, &at); err != nil {
		return Entry{}, fmt.Errorf("mail: inbox: %w", err)
	}
	e.At = db.Time(at)
	text, err := b.outbox.open(tn.ID, e.ID, sealed)
	e.Text, e.HTML = text.Text, text.HTML
	return e, err
}

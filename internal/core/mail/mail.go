// Package mail is the outbox: letters are written in the transaction that causes them and
// delivered afterwards by a bounded worker, with retries, on any number of nodes.
//
// A letter that could not be written undoes its cause; a mail server that is away delays a letter
// and nothing else. Bodies may hold codes, so they are sealed at rest and emptied once delivered,
// unless an inbox is to show them.
package mail

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/outbox"
)

// Message is one letter to one mailbox. The subject is stored in clear: it never holds a secret.
type Message struct {
	To      string
	Subject string
	Text    string
	HTML    string
}

// Sender hands a message to a mail server. An error that has a method Permanent() bool returning
// true says that trying again is pointless.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Options say how an outbox works.
type Options struct {
	DB    *db.DB
	Seal  *seal.Keyring
	Clock clock.Clock
	Log   *slog.Logger
	// Sender delivers. Nil keeps every letter where an [Inbox] reads it and delivers nothing.
	Sender Sender
	// KeepBodies leaves the body of a delivered letter readable for an [Inbox]. For development.
	KeepBodies bool
}

// Outbox takes letters and delivers them. It is safe for concurrent use.
type Outbox struct {
	Options
	queue *outbox.Queue[outgoing]
}

// New returns an outbox. Nothing is delivered before [Outbox.Run] or [Outbox.Deliver] is called.
func New(o Options) *Outbox {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	out := &Outbox{Options: o}
	out.queue = out.newQueue()
	return out
}

// body is what is sealed.
type body struct {
	Text string `json:"text"`
	HTML string `json:"html,omitempty"`
}

const insertMail = `INSERT INTO mails (tenant_id, id, recipient, subject, body_sealed, created_at, attempts, due_at, sent_at, failed_at)
	VALUES ($1, $2, $3, $4, $5, $6, 0, $6, 0, $7)`

// Enqueue writes a letter in the caller's transaction; it is delivered some time after the commit.
func (o *Outbox) Enqueue(tx *db.Tx, m Message) error { return o.enqueue(tx, m, 0) }

// Withhold does the work of [Outbox.Enqueue] for a letter that nobody shall get: where a stranger
// asked about an address that is unknown, both answers must cost the same. What is left is a row
// without recipient or text, which the janitor takes away.
func (o *Outbox) Withhold(tx *db.Tx, m Message) error {
	m.To, m.Subject = "", ""
	return o.enqueue(tx, m, db.Micros(o.Clock.Now()))
}

func (o *Outbox) enqueue(tx *db.Tx, m Message, failedAt int64) error {
	plain, err := json.Marshal(body{m.Text, m.HTML})
	if err != nil {
		return fmt.Errorf("mail: enqueue: %w", err)
	}
	row := id.UUID()
	sealed := o.Seal.Seal(purpose, bodyAAD(tx.TenantID(), row), plain)
	if _, err := tx.Exec(insertMail, row, m.To, m.Subject, sealed, db.Micros(o.Clock.Now()), failedAt); err != nil {
		return fmt.Errorf("mail: enqueue: %w", err)
	}
	tx.OnCommit(o.Wake)
	return nil
}

// Wake tells a running worker that there is something to deliver. It never blocks.
func (o *Outbox) Wake() { o.queue.Wake() }

// purpose names the keys under which bodies are sealed.
const purpose = "mail"

func bodyAAD(tenantID, row string) []byte {
	return seal.ColumnAAD(tenantID, "mails", "body_sealed", row)
}

func (o *Outbox) open(tenantID, row string, sealed []byte) (body, error) {
	var b body
	if len(sealed) == 0 {
		return b, nil
	}
	plain, err := o.Seal.Open(purpose, bodyAAD(tenantID, row), sealed)
	if err != nil {
		return b, fmt.Errorf("mail: body of %s: %w", row, err)
	}
	return b, json.Unmarshal(plain, &b)
}

// keep is how long a letter's row stays.
const keep = 30 * 24 * time.Hour

const (
	sweepBatch      = 500
	systemDeleteOld = `DELETE FROM mails WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM mails WHERE created_at < $1 OR (recipient = '' AND created_at < $2) LIMIT $3)`
	withheldFor     = 10 * time.Minute
)

// Sweep deletes a batch of letters that are 30 days old and reports how many it deleted; a full
// batch means that there may be more.
func (o *Outbox) Sweep(ctx context.Context) (deleted int64, err error) {
	now := o.Clock.Now()
	err = o.DB.System().Write(ctx, func(tx *db.Tx) error {
		deleted, err = tx.Exec(systemDeleteOld, db.Micros(now.Add(-keep)), db.Micros(now.Add(-withheldFor)), sweepBatch)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("mail: sweep: %w", err)
	}
	return deleted, nil
}

package mail

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/outbox"
)

const (
	workers = 4                // connections to the mail server at a time
	lease   = 2 * time.Minute  // how long a claimed letter belongs to the node that claimed it
	timeout = 45 * time.Second // for one letter: well within the lease, so that two nodes never send it
)

// retryAfter holds the pause after each failed attempt.
func retryAfter(attempts int64) (time.Duration, bool) {
	return outbox.RetryAfter(attempts, 10*time.Second, time.Minute, 5*time.Minute, 30*time.Minute, 2*time.Hour, 6*time.Hour)
}

// outgoing is what there is to send of a letter.
type outgoing struct {
	to, subject string
	sealed      []byte
}

const (
	systemSelectDue = `SELECT tenant_id, id, recipient, subject, body_sealed, attempts, due_at FROM mails
		WHERE sent_at = 0 AND failed_at = 0 AND due_at <= $1 ORDER BY due_at LIMIT $2`
	systemClaim = `UPDATE mails SET due_at = $4, attempts = attempts + 1
		WHERE tenant_id = $1 AND id = $2 AND due_at = $3 AND sent_at = 0 AND failed_at = 0`
	markSent   = `UPDATE mails SET sent_at = $4, body_sealed = $5 WHERE tenant_id = $1 AND id = $2 AND due_at = $3`
	markFailed = `UPDATE mails SET failed_at = $4, body_sealed = $5 WHERE tenant_id = $1 AND id = $2 AND due_at = $3`
	postpone   = `UPDATE mails SET due_at = $4 WHERE tenant_id = $1 AND id = $2 AND due_at = $3`
)

func (o *Outbox) newQueue() *outbox.Queue[outgoing] {
	return outbox.New(outbox.Options[outgoing]{
		Name: "mail", DB: o.DB, Clock: o.Clock, Log: o.Log, Workers: workers, Lease: lease,
		Select: systemSelectDue, Scan: scanDue, Claim: systemClaim, Send: o.send,
	})
}

func scanDue(rows *db.Rows) (l outbox.Claimed[outgoing], err error) {
	err = rows.Scan(&l.TenantID, &l.ID, &l.Content.to, &l.Content.subject, &l.Content.sealed, &l.Attempts, &l.Due)
	return l, err
}

// Run delivers until ctx ends: see [outbox.Queue.Run].
func (o *Outbox) Run(ctx context.Context) error {
	if o.Sender == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return o.queue.Run(ctx)
}

// Deliver sends the letters that are due and reports how many they were. A letter that fails is due
// again after a growing pause and given up after seven attempts.
func (o *Outbox) Deliver(ctx context.Context) (n int, err error) {
	if o.Sender == nil {
		return 0, nil
	}
	return o.queue.Deliver(ctx)
}

// send sends one claimed letter and writes down what came of it.
func (o *Outbox) send(ctx context.Context, l outbox.Claimed[outgoing]) error {
	b, err := o.open(l.TenantID, l.ID, l.Content.sealed)
	if err == nil {
		sending, cancel := context.WithTimeout(ctx, timeout)
		err = o.Sender.Send(sending, Message{To: l.Content.to, Subject: l.Content.subject, Text: b.Text, HTML: b.HTML})
		cancel()
	}
	now := o.Clock.Now()
	kept := []byte{}
	if o.KeepBodies {
		kept = l.Content.sealed
	}
	pause, again := retryAfter(l.Attempts)
	switch {
	case err == nil:
		return o.settle(ctx, markSent, l.Row, db.Micros(now), kept)
	case !again || permanent(err):
		o.Log.ErrorContext(ctx, "mail given up", "tenant", l.TenantID, "mail", l.ID, "attempts", l.Attempts, "error", err)
		return o.settle(ctx, markFailed, l.Row, db.Micros(now), kept)
	default:
		o.Log.WarnContext(ctx, "mail not sent yet", "tenant", l.TenantID, "mail", l.ID, "attempts", l.Attempts, "again_in", pause, "error", err)
		o.queue.WakeIn(pause)
		return o.settle(ctx, postpone, l.Row, db.Micros(now.Add(pause)))
	}
}

func (o *Outbox) settle(ctx context.Context, text string, l outbox.Row, args ...any) error {
	return o.queue.Settle(ctx, l, func(tx *db.Tx) error {
		_, err := tx.Exec(text, append([]any{l.ID, l.Due}, args...)...)
		return err
	})
}

func permanent(err error) bool {
	p, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err)
	return ok && p.Permanent()
}

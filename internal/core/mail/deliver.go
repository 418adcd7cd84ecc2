package mail

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
)

const (
	batch   = 32               // letters claimed in one pass
	workers = 4                // connections to the mail server at a time
	lease   = 2 * time.Minute  // how long a claimed letter belongs to the node that claimed it
	timeout = 45 * time.Second // for one letter: well within the lease, so that two nodes never send it
	poll    = time.Minute      // how often Run looks without being woken: for what another node left
)

// retryAfter holds the pause after each failed attempt. A letter that failed once more than there
// are pauses is given up.
func retryAfter(attempts int64) (time.Duration, bool) {
	pauses := [...]time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour}
	if attempts < 1 || attempts > int64(len(pauses)) {
		return 0, false
	}
	return pauses[attempts-1], true
}

// claimed is a row this node may send. Its claim is the due time the claim wrote: whoever wrote another one
// since owns the row instead.
type claimed struct {
	tenantID, id string
	to, subject  string
	sealed       []byte
	attempts     int64
	due          int64
}

const (
	systemSelectDue = `SELECT tenant_id, id, recipient, subject, body_sealed, attempts, due_at FROM mails
		WHERE sent_at = 0 AND failed_at = 0 AND due_at <= $1 ORDER BY due_at LIMIT $2`
	systemClaim = `UPDATE mails SET due_at = $4, attempts = attempts + 1
		WHERE tenant_id = $1 AND id = $2 AND due_at = $3 AND sent_at = 0 AND failed_at = 0`
	systemMarkSent   = `UPDATE mails SET sent_at = $4, body_sealed = $5 WHERE tenant_id = $1 AND id = $2 AND due_at = $3`
	systemMarkFailed = `UPDATE mails SET failed_at = $4, body_sealed = $5 WHERE tenant_id = $1 AND id = $2 AND due_at = $3`
	systemPostpone   = `UPDATE mails SET due_at = $4 WHERE tenant_id = $1 AND id = $2 AND due_at = $3`
)

// Run delivers until ctx ends. It works when a letter is written on this node, and looks once a
// minute for what is due again or was left by another node.
func (o *Outbox) Run(ctx context.Context) error {
	if o.Sender == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		for {
			n, err := o.Deliver(ctx)
			if err != nil && ctx.Err() == nil {
				o.Logger.ErrorContext(ctx, "mail is not delivered", "error", err)
			}
			if n < batch || err != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-o.wake:
		case <-tick.C:
		}
	}
}

// Deliver makes one pass: it claims a batch of letters that are due, sends them, and reports how
// many it claimed. A letter that fails is due again after a growing pause and given up after seven
// attempts. Two nodes never claim the same letter; one whose node dies while sending it is sent
// again when its lease is over.
func (o *Outbox) Deliver(ctx context.Context) (n int, err error) {
	if o.Sender == nil {
		return 0, nil
	}
	letters, err := o.claim(ctx)
	if err != nil {
		return 0, err
	}
	work := make(chan claimed)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for l := range work {
				errs[i] = errors.Join(errs[i], o.deliver(ctx, l))
			}
		})
	}
	for _, l := range letters {
		work <- l
	}
	close(work)
	wg.Wait()
	return len(letters), errors.Join(errs...)
}

func (o *Outbox) claim(ctx context.Context) ([]claimed, error) {
	now := o.Clock.Now()
	due, err := o.due(ctx, now)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	until := db.Micros(now.Add(lease))
	var mine []claimed
	err = o.DB.System().Write(ctx, func(tx *db.Tx) error {
		mine = mine[:0]
		for _, l := range due {
			won, err := tx.Exec(systemClaim, l.tenantID, l.id, l.due, until)
			if err != nil {
				return err
			}
			if won == 1 {
				l.due, l.attempts = until, l.attempts+1
				mine = append(mine, l)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("mail: claim: %w", err)
	}
	return mine, nil
}

func (o *Outbox) due(ctx context.Context, now time.Time) ([]claimed, error) {
	rows, err := o.DB.System().Query(ctx, systemSelectDue, db.Micros(now), batch)
	if err != nil {
		return nil, fmt.Errorf("mail: read what is due: %w", err)
	}
	defer rows.Close()
	var out []claimed
	for rows.Next() {
		var l claimed
		if err := rows.Scan(&l.tenantID, &l.id, &l.to, &l.subject, &l.sealed, &l.attempts, &l.due); err != nil {
			return nil, fmt.Errorf("mail: read what is due: %w", err)
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

// deliver sends one claimed letter and writes down what came of it.
func (o *Outbox) deliver(ctx context.Context, l claimed) error {
	b, err := o.open(l.tenantID, l.id, l.sealed)
	if err == nil {
		sending, cancel := context.WithTimeout(ctx, timeout)
		err = o.Sender.Send(sending, Message{To: l.to, Subject: l.subject, Text: b.Text, HTML: b.HTML})
		cancel()
	}
	now := o.Clock.Now()
	kept := []byte{}
	if o.KeepBodies {
		kept = l.sealed
	}
	pause, again := retryAfter(l.attempts)
	switch {
	case err == nil:
		return o.settle(ctx, systemMarkSent, l, db.Micros(now), kept)
	case !again || permanent(err):
		o.Logger.ErrorContext(ctx, "mail given up", "tenant", l.tenantID, "mail", l.id, "attempts", l.attempts, "error", err)
		return o.settle(ctx, systemMarkFailed, l, db.Micros(now), kept)
	default:
		o.Logger.WarnContext(ctx, "mail not sent yet", "tenant", l.tenantID, "mail", l.id, "attempts", l.attempts, "again_in", pause, "error", err)
		return o.settle(ctx, systemPostpone, l, db.Micros(now.Add(pause)))
	}
}

// settle writes an outcome, if the claim still holds. It outlives a shutdown that cancelled ctx: a
// letter that was sent must not be sent again.
func (o *Outbox) settle(ctx context.Context, text string, l claimed, args ...any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := o.DB.System().Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(text, append([]any{l.tenantID, l.id, l.due}, args...)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("mail: write the outcome of %s: %w", l.id, err)
	}
	return nil
}

func permanent(err error) bool {
	p, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err)
	return ok && p.Permanent()
}

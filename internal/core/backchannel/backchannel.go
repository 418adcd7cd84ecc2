// Package backchannel tells applications that somebody has signed out (OpenID Connect Back-Channel
// Logout 1.0).
//
// Who is to be told is written when an application gets the ID token of a session ([Logouts.Join]), and
// one delivery for each of them in the transaction that ends the session ([Logouts.EndSession],
// [Logouts.EndUser]). Delivered is afterwards, from an outbox: the person is signed out at once, whatever
// applications do. The row of a delivery stays for a while as its receipt.
//
// A session that merely expires tells nobody: what it was handed to has limits of its own.
package backchannel

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/core/outbox"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// Options are what the subject stands on. All fields but Log and MaxWaiting are required.
type Options struct {
	DB    *db.DB
	Clock clock.Clock
	Apps  *apps.Apps
	Keys  *keys.Keys
	// HTTP makes the calls, to addresses that applications have registered.
	HTTP interface {
		Do(req *http.Request) (*http.Response, error)
	}
	// Tenant returns the tenant with an id.
	Tenant func(ctx context.Context, id string) (*tenant.Tenant, error)
	Log    *slog.Logger
	// MaxWaiting is how many deliveries wait for one application at most; 10,000 when zero. What comes on
	// top is written down as failed at once: an application that is away cannot fill the database.
	MaxWaiting int
}

// Logouts is the subject's verbs, and its outbox. It is safe for concurrent use.
type Logouts struct {
	Options
	queue *outbox.Queue[delivery]
}

// New returns the subject. Nothing is delivered before [Logouts.Run] or [Logouts.Deliver] is called.
func New(o Options) *Logouts {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.MaxWaiting = cmp.Or(o.MaxWaiting, 10_000)
	l := &Logouts{Options: o}
	l.queue = l.newQueue()
	return l
}

const (
	upsertSessionClient = `INSERT INTO session_clients (tenant_id, sid, client_id, user_id, joined_at, keep_until) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (tenant_id, sid, client_id) DO UPDATE SET keep_until = excluded.keep_until WHERE session_clients.keep_until < excluded.keep_until`

	// Whom it concerns is marked, written down, and forgotten, by one verb: nobody else sees the mark.
	markSession = `UPDATE session_clients SET keep_until = 0 WHERE tenant_id = $1 AND sid = $2`
	markUser    = `UPDATE session_clients SET keep_until = 0 WHERE tenant_id = $1 AND user_id = $2`
	// What waits for a client is counted once, however many of its sessions end: nobody collects more sessions
	// than a verb has time to end.
	insertDeliveries = `INSERT INTO logout_deliveries (tenant_id, id, client_id, user_id, sid, names_user, because, created_at,
			attempts, due_at, tried_at, status, error, delivered_at, failed_at)
		SELECT $1, CAST($2 AS TEXT) || '.' || CAST(ROW_NUMBER() OVER (ORDER BY s.sid, s.client_id) AS TEXT), s.client_id, s.user_id, s.sid,
			$3, $4, $5, 0, $5, 0, 0, CASE WHEN s.place <= $6 THEN '' ELSE 'queue_full' END, 0, CASE WHEN s.place <= $6 THEN 0 ELSE CAST($5 AS BIGINT) END
		FROM (SELECT p.client_id, p.user_id, p.sid, w.waiting + ROW_NUMBER() OVER (PARTITION BY p.client_id ORDER BY p.sid) AS place
			FROM session_clients p JOIN (SELECT c.client_id, COUNT(q.client_id) AS waiting
				FROM (SELECT DISTINCT client_id FROM session_clients WHERE tenant_id = $1 AND keep_until = 0) AS c
				LEFT JOIN logout_deliveries q ON q.tenant_id = $1 AND q.client_id = c.client_id AND q.delivered_at = 0 AND q.failed_at = 0
				GROUP BY c.client_id) AS w ON w.client_id = p.client_id
			WHERE p.tenant_id = $1 AND p.keep_until = 0) AS s
		RETURNING client_id, failed_at`
	deleteMarked = `DELETE FROM session_clients WHERE tenant_id = $1 AND keep_until = 0`
)

// Join notes, inside tx, that a client gets an ID token of a session, if it is to be told of the session's
// end. tx is the transaction that spends the code, or that holds the session while an ID token is issued
// without one, so that no session ends between the two.
func (l *Logouts) Join(tx *db.Tx, tn *tenant.Tenant, client *apps.Client, sid, userID string) error {
	if client.BackchannelLogoutURI == "" || sid == "" {
		return nil
	}
	now := l.Clock.Now()
	// Beyond this nothing that came of the sign-in is alive here.
	until := now.Add(max(tn.Settings.SessionAbsolute, client.Refresh(tn).Lifetime))
	if _, err := tx.Exec(upsertSessionClient, sid, client.ClientID, userID, db.Micros(now), db.Micros(until)); err != nil {
		return fmt.Errorf("backchannel: join session: %w", err)
	}
	return nil
}

// EndSession writes, inside tx, a delivery for each client that joined a session. It comes after the
// verb has taken back the session's codes: by then whoever was about to join has.
func (l *Logouts) EndSession(tx *db.Tx, sid, because string) error {
	return l.end(tx, markSession, sid, because, false)
}

// EndUser writes, inside tx, a delivery for each session of a user, also one that has expired meanwhile,
// and each client that joined it. With gone, the applications are told that it is about the person, and
// end what they know of them from any sign-in: for somebody who is locked out, since what they begin
// later would end, too, when an application is slow to answer.
func (l *Logouts) EndUser(tx *db.Tx, userID, because string, gone bool) error {
	return l.end(tx, markUser, userID, because, gone)
}

func (l *Logouts) end(tx *db.Tx, mark, whose, because string, namesUser bool) error {
	now := l.Clock.Now()
	if n, err := tx.Exec(mark, whose); err != nil || n == 0 {
		return err
	}
	full, err := withoutRoom(tx, id.UUID(), namesUser, because, db.Micros(now), l.MaxWaiting)
	if err != nil {
		return fmt.Errorf("backchannel: write deliveries: %w", err)
	}
	if _, err := tx.Exec(deleteMarked); err != nil {
		return fmt.Errorf("backchannel: write deliveries: %w", err)
	}
	for clientID, n := range full {
		err := audit.Record(tx, audit.Event{
			Type: audit.LogoutFailed, At: now, Actor: "system", ClientID: clientID, Detail: map[string]any{"error": string(QueueFull), "deliveries": n},
		})
		if err != nil {
			return err
		}
	}
	tx.OnCommit(l.Wake)
	return nil
}

// withoutRoom writes the deliveries, and returns how many of them failed at once, by client.
func withoutRoom(tx *db.Tx, args ...any) (full map[string]int, err error) {
	rows, err := tx.Query(insertDeliveries, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	full = map[string]int{}
	for rows.Next() {
		var clientID string
		var failedAt int64
		if err := rows.Scan(&clientID, &failedAt); err != nil {
			return nil, err
		}
		if failedAt != 0 {
			full[clientID]++
		}
	}
	return full, rows.Err()
}

const (
	sweepBatch = 500
	// keep is how long a receipt stays.
	keep = 14 * 24 * time.Hour

	systemDeleteOldSessionClient = `DELETE FROM session_clients WHERE (tenant_id, sid, client_id) IN
		(SELECT tenant_id, sid, client_id FROM session_clients WHERE keep_until <= $1 LIMIT $2)`
	systemDeleteOldDelivery = `DELETE FROM logout_deliveries WHERE (tenant_id, id) IN
		(SELECT tenant_id, id FROM logout_deliveries WHERE created_at <= $1 LIMIT $2)`
)

// Sweep deletes, in small batches, what has no more to say: receipts that are two weeks old, and who
// joined sessions that nothing is left of.
func (l *Logouts) Sweep(ctx context.Context) error {
	now := l.Clock.Now()
	for text, before := range map[string]time.Time{systemDeleteOldSessionClient: now, systemDeleteOldDelivery: now.Add(-keep)} {
		for {
			var n int64
			err := l.DB.System().Write(ctx, func(tx *db.Tx) (err error) {
				n, err = tx.Exec(text, db.Micros(before), sweepBatch)
				return err
			})
			if err != nil {
				return fmt.Errorf("backchannel: sweep: %w", err)
			}
			if n < sweepBatch {
				break
			}
		}
	}
	return nil
}

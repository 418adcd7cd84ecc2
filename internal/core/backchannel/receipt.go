package backchannel

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// State says how far a delivery has come.
type State string

// The states.
const (
	Waiting   State = "waiting"   // to be delivered, for the first time or again
	Delivered State = "delivered" // the application has answered that it is done
	Failed    State = "failed"    // given up
)

// Receipt is what came of telling one application of the end of one session.
type Receipt struct {
	ID        string
	ClientID  string
	UserID    string
	SID       string
	Cause     string // why the session ended
	State     State
	Attempts  int64
	Status    int64   // of the last HTTP answer; 0 if the last attempt got none
	Failure   Failure // of the last attempt; empty if it did not fail
	CreatedAt time.Time
	TriedAt   time.Time // the last attempt; zero before the first
	DoneAt    time.Time // when it was delivered or given up; zero while it waits
	NextAt    time.Time // when it is tried next; zero when it is done
}

// Query says which receipts to list.
type Query struct {
	ClientID, UserID, SID string // empty: any
	Offset, Limit         int
}

const (
	countReceipts = `SELECT COUNT(*) FROM logout_deliveries
		WHERE tenant_id = $1 AND ($2 = '' OR client_id = $2) AND ($3 = '' OR user_id = $3) AND ($4 = '' OR sid = $4)`
	selectReceipts = `SELECT id, client_id, user_id, sid, because, attempts, status, error, created_at, tried_at, due_at, delivered_at, failed_at
		FROM logout_deliveries
		WHERE tenant_id = $1 AND ($2 = '' OR client_id = $2) AND ($3 = '' OR user_id = $3) AND ($4 = '' OR sid = $4)
		ORDER BY created_at DESC, id DESC LIMIT $5 OFFSET $6`
)

// Receipts returns receipts, newest first, and how many there are in all.
func (l *Logouts) Receipts(ctx context.Context, tn *tenant.Tenant, q Query) (list []Receipt, total int64, err error) {
	if err := tn.DB.QueryRow(ctx, countReceipts, q.ClientID, q.UserID, q.SID).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("backchannel: count receipts: %w", err)
	}
	rows, err := tn.DB.Query(ctx, selectReceipts, q.ClientID, q.UserID, q.SID, q.Limit, q.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("backchannel: read receipts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanReceipt(rows)
		if err != nil {
			return nil, 0, fmt.Errorf("backchannel: read receipts: %w", err)
		}
		list = append(list, r)
	}
	return list, total, rows.Err()
}

func scanReceipt(rows *db.Rows) (r Receipt, err error) {
	var created, tried, due, delivered, failed int64
	err = rows.Scan(&r.ID, &r.ClientID, &r.UserID, &r.SID, &r.Cause, &r.Attempts, &r.Status, &r.Failure, &created, &tried, &due, &delivered, &failed)
	r.CreatedAt, r.TriedAt = db.Time(created), db.Time(tried)
	switch {
	case delivered != 0:
		r.State, r.DoneAt = Delivered, db.Time(delivered)
	case failed != 0:
		r.State, r.DoneAt = Failed, db.Time(failed)
	default:
		r.State, r.NextAt = Waiting, db.Time(due)
	}
	return r, err
}

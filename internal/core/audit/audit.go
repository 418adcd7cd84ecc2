// Package audit is the record of what happened: events that are written in the transaction that
// made them happen, so that there is neither a change without its event nor an event without its
// change.
//
// It is ground for every other subject of the core and knows none of them.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// Event is one thing that happened. All texts are cleaned as [Clean] says when they are recorded.
type Event struct {
	ID        string         // set by Record
	At        time.Time      // when, by the clock of whoever records
	Type      Type           // what
	Actor     string         // who did it: a user's sub, a client_id, or "system"; empty for a stranger
	UserID    string         // whom it concerns
	ClientID  string         // the application it happened for
	Address   string         // the network address it came from
	UserAgent string         // what the browser called itself
	Detail    map[string]any // never a secret
}

// Origin is who does something and from where: what verbs of the core take along for the record.
type Origin struct {
	Actor     string
	ClientID  string
	Address   string
	UserAgent string
}

// System is the origin of what the house does by itself or an operator does at the command line.
func System() Origin { return Origin{Actor: "system"} }

// Event returns an event with this origin.
func (o Origin) Event(t Type, userID string, at time.Time) Event {
	return Event{At: at, Type: t, Actor: o.Actor, UserID: userID, ClientID: o.ClientID, Address: o.Address, UserAgent: o.UserAgent}
}

const insertEvent = `INSERT INTO audit_events (tenant_id, id, at, event, actor, user_id, client_id, address, user_agent, detail)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

// Record writes e in the transaction of the change it tells of. An event without a type or a time
// is an error, and undoes the change with it.
func Record(tx *db.Tx, e Event) error {
	if e.Type == "" || e.At.IsZero() {
		return errors.New("audit: event without a type or a time")
	}
	detail, err := json.Marshal(cleanMap(e.Detail))
	if err != nil {
		return fmt.Errorf("audit: detail of %s: %w", e.Type, err)
	}
	_, err = tx.Exec(insertEvent, id.UUID(), db.Micros(e.At), string(e.Type), Clean(e.Actor), Clean(e.UserID),
		Clean(e.ClientID), Clean(e.Address), Clean(e.UserAgent), string(detail))
	if err != nil {
		return fmt.Errorf("audit: record %s: %w", e.Type, err)
	}
	return nil
}

// Query says which events to list.
type Query struct {
	UserID string // only those that concern this user; empty for all
	Before string // only those older than the event with this id; empty for the newest
	Offset int    // how many of those to pass over
	Limit  int    // 1 to 100; 50 when zero
}

const (
	selectEvents = `SELECT id, at, event, actor, user_id, client_id, address, user_agent, detail FROM audit_events
		WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3 OFFSET $4`
	selectEventsOfUser = `SELECT id, at, event, actor, user_id, client_id, address, user_agent, detail FROM audit_events
		WHERE tenant_id = $1 AND id < $2 AND user_id = $5 ORDER BY id DESC LIMIT $3 OFFSET $4`

	countEvents       = `SELECT count(*) FROM audit_events WHERE tenant_id = $1`
	countEventsOfUser = `SELECT count(*) FROM audit_events WHERE tenant_id = $1 AND user_id = $2`
)

// List returns events, newest first. The id of the last one is the next page's Before.
func List(ctx context.Context, tn *tenant.Tenant, q Query) ([]Event, error) {
	if q.Limit <= 0 {
		q.Limit = 50
	}
	if q.Before == "" {
		q.Before = "z" // sorts after every UUID, in every collation
	}
	text, args := selectEvents, []any{Clean(q.Before), min(q.Limit, 100), q.Offset}
	if q.UserID != "" {
		text, args = selectEventsOfUser, append(args, Clean(q.UserID))
	}
	rows, err := tn.DB.Query(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("audit: list: %w", err)
	}
	defer rows.Close()
	var out []Event
	for rows.Next() {
		var e Event
		var at int64
		var detail string
		if err := rows.Scan(&e.ID, &at, &e.Type, &e.Actor, &e.UserID, &e.ClientID, &e.Address, &e.UserAgent, &detail); err != nil {
			return nil, fmt.Errorf("audit: list: %w", err)
		}
		e.At = db.Time(at)
		if err := json.Unmarshal([]byte(detail), &e.Detail); err != nil {
			return nil, fmt.Errorf("audit: detail of event %s: %w", e.ID, err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// Count returns how many events there are that concern a user; all, if userID is empty.
func Count(ctx context.Context, tn *tenant.Tenant, userID string) (n int64, err error) {
	text, args := countEvents, []any(nil)
	if userID != "" {
		text, args = countEventsOfUser, []any{Clean(userID)}
	}
	if err := tn.DB.QueryRow(ctx, text, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("audit: count: %w", err)
	}
	return n, nil
}

package people

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// ErrTicket says that a link or token was not accepted: unknown, used, expired or replaced by a
// newer one. It never says which.
var ErrTicket = fault.New(fault.Gone, "This link was used already or is no longer valid. Ask for a new one.")

const (
	endTicketsOf = `DELETE FROM tickets WHERE tenant_id = $1 AND purpose = $2 AND user_id = $3`
	endTickets   = `DELETE FROM tickets WHERE tenant_id = $1 AND user_id = $2`
	insertTicket = `INSERT INTO tickets (tenant_id, purpose, token_hash, user_id, created_at, expires_at, used_at)
		VALUES ($1, $2, $3, $4, $5, $6, 0)`
	selectTicket = `SELECT user_id FROM tickets WHERE tenant_id = $1 AND purpose = $2 AND token_hash = $3 AND used_at = 0 AND expires_at > $4`
	spendTicket  = `UPDATE tickets SET used_at = $4
		WHERE tenant_id = $1 AND purpose = $2 AND token_hash = $3 AND used_at = 0 AND expires_at > $4 RETURNING user_id`
)

// IssueTicket writes a single-use ticket and returns its token. It ends older ones of the same
// purpose and user; userID is empty for a ticket that belongs to nobody yet.
func (p *People) IssueTicket(tx *db.Tx, purpose Purpose, userID string, valid time.Duration) (token string, err error) {
	if _, err := tx.Exec(endTicketsOf, string(purpose), userID); err != nil {
		return "", fmt.Errorf("people: end tickets: %w", err)
	}
	token = id.Secret()
	now := p.Clock.Now()
	if _, err := tx.Exec(insertTicket, string(purpose), ticketHash(purpose, token), userID, db.Micros(now), db.Micros(now.Add(valid))); err != nil {
		return "", fmt.Errorf("people: issue ticket: %w", err)
	}
	return token, nil
}

// TicketUser returns whose ticket a token is, without using it, or [ErrTicket].
func (p *People) TicketUser(ctx context.Context, tn *tenant.Tenant, purpose Purpose, token string) (userID string, err error) {
	return ticketUser(tn.DB.QueryRow(ctx, selectTicket, string(purpose), ticketHash(purpose, token), db.Micros(p.Clock.Now())))
}

// SpendTicket uses a ticket and returns whose it is, or [ErrTicket]. Of any number of callers one
// succeeds.
func (p *People) SpendTicket(tx *db.Tx, purpose Purpose, token string) (userID string, err error) {
	return ticketUser(tx.QueryRow(spendTicket, string(purpose), ticketHash(purpose, token), db.Micros(p.Clock.Now())))
}

// EndTickets ends all tickets of a user.
func (p *People) EndTickets(tx *db.Tx, userID string) error {
	if _, err := tx.Exec(endTickets, userID); err != nil {
		return fmt.Errorf("people: end tickets: %w", err)
	}
	return nil
}

func ticketUser(row scanner) (userID string, err error) {
	err = row.Scan(&userID)
	if errors.Is(err, db.ErrNoRows) {
		return "", ErrTicket
	}
	if err != nil {
		return "", fmt.Errorf("people: ticket: %w", err)
	}
	return userID, nil
}

func ticketHash(purpose Purpose, token string) []byte {
	return id.Hash(string(purpose) + "\x00" + token)
}

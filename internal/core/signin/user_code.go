package signin

import (
	"context"
	"fmt"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/limit"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// A user code is short, because people type it. What keeps it from being guessed is that only who is
// signed in may type one, and how often (RFC 8628 section 5.1). A new session is had by signing in again,
// and networks by the thousand, but accounts only one by one.

// userCodeBudgets are what a typed user code takes from, the widest first.
func (l Limits) userCodeBudgets(session *Session, from From) []budget {
	return []budget{
		newBudget("user-code-network", l.UserCodesNetwork, l.UserCodesWindow, limit.Network(from.Address)),
		newBudget("user-code-person", l.UserCodesPerson, l.UserCodesWindow, session.UserID),
		newBudget("user-code-session", l.UserCodesSession, l.UserCodesWindow, session.SID),
	}
}

// TryUserCode runs find, which looks for the device that shows a typed code, if this session, person and
// network may still try. The try is taken before its outcome is known, and given back when find
// returns nil: however many come at once, no more are wrong than the limits allow. Beyond them the
// error is a Limited fault.
func (s *SignIn) TryUserCode(ctx context.Context, tn *tenant.Tenant, session *Session, from From, find func() error) error {
	budgets := s.limits.userCodeBudgets(session, from)
	err := tn.DB.Write(ctx, func(tx *db.Tx) error {
		used, err := s.take(tx, budgets)
		if err != nil || used == "" {
			return err
		}
		return s.record(tx, audit.UserCodesLimited, from, session.UserID, map[string]any{"budget": used})
	})
	if err != nil {
		return err
	}
	if err := find(); err != nil {
		return err
	}
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		for _, b := range budgets {
			if _, err := tx.Exec(giveBackTry, b.bucket); err != nil {
				return fmt.Errorf("signin: give back try: %w", err)
			}
		}
		return nil
	})
}

// TakeDeviceRequest counts, inside tx, that a client asks for a device code from a site: each writes a row,
// and who owns a site hops between its networks. Beyond the limit the error is a Limited fault, which must undo the verb.
func (s *SignIn) TakeDeviceRequest(tx *db.Tx, clientID string, from From) error {
	_, err := s.take(tx, []budget{newBudget("device-request", s.limits.DeviceRequests, s.limits.DeviceRequestsWindow, clientID, limit.Site(from.Address))})
	return err
}

package signin

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// Cause is why something ends. It is written beside what has ended.
type Cause string

// The causes.
const (
	SignedOut           Cause = "signed_out"
	SignedOutEverywhere Cause = "signed_out_everywhere"
	Revoked             Cause = "session_revoked" // one session, by its owner or an administrator
	Replaced            Cause = "other_user_signed_in"
	PasswordChanged     Cause = "password_changed"
	Blocked             Cause = "user_blocked"
	Deleted             Cause = "user_deleted"
	Suspicious          Cause = "suspicious_activity"
)

// Ending is what ends with a cause.
type Ending struct {
	Session  bool // the one session, and what applications were granted in it for browsers
	Sessions bool // every session of the user
	Grants   bool // everything the user granted, on devices too
	Mailed   bool // codes and links that were mailed to the user and not used
	APIKeys  bool // the user's API keys, and the access tokens they were exchanged for
	Person   bool // what applications know of the person, from sign-ins they began at any time
}

// Endings answers, for each cause, what it will end. It is the whole of the rule: every way to
// sign-out, a new password or a block goes through it.
func Endings(c Cause) Ending {
	switch c {
	case SignedOut, Revoked, Replaced:
		return Ending{Session: true}
	case SignedOutEverywhere:
		return Ending{Session: true, Sessions: true, Grants: true}
	case PasswordChanged: // keys were never got by the password
		return Ending{Session: true, Sessions: true, Grants: true, Mailed: true}
	default: // what is not known to need less ends everything
		return Ending{Session: true, Sessions: true, Grants: true, Mailed: true, APIKeys: true, Person: true}
	}
}

// end ends what the cause ends, as a step of a verb. The user should be locked when all their
// sessions end, or one that begins at the same moment survives.
func (s *SignIn) end(tx *db.Tx, userID, sid string, cause Cause) error {
	what := Endings(cause)
	// Sessions first and all of them, then grants: verbs that end things take rows in one order.
	if what.Session && sid != "" {
		if _, err := tx.Exec(deleteSession, sid); err != nil {
			return fmt.Errorf("signin: end session: %w", err)
		}
	}
	if what.Sessions {
		if _, err := tx.Exec(deleteSessions, userID); err != nil {
			return fmt.Errorf("signin: end sessions: %w", err)
		}
	}
	if what.Session && sid != "" {
		if err := s.grants.EndSession(tx, sid, string(cause)); err != nil {
			return err
		}
	}
	if what.Grants {
		if err := s.grants.EndUser(tx, userID, string(cause)); err != nil {
			return err
		}
	}
	// Applications are told after the codes are burnt: no client joins a session from there on.
	if what.Session && sid != "" {
		if err := s.logouts.EndSession(tx, sid, string(cause)); err != nil {
			return err
		}
	}
	if what.Sessions {
		if err := s.logouts.EndUser(tx, userID, string(cause), what.Person); err != nil {
			return err
		}
	}
	if what.APIKeys {
		if err := s.apiKeys.EndOfUser(tx, userID, string(cause)); err != nil {
			return err
		}
	}
	if what.Mailed {
		return s.people.EndMailed(tx, userID)
	}
	return nil
}

// SignOut ends a session and what is bound to it; with everywhere, every session of its user and
// all they granted, on devices too. A session that has ended already is no error: what was granted
// in it ends all the same.
func (s *SignIn) SignOut(ctx context.Context, tn *tenant.Tenant, sid string, everywhere bool, from From) error {
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		var userID string
		err := tx.QueryRow(selectOwner, sid).Scan(&userID)
		if err != nil && !errors.Is(err, db.ErrNoRows) {
			return fmt.Errorf("signin: read session: %w", err)
		}
		cause := SignedOut
		if everywhere && userID != "" {
			cause = SignedOutEverywhere
			if err := s.people.Lock(tx, userID); err != nil {
				return err
			}
		}
		if err := s.end(tx, userID, sid, cause); err != nil {
			return err
		}
		return s.record(tx, audit.SignedOut, from, userID, map[string]any{"sid": sid, "cause": string(cause)})
	})
}

// EndSession ends one session of a user, as its owner or an administrator asks. It returns a
// NotFound fault for a session that is not the user's.
func (s *SignIn) EndSession(ctx context.Context, tn *tenant.Tenant, userID, sid string, by audit.Origin) error {
	if !people.PlausibleID(sid) {
		return errNoSession()
	}
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		var owner string
		err := tx.QueryRow(selectOwner, sid).Scan(&owner)
		if errors.Is(err, db.ErrNoRows) || err == nil && owner != userID {
			return errNoSession()
		}
		if err != nil {
			return fmt.Errorf("signin: read session: %w", err)
		}
		if err := s.end(tx, userID, sid, Revoked); err != nil {
			return err
		}
		return s.note(tx, audit.SessionEnded, userID, by, map[string]any{"sid": sid, "cause": string(Revoked)})
	})
}

// EndSessions ends every session of a user and all they granted.
func (s *SignIn) EndSessions(ctx context.Context, tn *tenant.Tenant, userID string, by audit.Origin) error {
	return s.endAll(ctx, tn, userID, SignedOutEverywhere, audit.SessionsEnded, by)
}

// ForceSignIn ends everything a user has after something suspicious was seen: whoever goes on has
// to sign in.
func (s *SignIn) ForceSignIn(ctx context.Context, tn *tenant.Tenant, userID string, by audit.Origin) error {
	return s.endAll(ctx, tn, userID, Suspicious, audit.SuspiciousActivityMet, by)
}

func (s *SignIn) endAll(ctx context.Context, tn *tenant.Tenant, userID string, cause Cause, t audit.Type, by audit.Origin) error {
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.people.Lock(tx, userID); err != nil {
			return err
		}
		if err := s.end(tx, userID, "", cause); err != nil {
			return err
		}
		return s.note(tx, t, userID, by, map[string]any{"cause": string(cause)})
	})
}

// Block locks a user out and ends all they have. Blocking a blocked user changes nothing.
func (s *SignIn) Block(ctx context.Context, tn *tenant.Tenant, userID string, by audit.Origin) error {
	return s.setBlocked(ctx, tn, userID, true, by)
}

// Unblock lets a user sign in again. What ended with the block stays ended.
func (s *SignIn) Unblock(ctx context.Context, tn *tenant.Tenant, userID string, by audit.Origin) error {
	return s.setBlocked(ctx, tn, userID, false, by)
}

func (s *SignIn) setBlocked(ctx context.Context, tn *tenant.Tenant, userID string, blocked bool, by audit.Origin) error {
	_, err := s.Update(ctx, tn, userID, Change{Blocked: &blocked}, by)
	return err
}

// Change says what to change of a user: the patch, and whether they are locked out. Nil leaves
// that as it is.
type Change struct {
	people.Patch
	Blocked *bool
}

// Update changes a user, all of it or nothing, and returns the new state. To lock a user out ends
// all they have.
func (s *SignIn) Update(ctx context.Context, tn *tenant.Tenant, userID string, change Change, by audit.Origin) (u *people.User, err error) {
	err = tn.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.people.Lock(tx, userID); err != nil {
			return err
		}
		if change.Blocked != nil {
			if err := s.block(tx, userID, *change.Blocked, by); err != nil {
				return err
			}
		}
		if change.Patch.Empty() {
			u, err = s.people.InTx(tx, userID)
		} else {
			u, err = s.people.Update(tx, userID, change.Patch, by)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

func (s *SignIn) block(tx *db.Tx, userID string, blocked bool, by audit.Origin) error {
	changed, err := s.people.SetBlocked(tx, userID, blocked)
	if err != nil || !changed {
		return err
	}
	if !blocked {
		return s.note(tx, audit.UserUnblocked, userID, by, nil)
	}
	if err := s.end(tx, userID, "", Blocked); err != nil {
		return err
	}
	return s.note(tx, audit.UserBlocked, userID, by, nil)
}

// Delete ends all a user has and deletes the user. It returns a NotFound fault when there is none.
func (s *SignIn) Delete(ctx context.Context, tn *tenant.Tenant, userID string, by audit.Origin) error {
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.people.Lock(tx, userID); err != nil {
			return err
		}
		if err := s.end(tx, userID, "", Deleted); err != nil {
			return err
		}
		if err := s.grants.ForgetUser(tx, userID); err != nil {
			return err
		}
		if err := s.apiKeys.ForgetUser(tx, userID); err != nil {
			return err
		}
		if err := s.access.WithdrawAll(tx, userID); err != nil {
			return err
		}
		if err := s.people.Remove(tx, userID); err != nil {
			return err
		}
		return s.note(tx, audit.UserDeleted, userID, by, nil)
	})
}

func (s *SignIn) note(tx *db.Tx, t audit.Type, userID string, by audit.Origin, detail map[string]any) error {
	e := by.Event(t, userID, s.now())
	e.Detail = detail
	return audit.Record(tx, e)
}

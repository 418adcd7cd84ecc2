package signin

import (
	"context"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// PasswordLinkLifetime is how long an administrator's link is good for, unless they say otherwise.
const PasswordLinkLifetime = 7 * 24 * time.Hour

// StartReset mails a code with which a new password can be chosen, and returns the challenge that
// the browser answers with [SignIn.FinishReset]. For an address without an account, or with a
// blocked one, no mail goes out and no code answers: from outside that is the same.
//
// Faults: Invalid about "email", Limited.
func (s *SignIn) StartReset(ctx context.Context, tn *tenant.Tenant, email string, from From) (challengeID string, err error) {
	address, err := people.ParseAddress(email)
	if err != nil {
		return "", err
	}
	budgets, err := s.resetBudgets(ctx, tn, address, from)
	if err != nil {
		return "", err
	}
	err = tn.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.take(tx, budgets); err != nil {
			return err
		}
		account, err := s.people.AccountInTx(tx, address.Key)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		able := account != nil && !account.Blocked
		id, code, err := s.people.Issue(tx, people.NewChallenge{
			Purpose: people.PasswordReset, Target: address.Key, Browser: from.Browser,
			Payload: []byte(address.Text), Doomed: !able,
		})
		if err != nil {
			return err
		}
		challengeID = id
		to, send, userID := address.Text, s.mail.Withhold, ""
		if account != nil {
			to, userID = account.Email, account.ID
		}
		if able {
			send = s.mail.Enqueue
		}
		letter, err := mail.PasswordResetCode(tn, to, code, people.CodeLifetime)
		if err != nil {
			return err
		}
		if err := send(tx, letter); err != nil {
			return err
		}
		return audit.Record(tx, from.origin("").Event(audit.PasswordResetStarted, userID, s.now()))
	})
	if err != nil {
		return "", err
	}
	return challengeID, nil
}

// resetBudgets are what a code for an address takes from. Whose account it is is read only for a browser in
// which somebody has signed in: for all others it makes no difference.
func (s *SignIn) resetBudgets(ctx context.Context, tn *tenant.Tenant, address people.Address, from From) ([]budget, error) {
	var account *people.Account
	d := s.openDevice(tn, from.Device)
	if len(d.Users) > 0 {
		var err error
		if account, err = s.people.ByLogin(ctx, tn, address.Text); err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	return s.limits.mailBudgets(address.Key, account, d, from.Address), nil
}

// ResendReset mails a fresh code for a reset that waits in this browser, and returns the challenge
// that takes the place of the old one. The error is [people.ErrCode] when nothing waits.
func (s *SignIn) ResendReset(ctx context.Context, tn *tenant.Tenant, challengeID string, from From) (string, error) {
	c, err := s.people.Open(ctx, tn, people.PasswordReset, challengeID, from.Browser)
	if err != nil {
		return "", err
	}
	return s.StartReset(ctx, tn, string(c.Payload), from)
}

// FinishReset sets a new password once the code from the mail is typed in the browser that
// started. Everything that was signed in or granted with the old password ends. Nobody is signed
// in by it: the ordinary sign-in follows, with whatever else that demands, and a blocked account
// stays blocked. device is the browser's new device cookie, so that the owner can sign in from
// here even while somebody else is guessing.
//
// The error is [people.ErrCode] whatever is wrong with the code, or a fault about "password".
func (s *SignIn) FinishReset(ctx context.Context, tn *tenant.Tenant, a Answer, password string, from From) (device string, err error) {
	open, err := s.people.Open(ctx, tn, people.PasswordReset, a.ChallengeID, from.Browser)
	if err == nil && open.Exhausted { // before the costly work, of which a stranger gets five at most
		err = people.ErrCode
	}
	if err != nil {
		return "", err
	}
	if err := s.people.CheckPassword(tn, password, string(open.Payload)); err != nil {
		return "", err
	}
	hash, err := s.people.Hasher.Hash(ctx, password)
	if err != nil {
		return "", err
	}
	ctx, end := paid(ctx)
	defer end()
	var done *people.Account
	err = tn.DB.Write(ctx, func(tx *db.Tx) error {
		done = nil
		account, err := s.hold(tx, open.Target)
		if err != nil {
			return err
		}
		c, right, err := s.people.Answer(tx, people.PasswordReset, a.ChallengeID, from.Browser, a.Code)
		if err != nil || c == nil {
			return err
		}
		if !right {
			return audit.Record(tx, from.origin("").Event(audit.PasswordResetFailed, "", s.now()))
		}
		if account == nil || account.Blocked { // since the code was mailed
			return nil
		}
		if err := s.takeOver(tx, tn, account, hash, from); err != nil {
			return err
		}
		if err := s.people.VerifyEmail(tx, account.ID); err != nil {
			return err
		}
		done = account
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case done == nil:
		return "", people.ErrCode
	}
	return s.sealDevice(tn, s.openDevice(tn, from.Device).with(done.ID, done.PasswordChangedAt)), nil
}

// hold makes the verb the only one that changes the account with this canonical name, and returns
// it, or nil if there is none. All verbs lock rows in one order, or they would wait for each other
// in a circle: counters, users, then what belongs to a user.
func (s *SignIn) hold(tx *db.Tx, key string) (*people.Account, error) {
	userID := "-" // nobody's id, for as much work
	account, err := s.people.AccountInTx(tx, key)
	switch {
	case err == nil:
		userID = account.ID
	case !fault.Is(err, fault.NotFound):
		return nil, err
	}
	if err := s.lockConsecutive(tx, userID); err != nil {
		return nil, err
	}
	if err := s.people.Lock(tx, userID); fault.Is(err, fault.NotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return s.people.AccountInTx(tx, key)
}

// takeOver sets a password for who has proven to own a held account by other means.
func (s *SignIn) takeOver(tx *db.Tx, tn *tenant.Tenant, a *people.Account, hash string, from From) error {
	if err := s.clearConsecutive(tx, a.ID); err != nil {
		return err
	}
	return s.replacePassword(tx, tn, a, hash, from)
}

// Link is an administrator's wish for a password link.
type Link struct {
	UserID string
	Valid  time.Duration // PasswordLinkLifetime when zero
	// URL makes the address of the page from the token.
	URL func(token string) string
	// Mail sends the link to the user as well.
	Mail bool
}

// IssuePasswordLink makes a link under which a user chooses a password; no administrator learns or
// sets one. It works once and ends older links of the user.
func (s *SignIn) IssuePasswordLink(ctx context.Context, tn *tenant.Tenant, l Link, by audit.Origin) (link string, err error) {
	if l.Valid == 0 {
		l.Valid = PasswordLinkLifetime
	}
	err = tn.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.people.Lock(tx, l.UserID); err != nil {
			return err
		}
		user, err := s.people.InTx(tx, l.UserID)
		if err != nil {
			return err
		}
		token, err := s.people.IssueTicket(tx, people.PasswordLink, l.UserID, l.Valid)
		if err != nil {
			return err
		}
		link = l.URL(token)
		if l.Mail {
			letter, err := mail.PasswordLink(tn, user.Email, link, l.Valid)
			if err != nil {
				return err
			}
			if err := s.mail.Enqueue(tx, letter); err != nil {
				return err
			}
		}
		return s.note(tx, audit.PasswordLinkIssued, l.UserID, by, map[string]any{"mailed": l.Mail})
	})
	if err != nil {
		return "", err
	}
	return link, nil
}

// LinkUser returns whose password link a token is of, without using it, or [people.ErrTicket].
func (s *SignIn) LinkUser(ctx context.Context, tn *tenant.Tenant, token string) (*people.User, error) {
	userID, err := s.people.TicketUser(ctx, tn, people.PasswordLink, token)
	if err != nil {
		return nil, err
	}
	user, err := s.people.ByID(ctx, tn, userID)
	if fault.Is(err, fault.NotFound) {
		return nil, people.ErrTicket
	}
	return user, err
}

// UsePasswordLink sets a new password by an administrator's link, with everything that
// [SignIn.FinishReset] says. The error is [people.ErrTicket] or a fault about "password".
func (s *SignIn) UsePasswordLink(ctx context.Context, tn *tenant.Tenant, token, password string, from From) (device string, err error) {
	user, err := s.LinkUser(ctx, tn, token)
	if err != nil {
		return "", err
	}
	if err := s.people.CheckPassword(tn, password, user.Email, user.Name); err != nil {
		return "", err
	}
	hash, err := s.people.Hasher.Hash(ctx, password)
	if err != nil {
		return "", err
	}
	ctx, done := paid(ctx)
	defer done()
	account := &people.Account{User: *user}
	err = tn.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.lockConsecutive(tx, account.ID); err != nil {
			return err
		}
		if err := s.people.Lock(tx, account.ID); err != nil {
			return err
		}
		userID, err := s.people.SpendTicket(tx, people.PasswordLink, token)
		if err != nil {
			return err
		}
		if userID != account.ID {
			return people.ErrTicket
		}
		return s.takeOver(tx, tn, account, hash, from)
	})
	if err != nil {
		return "", err
	}
	return s.sealDevice(tn, s.openDevice(tn, from.Device).with(account.ID, account.PasswordChangedAt)), nil
}

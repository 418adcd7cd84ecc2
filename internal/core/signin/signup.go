package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// SignUp is what somebody who wants an account typed.
type SignUp struct {
	Email    string
	Password string
	people.Profile
}

// String hides the password from logs.
func (u SignUp) String() string { return "SignUp(***)" }

// GoString hides the password from %#v.
func (u SignUp) GoString() string { return u.String() }

// Answer is the code somebody typed, and the challenge it is for.
type Answer struct {
	ChallengeID string
	Code        string
}

// signUpPayload waits in the challenge until the code is typed: before that there is no account.
type signUpPayload struct {
	Email   string         `json:"email"`
	Hash    string         `json:"hash"`
	Profile people.Profile `json:"profile"`
}

// StartSignUp mails a code to the address and returns the challenge that the browser answers with
// [SignIn.FinishSignUp]. An address that has an account gets a mail that says so instead, and a
// challenge that no code answers: from outside the two are the same.
//
// Faults: Invalid about "email" or "password", Limited, Busy, and NotFound where the tenant is
// closed to new users.
func (s *SignIn) StartSignUp(ctx context.Context, tn *tenant.Tenant, u SignUp, from From) (challengeID string, err error) {
	if tn.Settings.NoSignUp {
		return "", fault.New(fault.NotFound, "Sign-up is closed.")
	}
	address, err := people.ParseAddress(u.Email)
	if err != nil {
		return "", err
	}
	if err := u.Profile.Check(); err != nil {
		return "", err
	}
	if err := s.people.CheckPassword(tn, u.Password, address.Text, u.Name); err != nil {
		return "", err
	}
	if err := s.check(ctx, tn, s.limits.mailBudgets(address.Key, nil, device{}, from.Address)); err != nil {
		return "", err
	}
	hash, err := s.people.Hasher.Hash(ctx, u.Password)
	if err != nil {
		return "", err
	}
	ctx, done := paid(ctx)
	defer done()
	return s.mailSignUp(ctx, tn, address, signUpPayload{Email: address.Text, Hash: hash, Profile: u.Profile}, from)
}

// ResendSignUp mails a fresh code for a sign-up that waits in this browser, and returns the
// challenge that takes the place of the old one. The error is [people.ErrCode] when nothing waits.
func (s *SignIn) ResendSignUp(ctx context.Context, tn *tenant.Tenant, challengeID string, from From) (string, error) {
	c, err := s.people.Open(ctx, tn, people.SignUp, challengeID, from.Browser)
	if err != nil {
		return "", err
	}
	var waiting signUpPayload
	if err := json.Unmarshal(c.Payload, &waiting); err != nil {
		return "", fmt.Errorf("signin: payload of challenge %s: %w", challengeID, err)
	}
	address, err := people.ParseAddress(waiting.Email)
	if err != nil {
		return "", err
	}
	return s.mailSignUp(ctx, tn, address, waiting, from)
}

func (s *SignIn) mailSignUp(ctx context.Context, tn *tenant.Tenant, address people.Address, waiting signUpPayload, from From) (challengeID string, err error) {
	payload, err := json.Marshal(waiting)
	if err != nil {
		return "", err
	}
	err = tn.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.take(tx, s.limits.mailBudgets(address.Key, nil, device{}, from.Address)); err != nil {
			return err
		}
		owner, err := s.people.AccountInTx(tx, address.Key)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		id, code, err := s.people.Issue(tx, people.NewChallenge{
			Purpose: people.SignUp, Target: address.Key, Browser: from.Browser,
			Payload: payload, Doomed: owner != nil,
		})
		if err != nil {
			return err
		}
		challengeID = id
		letter, err := mail.SignUpCode(tn, address.Text, code, people.CodeLifetime)
		userID := ""
		if owner != nil {
			letter, err = mail.AddressTaken(tn, owner.Email)
			userID = owner.ID
		}
		if err != nil {
			return err
		}
		if err := s.mail.Enqueue(tx, letter); err != nil {
			return err
		}
		return audit.Record(tx, from.origin("").Event(audit.SignUpStarted, userID, s.now()))
	})
	if err != nil {
		return "", err
	}
	return challengeID, nil
}

// FinishSignUp makes the account once the code from the mail is typed in the browser that started,
// and signs its owner in, in one transaction. The error is [people.ErrCode] whatever is wrong with
// the code, also when the address was taken meanwhile.
func (s *SignIn) FinishSignUp(ctx context.Context, tn *tenant.Tenant, a Answer, from From) (*Result, error) {
	d := s.openDevice(tn, from.Device)
	var result *Result
	err := tn.DB.Write(ctx, func(tx *db.Tx) error {
		result = nil
		c, right, err := s.people.Answer(tx, people.SignUp, a.ChallengeID, from.Browser, a.Code)
		if err != nil || c == nil {
			return err
		}
		if !right {
			return s.record(tx, audit.SignUpFailed, from, "", nil)
		}
		var waiting signUpPayload
		if err := json.Unmarshal(c.Payload, &waiting); err != nil {
			return fmt.Errorf("signin: payload of challenge %s: %w", a.ChallengeID, err)
		}
		account, err := s.people.Insert(tx, people.NewUser{Email: waiting.Email, EmailVerified: true, Profile: waiting.Profile, PasswordHash: waiting.Hash})
		if errors.Is(err, people.ErrTaken) {
			return s.record(tx, audit.SignUpFailed, from, "", nil)
		}
		if err != nil {
			return err
		}
		if err := s.access.DefaultPermissions(tx, account.ID); err != nil {
			return err
		}
		if _, err := s.people.RecordLogin(tx, account.ID); err != nil {
			return err
		}
		if err := s.record(tx, audit.SignUpSucceeded, from, account.ID, nil); err != nil {
			return err
		}
		result, err = s.enter(tx, tn, account, d, from)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case result == nil:
		return nil, people.ErrCode
	}
	return result, nil
}

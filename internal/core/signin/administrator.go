package signin

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// AdminTicketLifetime is how long the token for the first administrator is good for.
const AdminTicketLifetime = time.Hour

// errNothingToSetUp hides the way in once it has been used.
func errNothingToSetUp() error {
	return fault.New(fault.NotFound, "There is an administrator already.")
}

// IssueAdminTicket returns the token with which the first administrator of a tenant is made, to be
// printed where only the operator sees it. An older token ends. It returns a NotFound fault once
// there is an administrator.
func (s *SignIn) IssueAdminTicket(ctx context.Context, tn *tenant.Tenant) (token string, err error) {
	err = tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error {
		has, err := s.access.HasAdministrator(tx, tn.ManagementAudience())
		if err != nil {
			return err
		}
		if has {
			return errNothingToSetUp()
		}
		if token, err = s.people.IssueTicket(tx, people.Administrator, "", AdminTicketLifetime); err != nil {
			return err
		}
		return s.note(tx, audit.AdministratorInvited, "", audit.System(), nil)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// adminTicketOpen is what is wrong with a token before any work is done for it: [people.ErrTicket],
// or NotFound once there is an administrator.
func (s *SignIn) adminTicketOpen(ctx context.Context, tn *tenant.Tenant, token string) error {
	_, err := s.people.TicketUser(ctx, tn, people.Administrator, token)
	if !errors.Is(err, people.ErrTicket) {
		return err
	}
	has, errHas := s.access.Administered(ctx, tn)
	switch {
	case errHas != nil:
		return errHas
	case has:
		return errNothingToSetUp()
	default:
		return err
	}
}

// CreateFirstAdmin makes the first administrator and signs them in. Of any number of callers, with
// one token or several, one succeeds. Errors: [people.ErrTicket] for a token that is wrong or expired,
// a NotFound fault once there is an administrator, whatever the token, Invalid about "email" or
// "password", [people.ErrTaken].
func (s *SignIn) CreateFirstAdmin(ctx context.Context, tn *tenant.Tenant, token string, u SignUp, from From) (*Result, error) {
	if err := s.adminTicketOpen(ctx, tn, token); err != nil {
		return nil, err
	}
	if err := s.people.CheckPassword(tn, u.Password, u.Email, u.Name); err != nil {
		return nil, err
	}
	hash, err := s.people.Hasher.Hash(ctx, u.Password)
	if err != nil {
		return nil, err
	}
	d := s.openDevice(tn, from.Device)
	var result *Result
	err = tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error {
		has, err := s.access.HasAdministrator(tx, tn.ManagementAudience())
		if err != nil {
			return err
		}
		if has {
			return errNothingToSetUp()
		}
		if _, err := s.people.SpendTicket(tx, people.Administrator, token); err != nil {
			return err
		}
		account, err := s.people.Insert(tx, people.NewUser{Email: u.Email, EmailVerified: true, Profile: u.Profile, PasswordHash: hash})
		if err != nil {
			return err
		}
		if err := s.access.DefaultPermissions(tx, account.ID); err != nil {
			return err
		}
		if err := s.access.MakeAdministrator(tx, account.ID); err != nil {
			return err
		}
		if _, err := s.people.RecordLogin(tx, account.ID); err != nil {
			return err
		}
		if err := s.record(tx, audit.AdministratorCreated, from, account.ID, nil); err != nil {
			return err
		}
		result, err = s.enter(tx, tn, account, d, from)
		return err
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

package access

import (
	"context"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/mail"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
)

// ReportLeak ends a key that somebody found where it does not belong, and writes to its owner.
// Whoever holds a key could misuse it, so whoever holds one may end it. It returns nil for a
// text that is no key, for one that was never issued, and for one that has ended: the finder is told
// nothing. Publishable keys are for all to read, and stay. where is the address it was found at, as the
// finder says; it goes into the record.
func (a *APIKeys) ReportLeak(ctx context.Context, tn *tenant.Tenant, text, where string, by audit.Origin) error {
	if apikey.Check(text) != nil {
		return nil
	}
	a.cache.lookups.Add(1)
	hash := apikey.Hash(text)
	k, err := foundKey(scanAPIKey(tn.DB.QueryRow(ctx, selectAPIKeyByHash, hash[:])))
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil || k.Kind == apikey.Publishable {
		return err
	}
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		ended, err := a.revoke(tx, k, "leaked")
		if err != nil || !ended {
			return err
		}
		if apikey.Contains(where) {
			where = "" // a URL that holds the key itself
		}
		if err := a.announce(tx, audit.APIKeyLeaked, k, by, map[string]any{"where": where}); err != nil {
			return err
		}
		return a.tellOwner(tx, tn, k)
	})
}

// tellOwner writes to a user. A client has no mailbox; its administrators read the record.
func (a *APIKeys) tellOwner(tx *db.Tx, tn *tenant.Tenant, k *APIKey) error {
	if k.UserID == "" {
		return nil
	}
	user, err := a.People.InTx(tx, k.UserID)
	if fault.Is(err, fault.NotFound) || err == nil && user.Email == "" {
		return nil
	}
	if err != nil {
		return err
	}
	letter, err := mail.APIKeyLeaked(tn, user.Email, k.Name, string(k.Kind)+"_"+string(k.Environment)+"_…"+k.Hint, a.Clock.Now())
	if err != nil {
		return err
	}
	return a.Mail.Enqueue(tx, letter)
}

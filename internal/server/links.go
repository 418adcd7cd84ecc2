package server

import (
	"context"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	core "github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/web/signin"
)

// FirstAdministrator returns the page and the token with which the first administrator is made, or
// nothing when there is one. Print it where the operator alone sees it.
func (h *House) FirstAdministrator(ctx context.Context) (page, token string, err error) {
	token, err = h.SignIn.IssueAdminTicket(ctx, h.Tenant)
	if fault.Is(err, fault.NotFound) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	return h.Tenant.URL(signin.PathFirstAdmin), token, nil
}

// PasswordLink returns the address of a page on which a user chooses a password, once. With send
// the user is mailed it, too.
func (h *House) PasswordLink(ctx context.Context, userID string, valid time.Duration, send bool, by audit.Origin) (string, error) {
	return h.SignIn.IssuePasswordLink(ctx, h.Tenant, core.Link{
		UserID: userID, Valid: valid, Mail: send, URL: func(token string) string { return signin.PasswordLink(h.Tenant, token) },
	}, by)
}

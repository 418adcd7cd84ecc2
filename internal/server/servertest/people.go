package servertest

import (
	"context"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
)

// Mail is a letter with the code that is in it, if there is one.
type Mail struct{ To, Subject, Text, Code string }

// Mailbox returns the letters to an address, newest first.
func (i *Instance) Mailbox(t testing.TB, email string) []Mail {
	t.Helper()
	entries, err := i.House.Outbox.Inbox().List(context.Background(), i.House.Tenant, email)
	if err != nil {
		t.Fatal(err)
	}
	var out []Mail
	for _, e := range entries {
		out = append(out, Mail{e.To, e.Subject, e.Text, server.CodeIn(e.Text)})
	}
	return out
}

// AddUser makes an account with a verified address and permissions at the demo API.
func (i *Instance) AddUser(t testing.TB, email, password string, permissions ...string) (sub string) {
	t.Helper()
	user, err := i.House.People.Create(context.Background(), i.House.Tenant, people.NewUser{Email: email, EmailVerified: true}, password, audit.System())
	if err != nil {
		t.Fatalf("add user %s: %v", email, err)
	}
	i.Content.Users = append(i.Content.Users, demo.User{Email: email, Password: password})
	i.Permit(t, email, demo.Audience, permissions...)
	return user.ID
}

// Permit gives a person permissions at an API.
func (i *Instance) Permit(t testing.TB, email, audience string, permissions ...string) {
	t.Helper()
	var granted []access.Permission
	for _, p := range permissions {
		granted = append(granted, access.Permission{Audience: audience, Value: p})
	}
	err := i.House.Tenant.DB.Write(context.Background(), func(tx *db.Tx) error {
		return i.House.Access.Grant(tx, i.UserID(t, email), granted...)
	})
	if err != nil {
		t.Fatalf("permit %s at %s: %v", email, audience, err)
	}
}

// UserID returns the sub behind an address.
func (i *Instance) UserID(t testing.TB, email string) string {
	t.Helper()
	account, err := i.House.People.ByLogin(context.Background(), i.House.Tenant, email)
	if err != nil {
		t.Fatalf("user %s: %v", email, err)
	}
	return account.ID
}

// Block locks a person out.
func (i *Instance) Block(t testing.TB, email string) {
	t.Helper()
	if err := i.House.SignIn.Block(context.Background(), i.House.Tenant, i.UserID(t, email), audit.System()); err != nil {
		t.Fatalf("block %s: %v", email, err)
	}
}

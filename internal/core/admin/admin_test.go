package admin_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/admin"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/schema"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

var noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

// node is the verbs over one handle of a database, as one server has them.
func node(t *testing.T, d *db.DB) (*admin.Admin, *tenant.Tenant) {
	t.Helper()
	tn, err := tenant.Ensure(context.Background(), d, "one", "https://one.example/", tenant.Settings{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.New([]seal.MasterKey{seal.NewMasterKey([32]byte{1})})
	if err != nil {
		t.Fatal(err)
	}
	c := clock.NewVirtual(noon)
	a := apps.New(c)
	return &admin.Admin{
		Clock: c, Apps: a, Access: access.New(c, a), Grants: grants.New(c, ring),
		People: people.New(c, ring, people.NewHasher(people.HasherOptions{Params: people.Params{Memory: 64, Time: 1, Threads: 1}})),
	}, tn
}

func api(identifier string, permissions ...string) *apps.API {
	a := apps.NewAPI(identifier, identifier)
	for _, p := range permissions {
		a.Permissions = append(a.Permissions, apps.Permission{Value: p})
	}
	return a
}

// types returns the events of the record, oldest first.
func types(t *testing.T, tn *tenant.Tenant) (out []audit.Type) {
	t.Helper()
	events, err := audit.List(context.Background(), tn, audit.Query{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Actor != "operator:ada" && e.Type != audit.ConsentGranted { // which is a person's own
			t.Errorf("%s by %q", e.Type, e.Actor)
		}
		out = append(out, e.Type)
	}
	slices.Reverse(out)
	return out
}

func TestEveryVerbIsRecorded(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		ctx, by := context.Background(), audit.Origin{Actor: "operator:ada"}
		a, tn := node(t, d)
		client, secret := apps.NewClient("Job", apps.Machine)
		const audience = "https://api.example/"
		user, err := a.People.Create(ctx, tn, people.NewUser{Email: "bob@example.com"}, "", by)
		if err != nil {
			t.Fatal(err)
		}
		fly := []access.Permission{{Audience: audience, Value: "fly"}}
		for _, step := range []func() error{
			func() error { return a.CreateAPI(ctx, tn, api(audience, "fly"), by) },
			func() error { return a.CreateClient(ctx, tn, client, by) },
			func() error {
				return a.SetClientGrant(ctx, tn, apps.ClientGrant{ClientID: client.ClientID, Audience: audience, Scope: oauth.Scope{"fly"}}, true, by)
			},
			func() error { return a.GrantPermissions(ctx, tn, user.ID, fly, by) },
			func() error { return a.WithdrawPermissions(ctx, tn, user.ID, fly, by) },
			func() error { return a.GrantPermissions(ctx, tn, user.ID, fly, by) },
			func() (err error) {
				_, rotated, err := a.RotateSecret(ctx, tn, client.ClientID, by)
				if rotated == secret || len(rotated) < 40 {
					t.Errorf("the new secret is %q", rotated)
				}
				return err
			},
			func() error {
				_, err := a.UpdateAPI(ctx, tn, audience, func(api *apps.API) error { api.Name = "Air"; return nil }, by)
				return err
			},
			func() error { return a.DeleteAPI(ctx, tn, audience, by) },
			func() error { return a.Grants.Consent(ctx, tn, user.ID, client.ClientID, audience, oauth.Scope{"fly"}) },
			func() error { return a.DeleteClient(ctx, tn, client.ClientID, by) },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		want := []audit.Type{
			audit.UserCreated, audit.APICreated, audit.ClientCreated, audit.ClientUpdated, audit.PermissionsGranted, audit.PermissionsWithdrawn,
			audit.PermissionsGranted, audit.ClientSecretRotated, audit.APIUpdated, audit.APIDeleted, audit.ConsentGranted, audit.ClientDeleted,
		}
		if got := types(t, tn); !slices.Equal(got, want) {
			t.Errorf("the record is %v, want %v", got, want)
		}
		if left, err := a.Access.All(ctx, tn, user.ID); err != nil || len(left) != 0 {
			t.Errorf("permissions at an API that is gone: %v %v", left, err)
		}
		if left, _, err := a.Apps.ListClientGrants(ctx, tn, "", "", apps.Page{Limit: 10}); err != nil || len(left) != 0 {
			t.Errorf("grants of a client and at an API that are gone: %v %v", left, err)
		}
		if left, err := a.Grants.Consented(ctx, tn, user.ID, client.ClientID, audience); err != nil || len(left) != 0 {
			t.Errorf("consent to a client that is gone: %v %v", left, err)
		}
	})
}

// What fails leaves neither a change nor an event.
func TestWhatFailsChangesNothing(t *testing.T) {
	dbtest.Each(t, schema.Files, func(t *testing.T, d *db.DB) {
		ctx, by := context.Background(), audit.Origin{Actor: "operator:ada"}
		a, tn := node(t, d)
		boom := errors.New("boom")
		client, _ := apps.NewClient("Shop", apps.SPA)
		bad, _ := apps.NewClient("", apps.SPA)
		if err := a.CreateClient(ctx, tn, client, by); err != nil {
			t.Fatal(err)
		}
		before := types(t, tn)
		for name, c := range map[string]struct {
			err  error
			code fault.Code
		}{
			"a client without a name":  {a.CreateClient(ctx, tn, bad, by), fault.Invalid},
			"a client nobody knows":    {a.DeleteClient(ctx, tn, "nobody", by), fault.NotFound},
			"an API nobody knows":      {a.DeleteAPI(ctx, tn, "nobody", by), fault.NotFound},
			"a grant of a browser":     {a.SetClientGrant(ctx, tn, apps.ClientGrant{ClientID: client.ClientID, Audience: "https://x.example/"}, true, by), fault.Invalid},
			"a permission of nobody's": {a.GrantPermissions(ctx, tn, "nobody", []access.Permission{{Audience: "https://x.example/", Value: "x"}}, by), fault.Invalid},
		} {
			if !fault.Is(c.err, c.code) {
				t.Errorf("%s: %v", name, c.err)
			}
		}
		if _, err := a.UpdateClient(ctx, tn, client.ClientID, func(c *apps.Client) error { c.Name = "x"; return boom }, by); !errors.Is(err, boom) {
			t.Errorf("UpdateClient = %v", err)
		}
		if _, _, err := a.RotateSecret(ctx, tn, client.ClientID, by); !fault.Is(err, fault.Invalid) {
			t.Errorf("a secret for a client that keeps none: %v", err)
		}
		if got := types(t, tn); len(got) != len(before) {
			t.Errorf("the record grew to %v", got)
		}
		if still, err := a.Apps.Client(ctx, tn, client.ClientID); err != nil || still.Name != "Shop" {
			t.Errorf("the client: %v %v", still, err)
		}
	})
}

// Two administrators who change one client at once lose nothing of each other's.
func TestChangesAreNotLost(t *testing.T) {
	dbtest.Two(t, schema.Files, func(t *testing.T, one, two *db.DB) {
		ctx, by := context.Background(), audit.Origin{Actor: "operator:ada"}
		a, tn := node(t, one)
		b, tn2 := node(t, two)
		client, _ := apps.NewClient("Shop", apps.RegularWeb)
		if err := a.CreateClient(ctx, tn, client, by); err != nil {
			t.Fatal(err)
		}
		const each = 8
		var all sync.WaitGroup
		for n := range each {
			for i, side := range []struct {
				*admin.Admin
				*tenant.Tenant
			}{{a, tn}, {b, tn2}} {
				all.Go(func() {
					uri := fmt.Sprintf("https://shop.example/%d/%d", i, n)
					for { // busy is an honest answer, and trying again is the caller's
						_, err := side.UpdateClient(ctx, side.Tenant, client.ClientID, func(c *apps.Client) error {
							c.RedirectURIs = append(c.RedirectURIs, uri)
							return nil
						}, by)
						if err == nil {
							return
						}
						if !errors.Is(err, db.ErrBusy) {
							t.Error(err)
							return
						}
					}
				})
			}
		}
		all.Wait()
		a.Apps.Forget(tn.ID)
		after, err := a.Apps.Client(ctx, tn, client.ClientID)
		if err != nil || len(after.RedirectURIs) != 2*each {
			t.Errorf("%d addresses of %d: %v", len(after.RedirectURIs), 2*each, err)
		}
	})
}

// Package admin is what operators and administrators do to clients, to APIs and to what may be done
// there: whole verbs, each one transaction with its event in the record.
//
// The command line and the management API both come through here, so neither can change something
// the other would record, or leave behind what the other would end. What is done to people has its
// verbs in packages people and signin.
package admin

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/backchannel"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Admin is the verbs. All fields but APIKeys, Checkup and Logouts are required. It is safe for concurrent use.
type Admin struct {
	Clock  clock.Clock
	Apps   *apps.Apps
	Access *access.Access
	Grants *grants.Grants
	People *people.People
	// Checkup and Logouts are for CheckClient alone; without the second it says nothing of sign-outs.
	Checkup *checkup.Record
	Logouts *backchannel.Logouts
	// APIKeys may be nil where there are none.
	APIKeys *access.APIKeys
}

// CreateClient validates and stores a new client.
func (a *Admin) CreateClient(ctx context.Context, tn *tenant.Tenant, c *apps.Client, by audit.Origin) error {
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		if err := a.Apps.CreateClient(tx, c); err != nil {
			return err
		}
		return a.note(tx, audit.ClientCreated, by, about{clientID: c.ClientID, detail: map[string]any{"name": c.Name, "app_type": string(c.Type)}})
	})
}

// UpdateClient changes a client as change says, on its newest state, and returns what is stored. A
// client that is disabled by it loses everything that users granted to it, as a deleted one does:
// APIs that check tokens by themselves learn it by that alone. One that is given a new redirect URI is asked for
// anew before it may act for an administrator at the house's own API. It fails with NotFound, with what change
// returns, or with an Invalid fault about the result.
func (a *Admin) UpdateClient(ctx context.Context, tn *tenant.Tenant, clientID string, change func(*apps.Client) error, by audit.Origin) (c *apps.Client, err error) {
	err = tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error {
		if c, err = a.Apps.ClientInTx(tx, clientID); err != nil {
			return err
		}
		before, wasDisabled, returns := fieldsOf(c.Name, c.Type, c.ClientSettings, c.Grants), c.Disabled, slices.Clone(c.RedirectURIs)
		if err := change(c); err != nil {
			return err
		}
		if c.Disabled && !wasDisabled {
			if err := a.Grants.EndClient(tx, clientID, "client_disabled"); err != nil {
				return err
			}
			if err := a.APIKeys.EndOfClient(tx, clientID, "client_disabled"); err != nil {
				return err
			}
		}
		// Administrators allowed the application to act for them where it was. Who may only change applications
		// must not take that elsewhere.
		if slices.ContainsFunc(c.RedirectURIs, func(uri string) bool { return !slices.Contains(returns, uri) }) {
			if err := a.Grants.ForgetConsentsAt(tx, clientID, tn.ManagementAudience()); err != nil {
				return err
			}
		}
		if err := a.Apps.UpdateClient(tx, c); err != nil {
			return err
		}
		changed := changedFields(before, fieldsOf(c.Name, c.Type, c.ClientSettings, c.Grants))
		return a.note(tx, audit.ClientUpdated, by, about{clientID: clientID, detail: map[string]any{"fields": changed}})
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// RotateSecret gives a client a new secret, which is returned here and never again. The old one
// ends at once.
func (a *Admin) RotateSecret(ctx context.Context, tn *tenant.Tenant, clientID string, by audit.Origin) (c *apps.Client, secret string, err error) {
	err = tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error {
		if c, err = a.Apps.ClientInTx(tx, clientID); err != nil {
			return err
		}
		if !c.Confidential() {
			return fault.New(fault.Invalid, "A client of type %s keeps no secret.", c.Type)
		}
		secret = c.NewSecret()
		if err := a.Apps.UpdateClient(tx, c); err != nil {
			return err
		}
		return a.note(tx, audit.ClientSecretRotated, by, about{clientID: clientID})
	})
	if err != nil {
		return nil, "", err
	}
	return c, secret, nil
}

// DeleteClient deletes a client and ends everything that users granted to it.
func (a *Admin) DeleteClient(ctx context.Context, tn *tenant.Tenant, clientID string, by audit.Origin) error {
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		if err := a.Grants.ForgetClient(tx, clientID); err != nil {
			return err
		}
		if err := a.APIKeys.EndOfClient(tx, clientID, "client_deleted"); err != nil {
			return err
		}
		if err := a.Apps.DeleteClient(tx, clientID); err != nil {
			return err
		}
		return a.note(tx, audit.ClientDeleted, by, about{clientID: clientID})
	})
}

// SetClientGrant says what a client may ask for in its own name at an API. Fresh demands that
// there is no grant yet (else Conflict), and otherwise that there is one (else NotFound).
func (a *Admin) SetClientGrant(ctx context.Context, tn *tenant.Tenant, g apps.ClientGrant, fresh bool, by audit.Origin) error {
	api, err := a.Apps.API(ctx, tn, g.Audience)
	if fault.Is(err, fault.NotFound) || err == nil && api.Identifier != g.Audience {
		return fault.Field("audience", "There is no API with this identifier.")
	}
	if err != nil {
		return err
	}
	for _, s := range g.Scope {
		if !api.Scopes().Contains(s) {
			return fault.Field("scope", "%q is not among the permissions of the API.", s)
		}
	}
	_, err = a.UpdateClient(ctx, tn, g.ClientID, func(c *apps.Client) error {
		_, has := c.Grants[g.Audience]
		switch {
		case has && fresh:
			return fault.New(fault.Conflict, "The client has a grant for this API already.")
		case !has && !fresh:
			return fault.New(fault.NotFound, "There is no such grant.")
		case !c.MayUse(oauth.GrantClientCredentials):
			return fault.Field("client_id", "The client does not have the grant type client_credentials.")
		}
		c.Grants[g.Audience] = g.Scope
		return nil
	}, by)
	return err
}

// DeleteClientGrant takes from a client what it may ask for in its own name at an API.
func (a *Admin) DeleteClientGrant(ctx context.Context, tn *tenant.Tenant, clientID, audience string, by audit.Origin) error {
	_, err := a.UpdateClient(ctx, tn, clientID, func(c *apps.Client) error {
		if _, has := c.Grants[audience]; !has {
			return fault.New(fault.NotFound, "There is no such grant.")
		}
		delete(c.Grants, audience)
		return nil
	}, by)
	return err
}

// CreateAPI validates and stores a new API.
func (a *Admin) CreateAPI(ctx context.Context, tn *tenant.Tenant, api *apps.API, by audit.Origin) error {
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		if err := a.Apps.CreateAPI(tx, api); err != nil {
			return err
		}
		return a.note(tx, audit.APICreated, by, about{detail: map[string]any{"id": api.ID, "identifier": api.Identifier}})
	})
}

// UpdateAPI changes an API, named by id or identifier, as change says, on its newest state, and
// returns what is stored. The permissions of the house's own API are the house's.
func (a *Admin) UpdateAPI(ctx context.Context, tn *tenant.Tenant, identifier string, change func(*apps.API) error, by audit.Origin) (api *apps.API, err error) {
	err = tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error {
		if api, err = a.Apps.APIInTx(tx, identifier); err != nil {
			return err
		}
		if api.System {
			return fault.New(fault.Forbidden, "This API belongs to the house and can not be changed.")
		}
		before := fieldsOf(api.Name, "", api.APISettings, nil)
		if err := change(api); err != nil {
			return err
		}
		if err := a.Apps.UpdateAPI(tx, api); err != nil {
			return err
		}
		changed := changedFields(before, fieldsOf(api.Name, "", api.APISettings, nil))
		return a.note(tx, audit.APIUpdated, by, about{detail: map[string]any{"id": api.ID, "identifier": api.Identifier, "fields": changed}})
	})
	if err != nil {
		return nil, err
	}
	return api, nil
}

// DeleteAPI deletes an API, named by id or identifier, with what clients and users may do there and what was
// granted for it.
func (a *Admin) DeleteAPI(ctx context.Context, tn *tenant.Tenant, identifier string, by audit.Origin) error {
	return tn.DB.WriteSerializable(ctx, func(tx *db.Tx) error {
		api, err := a.Apps.APIInTx(tx, identifier)
		if err != nil {
			return err
		}
		// What takes back comes first, as wherever something is taken back.
		if err := a.Grants.ForgetAPI(tx, api.Identifier); err != nil {
			return err
		}
		if err := a.APIKeys.EndOfAPI(tx, api.Identifier, "api_deleted"); err != nil {
			return err
		}
		if err := a.Apps.DeleteAPI(tx, api); err != nil {
			return err
		}
		if err := a.Apps.EndGrantsOf(tx, api.Identifier); err != nil {
			return err
		}
		if err := a.Access.WithdrawAPI(tx, api.Identifier); err != nil {
			return err
		}
		return a.note(tx, audit.APIDeleted, by, about{detail: map[string]any{"id": api.ID, "identifier": api.Identifier}})
	})
}

// CheckPermissions fails with an Invalid fault about the first permission that no API has.
func (a *Admin) CheckPermissions(ctx context.Context, tn *tenant.Tenant, permissions []access.Permission) error {
	for _, p := range permissions {
		api, err := a.Apps.API(ctx, tn, p.Audience)
		if fault.Is(err, fault.NotFound) || err == nil && (api.Identifier != p.Audience || !api.Scopes().Contains(p.Value)) {
			return fault.Field("permissions", "There is no permission %q at %q.", p.Value, p.Audience)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// GrantPermissions gives a user permissions. Faults: NotFound without such a user, and those of
// [Admin.CheckPermissions].
func (a *Admin) GrantPermissions(ctx context.Context, tn *tenant.Tenant, userID string, permissions []access.Permission, by audit.Origin) error {
	if err := a.CheckPermissions(ctx, tn, permissions); err != nil {
		return err
	}
	return a.permissions(ctx, tn, userID, permissions, a.Access.Grant, audit.PermissionsGranted, by)
}

// WithdrawPermissions takes permissions from a user.
func (a *Admin) WithdrawPermissions(ctx context.Context, tn *tenant.Tenant, userID string, permissions []access.Permission, by audit.Origin) error {
	return a.permissions(ctx, tn, userID, permissions, a.Access.Withdraw, audit.PermissionsWithdrawn, by)
}

func (a *Admin) permissions(ctx context.Context, tn *tenant.Tenant, userID string, permissions []access.Permission,
	write func(*db.Tx, string, ...access.Permission) error, event audit.Type, by audit.Origin,
) error {
	var names []string
	for _, p := range permissions {
		names = append(names, p.Audience+" "+p.Value)
	}
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		if err := a.People.Lock(tx, userID); err != nil {
			return err
		}
		if err := write(tx, userID, permissions...); err != nil {
			return err
		}
		return a.note(tx, event, by, about{userID: userID, detail: map[string]any{"permissions": names}})
	})
}

// about is what an event concerns. A client that an administrator changes is not the client the
// administrator used, which by names: it stands in the detail.
type about struct {
	userID   string
	clientID string
	detail   map[string]any
}

func (a *Admin) note(tx *db.Tx, t audit.Type, by audit.Origin, w about) error {
	e := by.Event(t, w.userID, a.Clock.Now())
	e.Detail = w.detail
	if w.clientID != "" {
		if e.Detail == nil {
			e.Detail = map[string]any{}
		}
		e.Detail["client_id"] = w.clientID
	}
	return audit.Record(tx, e)
}

// fieldsOf returns everything of a client or an API by name, to compare.
func fieldsOf(name string, typ apps.Type, settings, grants any) map[string]string {
	out := map[string]string{"name": name, "app_type": string(typ)}
	raw, err := json.Marshal(settings)
	if err != nil {
		panic(err) // our own types: a bug
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		panic(err)
	}
	for k, v := range members {
		out[k] = string(v)
	}
	if raw, err = json.Marshal(grants); err != nil {
		panic(err)
	}
	out["grants"] = string(raw)
	return out
}

// changedFields names what differs, sorted: the names, not the values.
func changedFields(before, after map[string]string) []string {
	out := []string{}
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if before[k] != after[k] {
			out = append(out, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if _, still := after[k]; !still {
			out = append(out, k)
		}
	}
	return out
}

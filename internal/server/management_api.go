package server

import (
	"context"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
)

// ManagementPermissions are what can be done at /api/v2/. Whoever holds one of them is an
// administrator.
func ManagementPermissions() []apps.Permission {
	return []apps.Permission{
		{Value: "read:clients", Description: "See applications"},
		{Value: "create:clients", Description: "Register applications"},
		{Value: "update:clients", Description: "Change applications"},
		{Value: "delete:clients", Description: "Remove applications"},
		{Value: "read:resource_servers", Description: "See APIs"},
		{Value: "create:resource_servers", Description: "Register APIs"},
		{Value: "update:resource_servers", Description: "Change APIs"},
		{Value: "delete:resource_servers", Description: "Remove APIs"},
		{Value: "read:users", Description: "See users"},
		{Value: "create:users", Description: "Create users"},
		{Value: "update:users", Description: "Change and block users"},
		{Value: "delete:users", Description: "Remove users"},
		{Value: "create:user_tickets", Description: "Make links with which a user chooses a password"},
		{Value: "read:logs", Description: "Read the audit log"},
	}
}

// ensureManagementAPI registers the house's own API in a new tenant, and adds permissions that
// came with a new version.
func (h *House) ensureManagementAPI(ctx context.Context) error {
	audience, wanted := h.Tenant.ManagementAudience(), ManagementPermissions()
	api, err := h.Apps.API(ctx, h.Tenant, audience)
	switch {
	case fault.Is(err, fault.NotFound):
		api = apps.NewAPI(audience, "Gatehouse Management API")
		api.System, api.Permissions, api.AllowOfflineAccess = true, wanted, false
		return h.Tenant.DB.Write(ctx, func(tx *db.Tx) error { return h.Apps.CreateAPI(tx, api) })
	case err != nil:
		return err
	case len(api.Permissions) == len(wanted):
		return nil
	}
	changed := *api
	changed.Permissions = wanted
	return h.Tenant.DB.Write(ctx, func(tx *db.Tx) error { return h.Apps.UpdateAPI(tx, &changed) })
}

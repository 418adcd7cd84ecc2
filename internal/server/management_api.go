package server

import (
	"net/http"

	"github.com/gatehouse-dev/gatehouse/internal/core/admin"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/web/signin"
)

// ManagementPermissions are what can be done at /api/v2/. Whoever holds one of them is an
// administrator.
func ManagementPermissions() []apps.Permission {
	return []apps.Permission{
		{Value: "read:clients", Description: "See applications"},
		{Value: "create:clients", Description: "Register applications"},
		{Value: "update:clients", Description: "Change applications"},
		{Value: "delete:clients", Description: "Remove applications"},
		{Value: "read:client_grants", Description: "See what applications may do in their own name"},
		{Value: "create:client_grants", Description: "Let applications call APIs in their own name"},
		{Value: "update:client_grants", Description: "Change what applications may do in their own name"},
		{Value: "delete:client_grants", Description: "Stop applications from calling APIs in their own name"},
		{Value: "read:resource_servers", Description: "See APIs"},
		{Value: "create:resource_servers", Description: "Register APIs"},
		{Value: "update:resource_servers", Description: "Change APIs"},
		{Value: "delete:resource_servers", Description: "Remove APIs"},
		{Value: "read:users", Description: "See users"},
		{Value: "create:users", Description: "Create users"},
		{Value: "update:users", Description: "Change and block users"},
		{Value: "delete:users", Description: "Remove users"},
		{Value: "create:user_tickets", Description: "Make links with which a user chooses a password"},
		{Value: "read:api_keys", Description: "See API keys, but not the keys themselves"},
		{Value: "create:api_keys", Description: "Issue API keys for users and applications"},
		{Value: "update:api_keys", Description: "Change and rotate API keys"},
		{Value: "delete:api_keys", Description: "Revoke API keys"},
		{Value: "read:signing_keys", Description: "See the keys that sign tokens, but not their private parts"},
		{Value: "create:signing_keys", Description: "Rotate the keys that sign tokens"},
		{Value: "update:signing_keys", Description: "Revoke keys that sign tokens"},
		{Value: "read:logout_receipts", Description: "See which applications were told of sign-outs"},
		{Value: "read:logs", Description: "Read the audit log"},
	}
}

// Admin returns the verbs on clients, APIs and permissions, for commands and for the management API.
func (h *House) Admin() *admin.Admin {
	return &admin.Admin{Clock: h.Clock, Apps: h.Apps, Access: h.Access, Grants: h.Grants, People: h.People, APIKeys: h.APIKeys, Checkup: h.Checkup, Logouts: h.Logouts}
}

// managementDescription is what that API looks like, for programs.
func managementDescription() route {
	return route{path: management.PathDescription, methods: map[string]http.Handler{http.MethodGet: management.Description(), http.MethodHead: management.Description()}}
}

// managementAPI is the house's own API: one row of the table, with a table of its own behind it.
func (h *House) managementAPI() (route, error) {
	api, err := management.New(management.Options{
		Admin: h.Admin(), Apps: h.Apps, Access: h.Access, APIKeys: h.APIKeys, People: h.People, SignIn: h.SignIn,
		Tokens: grants.AccessTokens{Clock: h.Clock, Keys: h.Keys, Apps: h.Apps, Grants: h.Grants},
		Keys:   h.Keys, Logouts: h.Logouts, RotateKeys: h.RotateKeys, RevokeKey: h.RevokeKey,
		Log: h.Log, Permissions: ManagementPermissions(), PasswordLink: signin.PasswordLink,
	})
	return route{path: management.Prefix, prefix: true, all: api}, err
}

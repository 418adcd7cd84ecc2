package management

import "strings"

// route is one thing that can be asked for.
type route struct {
	method     string
	path       string // below Prefix; {id} stands for one segment
	permission string // whoever calls must have it
	touches    rank   // whom the call changes: who has more rights than the caller is left alone
	query      []string
	takesBody  bool
	handle     func(*call) (answer, error)
}

// match reports whether the route is at path, and what stands there for {id}.
func (r route) match(path string) (id string, ok bool) {
	before, after, has := strings.Cut(r.path, "{id}")
	if !has {
		return "", path == r.path
	}
	id, found := strings.CutPrefix(path, before)
	if !found {
		return "", false
	}
	if id, found = strings.CutSuffix(id, after); !found {
		return "", false
	}
	return id, isSegment(id)
}

// parameters are what a query may hold.
func (r route) parameters() []string {
	if r.method != "GET" {
		return r.query
	}
	return append([]string{"fields", "include_fields"}, r.query...)
}

// isSegment reports whether s is one segment that means itself.
func isSegment(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '-' && c != '_' && c != '.' && c != '~' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && s != "." && s != ".." && len(s) <= 1024
}

// paged are the query parameters of a list.
func paged(more ...string) []string {
	return append([]string{"page", "per_page", "include_totals"}, more...)
}

// routes is the whole API.
func routes() []route {
	const get, post, put, patch, del = "GET", "POST", "PUT", "PATCH", "DELETE"
	return []route{
		{get, "clients", "read:clients", nobody, paged(), false, listClients},
		{post, "clients", "create:clients", nobody, nil, true, createClient},
		{get, "clients/{id}", "read:clients", nobody, nil, false, getClient},
		{patch, "clients/{id}", "update:clients", theClient, nil, true, updateClient},
		{del, "clients/{id}", "delete:clients", theClient, nil, false, deleteClient},
		{post, "clients/{id}/rotate-secret", "update:clients", theClient, nil, false, rotateSecret},

		{get, "apps/guide", "read:clients", nobody, nil, false, getGuide},
		{post, "apps", "create:clients", nobody, nil, true, createApplication},
		{get, "apps/{id}/check", "read:clients", nobody, nil, false, checkApplication},

		{get, "client-grants", "read:client_grants", nobody, paged("client_id", "audience", "from", "take"), false, listClientGrants},
		{post, "client-grants", "create:client_grants", nobody, nil, true, createClientGrant},
		{patch, "client-grants/{id}", "update:client_grants", nobody, nil, true, updateClientGrant},
		{del, "client-grants/{id}", "delete:client_grants", nobody, nil, false, deleteClientGrant},

		{get, "resource-servers", "read:resource_servers", nobody, paged("identifier"), false, listAPIs},
		{post, "resource-servers", "create:resource_servers", nobody, nil, true, createAPI},
		{get, "resource-servers/{id}", "read:resource_servers", nobody, nil, false, getAPI},
		{patch, "resource-servers/{id}", "update:resource_servers", nobody, nil, true, updateAPI},
		{del, "resource-servers/{id}", "delete:resource_servers", nobody, nil, false, deleteAPI},

		{get, "users", "read:users", nobody, paged("q", "search_engine", "email"), false, listUsers},
		{get, "users-by-email", "read:users", nobody, []string{"email"}, false, listUsersByEmail},
		{post, "users", "create:users", nobody, nil, true, createUser},
		{get, "users/{id}", "read:users", nobody, nil, false, getUser},
		{patch, "users/{id}", "update:users", theUser, nil, true, updateUser},
		{del, "users/{id}", "delete:users", theUser, nil, false, deleteUser},
		{get, "users/{id}/permissions", "read:users", nobody, paged(), false, listPermissions},
		{post, "users/{id}/permissions", "update:users", theUser, nil, true, grantPermissions},
		{del, "users/{id}/permissions", "update:users", theUser, nil, true, withdrawPermissions},

		{post, "tickets/password-change", "create:user_tickets", nobody, nil, true, passwordTicket},

		{get, "api-keys", "read:api_keys", nobody, paged("user_id", "client_id"), false, listAPIKeys},
		{post, "api-keys", "create:api_keys", nobody, nil, true, createAPIKey},
		{get, "api-keys/{id}", "read:api_keys", nobody, nil, false, getAPIKey},
		{patch, "api-keys/{id}", "update:api_keys", nobody, nil, true, updateAPIKey},
		{del, "api-keys/{id}", "delete:api_keys", nobody, nil, false, revokeAPIKey},
		{post, "api-keys/{id}/rotate", "update:api_keys", nobody, nil, true, rotateAPIKey},
		{get, "api-keys/{id}/uses", "read:api_keys", nobody, nil, false, listAPIKeyUses},

		{get, "keys/signing", "read:signing_keys", nobody, nil, false, listSigningKeys},
		{post, "keys/signing/rotate", "create:signing_keys", nobody, nil, false, rotateSigningKeys},
		{put, "keys/signing/{id}/revoke", "update:signing_keys", nobody, nil, false, revokeSigningKey},

		{get, "logout-receipts", "read:logout_receipts", nobody, paged("client_id", "user_id", "session_id"), false, listLogoutReceipts},

		{get, "logs", "read:logs", nobody, paged("from", "take", "sort", "user_id"), false, listLogs},
		{get, "users/{id}/logs", "read:logs", nobody, paged("sort"), false, listLogs},
	}
}

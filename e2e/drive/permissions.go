package drive

import (
	"fmt"
	"net/http"
	"net/url"
)

// GrantFifty invents fifty permissions at an API, gives them to somebody, and returns their names: more
// than most people have, for measuring what has to carry them.
func (h *House) GrantFifty(audience string, to Person) []string {
	h.T.Helper()
	manage := func(method, path string, body Object) Object {
		return Must[Object](h.T)(h.Manage(method, path, body))
	}
	first := func(list any) Object {
		entries, _ := list.([]any)
		if len(entries) == 0 {
			h.T.Fatalf("the house knows no %s or %s", audience, to.Email)
		}
		entry, _ := entries[0].(map[string]any)
		return entry
	}
	api := first(manage(http.MethodGet, "resource-servers?include_totals=true&identifier="+url.QueryEscape(audience), nil)["resource_servers"])
	user := first(manage(http.MethodGet, "users?include_totals=true&email="+url.QueryEscape(to.Email), nil)["users"])
	scopes, _ := api["scopes"].([]any)
	var given []Object
	var names []string
	for i := range 50 {
		name := fmt.Sprintf("department-%02d:manage", i+1)
		names = append(names, name)
		scopes = append(scopes, Object{"value": name})
		given = append(given, Object{"permission_name": name, "resource_server_identifier": audience})
	}
	manage(http.MethodPatch, fmt.Sprint("resource-servers/", api["id"]), Object{"scopes": scopes})
	manage(http.MethodPost, "users/"+url.PathEscape(fmt.Sprint(user["user_id"]))+"/permissions", Object{"permissions": given})
	return names
}

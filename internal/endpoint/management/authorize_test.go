package management_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// Every route is called by everybody who may not.
func TestThreat_AD01_EveryRouteDemandsItsPermission(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	audience := node.House.Tenant.ManagementAudience()
	var all []string
	for _, p := range server.ManagementPermissions() {
		all = append(all, p.Value)
	}
	bob, _ := node.TokensFor(t, demo.Stranger, demo.SPA, "audience", audience, "scope", "openid "+strings.Join(all, " "))
	forShows, _ := node.TokensFor(t, demo.Administrator, demo.SPA, "audience", demo.Audience, "scope", "openid offline_access read:shows")
	worker := node.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials", "audience", demo.Audience)
	strangers := []struct {
		name, token string
		status      int
		challenge   string
	}{
		{"nobody", "", 401, `Bearer realm="gatehouse"`},
		{"garbage", "x.y.z", 401, `error="invalid_token"`},
		{"an ordinary user", bob.AccessToken, 403, `error="insufficient_scope"`},
		{"an ordinary user's ID token", bob.IDToken, 401, `error="invalid_token"`},
		{"a refresh token", forShows.RefreshToken, 401, `error="invalid_token"`},
		{"an administrator's token for another API", forShows.AccessToken, 401, `error="invalid_token"`},
		{"a machine's token for another API", worker.AccessToken, 401, `error="invalid_token"`},
	}
	for _, r := range management.Routes() {
		path := strings.ReplaceAll(r.Path, "{id}", "nobody")
		for _, s := range strangers {
			got := (&client{t, node, s.token}).do(r.Method, path, m{})
			if challenge := got.header.Get("WWW-Authenticate"); got.status != s.status || !strings.Contains(challenge, s.challenge) {
				t.Errorf("%s %s by %s: %d %q, want %d %q", r.Method, r.Path, s.name, got.status, challenge, s.status, s.challenge)
			}
			if s.token == "" && strings.Contains(got.header.Get("WWW-Authenticate"), "error") {
				t.Errorf("%s %s by nobody: the challenge names an error", r.Method, r.Path)
			}
		}
		var others []string
		for _, p := range all {
			if p != r.Permission {
				others = append(others, p)
			}
		}
		if got := asMachine(t, node, others...).do(r.Method, path, m{}); got.status != 403 || !strings.Contains(got.header.Get("WWW-Authenticate"), r.Permission) {
			t.Errorf("%s %s with every permission but %s: %d %s", r.Method, r.Path, r.Permission, got.status, got.raw)
		}
		// And the other way round: the one permission is enough.
		if got := asMachine(t, node, r.Permission).do(r.Method, path, m{}); got.status == 401 || got.status == 403 {
			t.Errorf("%s %s with %s alone: %d %s", r.Method, r.Path, r.Permission, got.status, got.raw)
		}
	}
}

func TestThreat_AD01_RouteWithoutPermissionDoesNotStart(t *testing.T) {
	o := management.Options{Permissions: server.ManagementPermissions()}
	for _, permission := range []string{"", "read:everything"} {
		if err := management.WithoutPermission(o, permission); err == nil {
			t.Errorf("a route with the permission %q starts", permission)
		}
	}
	if _, err := management.New(o); err != nil {
		t.Errorf("the table as it is: %v", err)
	}
}

// What was taken away is gone at once, whatever an older token says.
func TestThreat_AD01_PermissionsAreThoseOfNow(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	ctx, h := context.Background(), node.House
	audience := h.Tenant.ManagementAudience()
	admin := asUser(t, node, demo.Administrator, "read:users", "read:clients")
	admin.want(200, "GET", "users", nil)

	adminID := node.UserID(t, demo.Administrator)
	err := h.Tenant.DB.Write(ctx, func(tx *db.Tx) error {
		return h.Access.Withdraw(tx, adminID, access.Permission{Audience: audience, Value: "read:users"})
	})
	if err != nil {
		t.Fatal(err)
	}
	admin.want(403, "GET", "users", nil)
	admin.want(200, "GET", "clients", nil)

	machine := asMachine(t, node, "read:users", "read:clients")
	management := node.Content.Client(demo.Management).ClientID
	if err := h.Admin().DeleteClientGrant(ctx, h.Tenant, management, audience, audit.System()); err != nil {
		t.Fatal(err)
	}
	machine.want(403, "GET", "users", nil)
	if err := h.Admin().DeleteClient(ctx, h.Tenant, management, audit.System()); err != nil {
		t.Fatal(err)
	}
	machine.want(401, "GET", "clients", nil)

	// A blocked user is a stranger, even where no rule took the token back.
	block := func(blocked bool) {
		err := h.Tenant.DB.Write(ctx, func(tx *db.Tx) error {
			_, err := h.People.SetBlocked(tx, adminID, blocked)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	block(true)
	admin.want(401, "GET", "clients", nil)
	block(false)
	admin.want(200, "GET", "clients", nil)
	node.Block(t, demo.Administrator)
	admin.want(401, "GET", "clients", nil)
}

// Who administers users does not become more than that by it.
func TestThreat_AD03_NobodyGrowsByAdministering(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	audience := node.House.Tenant.ManagementAudience()
	keeper := node.UserID(t, demo.Administrator)
	bob := node.UserID(t, demo.Stranger)
	management, worker := node.Content.Client(demo.Management).ClientID, node.Content.Client(demo.Machine).ClientID
	helper := asMachine(t, node, "read:users", "update:users", "delete:users", "create:user_tickets",
		"update:clients", "delete:clients", "create:client_grants", "update:client_grants", "delete:client_grants", "read:client_grants")
	permission := func(p string) m {
		return m{"permissions": []m{{"permission_name": p, "resource_server_identifier": audience}}}
	}
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"POST", "users/" + bob + "/permissions", permission("create:clients")},
		{"POST", "users/" + keeper + "/permissions", permission("read:users")},
		{"DELETE", "users/" + keeper + "/permissions", permission("create:clients")},
		{"PATCH", "users/" + keeper, m{"email": "me@example.com"}},
		{"PATCH", "users/" + keeper, m{"blocked": true}},
		{"DELETE", "users/" + keeper, nil},
		{"POST", "tickets/password-change", m{"user_id": keeper}},
		{"POST", "clients/" + management + "/rotate-secret", nil},
		{"PATCH", "clients/" + management, m{"name": "mine"}},
		{"DELETE", "clients/" + management, nil},
		{"POST", "client-grants", m{"client_id": worker, "audience": audience, "scope": []string{"create:clients"}}},
	} {
		if got := helper.want(403, c.method, c.path, c.body); got.get("errorCode") != "operation_not_allowed" {
			t.Errorf("%s %s: %s", c.method, c.path, got.raw)
		}
	}
	grants := helper.want(200, "GET", "client-grants?client_id="+management, nil)
	id := grants.array[0].(m)["id"].(string)
	helper.want(403, "PATCH", "client-grants/"+id, m{"scope": []string{"read:users"}})
	helper.want(403, "DELETE", "client-grants/"+id, nil)

	// What the helper has, the helper can hand on.
	helper.want(201, "POST", "users/"+bob+"/permissions", permission("read:users"))
	helper.want(201, "POST", "tickets/password-change", m{"user_id": bob})
}

// A token in the address would be in logs and histories.
func TestTokensDoNotTravelInTheAddress(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	token := asMachine(t, node).token
	if got := (&client{t, node, ""}).do("GET", "users?access_token="+token, nil); got.status != 400 {
		t.Errorf("a token in the query: %d %s", got.status, got.raw)
	}
}

func TestNoOtherOriginIsAnswered(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	for _, origin := range []string{"http://localhost:3000", "https://evil.example", "null"} {
		got := c.do("GET", "users", nil, "Origin", origin)
		preflight := c.do("OPTIONS", "users", nil, "Origin", origin, "Access-Control-Request-Method", "GET")
		for name := range got.header {
			if strings.HasPrefix(name, "Access-Control") {
				t.Errorf("%s: %s", origin, name)
			}
		}
		if preflight.status != 405 || preflight.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("preflight from %s: %d %v", origin, preflight.status, preflight.header)
		}
	}
}

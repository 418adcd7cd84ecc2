package management_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func TestClients(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	made := c.want(201, "POST", "clients", m{
		"name": "Shop", "app_type": "regular_web", "callbacks": []string{"https://shop.example/cb"}, "allowed_logout_urls": []string{"https://shop.example/"},
		"is_first_party": false, "token_endpoint_auth_method": "client_secret_post", "profile": "oidc-basic",
		"jwt_configuration": m{"lifetime_in_seconds": 3600, "alg": "RS256"},
		"oidc_logout": m{
			"backchannel_logout_urls": []string{"https://shop.example/logout"}, "backchannel_logout_session_required": true,
			"backchannel_logout_initiators": m{"mode": "all"},
		},
		"refresh_token": m{"rotation_type": "rotating", "expiration_type": "expiring", "leeway": 10, "token_lifetime": 7200, "idle_token_lifetime": 3600},
	})
	id := made.get("client_id")
	delete(made.object, "client_secret")
	want := m{
		"client_id": id, "name": "Shop", "description": "", "app_type": "regular_web", "is_first_party": false,
		"callbacks": []any{"https://shop.example/cb"}, "allowed_logout_urls": []any{"https://shop.example/"}, "web_origins": []any{},
		"grant_types": []any{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": "client_secret_post",
		"token_endpoint_auth_methods": []any{"client_secret_post"}, "jwt_configuration": m{"lifetime_in_seconds": 3600.0, "alg": "RS256"},
		"refresh_token": m{"rotation_type": "rotating", "expiration_type": "expiring", "leeway": 10.0, "token_lifetime": 7200.0, "idle_token_lifetime": 3600.0},
		"oidc_logout":   m{"backchannel_logout_urls": []any{"https://shop.example/logout"}, "backchannel_logout_session_required": true},
		"profile":       "oidc-basic", "default_redirect_uri": "", "default_audience": "", "disabled": false, "insecure_userinfo_query_token": false,
		"created_at": "2026-01-02T03:04:05.000Z", "updated_at": "2026-01-02T03:04:05.000Z",
	}
	if diff := cmp.Diff(want, m(made.object)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, m(c.want(200, "GET", "clients/"+id, nil).object)); diff != "" {
		t.Error(diff)
	}
	node.Clock.Advance(time.Minute)
	want["name"], want["disabled"], want["updated_at"] = "Shop 2", true, "2026-01-02T03:05:05.000Z"
	if diff := cmp.Diff(want, m(c.want(200, "PATCH", "clients/"+id, m{"name": "Shop 2", "disabled": true}).object)); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []m{
		{"callbacks": []string{"https://shop.example/*"}},
		{"callbacks": []string{"javascript:alert(1)"}},
		{"app_type": "toaster"},
		{"name": ""},
		{"grant_types": []string{"password"}},
		{"token_endpoint_auth_method": "none"},
		{"refresh_token": m{"leeway": 61}},
		{"refresh_token": m{"leeway": -1}},
		{"jwt_configuration": m{"alg": "HS256"}},
		{"refresh_token": m{"rotation_type": "non-rotating"}},
		{"web_origins": []string{"https://shop.example/path"}},
		{"default_redirect_uri": "https://elsewhere.example/"},
		{"jwt_configuration": m{"lifetime_in_seconds": 1 << 62}},
		{"oidc_logout": m{"backchannel_logout_urls": []string{"https://a.example/", "https://b.example/"}}},
		{"oidc_logout": m{"backchannel_logout_urls": []string{""}}},
		{"oidc_logout": m{"backchannel_logout_initiators": m{"mode": "custom"}}},
	} {
		message := c.want(400, "PATCH", "clients/"+id, bad).get("message")
		for field := range bad {
			if !strings.Contains(message, field) {
				t.Errorf("%v is refused with %q, which does not name the field", bad, message)
			}
		}
	}
	c.want(400, "PATCH", "clients/"+id, m{"app_type": "native"}) // it has no server to be told of a sign-out at
	if got := c.want(400, "PATCH", "clients/"+id, m{"callbacks": []string{"https://shop.example/*"}}); got.get("errorCode") != "invalid_redirect_uri" ||
		!strings.Contains(got.get("message"), "https://shop.example/*: Wildcards do not exist") {
		t.Errorf("a wildcard is refused with %s", got.raw)
	}
	if got := c.want(200, "PATCH", "clients/"+id, m{"oidc_logout": m{"backchannel_logout_urls": []string{}}}); strings.Contains(got.raw, "/logout") {
		t.Errorf("it is told still: %s", got.raw)
	}
	machine := c.want(201, "POST", "clients", m{"name": "Job", "app_type": "non_interactive"})
	if machine.get("app_type") != "non_interactive" || machine.get("client_secret") == "" {
		t.Errorf("a machine: %s", machine.raw)
	}
	page := c.want(200, "GET", "clients?page=1&per_page=2&include_totals=true", nil)
	if page.object["start"] != 2.0 || page.object["length"] != 2.0 || page.object["total"].(float64) < 6 || len(page.object["clients"].([]any)) != 2 {
		t.Errorf("a page: %s", page.raw)
	}
	if spa := c.want(201, "POST", "clients", m{"name": "SPA", "app_type": "spa"}); strings.Contains(spa.raw, "client_secret\"") {
		t.Errorf("a public client: %s", spa.raw)
	}
	c.want(204, "DELETE", "clients/"+id, nil)
	c.want(404, "GET", "clients/"+id, nil)
	c.want(404, "DELETE", "clients/"+id, nil)
	demand(t, node, audit.ClientCreated, audit.ClientUpdated, audit.ClientDeleted)
}

// A deleted application takes with it what users granted to it.
func TestDeletedClientsEndWhatWasGranted(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	tokens, _ := node.TokensFor(t, demo.Reader, demo.SPA, "audience", demo.Audience, "scope", "openid offline_access")
	c.want(204, "DELETE", "clients/"+node.Content.Client(demo.SPA).ClientID, nil)
	if got := node.Refresh(t, demo.SPA, tokens.RefreshToken); got.Error == "" {
		t.Error("a refresh token of a deleted client works")
	}
	if got := node.Introspect(t, demo.Machine, tokens.AccessToken); got["active"] != false {
		t.Errorf("introspection of its access token: %v", got)
	}
}

func TestResourceServers(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	made := c.want(201, "POST", "resource-servers", m{
		"identifier": "https://api.example/", "name": "API", "scopes": []m{{"value": "read:x", "description": "Read"}}, "token_lifetime": 300, "token_dialect": "auth0",
	})
	id := made.get("id")
	want := m{
		"id": id, "identifier": "https://api.example/", "name": "API", "is_system": false, "scopes": []any{m{"value": "read:x", "description": "Read"}},
		"signing_alg": "RS256", "token_dialect": "auth0", "token_lifetime": 300.0, "allow_offline_access": true, "enforce_policies": true,
		"default_permissions": []any{}, "introspection_clients": []any{}, "created_at": "2026-01-02T03:04:05.000Z", "updated_at": "2026-01-02T03:04:05.000Z",
	}
	if diff := cmp.Diff(want, m(made.object)); diff != "" {
		t.Error(diff)
	}
	c.want(409, "POST", "resource-servers", m{"identifier": "https://api.example/"})
	c.want(400, "PATCH", "resource-servers/"+id, m{"identifier": "https://other.example/"})
	c.want(400, "PATCH", "resource-servers/"+id, m{"token_lifetime": 3601})
	c.want(400, "PATCH", "resource-servers/"+id, m{"signing_alg": "none"})
	changed := c.want(200, "PATCH", "resource-servers/"+id, m{"enforce_policies": false, "signing_alg": "PS256"})
	if changed.object["enforce_policies"] != false || changed.get("signing_alg") != "PS256" {
		t.Errorf("changed: %s", changed.raw)
	}

	// What clients and users may do there goes with it, and does not come back with another of that name.
	ctx, h := context.Background(), node.House
	bob := node.UserID(t, demo.Stranger)
	worker := node.Content.Client(demo.Machine).ClientID
	c.want(201, "POST", "client-grants", m{"client_id": worker, "audience": "https://api.example/", "scope": []string{"read:x"}})
	c.want(409, "POST", "client-grants", m{"client_id": worker, "audience": "https://api.example/", "scope": []string{}})
	c.want(400, "POST", "client-grants", m{"client_id": worker, "audience": "https://nowhere.example/", "scope": []string{}})
	c.want(201, "POST", "users/"+bob+"/permissions", m{"permissions": []m{{"permission_name": "read:x", "resource_server_identifier": "https://api.example/"}}})
	c.want(204, "DELETE", "resource-servers/"+id, nil)
	c.want(201, "POST", "resource-servers", m{"identifier": "https://api.example/", "scopes": []m{{"value": "read:x"}}})
	if got, err := h.Access.Permissions(ctx, h.Tenant, bob, "https://api.example/"); err != nil || len(got) != 0 {
		t.Errorf("permissions at an API that was deleted: %v %v", got, err)
	}
	if got := c.want(200, "GET", "client-grants?audience=https://api.example/", nil); len(got.array) != 0 {
		t.Errorf("grants at an API that was deleted: %s", got.raw)
	}

	house := c.want(200, "GET", "resource-servers?identifier="+h.Tenant.ManagementAudience(), nil).array[0].(m)["id"].(string)
	c.want(403, "DELETE", "resource-servers/"+house, nil)
	c.want(403, "PATCH", "resource-servers/"+house, m{"enforce_policies": false})
	demand(t, node, audit.APICreated, audit.APIUpdated, audit.APIDeleted, audit.PermissionsGranted)
}

func TestClientGrants(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	worker := node.Content.Client(demo.Machine).ClientID
	grants := c.want(200, "GET", "client-grants?client_id="+worker+"&audience="+demo.Audience+"&include_totals=true", nil)
	only := grants.object["client_grants"].([]any)[0].(m)
	if diff := cmp.Diff(m{"id": only["id"], "client_id": worker, "audience": demo.Audience, "scope": []any{demo.ReadShows, demo.WriteShows}}, only); diff != "" || grants.object["total"] != 1.0 {
		t.Errorf("%s\n%s", grants.raw, diff)
	}
	path := "client-grants/" + only["id"].(string)
	c.want(400, "PATCH", path, m{"scope": []string{"fly:planes"}})
	c.want(200, "PATCH", path, m{"scope": []string{demo.ReadShows}})
	if got := node.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials", "audience", demo.Audience); got.Scope != demo.ReadShows {
		t.Errorf("scope %q after the change", got.Scope)
	}
	c.want(204, "DELETE", path, nil)
	c.want(404, "DELETE", path, nil)
	c.want(404, "PATCH", path, m{"scope": []string{}})
	c.want(404, "PATCH", "client-grants/cgr_x", m{"scope": []string{}})
	if got := node.PostForm(t, "/oauth/token", demo.Machine, "grant_type", "client_credentials", "audience", demo.Audience); got.Error == "" {
		t.Error("a token without a grant")
	}
	spa := node.Content.Client(demo.SPA).ClientID
	c.want(400, "POST", "client-grants", m{"client_id": spa, "audience": demo.Audience, "scope": []string{demo.ReadShows}})
}

func TestUsers(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	made := c.want(201, "POST", "users", m{
		"connection": "Username-Password-Authentication", "email": "Carol@Example.com", "name": "Carol", "user_metadata": m{"hue": "red"}, "app_metadata": m{"plan": 1},
	})
	id := made.get("user_id")
	want := m{
		"user_id": id, "email": "Carol@example.com", "email_verified": false, "name": "Carol", "given_name": "", "family_name": "", "nickname": "", "picture": "",
		"blocked": false, "user_metadata": m{"hue": "red"}, "app_metadata": m{"plan": 1.0}, "logins_count": 0.0,
		"created_at": "2026-01-02T03:04:05.000Z", "updated_at": "2026-01-02T03:04:05.000Z",
	}
	if diff := cmp.Diff(want, m(made.object)); diff != "" {
		t.Error(diff)
	}
	c.want(409, "POST", "users", m{"email": "carol@example.COM"})
	c.want(400, "POST", "users", m{"email": "no address"})
	c.want(400, "POST", "users", m{"email": "d@example.com", "connection": "google-oauth2"})
	changed := c.want(200, "PATCH", "users/"+id, m{"name": "C", "email_verified": true, "user_metadata": m{"hue": nil, "shoe": 40}})
	if changed.get("name") != "C" || changed.object["email_verified"] != true || cmp.Diff(m{"shoe": 40.0}, changed.object["user_metadata"]) != "" {
		t.Errorf("changed: %s", changed.raw)
	}
	for _, q := range []string{"email=carol@example.com", "q=email:carol@example.com", "q=email:%22CAROL@example.com%22"} {
		if got := c.want(200, "GET", "users?"+q, nil); len(got.array) != 1 {
			t.Errorf("%s: %s", q, got.raw)
		}
	}
	if got := c.want(200, "GET", "users?per_page=1&include_totals=true", nil); got.object["total"].(float64) < 4 || len(got.object["users"].([]any)) != 1 {
		t.Errorf("a page: %s", got.raw)
	}
	reading := m{"permissions": []m{{"permission_name": demo.ReadShows, "resource_server_identifier": demo.Audience}}}
	c.want(201, "POST", "users/"+id+"/permissions", reading)
	if got := c.want(200, "GET", "users/"+id+"/permissions", nil); len(got.array) != 1 || got.array[0].(m)["resource_server_name"] != "TV Shows" {
		t.Errorf("permissions: %s", got.raw)
	}
	c.want(400, "POST", "users/"+id+"/permissions", m{"permissions": []m{{"permission_name": "fly", "resource_server_identifier": demo.Audience}}})
	c.want(404, "POST", "users/nobody/permissions", reading)
	c.want(204, "DELETE", "users/"+id+"/permissions", reading)
	c.want(204, "DELETE", "users/"+id, nil)
	c.want(404, "GET", "users/"+id, nil)
	demand(t, node, audit.UserCreated, audit.UserUpdated, audit.PermissionsGranted, audit.PermissionsWithdrawn, audit.UserDeleted)
}

// A block ends sessions and tokens, not only the next sign-in.
func TestBlockedUsersLoseWhatTheyHave(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	alice := node.UserID(t, demo.Reader)
	tokens, browser := node.TokensFor(t, demo.Reader, demo.SPA, "audience", demo.Audience, "scope", "openid offline_access")
	if got := c.want(200, "PATCH", "users/"+alice, m{"blocked": true, "nickname": "out"}); got.object["blocked"] != true || got.get("nickname") != "out" {
		t.Errorf("blocked: %s", got.raw)
	}
	if got := node.Refresh(t, demo.SPA, tokens.RefreshToken); got.Error != "invalid_grant" {
		t.Errorf("refresh of a blocked user: %q", got.Error)
	}
	if got := node.Introspect(t, demo.Machine, tokens.AccessToken); got["active"] != false {
		t.Errorf("introspection: %v", got)
	}
	if got := browser.Authorize(demo.SPA, "prompt", "none").Answer(t); got.Error != "login_required" {
		t.Errorf("silent renewal: %q", got.Error)
	}
	c.want(200, "PATCH", "users/"+alice, m{"blocked": false})
	node.NewBrowser(t).SignIn(demo.Reader, node.Password(t, demo.Reader))
}

// A change of a user is one: the part that could be made is not made when another cannot.
func TestUserChangesAreAllOrNothing(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	alice := node.UserID(t, demo.Reader)
	c.want(400, "PATCH", "users/"+alice, m{"blocked": true, "email": "no address"})
	if got := c.want(200, "GET", "users/"+alice, nil); got.object["blocked"] != false {
		t.Errorf("half a change was made: %s", got.raw)
	}
	node.NewBrowser(t).SignIn(demo.Reader, node.Password(t, demo.Reader))
}

// APIs that check tokens by themselves hear of a client's end by its rules alone, so disabling a
// client ends its grants, and enabling it again brings none back.
func TestDisabledClientsLoseTheirGrants(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	tokens, _ := node.TokensFor(t, demo.Reader, demo.SPA, "audience", demo.Audience, "scope", "openid offline_access")
	path := "clients/" + node.Content.Client(demo.SPA).ClientID
	c.want(200, "PATCH", path, m{"disabled": true})
	c.want(200, "PATCH", path, m{"disabled": false})
	if got := node.Introspect(t, demo.Machine, tokens.AccessToken); got["active"] != false {
		t.Errorf("introspection: %v", got)
	}
	if got := node.Refresh(t, demo.SPA, tokens.RefreshToken); got.Error != "invalid_grant" {
		t.Errorf("refresh: %q", got.Error)
	}
}

func TestLogs(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	id := c.want(201, "POST", "users", m{"email": "logged@example.com"}).get("user_id")
	c.want(200, "PATCH", "users/"+id, m{"name": "X"})
	events := c.want(200, "GET", "logs?user_id="+id, nil).array
	if len(events) != 2 || events[0].(m)["type"] != string(audit.UserUpdated) || events[1].(m)["type"] != string(audit.UserCreated) {
		t.Fatalf("events: %v", events)
	}
	machine := node.Content.Client(demo.Management).ClientID
	if first := events[0].(m); first["actor"] != machine || first["client_id"] != machine || first["ip"] == "" || first["user_agent"] == "" {
		t.Errorf("who and from where: %v", first)
	}
	older := c.want(200, "GET", "logs?take=1&user_id="+id+"&from="+events[0].(m)["log_id"].(string), nil).array
	if len(older) != 1 || older[0].(m)["log_id"] != events[1].(m)["log_id"] {
		t.Errorf("the page after the first event: %v", older)
	}
	admin := asUser(t, node, demo.Administrator, "update:users")
	admin.want(200, "PATCH", "users/"+id, m{"name": "Y"})
	if last := c.want(200, "GET", "logs?take=1&user_id="+id, nil).array[0].(m); last["actor"] != node.UserID(t, demo.Administrator) {
		t.Errorf("an administrator's change: %v", last)
	}
}

// What Auth0's SDKs put into a query without being asked to.
func TestLists_AsSDKsAskForThem(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	alice := node.UserID(t, demo.Reader)
	for _, path := range []string{ // of auth0 7 and auth0-python 4 and 6
		"clients?include_fields=true",
		"clients?page=0&per_page=50&include_totals=true",
		"users?include_totals=true&include_fields=true&page=0&per_page=25",
		"users?search_engine=v3&q=email%3A%22" + demo.Reader + "%22",
		"users/" + alice + "?include_fields=true",
		"users/" + alice + "/logs?page=0&per_page=50&include_totals=true",
		"client-grants?include_totals=true&take=50",
		"logs?page=0&per_page=50&include_totals=true",
		"logs?per_page=50&page=0&include_totals=true&include_fields=true&sort=date%3A-1",
	} {
		c.want(200, "GET", path, nil)
	}
	for _, path := range []string{
		"users?search_engine=v2", "users-by-email", "logs?sort=date%3A1", "logs?page=1&from=x", "client-grants?page=0&take=5", "client-grants?from=x", "client-grants?from=-1",
		"clients?include_fields=maybe", "clients?fields=" + strings.Repeat("a,", 51), "users?connection=x",
	} {
		if got := c.want(400, "GET", path, nil); got.get("errorCode") != "invalid_query_string" {
			t.Errorf("%s: %s", path, got.raw)
		}
	}
	if found := c.want(200, "GET", "users-by-email?email="+strings.ToUpper(demo.Reader), nil).array; len(found) != 1 || found[0].(m)["user_id"] != alice {
		t.Errorf("by e-mail: %v", found)
	}
	if found := c.want(200, "GET", "users-by-email?email=nobody@example.com", nil); found.raw != "[]" {
		t.Errorf("nobody: %s", found.raw)
	}
}

// Members of Auth0's that have one value here may be sent with it.
func TestMembersWithOneValue(t *testing.T) {
	c := asMachine(t, servertest.New(t, servertest.Options{}))
	c.want(201, "POST", "clients", m{"name": "X", "oidc_conformant": true})
	c.want(400, "POST", "clients", m{"name": "X", "oidc_conformant": false})
	c.want(201, "POST", "users", m{"email": "x@example.com", "verify_email": false})
	c.want(400, "POST", "users", m{"email": "y@example.com", "verify_email": true})
}

// A list that is read part by part has everything once, and its last part names no next.
func TestClientGrants_FromTake(t *testing.T) {
	c := asMachine(t, servertest.New(t, servertest.Options{}))
	whole := c.want(200, "GET", "client-grants", nil).array
	seen, next := map[any]bool{}, ""
	for part := 0; part <= len(whole); part++ {
		got := c.want(200, "GET", "client-grants?take=1"+next, nil)
		for _, grant := range got.object["client_grants"].([]any) {
			seen[grant.(m)["id"]] = true
		}
		if got.get("next") == "" {
			break
		}
		next = "&from=" + got.get("next")
	}
	if len(whole) < 2 || len(seen) != len(whole) {
		t.Errorf("%d of %d", len(seen), len(whole))
	}
}

func TestFields(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	alice := node.UserID(t, demo.Reader)
	if got := c.want(200, "GET", "users/"+alice+"?fields=email,user_id,nonsense", nil); len(got.object) != 2 || got.get("email") != demo.Reader {
		t.Errorf("one: %s", got.raw)
	}
	if got := c.want(200, "GET", "users/"+alice+"?fields=email&include_fields=false", nil); got.object["email"] != nil || got.get("user_id") != alice {
		t.Errorf("all but one: %s", got.raw)
	}
	if got := c.want(200, "GET", "clients?fields=name", nil).array; len(got) == 0 || len(got[0].(m)) != 1 {
		t.Errorf("a list: %v", got)
	}
	got := c.want(200, "GET", "clients?fields=name&include_totals=true", nil).object
	if items := got["clients"].([]any); len(items[0].(m)) != 1 || got["total"] != float64(len(items)) {
		t.Errorf("a list with totals: %v", got)
	}
}

// The pages of the record are those of its parts, and a user's are theirs.
func TestLogs_Pages(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	id := c.want(201, "POST", "users", m{"email": "logged@example.com"}).get("user_id")
	c.want(200, "PATCH", "users/"+id, m{"name": "X"})
	whole := c.want(200, "GET", "users/"+id+"/logs", nil).array
	second := c.want(200, "GET", "users/"+id+"/logs?page=1&per_page=1&include_totals=true", nil).object
	if len(whole) != 2 || second["total"] != float64(2) || second["logs"].([]any)[0].(m)["log_id"] != whole[1].(m)["log_id"] {
		t.Errorf("%v\nof %v", second, whole)
	}
	all := c.want(200, "GET", "logs?include_totals=true&per_page=1", nil).object
	if all["length"] != float64(1) || all["total"].(float64) < 3 {
		t.Errorf("%v", all)
	}
	asMachine(t, node, "read:users").want(403, "GET", "users/"+id+"/logs", nil)
}

// An id of another tenant is an id of nothing: same answer, same body, and no trace in a list.
func TestThreat_AD02_OtherTenantsAreNotThere(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	ctx, h := context.Background(), node.House
	other, err := tenant.Ensure(ctx, h.DB, "other", "https://other.example/", tenant.Settings{}, node.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	const canary = "belongs-to-the-other-tenant"
	theirs, _ := apps.NewClient(canary, apps.Machine)
	api := apps.NewAPI("https://"+canary+".example/", canary)
	api.Permissions = []apps.Permission{{Value: canary}}
	theirs.Grants = map[string]oauth.Scope{api.Identifier: {canary}}
	user, err := h.People.Create(ctx, other, people.NewUser{Email: canary + "@example.com"}, "", audit.System())
	if err != nil {
		t.Fatal(err)
	}
	err = other.DB.Write(ctx, func(tx *db.Tx) error {
		if err := h.Apps.CreateClient(tx, theirs); err != nil {
			return err
		}
		if err := h.Apps.CreateAPI(tx, api); err != nil {
			return err
		}
		return h.Access.Grant(tx, user.ID, access.Permission{Audience: api.Identifier, Value: canary})
	})
	if err != nil {
		t.Fatal(err)
	}
	c := asMachine(t, node)
	permissions := m{"permissions": []m{{"permission_name": demo.ReadShows, "resource_server_identifier": demo.Audience}}}
	for _, call := range []struct {
		method, path string
		body         any
	}{
		{"GET", "clients/ID", nil},
		{"PATCH", "clients/ID", m{"name": "x"}},
		{"DELETE", "clients/ID", nil},
		{"POST", "clients/ID/rotate-secret", nil},
		{"GET", "resource-servers/ID", nil},
		{"PATCH", "resource-servers/ID", m{"name": "x"}},
		{"DELETE", "resource-servers/ID", nil},
		{"GET", "users/ID", nil},
		{"PATCH", "users/ID", m{"name": "x"}},
		{"PATCH", "users/ID", m{"blocked": true}},
		{"DELETE", "users/ID", nil},
		{"GET", "users/ID/permissions", nil},
		{"POST", "users/ID/permissions", permissions},
		{"DELETE", "users/ID/permissions", permissions},
	} {
		their, missing := theirs.ClientID, "A"+theirs.ClientID[1:]
		switch {
		case strings.HasPrefix(call.path, "users"):
			their, missing = user.ID, "00000000-0000-4000-8000-000000000000"
		case strings.HasPrefix(call.path, "resource"):
			their, missing = api.ID, "00000000-0000-4000-8000-000000000000"
		}
		a := c.do(call.method, strings.Replace(call.path, "ID", their, 1), call.body)
		b := c.do(call.method, strings.Replace(call.path, "ID", missing, 1), call.body)
		if a.status != 404 || a.raw != b.raw {
			t.Errorf("%s %s: %d %s, and for nothing %d %s", call.method, call.path, a.status, a.raw, b.status, b.raw)
		}
	}
	c.want(404, "POST", "tickets/password-change", m{"user_id": user.ID})
	c.want(400, "POST", "client-grants", m{"client_id": node.Content.Client(demo.Machine).ClientID, "audience": api.Identifier, "scope": []string{canary}})
	c.want(404, "POST", "client-grants", m{"client_id": theirs.ClientID, "audience": demo.Audience, "scope": []string{}})
	c.want(400, "POST", "users/"+node.UserID(t, demo.Stranger)+"/permissions", m{"permissions": []m{{"permission_name": canary, "resource_server_identifier": api.Identifier}}})
	for _, list := range []string{
		"clients", "resource-servers", "resource-servers?identifier=" + api.Identifier, "client-grants", "client-grants?client_id=" + theirs.ClientID,
		"users", "users?email=" + canary + "@example.com", "logs", "logs?user_id=" + user.ID,
	} {
		if got := c.want(200, "GET", list, nil); strings.Contains(got.raw, canary) || strings.Contains(got.raw, theirs.ClientID) {
			t.Errorf("%s: %s", list, got.raw)
		}
	}
	if still, err := h.People.ByID(ctx, other, user.ID); err != nil || still.Blocked || still.Name != "" {
		t.Errorf("their user: %v %v", still, err)
	}
	// And a token of the other tenant is a stranger's.
	(&client{t, node, tokenOf(t, node, other)}).want(401, "GET", "users", nil)
}

// tokenOf makes a token that is right in everything, but signed by the other tenant's key.
func tokenOf(t *testing.T, node *servertest.Instance, other *tenant.Tenant) string {
	t.Helper()
	now := node.Clock.Now()
	machine := node.Content.Client(demo.Management).ClientID
	payload, err := (&oauth.AccessTokenClaims{
		Issuer: node.House.Tenant.Issuer, Subject: machine + oauth.ClientSubjectSuffix, Audience: jose.Audience{node.House.Tenant.ManagementAudience()},
		ClientID: machine, ID: "1", Scope: "read:users", IssuedAt: jose.Date(now), Expiry: jose.Date(now.Add(time.Minute)),
	}).Payload()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := node.House.Keys.Signer(context.Background(), other, jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign(oauth.TypeAccessToken, payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// demand looks for events in the record.
func demand(t *testing.T, node *servertest.Instance, types ...audit.Type) {
	t.Helper()
	events, err := audit.List(context.Background(), node.House.Tenant, audit.Query{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[audit.Type]bool{}
	for _, e := range events {
		seen[e.Type] = true
	}
	for _, typ := range types {
		if !seen[typ] {
			t.Errorf("no event %s", typ)
		}
	}
}

// An API that is given the identifier of one that was deleted inherits nothing of it.
func TestThreat_CL07_AnAPIThatIsGoneLeavesNothing(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	tokens, b := node.TokensFor(t, demo.Reader, demo.ThirdParty, "scope", "openid offline_access "+demo.ReadShows)
	id := c.want(200, "GET", "resource-servers?identifier="+demo.Audience, nil).array[0].(m)["id"].(string)
	c.want(204, "DELETE", "resource-servers/"+id, nil)
	c.want(201, "POST", "resource-servers", m{"identifier": demo.Audience, "enforce_policies": false, "scopes": []m{{"value": demo.ReadShows, "description": "Something else"}}})
	if a := b.Authorize(demo.ThirdParty, "prompt", "none", "scope", "openid "+demo.ReadShows).Answer(t); a.Error != "consent_required" {
		t.Errorf("consent is inherited: %+v", a)
	}
	if got := node.Refresh(t, demo.ThirdParty, tokens.RefreshToken); got.Error != "invalid_grant" {
		t.Errorf("a grant is inherited: %d %s", got.Status, got.Raw)
	}
	if node.Introspect(t, demo.ThirdParty, tokens.AccessToken)["active"] != false {
		t.Error("an access token is inherited")
	}
}

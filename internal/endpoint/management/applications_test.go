package management_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

func TestApplicationsByAnswers(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)

	tree := c.want(200, "GET", "apps/guide", nil)
	if tree.get("question") != "What are you building?" || len(tree.object["buildings"].([]any)) != 8 {
		t.Errorf("the guide: %s", tree.raw)
	}

	made := c.want(201, "POST", "apps", m{"building": "server-rendered", "sdk": "nextjs-auth0", "name": "My shop", "audience": demo.Audience, "origins": []string{"https://shop.example.com"}})
	client := made.object["client"].(m)
	id, secret := client["client_id"].(string), client["client_secret"].(string)
	if got := client["callbacks"].([]any); len(got) != 1 || got[0] != "https://shop.example.com/auth/callback" || client["profile"] != "oauth2.1" {
		t.Errorf("the client: %v", client)
	}
	env := made.object["steps"].([]any)[1].(m)["text"].(string)
	for _, line := range []string{"AUTH0_DOMAIN=" + strings.TrimSuffix(node.House.Tenant.Issuer, "/") + "\n", "AUTH0_CLIENT_ID=" + id + "\n", "AUTH0_CLIENT_SECRET=" + secret + "\n", "APP_BASE_URL=https://shop.example.com\n"} {
		if !strings.Contains(env, line) {
			t.Errorf("no %q in:\n%s", line, env)
		}
	}
	if again := c.want(200, "GET", "clients/"+id, nil); strings.Contains(again.raw, secret) {
		t.Error("the secret is shown again")
	}

	// What is printed works: a machine made so gets its token.
	machine := c.want(201, "POST", "apps", m{"building": "service", "sdk": "curl", "name": "Job", "audience": demo.Audience, "scope": []string{demo.ReadShows}}).object["client"].(m)
	tokens := node.PostForm(t, "/oauth/token", "", "grant_type", "client_credentials", "client_id", machine["client_id"].(string), "client_secret", machine["client_secret"].(string), "audience", demo.Audience)
	if tokens.Error != "" || tokens.Scope != demo.ReadShows {
		t.Errorf("a token: %s %s, scope %q", tokens.Error, tokens.Description, tokens.Scope)
	}

	api := c.want(201, "POST", "apps", m{"building": "api", "sdk": "go-bearer", "name": "Orders", "audience": "https://orders.example.com/", "scope": []string{"read:orders"}})
	if api.object["client"] != nil || api.object["resource_server"].(m)["identifier"] != "https://orders.example.com/" {
		t.Errorf("an API: %s", api.raw)
	}
	c.want(200, "GET", "resource-servers/"+api.object["resource_server"].(m)["id"].(string), nil)

	for _, wrong := range []m{{}, {"building": "toaster", "name": "x"}, {"building": "spa", "sdk": "auth0-react"}, {"building": "spa", "sdk": "auth0-react", "name": "x", "audience": "https://nowhere/"}} {
		c.want(400, "POST", "apps", wrong)
	}
}

// Who may register applications may not, by the way, hand out what they could not hand out elsewhere.
func TestThreat_AD03_ApplicationsHandOutNothingMore(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	audience := node.House.Tenant.ManagementAudience()
	service := func(audience string, scope ...string) m {
		return m{"building": "service", "sdk": "curl", "name": "x", "audience": audience, "scope": scope}
	}
	api := m{"building": "api", "sdk": "go-bearer", "name": "x", "audience": "https://new.example.com/"}
	before := len(asMachine(t, node).want(200, "GET", "clients", nil).array)
	for name, c := range map[string]struct {
		scopes []string
		body   m
	}{
		"a grant, without the permission for grants":      {[]string{"create:clients"}, service(demo.Audience, demo.ReadShows)},
		"a permission of this API one lacks":              {[]string{"create:clients", "create:client_grants"}, service(audience, "delete:users")},
		"an API, without the permission for APIs":         {[]string{"create:clients", "create:client_grants"}, api},
		"an API that is there, without seeing any":        {[]string{"create:clients"}, m{"building": "api", "sdk": "go-bearer", "name": "x", "audience": demo.Audience}},
		"part of it one has, and part of it one does not": {[]string{"create:clients", "create:client_grants", "read:users"}, service(audience, "read:users", "delete:users")},
	} {
		if got := asMachine(t, node, c.scopes...).do("POST", "apps", c.body); got.status != 403 {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
	}
	if after := len(asMachine(t, node).want(200, "GET", "clients", nil).array); after != before {
		t.Errorf("%d clients, and %d before", after, before)
	}
	asMachine(t, node, "create:clients", "create:client_grants", "read:users").want(201, "POST", "apps", service(audience, "read:users"))
}

package management_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
)

func TestAPIKeys(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	alice := node.UserID(t, demo.Reader)
	worker := node.Content.Client(demo.Machine).ClientID
	made := c.want(201, "POST", "api-keys", m{
		"name": "Deploy", "user_id": alice, "audience": demo.Audience, "scope": []string{"read:shows"}, "kind": "rk", "environment": "test",
		"networks": []string{"192.0.2.9/24", "2001:db8::1"}, "rate_limit": 60, "quota": 1000, "expires_at": "2027-01-31T00:00:00Z", "org_id": "org-1",
	})
	key, id := made.get("key"), made.get("id")
	if parsed, err := apikey.Parse(key); err != nil || parsed.Kind() != apikey.Restricted || parsed.Hint() != made.get("hint") {
		t.Fatalf("%s %v", made.raw, err)
	}
	if made.get("state") != "active" || made.get("expires_at") != "2027-01-31T00:00:00.000Z" || made.object["networks"].([]any)[0] != "192.0.2.0/24" ||
		made.object["networks"].([]any)[1] != "2001:db8::1/128" || made.object["rate_limit"] != 60.0 || made.get("org_id") != "org-1" {
		t.Errorf("%s", made.raw)
	}
	own := c.want(201, "POST", "api-keys", m{"name": "Job", "client_id": worker, "audience": demo.Audience})
	if got := c.want(200, "GET", "api-keys?user_id="+alice, nil); len(got.array) != 1 {
		t.Errorf("%s", got.raw)
	}
	if got := c.want(200, "GET", "api-keys?client_id="+worker+"&include_totals=true", nil); got.object["total"] != 1.0 {
		t.Errorf("%s", got.raw)
	}
	got := c.want(200, "PATCH", "api-keys/"+id, m{"name": "Renamed", "expires_at": nil, "networks": []string{}, "quota": 0})
	if got.get("name") != "Renamed" || got.get("expires_at") != "" || len(got.object["networks"].([]any)) != 0 || got.object["quota"] != 0.0 || got.object["rate_limit"] != 60.0 {
		t.Errorf("%s", got.raw)
	}
	rotated := c.want(201, "POST", "api-keys/"+id+"/rotate", m{"grace_sec": 3600})
	if rotated.get("key") == "" || rotated.get("key") == key || rotated.get("name") != "Renamed" {
		t.Errorf("%s", rotated.raw)
	}
	if old := c.want(200, "GET", "api-keys/"+id, nil); old.get("state") != "rotated" || old.get("successor") != rotated.get("id") {
		t.Errorf("%s", old.raw)
	}
	c.want(409, "POST", "api-keys/"+id+"/rotate", m{})
	node.PostForm(t, "/oauth/introspect", demo.Machine, "token", key, "remote_addr", "192.0.2.1", "user_agent", "curl/8")
	if err := node.House.APIKeys.FlushUses(t.Context(), node.House.DB); err != nil {
		t.Fatal(err)
	}
	uses := c.want(200, "GET", "api-keys/"+id+"/uses", nil)
	if len(uses.array) != 1 || uses.array[0].(m)["network"] != "192.0.2.1/32" || uses.array[0].(m)["user_agent"] != "curl/8" || uses.array[0].(m)["shown_to"] != worker {
		t.Errorf("%s", uses.raw)
	}
	c.want(204, "DELETE", "api-keys/"+rotated.get("id"), nil)
	c.want(204, "DELETE", "api-keys/"+rotated.get("id"), nil)
	if ended := c.want(200, "GET", "api-keys/"+rotated.get("id"), nil); ended.get("state") != "revoked" || ended.get("revoked_because") != "revoked" {
		t.Errorf("%s", ended.raw)
	}
	c.want(409, "PATCH", "api-keys/"+rotated.get("id"), m{"name": "x"})
	node.Clock.Advance(time.Hour)
	c = asMachine(t, node)
	if old := c.want(200, "GET", "api-keys/"+id, nil); old.get("state") != "expired" {
		t.Errorf("%s", old.raw)
	}
	for _, secret := range []string{key, rotated.get("key"), own.get("key")} {
		for _, path := range []string{"api-keys", "api-keys/" + id, "api-keys/" + id + "/uses", "logs"} {
			if got := c.want(200, "GET", path, nil); strings.Contains(got.raw, secret[8:40]) {
				t.Errorf("%s shows a key again", path)
			}
		}
	}
	for what, body := range map[string]m{
		"nothing":        {},
		"house":          {"name": "x", "user_id": alice, "audience": node.House.Tenant.ManagementAudience()},
		"both owners":    {"name": "x", "user_id": alice, "client_id": worker, "audience": demo.Audience},
		"unknown member": {"name": "x", "user_id": alice, "audience": demo.Audience, "id": "1"},
		"own key":        {"name": "x", "user_id": alice, "audience": demo.Audience, "key": key},
		"bad time":       {"name": "x", "user_id": alice, "audience": demo.Audience, "expires_at": 7},
		"bad network":    {"name": "x", "user_id": alice, "audience": demo.Audience, "networks": []string{"everywhere"}},
		"unknown client": {"name": "x", "client_id": "nobody", "audience": demo.Audience},
	} {
		if got := c.do("POST", "api-keys", body); got.status != 400 {
			t.Errorf("%s: %d %s", what, got.status, got.raw)
		}
	}
	c.want(400, "POST", "api-keys/"+own.get("id")+"/rotate", m{"grace_sec": -1})
	(&client{t, node, own.get("key")}).want(401, "GET", "api-keys", nil) // a key is no token of this API
	for _, path := range []string{"GET api-keys/x", "GET api-keys/x/uses", "PATCH api-keys/x", "DELETE api-keys/x", "POST api-keys/x/rotate"} {
		method, path, _ := strings.Cut(path, " ")
		c.want(404, method, path, m{})
	}
}

// Whoever issues keys for others does not become them: a key acts for its owner.
func TestThreat_AD03_NobodyGetsTheKeyOfAStronger(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	keeper, management := node.UserID(t, demo.Administrator), node.Content.Client(demo.Management).ClientID
	made := asMachine(t, node).want(201, "POST", "api-keys", m{"name": "x", "user_id": keeper, "audience": demo.Audience})
	helper := asMachine(t, node, "read:api_keys", "create:api_keys", "update:api_keys", "delete:api_keys")
	id := made.get("id")
	helper.want(403, "POST", "api-keys", m{"name": "x", "user_id": keeper, "audience": demo.Audience})
	helper.want(403, "POST", "api-keys", m{"name": "x", "client_id": management, "audience": demo.Audience})
	helper.want(403, "POST", "api-keys/"+id+"/rotate", m{})
	helper.want(403, "PATCH", "api-keys/"+id, m{"name": "mine"})
	helper.want(403, "DELETE", "api-keys/"+id, nil)
	helper.want(200, "GET", "api-keys/"+id, nil)
	helper.want(201, "POST", "api-keys", m{"name": "x", "user_id": node.UserID(t, demo.Stranger), "audience": demo.Audience, "kind": "pk"})
}

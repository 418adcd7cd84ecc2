package management_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/server/demo"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// Keys are listed without their private parts, rotated, and revoked with all they have signed: the
// very token that asked for it included.
func TestThreat_KY02_SigningKeysByTheAPI(t *testing.T) {
	node := servertest.New(t, servertest.Options{})
	c := asMachine(t, node)
	find := func(r reply, alg, state string) (kids []string) {
		for _, k := range r.array {
			if k := k.(m); k["alg"] == alg && k["state"] == state {
				kids = append(kids, k["kid"].(string))
			}
		}
		return kids
	}
	all := c.want(200, "GET", "keys/signing", nil)
	if len(all.array) != 2 || len(find(all, "ES256", "signing")) != 1 || strings.Contains(all.raw, `"d"`) || strings.Contains(all.raw, "private") {
		t.Errorf("%s", all.raw)
	}
	rotated := c.want(201, "POST", "keys/signing/rotate", nil)
	if len(find(rotated, "ES256", "waiting")) != 1 || len(find(rotated, "RS256", "waiting")) != 1 {
		t.Errorf("%s", rotated.raw)
	}
	c.want(409, "POST", "keys/signing/rotate", nil)
	c.want(404, "PUT", "keys/signing/nothing/revoke", nil)
	stolen := find(rotated, "ES256", "signing")[0]
	user, _ := node.TokensFor(t, demo.Reader, demo.SPA, "audience", demo.Audience, "scope", "openid "+demo.ReadShows)
	if got := node.Introspect(t, demo.Machine, user.AccessToken); got["active"] != true {
		t.Fatalf("before: %v", got)
	}
	after := c.want(200, "PUT", "keys/signing/"+stolen+"/revoke", nil)
	if strings.Contains(after.raw, stolen) || len(find(after, "ES256", "signing")) != 1 {
		t.Errorf("%s", after.raw)
	}
	if got := node.Introspect(t, demo.Machine, user.AccessToken); got["active"] != false {
		t.Errorf("a token of a revoked key is introspected as %v", got)
	}
	c.want(401, "GET", "keys/signing", nil)
	ring, err := node.House.Keys.Ring(t.Context(), node.House.Tenant)
	if err != nil || strings.Contains(string(ring.JWKS()), stolen) {
		t.Errorf("the key is published still, %v", err)
	}
	asMachine(t, node).want(200, "GET", "keys/signing", nil)
	demand(t, node, audit.SigningKeyCreated, audit.SigningKeyRevoked)
}

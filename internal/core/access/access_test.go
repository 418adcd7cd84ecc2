package access_test

import (
	"slices"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

func TestUserScope(t *testing.T) {
	strict := apps.NewAPI("https://api/", "x")
	strict.Permissions = []apps.Permission{{Value: "a"}, {Value: "b"}, {Value: "c"}}
	open := *strict
	open.EnforcePermissions = false
	for name, c := range map[string]struct {
		api         *apps.API
		asked       oauth.Scope
		permissions []string
		want        oauth.Scope
		claimed     []string
	}{
		"asked and permitted":           {strict, oauth.Scope{"a", "b"}, []string{"b", "c"}, oauth.Scope{"b"}, []string{"b", "c"}},
		"nothing permitted":             {strict, oauth.Scope{"a", "b"}, nil, nil, nil},
		"nothing asked":                 {strict, nil, []string{"a"}, nil, []string{"a"}},
		"permission the API lost":       {strict, oauth.Scope{"a", "gone"}, []string{"a", "gone"}, oauth.Scope{"a"}, []string{"a"}},
		"an API that enforces none":     {&open, oauth.Scope{"a", "b", "x"}, nil, oauth.Scope{"a", "b"}, nil},
		"and claims none that one has":  {&open, oauth.Scope{"a"}, []string{"b"}, oauth.Scope{"a"}, nil},
		"scopes of OpenID are not here": {strict, oauth.Scope{"openid", "a"}, []string{"openid", "a"}, oauth.Scope{"a"}, []string{"a"}},
	} {
		if got := access.UserScope(c.api, c.asked, c.permissions); !slices.Equal(got, c.want) {
			t.Errorf("%s: scope %v, want %v", name, got, c.want)
		}
		if got := access.ClaimedPermissions(c.api, c.permissions); !slices.Equal(got, c.claimed) {
			t.Errorf("%s: permissions %v, want %v", name, got, c.claimed)
		}
	}
}

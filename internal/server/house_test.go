package server_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/server"
	"github.com/gatehouse-dev/gatehouse/internal/server/servertest"
)

// A house that another version has opened before has the permissions of this one, as many as they may be.
func TestOwnAPIsAreThoseOfThisVersion(t *testing.T) {
	o := server.Options{Config: servertest.Config("sqlite:"+filepath.Join(t.TempDir(), "gatehouse.db"), "http://localhost:1"), Dev: &server.Dev{}}
	open := func(t *testing.T) (*server.House, *apps.API) {
		t.Helper()
		h, err := server.Open(t.Context(), o)
		must(t, err)
		api, err := h.Apps.API(t.Context(), h.Tenant, h.Tenant.ManagementAudience())
		must(t, err)
		return h, api
	}
	for name, other := range map[string]func([]apps.Permission) []apps.Permission{
		"fewer": func(p []apps.Permission) []apps.Permission { return p[1:] },
		"others": func(p []apps.Permission) []apps.Permission {
			return append(p[1:], apps.Permission{Value: "read:tea_leaves"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, api := open(t)
			changed := *api
			changed.Permissions = other(slices.Clone(api.Permissions))
			must(t, before.Tenant.DB.Write(t.Context(), func(tx *db.Tx) error { return before.Apps.UpdateAPI(tx, &changed) }))
			must(t, before.Close())
			after, api := open(t)
			if !slices.Equal(api.Permissions, server.ManagementPermissions()) || !api.System {
				t.Errorf("opened anew: %+v", api)
			}
			must(t, after.Close())
		})
	}
}

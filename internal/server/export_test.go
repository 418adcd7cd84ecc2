package server

import (
	"maps"

	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// IsHost is isHost.
func IsHost(tn *tenant.Tenant, host string) bool { return isHost(tn, host) }

// Route is one row of the table of routes, for tests that walk all of it.
type Route struct {
	Path    string
	Prefix  bool
	All     bool // it answers every method itself
	Methods map[string]bool
}

// Routes returns the table of routes.
func (h *House) Routes() ([]Route, error) {
	rows, _, err := h.routes()
	var out []Route
	for _, r := range rows {
		methods := map[string]bool{}
		for m := range maps.Keys(r.methods) {
			methods[m] = true
		}
		out = append(out, Route{r.path, r.prefix, r.all != nil, methods})
	}
	return out, err
}

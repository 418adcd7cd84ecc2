package server

import (
	"net/http"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/revocations"
)

// RevocationPermissions are what can be done at the feed of revocations.
func RevocationPermissions() []apps.Permission {
	return []apps.Permission{{Value: grants.ReadRevocations, Description: "Learn which tokens were taken back"}}
}

// revocationFeed is the feed of rules for whoever checks tokens elsewhere.
func (h *House) revocationFeed() route {
	feed := &revocations.Server{
		Apps: h.Apps, Grants: h.Grants, Tokens: grants.AccessTokens{Clock: h.Clock, Keys: h.Keys, Apps: h.Apps, Grants: h.Grants},
		Log: h.Log, Leaving: h.leaving,
	}
	return route{path: revocations.Path, methods: map[string]http.Handler{http.MethodGet: feed}}
}

// EndStreams ends every stream that is open, and refuses new ones: their readers go to another node,
// and nobody waits for them. It is for a house that is about to stop.
func (h *House) EndStreams() { h.leave.Do(func() { close(h.leaving) }) }

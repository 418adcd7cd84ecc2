// Package management is the house's own API under /api/v2/: applications, APIs, people and the
// record, for administrators and for machines. It has the shapes of Auth0's Management API where
// it covers the same thing, so that what was written for that works here.
//
// Every request passes one pipeline (route, token, permission, rank, input) before it reaches a
// handler; a route that does not say which permission it takes does not start. The verbs are those
// of packages admin, people and signin, which the command line uses, too. Browsers of other origins
// are not answered: there is no CORS here.
package management

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/admin"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/backchannel"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Prefix is where the API lies.
const Prefix = "/api/v2/"

// Options are what the API stands on. All fields are required.
type Options struct {
	Admin   *admin.Admin
	Apps    *apps.Apps
	Access  *access.Access
	APIKeys *access.APIKeys
	People  *people.People
	SignIn  *signin.SignIn
	Tokens  grants.AccessTokens
	Keys    *keys.Keys
	Logouts *backchannel.Logouts
	// RotateKeys publishes new signing keys, for every algorithm in use where none is named, and
	// RevokeKey drops one with all that it has signed.
	RotateKeys func(ctx context.Context, algs []jose.Alg, by audit.Origin) error
	RevokeKey  func(ctx context.Context, kid string, by audit.Origin) error
	Log        *slog.Logger
	// Permissions are those that the house's own API has. A route takes one of them.
	Permissions []apps.Permission
	// PasswordLink makes the address of the page on which a user chooses a password.
	PasswordLink func(tn *tenant.Tenant, token string) string
}

// Server serves the API below [Prefix]. It is safe for concurrent use.
type Server struct {
	Options
	routes []route
}

// New returns the API. It fails if a route declares no permission, or one that does not exist:
// nothing is open by oversight.
func New(o Options) (*Server, error) {
	s := &Server{Options: o, routes: routes()}
	if err := checkRoutes(s.routes, o.Permissions); err != nil {
		return nil, err
	}
	return s, nil
}

// call is one request that passed the pipeline.
type call struct {
	*Server
	ctx    context.Context
	tn     *tenant.Tenant
	caller caller
	id     string // what stands for {id} in the path
	query  query
	body   []byte
}

// by is what the record says of who called.
func (c *call) by() audit.Origin { return c.caller.origin }

// answer is what a handler returns: a status and what is written as JSON, or nothing for nil.
type answer struct {
	status int
	body   any
}

func ok(body any) (answer, error)      { return answer{http.StatusOK, body}, nil }
func created(body any) (answer, error) { return answer{http.StatusCreated, body}, nil }
func gone() (answer, error)            { return answer{http.StatusNoContent, nil}, nil }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, err := s.serve(w, r)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	if a.body == nil {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(a.status)
		return
	}
	httpx.WriteJSON(w, a.status, a.body)
}

// serve is the pipeline.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) (answer, error) {
	c := &call{Server: s, ctx: r.Context(), tn: tenant.From(r.Context())}
	found, id, err := s.find(w, r)
	if err != nil {
		return answer{}, err
	}
	c.id = id
	if c.caller, err = s.authenticate(r, c.tn); err != nil {
		return answer{}, err
	}
	if !c.caller.rights.Contains(found.permission) {
		return answer{}, insufficient(found.permission)
	}
	if err := c.outrank(found.touches); err != nil {
		return answer{}, err
	}
	if c.query, err = readQuery(r.URL.RawQuery, found.parameters()); err != nil {
		return answer{}, err
	}
	if c.body, err = readBody(w, r, found.takesBody); err != nil {
		return answer{}, err
	}
	a, err := found.handle(c)
	if err == nil && r.Method == http.MethodGet {
		a.body, err = c.query.pick(a.body)
	}
	return a, err
}

// find looks a request up in the table. The path is compared as it was sent: a segment that is
// encoded, empty or dotted matches nothing.
func (s *Server) find(w http.ResponseWriter, r *http.Request) (found route, id string, err error) {
	path, below := strings.CutPrefix(r.URL.EscapedPath(), Prefix)
	if !below {
		return route{}, "", errNoRoute()
	}
	var allowed []string
	for _, candidate := range s.routes {
		id, matches := candidate.match(path)
		if !matches {
			continue
		}
		if candidate.method == r.Method {
			return candidate, id, nil
		}
		allowed = append(allowed, candidate.method)
	}
	if allowed == nil {
		return route{}, "", errNoRoute()
	}
	slices.Sort(allowed)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return route{}, "", &refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "This method is not offered here."}
}

func insufficient(permission string) error {
	return &refusal{
		status: http.StatusForbidden, code: oauth.InsufficientScope, message: "Insufficient scope, expected: " + permission,
		cause: oauth.NewError(oauth.InsufficientScope, "The access token lacks a scope."), scope: oauth.Scope{permission},
	}
}

func checkRoutes(routes []route, permissions []apps.Permission) error {
	known := map[string]bool{}
	for _, p := range permissions {
		known[p.Value] = true
	}
	for _, r := range routes {
		if !known[r.permission] {
			return fmt.Errorf("management: %s %s declares the permission %q, which does not exist", r.method, r.path, r.permission)
		}
	}
	return nil
}

package server

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/base/limit"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/leaks"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/oauth"
	"github.com/gatehouse-dev/gatehouse/internal/web/page"
	"github.com/gatehouse-dev/gatehouse/internal/web/signin"
)

// route is one path and what answers there, by method. A path that is not in the table does not
// exist; a method that is not in its row is refused with the list of those that are.
type route struct {
	path    string
	methods map[string]http.Handler
	// prefix makes the path stand for everything below it as well.
	prefix bool
	// all answers every method itself, in place of methods.
	all http.Handler
}

// Handler returns what serves the house: the edge around the table of routes.
func (h *House) Handler() (http.Handler, error) {
	routes, people, err := h.routes()
	if err != nil {
		return nil, err
	}
	return h.edge(table(routes, people)), nil
}

// routes returns everything there is in this house, and who says that there is nothing else.
func (h *House) routes() ([]route, *signin.Handler, error) {
	render, err := page.New(h.pageOptions())
	if err != nil {
		return nil, nil, err
	}
	people := &signin.Handler{
		Clock: h.Clock, Seal: h.Seal, Apps: h.Apps, Access: h.Access, SignIn: h.SignIn, Grants: h.Grants, Render: render, Log: h.Log,
	}
	machines := &oauth.Server{
		Clock: h.Clock, Seal: h.Seal, Apps: h.Apps, Access: h.Access, APIKeys: h.APIKeys, Keys: h.Keys, Grants: h.Grants, People: h.People, SignIn: h.SignIn,
		Logouts: h.Logouts, Checkup: h.Checkup, Log: h.Log, Pages: people, ClientFailures: limit.NewCounter(10, time.Minute, 100_000),
	}
	people.Authorization = machines
	management, err := h.managementAPI()
	if err != nil {
		return nil, nil, err
	}
	routes := slices.Concat(machineRoutes(machines), peopleRoutes(people, render), []route{management, managementDescription(), h.revocationFeed(), h.leakReports()})
	if h.Dev != nil {
		routes = append(routes, h.devRoutes(people, render)...)
	}
	return routes, people, nil
}

// leakReports is where whoever finds an API key in public sends it.
func (h *House) leakReports() route {
	return route{path: leaks.Path, methods: map[string]http.Handler{
		http.MethodPost: &leaks.Handler{Clock: h.Clock, APIKeys: h.APIKeys, Reports: leaks.NewCounter(), Log: h.Log},
	}}
}

func (h *House) pageOptions() page.Options {
	if h.Dev == nil {
		return page.Options{}
	}
	return page.Options{Dev: true, InboxURL: PathInbox, StartURL: PathStart}
}

func machineRoutes(s *oauth.Server) []route {
	const get, post, getPost = http.MethodGet, http.MethodPost, "GET, POST"
	discovery := s.Discovery(&sync.Map{})
	public := func(path string, handler http.HandlerFunc) route {
		cors := s.CORSPublic(get, handler)
		return route{path: path, methods: map[string]http.Handler{get: cors, http.MethodHead: cors, http.MethodOptions: cors}}
	}
	registered := func(path string, handler http.HandlerFunc) route {
		cors := s.CORSRegistered(post, handler)
		return route{path: path, methods: map[string]http.Handler{post: cors, http.MethodOptions: cors}}
	}
	userInfo := s.CORSPublic(getPost, http.HandlerFunc(s.UserInfo))
	both := func(path string, handler http.HandlerFunc) route {
		return route{path: path, methods: map[string]http.Handler{get: personal(handler), post: personal(handler)}}
	}
	return []route{
		public(oauth.PathOpenID, discovery),
		public("/"+oauth.PathOpenID, discovery), // an SDK with a slash too many asks for this
		public(oauth.PathOAuthMetadata, discovery),
		public(oauth.PathJWKS, s.JWKS),
		both(oauth.PathAuthorize, s.Authorize),
		registered(oauth.PathToken, s.Token),
		{path: oauth.PathDeviceCode, methods: map[string]http.Handler{post: http.HandlerFunc(s.DeviceCode)}}, // no page asks for it
		registered(oauth.PathRevoke, s.Revoke),
		registered(oauth.PathIntrospect, s.Introspect),
		{path: oauth.PathUserInfo, methods: map[string]http.Handler{get: userInfo, post: userInfo, http.MethodOptions: userInfo}},
		{path: oauth.PathLogout, methods: map[string]http.Handler{get: personal(http.HandlerFunc(s.Logout))}},
		both(oauth.PathEndSession, s.EndSession),
	}
}

func peopleRoutes(h *signin.Handler, render *page.Renderer) []route {
	form := func(path string, get, post http.HandlerFunc) route {
		return route{path: path, methods: map[string]http.Handler{
			http.MethodGet: personal(get), http.MethodHead: personal(get), http.MethodPost: personal(post),
		}}
	}
	assets := render.Assets()
	return []route{
		form(signin.PathSignIn, h.GetSignIn, h.Post),
		form(signin.PathSignUp, h.GetSignUp, h.Post),
		form(signin.PathForgot, h.GetForgot, h.Post),
		form(signin.PathConsent, h.GetElsewhere, h.Post),
		form(signin.PathSignOut, h.GetElsewhere, h.Post),
		form(signin.PathPassword, h.GetPassword, h.PostPassword),
		form(signin.PathDevice, h.GetDevice, h.PostDevice),
		form(signin.PathFirstAdmin, h.GetFirstAdmin, h.PostFirstAdmin),
		{path: page.AssetPrefix, prefix: true, methods: map[string]http.Handler{http.MethodGet: assets, http.MethodHead: assets}},
	}
}

// personal is around everything whose answer depends on who is asking. A browser that fetches it
// on the chance that somebody may want it gets nothing: no code is issued, no session ended, and
// no cookie set before a person has really gone there. It is told of a failure, since browsers keep
// what succeeded and show it in place of the page.
func personal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost { // going back to the answer to a form finds it, whatever cookies came since
			w.Header().Set("Vary", "Cookie")
		}
		if page.Speculative(r) {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// table dispatches by the exact path, as it was sent: nothing is cleaned, decoded or redirected on
// the way, so no spelling of a path reaches a handler that another spelling does not.
func table(routes []route, people *signin.Handler) http.Handler {
	exact := map[string]route{}
	var prefixes []route
	for _, r := range routes {
		if r.prefix {
			prefixes = append(prefixes, r)
		} else {
			exact[r.path] = r
		}
	}
	find := func(r *http.Request) (route, bool) {
		path := r.URL.EscapedPath()
		if found, ok := exact[path]; ok {
			return found, true
		}
		for _, p := range prefixes {
			if strings.HasPrefix(path, p.path) && canonical(path) {
				return p, true
			}
		}
		return route{}, false
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, ok := find(r)
		if !ok {
			notFound(w, r, people)
			return
		}
		handler, ok := found.methods[r.Method]
		if found.all != nil {
			handler, ok = found.all, true
		}
		if !ok {
			refuseMethod(w, found)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// canonical reports whether a path can be written in no other way.
func canonical(path string) bool {
	for _, odd := range []string{"//", "/./", "/../", "%", ";", "\\"} {
		if strings.Contains(path, odd) {
			return false
		}
	}
	return !strings.HasSuffix(path, "/.") && !strings.HasSuffix(path, "/..")
}

// notFound answers a browser that navigates with a page, and everything else in JSON that any
// origin may read: SDKs probe for endpoints that are not there.
func notFound(w http.ResponseWriter, r *http.Request, people *signin.Handler) {
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		people.NotFound(w, r)
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	httpx.WriteJSON(w, http.StatusNotFound, map[string]string{"error": "not_found", "error_description": "There is nothing at this address."})
}

func refuseMethod(w http.ResponseWriter, found route) {
	var allowed []string
	for method := range found.methods {
		allowed = append(allowed, method)
	}
	slices.Sort(allowed)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	httpx.WriteJSON(w, http.StatusMethodNotAllowed, map[string]string{"error": "invalid_request", "error_description": "This method is not offered here."})
}

package main

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/csrf"
	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

const (
	// readShows and writeShows are what people may do at the API. The house says who may.
	readShows, writeShows = "read:shows", "write:shows"
	// admin is a role of this application, which says itself who has it.
	admin = "admin"
	// fresh is how long ago somebody may have signed in before what cannot be undone.
	fresh = 5 * time.Minute
)

type options struct {
	BaseURL          string
	Issuer           string
	Client           credentials // this application, at the house
	Feed             credentials // a client that may read what was revoked
	Audience, APIURL string      // the TV Shows API
	Secret           string      // 32 random bytes or more
	DB               *sql.DB
	Revocations      guard.Revocations
	Proxies          []netip.Prefix   // networks of the load balancers in front, if there are any
	HTTPClient       *http.Client     // reaches the house; nil: the guard's own
	Clock            func() time.Time // nil: time.Now
	Logger           *slog.Logger
}

// app is the application. Four values of the guard protect it, made once.
type app struct {
	options
	login   *oidclogin.Login
	forms   *csrf.Protection
	changes *ratelimit.Limiter
	proxy   http.Handler // the API, for scripts of our pages
	members *members
	lists   *lists
	views   *views
}

func newApp(ctx context.Context, o options) (*app, error) {
	a := &app{options: o, members: &members{o.DB}, lists: &lists{o.DB}}
	store, err := session.NewSQLStore(o.DB, o.Secret)
	if err != nil {
		return nil, err
	}
	if err := store.CreateTable(ctx); err != nil {
		return nil, err
	}
	if o.Clock != nil {
		store = store.WithClock(o.Clock)
	}

	// People sign in at the house. Their sessions are rows here; the cookie is the name of one.
	a.login, err = oidclogin.New(oidclogin.Options{
		Issuer: o.Issuer, ClientID: o.Client.ClientID, ClientSecret: o.Client.ClientSecret,
		BaseURL: o.BaseURL, CookieName: "watchlist",
		Secrets: []string{o.Secret},
		Scopes:  []string{"openid", "profile", "email", "offline_access", readShows, writeShows}, Audience: o.Audience,
		Store:    store,
		OnSignIn: a.members.welcome,
		// Who signs out elsewhere is out here: told once by the house, and known within a second from
		// its feed, should that message be lost.
		BackchannelLogout: true, Replays: store.Replays(), Revocations: o.Revocations,
		HTTPClient: o.HTTPClient, Clock: o.Clock, Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	// Forms are good for one session, and for pages of ours.
	a.forms, err = csrf.New(csrf.Options{BaseURL: o.BaseURL, Secrets: []string{o.Secret}, CookieName: "watchlist_csrf", RequireToken: true, Refuse: a.refuseForm})
	if err != nil {
		return nil, err
	}
	// Thirty changes a minute is more than a person can make.
	a.changes, err = ratelimit.New(ratelimit.Options{
		Name: "changes", Limit: ratelimit.Limit{Requests: 30, Per: time.Minute}, Key: ratelimit.First(ratelimit.ByPrincipal(), ratelimit.ByAddress(o.Proxies...)),
		Refuse: a.tooMany, Clock: o.Clock, Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	// Scripts reach the API by way of this server, and never see a token.
	if a.proxy, err = a.login.Proxy(o.APIURL, o.Audience, readShows); err != nil {
		return nil, err
	}
	a.views, err = parseViews()
	return a, err
}

// handler says who may call what.
func (a *app) handler() http.Handler {
	var (
		anybody = a.behind(func(next http.Handler) http.Handler { return next })
		person  = a.behind(a.require())
		editors = a.behind(a.require(guard.Scopes(writeShows)))
		admins  = a.behind(a.require(guard.Roles(admin)))
		sure    = a.behind(a.require(guard.MaxAge(fresh)))
	)
	mux := http.NewServeMux()
	mux.Handle("/auth/", a.login) // login, callback, logout, me, backchannel-logout
	mux.Handle("/api/", http.StripPrefix("/api", a.proxy))
	mux.Handle("GET /style.css", a.views.files())

	mux.Handle("GET /{$}", anybody(a.home))
	mux.Handle("POST /watch", person(a.watch))
	mux.Handle("POST /unwatch", person(a.unwatch))

	mux.Handle("GET /shows", person(a.showShows))
	mux.Handle("POST /shows", editors(a.addShow))

	mux.Handle("GET /account", person(a.account))
	mux.Handle("POST /account/end", person(a.endSession))
	mux.Handle("POST /account/end-others", person(a.endOthers))
	mux.Handle("GET /account/leave", sure(a.leaveForm))
	mux.Handle("POST /account/leave", sure(a.leave))

	mux.Handle("GET /members", admins(a.listMembers))
	mux.Handle("/", anybody(a.notFound))
	return a.headers(http.MaxBytesHandler(mux, 64<<10))
}

// require is guard.Require with this application's pages for refusals.
func (a *app) require(requirements ...guard.Option) func(http.Handler) http.Handler {
	options := append([]guard.Option{guard.Refuse(a.refuse)}, requirements...)
	if a.Clock != nil {
		options = append(options, guard.Clock(a.Clock))
	}
	return guard.Require(a.login, options...)
}

// behind makes handlers of functions that may fail. Before such a function runs, it is known who is
// there, if anybody; gate has let them pass; a form is one of ours, and within the limit.
func (a *app) behind(gate func(http.Handler) http.Handler) func(func(http.ResponseWriter, *http.Request) error) http.Handler {
	return func(f func(http.ResponseWriter, *http.Request) error) http.Handler {
		page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := f(w, r); err != nil {
				a.Logger.ErrorContext(r.Context(), "failed", "method", r.Method, "path", r.URL.Path, "error", err)
				a.say(w, r, http.StatusInternalServerError, "That did not work", "The fault is ours. Try again in a moment.")
			}
		})
		limited := a.changes.Middleware(page)
		form := a.forms.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				limited.ServeHTTP(w, r)
			} else {
				page.ServeHTTP(w, r)
			}
		}))
		return guard.Optional(a.login, guard.Refuse(a.refuse))(gate(form))
	}
}

// headers keeps other people's scripts, styles and frames out of our pages. Signing out posts a form
// whose answer leads to the house.
func (a *app) headers(next http.Handler) http.Handler {
	policy := "default-src 'none'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' " + origin(a.Issuer)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

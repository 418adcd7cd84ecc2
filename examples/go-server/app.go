package main

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/apikey"
	"github.com/gatehouse-dev/gatehouse/guard/csrf"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

const (
	// admin is the role of whoever signed up first.
	admin = "admin"
	// readNotes is what an API key may do here; people may do it with their session, too.
	readNotes = "read:notes"
	// fresh is how long ago somebody may have given the password before what cannot be undone.
	fresh = 5 * time.Minute
)

type options struct {
	BaseURL string
	Secret  string // 32 random bytes or more
	DB      *sql.DB
	Proxies []netip.Prefix
	Clock   func() time.Time
	Logger  *slog.Logger
	// HashCost is bcrypt's; default 12.
	HashCost int
}

// app is the application. What protects it are five values of the guard, made once in newApp.
type app struct {
	people *people
	notes  *notes
	views  *views
	url    string // of this application
	log    *slog.Logger
	now    func() time.Time

	sessions *session.Manager
	forms    *csrf.Protection
	keys     *apikey.Scheme // checks API keys
	issued   *apikey.Keys   // issues and revokes them
	keyStore *apikey.SQLStore

	signUps, addresses, accounts *ratelimit.Limiter
}

func newApp(ctx context.Context, o options) (*app, error) {
	views, err := parseViews()
	if err != nil {
		return nil, err
	}
	a := &app{url: o.BaseURL, views: views, notes: &notes{o.DB}, log: o.Logger, now: o.Clock}
	if a.people, err = newPeople(o.DB, o.HashCost); err != nil {
		return nil, err
	}

	store, err := session.NewSQLStore(o.DB, o.Secret)
	if err != nil {
		return nil, err
	}
	if err := store.CreateTable(ctx); err != nil {
		return nil, err
	}
	a.sessions, err = session.New(session.Options{
		BaseURL:   o.BaseURL,
		Store:     store.WithClock(o.Clock),
		LoginPath: "/login",
		Load:      a.people.load, // roles as they are now; whoever is locked out is out
		Clock:     o.Clock,
		Logger:    o.Logger,
	})
	if err != nil {
		return nil, err
	}

	a.forms, err = csrf.New(csrf.Options{
		BaseURL:      o.BaseURL,
		Secrets:      []string{o.Secret},
		RequireToken: true,
		Refuse:       a.refuseForm,
	})
	if err != nil {
		return nil, err
	}

	if a.keyStore, err = apikey.NewSQLStore(o.DB); err != nil {
		return nil, err
	}
	if err := a.keyStore.CreateTable(ctx); err != nil {
		return nil, err
	}
	a.issued = apikey.NewKeys(a.keyStore).WithClock(o.Clock)
	a.keys, err = apikey.New(apikey.Options{Store: a.keyStore, Proxies: o.Proxies, Clock: o.Clock, Logger: o.Logger})
	if err != nil {
		return nil, err
	}

	// Passwords: five wrong ones in a quarter of an hour, for each address and for each account.
	// Sign-ups: ten in an hour for each address, for each costs a slow hash and a row.
	byAddress := ratelimit.ByAddress(o.Proxies...)
	limit := func(l ratelimit.Options) (*ratelimit.Limiter, error) {
		l.Clock, l.Logger, l.Refuse = o.Clock, o.Logger, a.tooMany
		return ratelimit.New(l)
	}
	if a.addresses, err = limit(ratelimit.Login(ratelimit.Options{Name: "address", Key: byAddress})); err != nil {
		return nil, err
	}
	if a.accounts, err = limit(ratelimit.Login(ratelimit.Options{Name: "account"})); err != nil {
		return nil, err
	}
	a.signUps, err = limit(ratelimit.Options{Name: "signup", Key: byAddress, Limit: ratelimit.Limit{Requests: 10, Per: time.Hour}})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// handler says who may call what.
func (a *app) handler() http.Handler {
	var (
		anybody = a.page
		person  = a.behind(guard.Require(a.sessions, guard.Refuse(a.refuse)))
		sure    = a.behind(guard.Require(a.sessions, guard.Refuse(a.refuse), guard.MaxAge(fresh), guard.Clock(a.now)))
		admins  = a.behind(guard.Require(a.sessions, guard.Refuse(a.refuse), guard.Roles(admin)))
		program = a.behind(guard.Require(guard.AnyOf(a.keys, a.sessions.API()), guard.Scopes(readNotes), guard.Where(a.people.mayEnter)))
	)
	mux := http.NewServeMux()

	mux.Handle("GET /{$}", anybody(a.home))
	mux.Handle("GET /signup", anybody(a.signUpForm))
	mux.Handle("POST /signup", a.signUps.Middleware(anybody(a.signUp)))
	mux.Handle("GET /login", anybody(a.loginForm))
	mux.Handle("POST /login", a.addresses.Middleware(anybody(a.login)))
	mux.Handle("POST /logout", anybody(a.logout))

	mux.Handle("POST /notes", person(a.addNote))
	mux.Handle("POST /notes/delete", person(a.deleteNote))
	mux.Handle("GET /api/notes", program(a.listNotes))

	mux.Handle("GET /keys", person(a.keyList))
	mux.Handle("GET /keys/new", sure(a.keyForm))
	mux.Handle("POST /keys/new", sure(a.issueKey))
	mux.Handle("POST /keys/revoke", person(a.revokeKey))

	mux.Handle("GET /account", person(a.account))
	mux.Handle("POST /account/end", person(a.endSession))
	mux.Handle("POST /account/end-others", person(a.endOthers))
	mux.Handle("GET /account/password", sure(a.passwordForm))
	mux.Handle("POST /account/password", sure(a.changePassword))
	mux.Handle("GET /account/delete", sure(a.deleteForm))
	mux.Handle("POST /account/delete", sure(a.deleteAccount))

	mux.Handle("GET /admin", admins(a.adminList))
	mux.Handle("POST /admin/lock", admins(a.adminLock))
	mux.Handle("/", anybody(a.notFound))

	whole := http.NewServeMux()
	whole.Handle("GET /style.css", a.views.files())
	whole.Handle("/", a.sessions.Middleware(a.forms.Middleware(mux)))
	return headers(http.MaxBytesHandler(whole, 64<<10))
}

// page makes a handler of a function that may fail.
func (a *app) page(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			a.log.ErrorContext(r.Context(), "failed", "method", r.Method, "path", r.URL.Path, "error", err)
			a.show(w, r, http.StatusInternalServerError, "message.html", message{"That did not work", "The fault is ours. Try again in a moment."})
		}
	})
}

// behind makes handlers that run only for whom require lets through.
func (a *app) behind(require func(http.Handler) http.Handler) func(func(http.ResponseWriter, *http.Request) error) http.Handler {
	return func(f func(http.ResponseWriter, *http.Request) error) http.Handler { return require(a.page(f)) }
}

// headers keeps other people's scripts, styles and frames out of our pages.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

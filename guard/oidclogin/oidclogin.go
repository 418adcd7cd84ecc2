package oidclogin

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/cookies"
	"github.com/gatehouse-dev/gatehouse/guard/internal/keyring"
	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Method is the Principal.Method of people signed in by this package.
const Method = "oidc"

// Login signs people in at one provider for one application. It is the handler
// of its routes and a guard.Authenticator; both are safe for concurrent use.
type Login struct {
	options      Options
	base         string // BaseURL without a slash at the end
	secure       bool
	app          string // what a session belongs to: cookie, issuer, client
	cookie       cookies.Cookie
	provider     *provider.Provider
	transactions *keyring.Sealer
	stateless    bool // sessions live in their cookies
	store        session.Store
	refreshes    refreshes
	loggedOut    logoutTokens
	crossOrigin  *http.CrossOriginProtection
	now          func() time.Time
	log          *slog.Logger
}

// ServeHTTP serves the routes below Prefix: GET login, GET callback, GET or POST
// logout, GET me, POST backchannel-logout if the store can find sessions, and POST
// token if Options.MediateTokens is set. Each is a method of its own too, for
// other addresses; then Prefix must still say where login and callback are.
func (l *Login) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, ok := strings.CutPrefix(r.URL.Path, l.options.Prefix)
	if !ok {
		http.NotFound(w, r)
		return
	}
	switch route {
	case "/login":
		l.Login(w, r)
	case "/callback":
		l.Callback(w, r)
	case "/logout":
		l.Logout(w, r)
	case "/me":
		l.Me(w, r)
	case "/backchannel-logout":
		l.BackchannelLogout(w, r)
	case "/token":
		l.MediateToken(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Authenticate implements guard.Authenticator: the principal is whoever the
// session in the request's cookie belongs to. A cookie that does not open, has
// expired or was meant for another application is nobody, and is cleared; that
// never is an error, because the person behind it can do nothing about it.
//
// A session that Options.Revocations knows to be taken back is nobody, too.
//
// The error is guard.Unavailable when the store fails, or when revocation cannot
// be judged.
func (l *Login) Authenticate(r *http.Request) (guard.Result, error) {
	// An outer guard may have opened the session already. Two copies of one
	// session would save over each other.
	if s, ok := FromContext(r.Context()); ok && s.login == l {
		return guard.Result{Principal: s.Principal()}, nil
	}
	s, err := l.current(r)
	var refused *guard.Error
	switch {
	case errors.Is(err, errNoCookie):
		return guard.Result{BeforeHeader: cookies.VaryOnCookie}, nil
	case errors.Is(err, session.ErrNotFound):
		return guard.Result{BeforeHeader: func(h http.Header) { l.cookie.Clear(h, r) }}, nil
	case errors.As(err, &refused):
		return guard.Result{}, refused // revocation cannot be judged at the moment
	case err != nil:
		return guard.Result{}, &guard.Error{Code: guard.Unavailable, Description: "The session could not be looked up", RetryAfter: 5 * time.Second, Err: err}
	}
	return guard.Result{Principal: s.principal, BeforeHeader: func(h http.Header) { s.beforeHeader(h, r) }}, nil
}

// Challenge implements guard.Authenticator. There is no registered scheme for
// cookies; this one tells a client that is not a browser where people sign in.
func (l *Login) Challenge(_ *http.Request, why *guard.Error) []string {
	if why != nil {
		return nil // signing in again would not help
	}
	return []string{oauth.Challenge("Session", oauth.Parameter{Name: "login_url", Value: l.options.Prefix + "/login"})}
}

// API returns the same scheme for handlers that answer scripts alone: under
// guard.Require it never leads to the login page, whoever asks, but answers 401.
func (l *Login) API() guard.Authenticator { return api{l} }

// api is a Login without its pages.
type api struct{ login *Login }

func (a api) Authenticate(r *http.Request) (guard.Result, error) { return a.login.Authenticate(r) }

func (a api) Challenge(r *http.Request, why *guard.Error) []string { return a.login.Challenge(r, why) }

// LoginURL implements guard.BrowserLogin.
func (l *Login) LoginURL(r *http.Request) string {
	return l.options.Prefix + "/login?" + url.Values{"returnTo": {l.here(r)}}.Encode()
}

// StepUpURL implements guard.StepUpLogin: the person is to sign in anew, as guard.ACR
// or guard.MaxAge ask. The callback refuses a sign-in that falls short, so that
// nobody is sent round and round.
func (l *Login) StepUpURL(r *http.Request, why *guard.Error) string {
	q := url.Values{"returnTo": {l.here(r)}}
	if len(why.ACRValues) > 0 {
		q.Set("acr_values", strings.Join(why.ACRValues, " "))
	}
	if why.MaxAge > 0 {
		q.Set("max_age", strconv.FormatInt(int64(why.MaxAge/time.Second), 10))
	}
	if len(q) == 1 {
		q.Set("prompt", "login")
	}
	return l.options.Prefix + "/login?" + q.Encode()
}

// here is the address of r to come back to.
func (l *Login) here(r *http.Request) string {
	// RequestURI is what the browser asked for; r.URL may have been rewritten by
	// http.StripPrefix on the way here.
	here := r.RequestURI
	if !strings.HasPrefix(here, "/") {
		here = r.URL.RequestURI()
	}
	return l.returnTo(here)
}

// returnTo makes a safe local address of what a link's author wrote. The routes
// of this package are no place to return to: login would send the browser round
// and round.
func (l *Login) returnTo(asked string) string {
	local := oauth.SafeReturnTo(asked)
	if u, err := url.Parse(local); err != nil || strings.HasPrefix(u.Path, l.options.Prefix+"/") {
		return "/"
	}
	return local
}

func (l *Login) callbackURL() string { return l.base + l.options.Prefix + "/callback" }

// The things a Login is to package guard, and what it is to net/http.
var (
	_ guard.Authenticator = (*Login)(nil)
	_ guard.BrowserLogin  = (*Login)(nil)
	_ guard.StepUpLogin   = (*Login)(nil)
	_ http.Handler        = (*Login)(nil)
)

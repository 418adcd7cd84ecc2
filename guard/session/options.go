package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/address"
	"github.com/gatehouse-dev/gatehouse/guard/internal/cookies"
)

// Options configures a Manager. BaseURL and Store are required; the zero value of
// everything else is a good choice.
type Options struct {
	// BaseURL is where browsers find this application: scheme, host and port, no
	// path. If it is https, the cookie is Secure and carries the __Host- prefix;
	// http is accepted on loopback hosts alone.
	BaseURL string
	// Store keeps the sessions.
	Store Store

	// IdleTimeout ends a session that long after its last request; default 24
	// hours, or guard.RevocationsKept with Revocations. It is renewed in steps of a
	// twentieth, not at every request.
	IdleTimeout time.Duration
	// AbsoluteTimeout ends a session that long after signing in; default 7 days.
	AbsoluteTimeout time.Duration
	// RememberIdleTimeout and RememberAbsoluteTimeout are the limits of those who
	// asked to be remembered; default 14 and 30 days, the first of them as short as
	// IdleTimeout with Revocations. Everybody else's cookie goes when the browser
	// closes, if not before.
	RememberIdleTimeout, RememberAbsoluteTimeout time.Duration
	// Keep names the values that survive SignIn. What a stranger left in a session
	// may have been put there by somebody else; list what does no harm then, such
	// as a shopping cart or a language.
	Keep []string

	// LoginPath is where people sign in, a path of this application; guard.Require
	// sends browsers there, with the page to return to in the parameter ReturnTo.
	// Without it they are answered 401.
	LoginPath string
	// CookieName is the cookie's name without the prefix; default "session".
	CookieName string
	// SameSite is Lax by default. Strict withholds the cookie from every request
	// that comes from another site, links included.
	SameSite http.SameSite

	// Revocations is asked, at every request, whether a sign-in still stands; nil
	// asks nobody. A sign-in that was taken back ends the session. It is forgotten
	// after guard.RevocationsKept: a session that nobody used for longer must have
	// ended by itself, or by EndUpstream. With an encrypted cookie New refuses longer
	// idle limits.
	Revocations guard.Revocations
	// Load, if set, brings the principal of every request up to date, for example
	// with the roles that the application's records give the person now. ErrEnded
	// ends the session, because the person is gone or locked; any other error
	// refuses the request as temporarily unavailable. The session is not open yet:
	// Load must not use it.
	Load func(ctx context.Context, p *guard.Principal) error

	// Refuse writes what Middleware answers when a session cannot be looked up, in
	// place of a small page or a problem document: as guard.Refuse does for guards,
	// with refusal.Status and the header begun.
	Refuse func(w http.ResponseWriter, r *http.Request, refusal *guard.Refusal)

	// Clock tells the time; default time.Now.
	Clock func() time.Time
	// Logger hears of sessions that could not be renewed; default slog.Default().
	Logger *slog.Logger
	// InsecureAllowHTTP permits plain http for BaseURL off loopback. Everybody on
	// the path can then read the cookie.
	InsecureAllowHTTP bool
}

// New checks the options, all of them, and returns a Manager.
func New(o Options) (*Manager, error) {
	o = o.withDefaults()
	var problems []error
	base, secure, err := address.Origin("BaseURL", o.BaseURL, o.InsecureAllowHTTP)
	if err != nil {
		problems = append(problems, err)
	}
	if o.Store == nil {
		problems = append(problems, errors.New("Store is missing: NewMemoryStore, NewSQLStore, NewCookieStore or redisstore.NewSessions"))
	}
	for _, limits := range []struct {
		name           string
		idle, absolute time.Duration
	}{{"", o.IdleTimeout, o.AbsoluteTimeout}, {"Remember", o.RememberIdleTimeout, o.RememberAbsoluteTimeout}} {
		if limits.idle < time.Minute || limits.absolute < limits.idle {
			problems = append(problems, fmt.Errorf("%[1]sIdleTimeout %[2]v must be at least a minute and at most %[1]sAbsoluteTimeout %[3]v", limits.name, limits.idle, limits.absolute))
		}
	}
	if _, stateless := o.Store.(*CookieStore); stateless && o.Revocations != nil && max(o.IdleTimeout, o.RememberIdleTimeout) > guard.RevocationsKept {
		problems = append(problems, fmt.Errorf("IdleTimeout and RememberIdleTimeout must be at most %v with Revocations and an encrypted cookie: a session that sleeps for longer could not be told from one that was taken back", guard.RevocationsKept))
	}
	if o.LoginPath != "" && (!strings.HasPrefix(o.LoginPath, "/") || strings.HasPrefix(o.LoginPath, "//") || strings.ContainsAny(o.LoginPath, "?#\\")) {
		problems = append(problems, fmt.Errorf("LoginPath %q must be a path of this application", o.LoginPath))
	}
	if strings.Trim(o.CookieName, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		problems = append(problems, fmt.Errorf("CookieName %q must be letters, digits, hyphens and underscores; the prefix comes by itself", o.CookieName))
	}
	if !slices.Contains([]http.SameSite{http.SameSiteLaxMode, http.SameSiteStrictMode}, o.SameSite) {
		problems = append(problems, errors.New("SameSite must be Lax or Strict: without it every site can use the session"))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("session: %w", errors.Join(problems...))
	}
	name := cookies.Name(o.CookieName, secure)
	return &Manager{
		options: o, store: o.Store, now: o.Clock, log: o.Logger,
		app:    strings.Join([]string{"session", name, base}, "\n"),
		cookie: cookies.Cookie{Name: name, Secure: secure, SameSite: o.SameSite},
	}, nil
}

func (o Options) withDefaults() Options {
	const day = 24 * time.Hour
	idle, remembered := day, 14*day
	if o.Revocations != nil {
		idle, remembered = guard.RevocationsKept, guard.RevocationsKept
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = idle
	}
	if o.AbsoluteTimeout == 0 {
		o.AbsoluteTimeout = max(7*day, o.IdleTimeout)
	}
	if o.RememberIdleTimeout == 0 {
		o.RememberIdleTimeout = max(remembered, o.IdleTimeout)
	}
	if o.RememberAbsoluteTimeout == 0 {
		o.RememberAbsoluteTimeout = max(30*day, o.RememberIdleTimeout, o.AbsoluteTimeout)
	}
	if o.CookieName == "" {
		o.CookieName = "session"
	}
	if o.SameSite == 0 {
		o.SameSite = http.SameSiteLaxMode
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

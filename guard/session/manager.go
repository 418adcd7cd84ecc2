package session

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/cookies"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Method is the Principal.Method of people signed in by a Manager.
const Method = "session"

// ReturnTo is the query parameter that tells the login page where to go on.
const ReturnTo = "returnTo"

// Manager gives the visitors of an application sessions, and those who sign in a
// name. It is for applications that know their users themselves; package
// oidclogin is for those that let a provider sign them in.
//
// Middleware goes around everything that uses sessions; the Manager itself is the
// scheme for guard.Require. Both are safe for concurrent use.
type Manager struct {
	options Options
	app     string // what a session belongs to
	cookie  cookies.Cookie
	store   Store
	now     func() time.Time
	log     *slog.Logger
}

type sessionKey struct{}

// Middleware lets the handlers behind it use FromContext, Key and guard.From. It
// reads the session if the request names one; nothing is stored for a stranger
// before a handler puts something there. When the store cannot be read it answers
// 503, as Options.Refuse says: somebody signed in must not pass for a stranger.
func (m *Manager) Middleware(next http.Handler) http.Handler {
	var options []guard.Option
	if m.options.Refuse != nil {
		options = append(options, guard.Refuse(m.options.Refuse))
	}
	named := guard.Optional(m, options...)(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s, ok := FromContext(r.Context()); ok && s.manager == m {
			next.ServeHTTP(w, r)
			return
		}
		named.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, &Session{manager: m})))
	})
}

// FromContext returns the session of the request whose context this is. There is
// one behind Middleware, for strangers too, and behind guard.Require with a
// Manager.
func FromContext(ctx context.Context) (*Session, bool) {
	if s, ok := ctx.Value(sessionKey{}).(*Session); ok {
		return s, true
	}
	p, ok := guard.From(ctx)
	if !ok {
		return nil, false
	}
	s, ok := p.Credential.(*Session)
	return s, ok
}

// Authenticate implements guard.Authenticator: the principal is whoever signed in
// to the session in the request's cookie. A cookie that names no live session is
// nobody; that never is an error, because the person behind it can do nothing
// about it.
//
// The error is guard.Unavailable when the store, or whoever is asked whether the
// sign-in still stands, fails.
func (m *Manager) Authenticate(r *http.Request) (guard.Result, error) {
	s, ok := FromContext(r.Context())
	if !ok || s.manager != m {
		s = &Session{manager: m}
	}
	first, err := s.open(r)
	var result guard.Result
	if first { // an inner guard must not renew the cookie a second time
		result.BeforeHeader = func(h http.Header) { s.beforeHeader(h, r) }
	}
	if e := (*guard.Error)(nil); errors.As(err, &e) {
		return result, e
	}
	if err != nil {
		return result, &guard.Error{Code: guard.Unavailable, Description: "The session could not be looked up", RetryAfter: 5 * time.Second, Err: err}
	}
	result.Principal = s.Principal()
	return result, nil
}

// Challenge implements guard.Authenticator. There is no registered scheme for
// cookies; this one tells a client that is not a browser where people sign in.
func (m *Manager) Challenge(_ *http.Request, why *guard.Error) []string {
	if m.options.LoginPath == "" || why != nil && why.Code != guard.InsufficientUserAuthentication {
		return nil
	}
	parameters := []oauth.Parameter{{Name: "login_url", Value: m.options.LoginPath}}
	if why != nil {
		parameters = append([]oauth.Parameter{{Name: "error", Value: string(why.Code)}}, parameters...)
		if len(why.ACRValues) > 0 {
			parameters = append(parameters, oauth.Parameter{Name: "acr_values", Value: strings.Join(why.ACRValues, " ")})
		}
		if why.MaxAge > 0 {
			parameters = append(parameters, oauth.Parameter{Name: "max_age", Value: strconv.Itoa(int(why.MaxAge / time.Second))})
		}
	}
	return []string{oauth.Challenge("Session", parameters...)}
}

// API returns the same scheme for handlers that answer scripts alone: under
// guard.Require it never leads to the login page, whoever asks, but answers 401.
func (m *Manager) API() guard.Authenticator { return api{m} }

// api is a Manager without its login page.
type api struct{ manager *Manager }

func (a api) Authenticate(r *http.Request) (guard.Result, error) { return a.manager.Authenticate(r) }

func (a api) Challenge(r *http.Request, why *guard.Error) []string {
	return a.manager.Challenge(r, why)
}

// LoginURL implements guard.BrowserLogin: LoginPath, with the page to return to.
// It is empty without a LoginPath.
func (m *Manager) LoginURL(r *http.Request) string {
	return m.loginURL(r, url.Values{})
}

// StepUpURL implements guard.StepUpLogin: where somebody who is signed in goes to
// prove it anew or better, LoginPath with the parameters acr_values and max_age, in
// seconds. When they have, call Reauthenticate.
func (m *Manager) StepUpURL(r *http.Request, why *guard.Error) string {
	parameters := url.Values{}
	if why.MaxAge > 0 {
		parameters.Set("max_age", strconv.Itoa(int(why.MaxAge/time.Second)))
	}
	if len(why.ACRValues) > 0 {
		parameters.Set("acr_values", strings.Join(why.ACRValues, " "))
	}
	return m.loginURL(r, parameters)
}

func (m *Manager) loginURL(r *http.Request, parameters url.Values) string {
	if m.options.LoginPath == "" {
		return ""
	}
	// RequestURI is what the browser asked for; r.URL may have been rewritten by
	// http.StripPrefix on the way here.
	here := r.RequestURI
	if !strings.HasPrefix(here, "/") {
		here = r.URL.RequestURI()
	}
	parameters.Set(ReturnTo, m.local(here))
	return m.options.LoginPath + "?" + parameters.Encode()
}

// ReturnPath is where to send the browser of r after signing in: the page that
// LoginURL put into the query, or "/". It is always a page of this application,
// whoever wrote the link.
func (m *Manager) ReturnPath(r *http.Request) string {
	return m.local(r.URL.Query().Get(ReturnTo))
}

// local makes a safe address of this application of what a link's author wrote.
// The login page is no place to return to.
func (m *Manager) local(asked string) string {
	path := oauth.SafeReturnTo(asked)
	if u, err := url.Parse(path); err != nil || u.Path == m.options.LoginPath {
		return "/"
	}
	return path
}

// ErrNoIndex: the store keeps no list of sessions, so they cannot be listed or
// ended by whose they are. An encrypted cookie is such a store.
var ErrNoIndex = errors.New("session: the store keeps no lists")

func (m *Manager) index() (Index, error) {
	if index, ok := m.store.(Index); ok {
		return index, nil
	}
	return nil, ErrNoIndex
}

// Info describes a session to the person it belongs to.
type Info struct {
	// ID names the session in End. It is not what the cookie holds.
	ID string
	// Current: it is the session that asks.
	Current bool
	// Label is Identity.Label.
	Label string
	// SignedIn is when it began; LastSeen when it was used, to a twentieth of
	// IdleTimeout; Expires when it ends unless it is used.
	SignedIn, LastSeen, Expires time.Time
	// Remembered: its cookie outlives the browser.
	Remembered bool
}

// List returns the live sessions of subject, the one used last first.
func (m *Manager) List(ctx context.Context, subject string) ([]Info, error) {
	return m.list(ctx, subject, "")
}

func (m *Manager) list(ctx context.Context, subject, current string) ([]Info, error) {
	index, err := m.index()
	if err != nil {
		return nil, err
	}
	entries, err := index.List(ctx, m.app, subject)
	if err != nil {
		return nil, err
	}
	var list []Info
	for _, e := range entries {
		st, err := m.decode(e.Record)
		if err != nil || st.Identity == nil || st.Identity.Subject != subject {
			continue
		}
		list = append(list, Info{
			ID: e.ID, Current: current != "" && st.Binding == current, Label: st.Identity.Label, Remembered: st.Remember,
			SignedIn: time.Unix(st.Began, 0), LastSeen: time.Unix(st.Seen, 0), Expires: m.expires(st),
		})
	}
	return list, nil
}

// End ends one session of subject, by its Info.ID. Another person's, or one that
// has ended, is no error.
func (m *Manager) End(ctx context.Context, subject, id string) error {
	index, err := m.index()
	if err != nil {
		return err
	}
	return index.DeleteEntry(ctx, m.app, subject, id)
}

// EndAll ends all sessions of subject and returns how many: after a password was
// reset, or when a person is locked or leaves.
func (m *Manager) EndAll(ctx context.Context, subject string) (int, error) {
	index, err := m.index()
	if err != nil {
		return 0, err
	}
	return index.DeleteSubject(ctx, m.app, subject, "")
}

// EndUpstream ends the sessions that began with this Identity.Issuer and
// Identity.SessionID, because the provider ended its own, and returns how many. The
// same sid at another provider is another session, and stays.
func (m *Manager) EndUpstream(ctx context.Context, issuer, sessionID string) (int, error) {
	index, err := m.index()
	if err != nil {
		return 0, err
	}
	return index.DeleteSession(ctx, m.app, upstream(issuer, sessionID))
}

// upstream is how a provider's session is named in the store: a sid says nothing
// without who gave it out. Issuers are URLs and hold no line break.
func upstream(issuer, sessionID string) string {
	if sessionID == "" {
		return "" // found by nothing
	}
	return issuer + "\n" + sessionID
}

// What a Manager is to package guard.
var (
	_ guard.Authenticator = (*Manager)(nil)
	_ guard.BrowserLogin  = (*Manager)(nil)
	_ guard.StepUpLogin   = (*Manager)(nil)
)

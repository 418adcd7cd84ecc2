package oidclogin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/cookies"
	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// saveTimeout bounds how long a response waits for the store to take a session.
const saveTimeout = 5 * time.Second

// maxConflicts is how often a change is tried against others' changes.
const maxConflicts = 5

// errNoCookie: the request carries no session cookie, so there is none to clear.
var errNoCookie = errors.New("no session cookie")

// Session is somebody's sign-in at this application, as one request sees it. It
// is the Credential of the principal. It is safe for concurrent use.
type Session struct {
	login     *Login
	principal *guard.Principal

	mu      sync.Mutex
	token   string
	version int64
	data    sessionData
	touched bool // last use is due to be noted
	saved   bool // token or expiry changed, the cookie must follow
	ended   bool
	// answered: the header is sent, the cookie can change no more.
	answered bool
}

// FromContext returns the session of the request whose context this is, if it
// came through a guard with a Login.
func FromContext(ctx context.Context) (*Session, bool) {
	p, ok := guard.From(ctx)
	if !ok {
		return nil, false
	}
	s, ok := p.Credential.(*Session)
	return s, ok
}

// Principal returns who is signed in.
func (s *Session) Principal() *guard.Principal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.principal
}

// Value returns what SetValue has kept under name, empty if nothing.
func (s *Session) Value(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.Values[name]
}

// SetValue keeps a short value of the application's own in the session; the
// empty value removes it. With an encrypted cookie it has to fit beside the
// tokens, and has to be set before the header is written. Errors are those of
// AccessToken.
func (s *Session) SetValue(ctx context.Context, name, value string) error {
	return s.change(ctx, func(d *sessionData) {
		values := maps.Clone(d.Values)
		if values == nil {
			values = map[string]string{}
		}
		values[name] = value
		if value == "" {
			delete(values, name)
		}
		d.Values = values
	})
}

// SetRoles sets the Roles of the session's principal, in place of those the ID
// token names: at sign-in, from Options.OnSignIn, or whenever they change; the
// requests that come after see them. Errors are those of AccessToken.
func (s *Session) SetRoles(ctx context.Context, roles ...string) error {
	roles = append([]string{}, roles...)
	return s.change(ctx, func(d *sessionData) { d.Roles = &roles })
}

func (s *Session) change(ctx context.Context, change func(*sessionData)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return ErrSignedOut
	case s.answered && s.login.stateless:
		return ErrTooLate
	}
	err := s.save(ctx, func(d *sessionData) bool { change(d); return true })
	switch {
	case errors.Is(err, session.ErrNotFound):
		return ErrSignedOut
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// IDToken returns the ID token of the sign-in, as the provider signed it.
func (s *Session) IDToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.IDToken
}

// Binding names the session, so that other values can be bound to it: package csrf
// binds its tokens. It is random, new at every sign-in, and stays when the cookie or
// the tokens change. It opens nothing, but keep it out of pages.
func (s *Session) Binding() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.ID
}

// String hides the session's tokens from logs.
func (s *Session) String() string { return "oidclogin.Session(" + s.Principal().Subject + ")" }

// LogValue hides the session's tokens from logs.
func (s *Session) LogValue() slog.Value { return slog.StringValue(s.String()) }

// open returns the session of r's cookie. errNoCookie: there is no cookie;
// session.ErrNotFound: there is one and it is good for nothing; any other
// error: the store failed.
func (l *Login) open(r *http.Request) (*Session, error) {
	token, present := l.cookie.Get(r)
	if !present {
		return nil, errNoCookie
	}
	if token == "" {
		return nil, session.ErrNotFound
	}
	s := &Session{login: l, token: token}
	if err := s.load(r.Context()); err != nil {
		return nil, err
	}
	// Every request would be a write if each were noted.
	s.touched = l.now().Sub(time.Unix(s.data.Seen, 0)) >= l.options.IdleTimeout/20
	return s, nil
}

// load reads the session from the store and judges it.
func (s *Session) load(ctx context.Context) error {
	l := s.login
	rec, err := l.store.Find(ctx, l.app, s.token)
	if err != nil {
		return err
	}
	var d sessionData
	if err := jose.Decode(rec.Data, &d); err != nil {
		return fmt.Errorf("%w: %w", session.ErrNotFound, err)
	}
	// The store was asked for this application's session, and its age; a store
	// that ignores either must not sign anybody in.
	if d.Issuer != l.options.Issuer || d.ClientID != l.options.ClientID || !l.now().Before(l.expires(d)) {
		return session.ErrNotFound
	}
	s.data, s.version = d, rec.Version
	if err := s.describe(); err != nil {
		return fmt.Errorf("%w: %w", session.ErrNotFound, err)
	}
	return nil
}

// describe makes the principal that the session's data speaks of.
func (s *Session) describe() error {
	p, err := s.login.principalOf(s.data)
	if err != nil {
		return err
	}
	p.Credential = s
	s.principal = p
	return nil
}

func (l *Login) principalOf(d sessionData) (*guard.Principal, error) {
	payload, c, err := d.claims()
	if err != nil {
		return nil, err
	}
	if c.Issuer != l.options.Issuer || c.Subject == "" {
		return nil, errors.New("not a session of this provider")
	}
	return &guard.Principal{
		Kind:         guard.User,
		Subject:      c.Subject,
		Issuer:       c.Issuer,
		ClientID:     l.options.ClientID,
		Method:       Method,
		AMR:          c.AMR,
		ACR:          c.ACR,
		AuthTime:     c.AuthTime.Time(),
		Scopes:       strings.Fields(d.Scope),
		Roles:        d.roles(c),
		Organization: c.Organization,
		SessionID:    c.SessionID,
		GrantID:      d.Grant,
		KeyID:        d.keyID(),
		IssuedAt:     c.IssuedAt.Time(),
		Expiry:       l.expires(d),
		Claims:       payload,
	}, nil
}

// beforeHeader writes the cookie, if anything about it changed.
func (s *Session) beforeHeader(h http.Header, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered = true
	cookies.VaryOnCookie(h)
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "private") // what somebody signed in sees is theirs
	}
	l := s.login
	if s.touched && !s.ended {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), saveTimeout)
		defer cancel()
		if err := s.save(ctx, func(d *sessionData) bool {
			now := l.now().Unix()
			due := now > d.Seen
			d.Seen = max(now, d.Seen)
			return due
		}); err != nil {
			l.log.WarnContext(ctx, "guard: session not renewed", "error", err)
		}
	}
	switch {
	case s.ended:
		l.cookie.Clear(h, r)
	case s.saved:
		if err := l.cookie.Set(h, r, s.token, l.expires(s.data).Sub(l.now())); err != nil {
			l.log.ErrorContext(r.Context(), "guard: session cookie not renewed", "error", l.tooBig(err, s.data))
		}
	}
}

// save applies change to the session and stores it. When another request was
// faster, change is applied to what that one left; it returns false when there is
// nothing left to do. The caller holds s.mu.
func (s *Session) save(ctx context.Context, change func(*sessionData) bool) error {
	for range maxConflicts {
		changed := s.data
		if !change(&changed) {
			return nil
		}
		if s.token == "" { // not begun yet
			s.data = changed
			return nil
		}
		token, err := s.update(ctx, &changed)
		switch {
		case err == nil:
			s.data, s.token, s.version = changed, token, s.version+1
			s.touched, s.saved = false, true
			return nil
		case errors.Is(err, session.ErrNotFound):
			s.ended = true
			return err
		case !errors.Is(err, session.ErrConflict):
			return err
		}
		if err := s.reload(ctx); err != nil {
			return err
		}
	}
	return session.ErrConflict
}

// update puts d into the store. Tokens for other audiences make room where a
// cookie cannot hold them all: they can be had again, the refresh token cannot.
func (s *Session) update(ctx context.Context, d *sessionData) (token string, err error) {
	l := s.login
	for {
		rec, err := l.record(*d, s.version)
		if err != nil {
			return "", err
		}
		token, err := l.store.Update(ctx, s.token, rec)
		if err == nil && l.stateless && len(token) > cookies.MaxValue {
			err = &cookies.TooLongError{Name: l.cookie.Name, Size: len(token)}
		}
		switch {
		case !l.stateless || err == nil:
			return token, err
		case len(d.Others) == 0:
			return "", l.tooBig(err, *d)
		}
		l.log.WarnContext(ctx, "guard: the session cookie is full, an access token for another audience was dropped", "audience", d.Others[0].Audience, "error", l.tooBig(err, *d))
		d.Others = d.Others[1:]
	}
}

// reload reads what another request left in the store.
func (s *Session) reload(ctx context.Context) error {
	fresh := &Session{login: s.login, token: s.token}
	if err := fresh.load(ctx); err != nil {
		if errors.Is(err, session.ErrNotFound) {
			s.ended = true
		}
		return err
	}
	s.data, s.version = fresh.data, fresh.version
	return nil
}

// current is open for whoever asks who is signed in: a session that was taken
// back is over, in the store as well.
func (l *Login) current(r *http.Request) (*Session, error) {
	s, err := l.open(r)
	if err != nil || l.options.Revocations == nil {
		return s, err
	}
	// What was presented is a cookie, which no issuer would understand.
	_, err = l.options.Revocations.Check(r.Context(), s.principal, "", 0)
	var why *guard.Error
	if errors.As(err, &why) && why.Code == guard.InvalidToken {
		if err := l.store.Delete(r.Context(), l.app, s.token); err != nil {
			l.log.WarnContext(r.Context(), "guard: session not deleted", "error", err)
		}
		return nil, fmt.Errorf("%w: %w", session.ErrNotFound, why)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

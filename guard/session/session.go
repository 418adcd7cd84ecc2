package session

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// Errors of a Session, to be matched with errors.Is.
var (
	// ErrEnded: the session is over; it was ended elsewhere while this request ran.
	ErrEnded = errors.New("session: ended")
	// ErrAnswered: the response has begun, and what was asked for needs a cookie in
	// its header. Nothing was changed.
	ErrAnswered = errors.New("session: the response has begun, its cookie cannot change any more")
	// ErrNotSignedIn: nobody is signed in to the session.
	ErrNotSignedIn = errors.New("session: nobody is signed in")
)

// Session is what an application remembers of one browser, as one request sees
// it. It is the Credential of the principal, and safe for concurrent use.
//
// What returns without an error is in the store: changes are not gathered up for
// the end of the request. Requests of one session run side by side; a change is
// applied to what the others left, so none is lost.
type Session struct {
	manager *Manager

	mu        sync.Mutex
	opened    bool
	failure   error // why it could not be opened
	ended     bool  // by somebody else, while this request ran
	token     string
	version   int64
	state     state            // meaningful only with a token
	principal *guard.Principal // nil: nobody is signed in
	cookie    cookieChange
	// answered: the header is sent, the cookie can change no more.
	answered bool
}

// cookieChange is what the response does to the cookie.
type cookieChange int

const (
	keepCookie cookieChange = iota
	setCookie
	clearCookie
)

// open reads the session of r's cookie, once; first tells whether this call did.
func (s *Session) open(r *http.Request) (first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened {
		return false, s.failure
	}
	s.opened = true
	token, present := s.manager.cookie.Get(r)
	switch {
	case !present:
		return true, nil
	case token == "": // damaged, or planted by a neighbour beside ours
		s.cookie = clearCookie
		return true, nil
	}
	s.token = token
	err = s.load(r.Context())
	if errors.Is(err, ErrNotFound) {
		s.forget(keepCookie)
		// Only a page's answer takes the cookie away. A script's request may have
		// been under way while its page signed in, and the answer, coming late,
		// would take away the new one.
		if mode := r.Header.Get("Sec-Fetch-Mode"); mode == "" || mode == "navigate" {
			s.cookie = clearCookie
		}
		return true, nil
	}
	if err != nil {
		s.forget(keepCookie)
	}
	s.failure = err
	return true, err
}

// load reads the session from the store and judges it: the one place through
// which every request's session comes. The caller holds s.mu.
func (s *Session) load(ctx context.Context) error {
	m := s.manager
	rec, err := m.store.Find(ctx, m.app, s.token)
	if err != nil {
		return err
	}
	st, err := m.decode(rec)
	if err != nil {
		return err
	}
	p := s.principalOf(st)
	if p != nil {
		if err := m.vet(ctx, p); errors.Is(err, ErrEnded) {
			if err := m.store.Delete(ctx, m.app, s.token); err != nil {
				return err
			}
			return ErrNotFound
		} else if err != nil {
			return err
		}
	}
	s.state, s.version, s.principal = st, rec.Version, p
	return nil
}

// vet asks everybody who may know that a sign-in has ended; ErrEnded if it has.
func (m *Manager) vet(ctx context.Context, p *guard.Principal) error {
	if m.options.Revocations != nil {
		if _, err := m.options.Revocations.Check(ctx, p, "", 0); err != nil {
			if e := (*guard.Error)(nil); errors.As(err, &e) && e.Code == guard.InvalidToken {
				return ErrEnded
			}
			return err
		}
	}
	if m.options.Load != nil {
		return m.options.Load(ctx, p)
	}
	return nil
}

func (s *Session) principalOf(st state) *guard.Principal {
	id := st.Identity
	if id == nil {
		return nil
	}
	return &guard.Principal{
		Kind:         guard.User,
		Subject:      id.Subject,
		Issuer:       id.Issuer,
		Method:       Method,
		AMR:          slices.Clone(id.AMR),
		ACR:          id.ACR,
		AuthTime:     id.AuthTime,
		Scopes:       slices.Clone(id.Scopes),
		Permissions:  slices.Clone(id.Permissions),
		Roles:        slices.Clone(id.Roles),
		Organization: id.Organization,
		SessionID:    id.SessionID,
		IssuedAt:     time.Unix(st.Began, 0),
		Expiry:       s.manager.expires(st),
		Credential:   s,
	}
}

// Principal returns who is signed in, nil if nobody is. Unlike guard.From, which
// says who sent the request, it knows of a SignIn since then.
func (s *Session) Principal() *guard.Principal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.principal
}

// Binding names the session, so that other values can be bound to it: a token
// against forged requests, for example. It is random, new whenever the session's
// id is, and empty for a stranger of whom nothing is stored. It opens nothing, but
// keep it out of pages.
func (s *Session) Binding() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == "" {
		return ""
	}
	return s.state.Binding
}

// String hides the session's content from logs.
func (s *Session) String() string {
	if p := s.Principal(); p != nil {
		return "session.Session(" + p.Subject + ")"
	}
	return "session.Session()"
}

// LogValue hides the session's content from logs.
func (s *Session) LogValue() slog.Value { return slog.StringValue(s.String()) }

// List returns the sessions of the person signed in, this one among them, the one
// used last first.
func (s *Session) List(ctx context.Context) ([]Info, error) {
	p := s.Principal()
	if p == nil {
		return nil, ErrNotSignedIn
	}
	return s.manager.list(ctx, p.Subject, s.Binding())
}

// End ends another session of the person signed in, by its Info.ID.
func (s *Session) End(ctx context.Context, id string) error {
	p := s.Principal()
	if p == nil {
		return ErrNotSignedIn
	}
	return s.manager.End(ctx, p.Subject, id)
}

// EndOthers ends all sessions of the person signed in but this one, and returns
// how many: after the password was changed, or when a browser was lost.
func (s *Session) EndOthers(ctx context.Context) (int, error) {
	index, err := s.manager.index()
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.principal == nil {
		return 0, ErrNotSignedIn
	}
	return index.DeleteSubject(ctx, s.manager.app, s.principal.Subject, s.token)
}

package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/cookies"
	"github.com/gatehouse-dev/gatehouse/guard/internal/opaque"
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

const (
	// storeTimeout bounds how long a change waits for the store. It does not end
	// with the request: whether somebody signed out must not depend on whether the
	// browser waited for the answer.
	storeTimeout = 5 * time.Second
	// maxTries bounds how often a change is applied anew because another request
	// was faster. Each time one of those made progress.
	maxTries = 100
)

// Identity is what signing in puts into a session. Subject is required.
type Identity struct {
	// Subject is the person's id in the application's records: one that never
	// changes hands, so no e-mail address.
	Subject string `json:"sub"`
	// Remember keeps the cookie when the browser closes, with the longer limits.
	Remember bool `json:"-"`
	// Label is shown in lists of sessions, for example the browser's name.
	Label string `json:"label,omitempty"`

	// AMR, ACR and AuthTime say how and when the person proved who they are;
	// AuthTime is now by default.
	AMR      []string  `json:"amr,omitempty"`
	ACR      string    `json:"acr,omitempty"`
	AuthTime time.Time `json:"auth_time"`

	// Roles, Permissions, Scopes and Organization go into the principal as they
	// are, until the session is renewed; Options.Load can replace them with what
	// holds now.
	Roles        []string `json:"roles,omitempty"`
	Permissions  []string `json:"permissions,omitempty"`
	Scopes       []string `json:"scopes,omitempty"`
	Organization string   `json:"org_id,omitempty"`

	// Issuer and SessionID say which provider signed the person in, and its
	// session's sid, where one did.
	Issuer    string `json:"iss,omitempty"`
	SessionID string `json:"sid,omitempty"`
}

// state is what a session remembers. Names are short: it may have to fit into a
// cookie. Times are in seconds.
type state struct {
	// Binding is random, and new whenever the token is: see Session.Binding.
	Binding  string                     `json:"b"`
	Began    int64                      `json:"t"`
	Seen     int64                      `json:"s"`
	Remember bool                       `json:"r,omitempty"`
	Identity *Identity                  `json:"id,omitempty"`
	Values   map[string]json.RawMessage `json:"v,omitempty"`
}

func (m *Manager) newState() state {
	now := m.now().Unix()
	return state{Binding: opaque.Name(), Began: now, Seen: now}
}

// expires is the earlier of the idle and the absolute limit.
func (m *Manager) expires(st state) time.Time {
	idle, absolute := m.limits(st)
	return time.Unix(min(st.Seen+int64(idle/time.Second), st.Began+int64(absolute/time.Second)), 0)
}

func (m *Manager) limits(st state) (idle, absolute time.Duration) {
	if st.Remember {
		return m.options.RememberIdleTimeout, m.options.RememberAbsoluteTimeout
	}
	return m.options.IdleTimeout, m.options.AbsoluteTimeout
}

func (m *Manager) encode(st state, version int64) (Record, error) {
	data, err := json.Marshal(st)
	if err != nil {
		return Record{}, fmt.Errorf("session: %w", err)
	}
	rec := Record{App: m.app, Data: data, Expires: m.expires(st), Version: version}
	if st.Identity != nil {
		rec.Subject, rec.SessionID = st.Identity.Subject, upstream(st.Identity.Issuer, st.Identity.SessionID)
	}
	return rec, nil
}

// decode reads a record and judges its age anew: the limits may be shorter today
// than when it was written.
func (m *Manager) decode(rec Record) (st state, err error) {
	if err := json.Unmarshal(rec.Data, &st); err != nil {
		return state{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if st.Binding == "" || st.Identity != nil && st.Identity.Subject == "" || !m.now().Before(m.expires(st)) {
		return state{}, ErrNotFound
	}
	return st, nil
}

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

// SignIn is the one way to become signed in. The session gets a new id, and the
// old one is dead before SignIn returns: whoever planted it, or read it before,
// holds nothing. Of the values in it those named in Options.Keep stay.
//
// Call it after the last factor was checked. The error means that nobody was
// signed in.
func (s *Session) SignIn(ctx context.Context, id Identity) error {
	if id.Subject == "" {
		return errors.New("session: Identity.Subject is missing")
	}
	return s.renew(ctx, func(old state) (state, error) {
		st := s.manager.newState()
		st.Remember = id.Remember
		if id.AuthTime.IsZero() {
			id.AuthTime = s.manager.now()
		}
		st.Identity = &id
		for _, key := range s.manager.options.Keep {
			if v, ok := old.Values[key]; ok {
				st.put(key, v)
			}
		}
		return st, nil
	})
}

// Reauthenticate notes that the person signed in has proved it again: amr is how,
// joined to what was known, acr what was reached, empty if it stays as it was.
// The session gets a new id, keeps its values, and its limits begin anew.
func (s *Session) Reauthenticate(ctx context.Context, acr string, amr ...string) error {
	return s.Renew(ctx, func(id *Identity) {
		id.AuthTime = s.manager.now()
		if acr != "" {
			id.ACR = acr
		}
		for _, method := range amr {
			if !slices.Contains(id.AMR, method) {
				id.AMR = append(id.AMR, method)
			}
		}
	})
}

// Renew changes what the person signed in may do, or is known by, and gives the
// session a new id, as every change of privilege should. The subject stays.
func (s *Session) Renew(ctx context.Context, change func(*Identity)) error {
	return s.renew(ctx, func(old state) (state, error) {
		if old.Identity == nil {
			return state{}, ErrNotSignedIn
		}
		st := s.manager.newState()
		st.Values = old.Values
		id := old.Identity.clone()
		id.Remember = old.Remember
		if change != nil {
			change(&id)
		}
		if id.Subject != old.Identity.Subject {
			return state{}, errors.New("session: Renew cannot make one person another; use SignIn")
		}
		if id.AuthTime.Equal(old.Identity.AuthTime) {
			st.Began = old.Began // only a new proof begins the limits anew
		}
		st.Identity, st.Remember = &id, id.Remember
		return st, nil
	})
}

func (id Identity) clone() Identity {
	for _, list := range []*[]string{&id.AMR, &id.Roles, &id.Permissions, &id.Scopes} {
		*list = slices.Clone(*list)
	}
	return id
}

// renew puts a successor in the place of the session, under a new token. When another request changes the
// session meanwhile the successor is made of what that one left, so that nothing is lost; when the
// session is ended meanwhile there is no successor to what it was.
func (s *Session) renew(ctx context.Context, successor func(old state) (state, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := s.changeable(); err != nil {
		return err
	}
	if s.answered {
		return ErrAnswered
	}
	for range maxTries {
		var old state
		if s.token != "" {
			switch err := s.load(ctx); {
			case errors.Is(err, ErrNotFound):
				s.forget(keepCookie) // a stranger can still sign in
			case err != nil:
				return err
			default:
				old = s.state
			}
		}
		st, err := successor(old)
		if err != nil {
			return err
		}
		if err := s.succeed(ctx, old, st); !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return ErrConflict
}

// succeed replaces the session, which was loaded as old, by st under a new token. It fails with
// ErrConflict or ErrNotFound when the session has changed or ended since.
func (s *Session) succeed(ctx context.Context, old, st state) error {
	m := s.manager
	p := s.principalOf(st)
	if err := m.vet(ctx, p); err != nil {
		return err
	}
	rec, err := m.encode(st, 0)
	if err != nil {
		return err
	}
	token, err := m.store.Create(ctx, rec)
	if err != nil {
		return err
	}
	if s.token != "" {
		// The successor is in the person's list by now. Who ends all that is there ends both; who was
		// faster has ended this one, and then it must have no successor.
		previous := s.token
		rec, err := m.encode(old, s.version)
		if err == nil {
			previous, err = m.store.Update(ctx, s.token, rec)
		}
		if err == nil {
			err = m.store.Delete(ctx, m.app, previous)
		}
		if err != nil {
			// Two live ids of one sign-in, one of them perhaps planted: rather none.
			return errors.Join(err, m.store.Delete(ctx, m.app, token))
		}
	}
	s.token, s.version, s.state, s.principal, s.cookie, s.ended = token, 1, st, p, setCookie, false
	return nil
}

// SignOut destroys the session, with all that is in it, and takes the cookie away.
// After an error the session may be alive for whoever has a copy of the cookie. An
// encrypted cookie cannot be destroyed at all: a copy is good until it expires.
func (s *Session) SignOut(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	token := s.token
	s.forget(clearCookie)
	if token == "" {
		return nil
	}
	if err := s.manager.store.Delete(ctx, s.manager.app, token); err != nil {
		return err
	}
	if _, stateless := s.manager.store.(*CookieStore); stateless && s.answered {
		return ErrAnswered
	}
	return nil
}

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

// change applies fn to the session's state and stores it. When another request
// was faster, fn is applied to what that one left; it returns false when there is
// nothing to do. A stranger gets a session.
func (s *Session) change(ctx context.Context, fn func(*state) (bool, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return s.save(ctx, fn)
}

// save is change for a caller that holds s.mu.
func (s *Session) save(ctx context.Context, fn func(*state) (bool, error)) error {
	if err := s.changeable(); err != nil {
		return err
	}
	if s.ended {
		return ErrEnded
	}
	if s.token == "" {
		return s.create(ctx, fn)
	}
	m := s.manager
	for range maxTries {
		st := s.state
		st.Values = maps.Clone(st.Values)
		if again, err := fn(&st); !again || err != nil {
			return err
		}
		rec, err := m.encode(st, s.version)
		if err != nil {
			return err
		}
		token, err := m.store.Update(ctx, s.token, rec)
		switch {
		case err == nil:
			return s.keep(token, st)
		case errors.Is(err, ErrConflict):
			err = s.load(ctx)
		}
		if errors.Is(err, ErrNotFound) {
			s.forget(keepCookie) // the browser may have a newer one
			s.ended = true
			return ErrEnded
		}
		if err != nil {
			return err
		}
	}
	return ErrConflict
}

func (s *Session) create(ctx context.Context, fn func(*state) (bool, error)) error {
	if s.answered {
		return ErrAnswered
	}
	st := s.manager.newState()
	if worth, err := fn(&st); !worth || err != nil {
		return err
	}
	rec, err := s.manager.encode(st, 0)
	if err != nil {
		return err
	}
	token, err := s.manager.store.Create(ctx, rec)
	if err != nil {
		return err
	}
	s.token, s.version, s.state, s.cookie = token, 1, st, setCookie
	return nil
}

// keep notes what the store took. A store whose token is the session needs the
// cookie to follow, and after the header nothing can.
func (s *Session) keep(token string, st state) error {
	if token != s.token && s.answered {
		return ErrAnswered
	}
	if token != s.token || st.Remember {
		s.cookie = setCookie
	}
	s.token, s.state = token, st
	s.version++
	return nil
}

func (s *Session) changeable() error {
	if !s.opened {
		return errors.New("session: not opened; is Manager.Middleware around this handler?")
	}
	return s.failure
}

// forget makes the session a stranger's.
func (s *Session) forget(cookie cookieChange) {
	s.token, s.version, s.state, s.principal, s.cookie = "", 0, state{}, nil, cookie
}

// beforeHeader notes the last use, and writes the cookie if anything about it
// changed.
func (s *Session) beforeHeader(h http.Header, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.manager
	cookies.VaryOnCookie(h)
	if s.token != "" {
		s.touch(r.Context())
	}
	if s.token != "" && h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "private") // what a session shows is its owner's
	}
	s.answered = true
	switch s.cookie {
	case setCookie:
		var life time.Duration // until the browser closes
		if s.state.Remember {
			life = max(time.Second, m.expires(s.state).Sub(m.now()))
		}
		if err := m.cookie.Set(h, r, s.token, life); err != nil {
			m.log.ErrorContext(r.Context(), "guard: session cookie not written", "error", err)
		}
	case clearCookie:
		m.cookie.Clear(h, r)
	}
}

// touch renews the idle limit, in steps: every request would be a write if each
// were noted.
func (s *Session) touch(ctx context.Context) {
	m := s.manager
	idle, _ := m.limits(s.state)
	step := max(1, int64(idle/time.Second)/20)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := s.save(ctx, func(st *state) (bool, error) {
		now := m.now().Unix()
		due := now-st.Seen >= step
		st.Seen = max(st.Seen, now)
		return due, nil
	}); err != nil && !errors.Is(err, ErrEnded) {
		m.log.WarnContext(ctx, "guard: session not renewed", "error", err)
	}
}

func (st *state) put(key string, value json.RawMessage) {
	if st.Values == nil {
		st.Values = map[string]json.RawMessage{}
	}
	st.Values[key] = value
}

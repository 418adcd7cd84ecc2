package session

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/cookies"
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

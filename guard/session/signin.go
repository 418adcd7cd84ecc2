package session

import (
	"context"
	"errors"
	"slices"
	"time"
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

func (id Identity) clone() Identity {
	for _, list := range []*[]string{&id.AMR, &id.Roles, &id.Permissions, &id.Scopes} {
		*list = slices.Clone(*list)
	}
	return id
}

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

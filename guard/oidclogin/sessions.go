package oidclogin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// ErrNoIndex: the store cannot find sessions, because it keeps none: they are in
// the browsers' cookies. Options.Revocations ends those.
var ErrNoIndex = errors.New("oidclogin: the store cannot find sessions")

// SignIn is one of a person's sessions at this application, for a page that shows
// them.
type SignIn struct {
	// ID names it in Session.End. It is no secret.
	ID string
	// SignedIn is when it began, LastSeen when it was last used, give or take a
	// twentieth of Options.IdleTimeout, and Expires when it ends if it is not.
	SignedIn, LastSeen, Expires time.Time
	// Current is whether it is the one that asks.
	Current bool
}

// List returns the person's sessions, the one used last first. The error may be
// ErrNoIndex.
func (s *Session) List(ctx context.Context) ([]SignIn, error) {
	index, subject, err := s.index()
	if err != nil {
		return nil, err
	}
	entries, err := index.List(ctx, s.login.app, subject)
	if err != nil {
		return nil, fmt.Errorf("oidclogin: %w", err)
	}
	s.mu.Lock()
	own := s.data.ID
	s.mu.Unlock()
	var list []SignIn
	for _, e := range entries {
		var d sessionData
		if err := jose.Decode(e.Data, &d); err != nil || d.Issuer != s.login.options.Issuer {
			continue
		}
		list = append(list, SignIn{
			ID: e.ID, SignedIn: time.Unix(d.SignedIn, 0), LastSeen: time.Unix(d.Seen, 0), Expires: s.login.expires(d),
			Current: d.ID != "" && d.ID == own,
		})
	}
	return list, nil
}

// End ends one of the person's sessions by its SignIn.ID; one of somebody else
// stays as it is. The error may be ErrNoIndex.
func (s *Session) End(ctx context.Context, id string) error {
	index, subject, err := s.index()
	if err != nil {
		return err
	}
	if err := index.DeleteEntry(ctx, s.login.app, subject, id); err != nil {
		return fmt.Errorf("oidclogin: %w", err)
	}
	return nil
}

// EndOthers ends all of the person's sessions but this one, and returns how many.
// The error may be ErrNoIndex.
func (s *Session) EndOthers(ctx context.Context) (int, error) {
	index, subject, err := s.index()
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	own := s.token
	s.mu.Unlock()
	return ended(index.DeleteSubject(ctx, s.login.app, subject, own))
}

// EndSessions ends all sessions of a subject of the provider's, and returns how
// many: when an account is closed, for example. The error may be ErrNoIndex.
func (l *Login) EndSessions(ctx context.Context, subject string) (int, error) {
	index, ok := l.store.(session.Index)
	if !ok {
		return 0, ErrNoIndex
	}
	return ended(index.DeleteSubject(ctx, l.app, subject, ""))
}

func ended(n int, err error) (int, error) {
	if err != nil {
		return n, fmt.Errorf("oidclogin: %w", err)
	}
	return n, nil
}

func (s *Session) index() (session.Index, string, error) {
	index, ok := s.login.store.(session.Index)
	if !ok {
		return nil, "", ErrNoIndex
	}
	return index, s.Principal().Subject, nil
}

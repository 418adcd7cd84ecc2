package apikey

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/ratelimit"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
)

// Keys issues and ends the keys of an application. It is safe for concurrent use.
type Keys struct {
	store Store
	now   func() time.Time
}

// NewKeys returns the verbs on a store.
func NewKeys(store Store) *Keys { return &Keys{store: store, now: time.Now} }

// WithClock returns a copy that asks now for the time.
func (k Keys) WithClock(now func() time.Time) *Keys {
	k.now = now
	return &k
}

// Issue makes a key and returns it, here and never again: show it to its owner
// with Reveal, and keep it nowhere. The error names all that is wrong with s.
func (k *Keys) Issue(ctx context.Context, s Spec) (Record, apikey.Key, error) {
	s, err := s.complete(k.now())
	if err != nil {
		return Record{}, apikey.Key{}, fmt.Errorf("apikey: %w", err)
	}
	r, key, err := k.draw(s)
	if err != nil {
		return Record{}, apikey.Key{}, err
	}
	return r, key, k.store.Create(ctx, r)
}

// Rotate makes a key that takes the place of another and returns it. The old one
// goes on for grace, so that whoever uses it can change over; zero ends it at
// once. The new one is good for as long as the old one was when it was issued.
// Errors: ErrNotFound, ErrEnded, ErrRotated.
func (k *Keys) Rotate(ctx context.Context, id string, grace time.Duration) (Record, apikey.Key, error) {
	old, err := k.store.Get(ctx, id)
	if err != nil {
		return Record{}, apikey.Key{}, err
	}
	now := k.now()
	until := now.Add(max(grace, 0))
	s := old.Spec
	if !s.ExpiresAt.IsZero() {
		if s.ExpiresAt.Before(until) {
			until = s.ExpiresAt
		}
		s.ExpiresAt = now.Add(s.ExpiresAt.Sub(old.CreatedAt))
	}
	r, key, err := k.draw(s)
	if err != nil {
		return Record{}, apikey.Key{}, err
	}
	if err := k.store.Rotate(ctx, id, now, until, r); err != nil {
		return Record{}, apikey.Key{}, err
	}
	return r, key, nil
}

// RevokeOf is Revoke for a subject who ends a key of their own: ErrNotFound if
// there is none, or if it is somebody else's.
func (k *Keys) RevokeOf(ctx context.Context, subject, id string) error {
	r, err := k.store.Get(ctx, id)
	if err != nil {
		return err
	}
	if subject == "" || r.Subject != subject {
		return ErrNotFound
	}
	return k.Revoke(ctx, id)
}

// Revoke ends a key at once, whoever's it is. ErrNotFound if there is none; one
// that has ended already is no error.
func (k *Keys) Revoke(ctx context.Context, id string) error {
	return k.store.Revoke(ctx, id, k.now())
}

// RevokeAll ends every key of a subject: somebody has left.
func (k *Keys) RevokeAll(ctx context.Context, subject string) error {
	if subject == "" {
		return errors.New("apikey: RevokeAll needs a subject")
	}
	return k.store.RevokeAll(ctx, subject, k.now())
}

// ReportLeak ends the key that somebody found in public, and returns its record
// so that its owner can be told. ErrNotFound for anything that is not a key of
// the store, which whoever reported it need not know. A publishable key is for
// all to read: it stays.
func (k *Keys) ReportLeak(ctx context.Context, text string) (Record, error) {
	if apikey.Check(text) != nil {
		return Record{}, ErrNotFound
	}
	r, err := k.store.Find(ctx, apikey.Hash(text))
	if err != nil || r.Kind == apikey.Publishable {
		return r, err
	}
	return r, k.store.Revoke(ctx, r.ID, k.now())
}

// draw gives a key what is new about it.
func (k *Keys) draw(s Spec) (Record, apikey.Key, error) {
	random := make([]byte, apikey.RandomBytes)
	rand.Read(random) // never fails: crypto/rand aborts the program instead
	key, err := apikey.New(random, s.Kind, s.Environment)
	if err != nil {
		return Record{}, apikey.Key{}, err
	}
	return Record{ID: rand.Text(), Hash: key.Hash(), Hint: key.Hint(), Spec: s, CreatedAt: k.now().Truncate(time.Microsecond)}, key, nil
}

// complete fills in defaults and names everything that is wrong.
func (s Spec) complete(now time.Time) (Spec, error) {
	if s.Kind == "" {
		s.Kind = apikey.Secret
	}
	if s.Environment == "" {
		s.Environment = apikey.Live
	}
	if s.Owner == "" {
		s.Owner = guard.User
	}
	s.Scopes, s.Networks = slices.Clone(s.Scopes), slices.Clone(s.Networks)
	s.ExpiresAt = s.ExpiresAt.Truncate(time.Microsecond)
	var problems []error
	wrong := func(is bool, text string) {
		if is {
			problems = append(problems, errors.New(text))
		}
	}
	wrong(strings.TrimSpace(s.Name) == "", "Name is missing")
	wrong(s.Subject == "", "Subject is missing")
	wrong(apikey.Contains(s.Name), "Name must not hold a key")
	wrong(!s.Kind.Valid(), "Kind is none of package protocol/apikey")
	wrong(!s.Environment.Valid(), "Environment is none of package protocol/apikey")
	wrong(s.Owner != guard.User && s.Owner != guard.Client, "Owner must be guard.User or guard.Client")
	wrong(s.Kind == apikey.Restricted && len(s.Scopes) == 0, "Scopes is missing: a restricted key names what it is restricted to")
	wrong(slices.ContainsFunc(s.Scopes, func(x string) bool { return x == "" || strings.ContainsAny(x, " \t\r\n\"\\") }), "Scopes: each is a name without spaces or quotes")
	wrong(slices.ContainsFunc(s.Networks, func(n netip.Prefix) bool { return !n.IsValid() || n.Addr().Is4In6() }), "Networks: one is not valid")
	wrong(!s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt), "ExpiresAt is in the past")
	for _, limit := range []ratelimit.Limit{s.rate(), s.quota()} {
		wrong(limit.Requests != 0 && limit.Check() != nil, "Rate and Quota must not be negative, and no more than a million a second: zero is any number")
	}
	return s, errors.Join(problems...)
}

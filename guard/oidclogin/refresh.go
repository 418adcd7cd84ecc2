package oidclogin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

const (
	// refreshTimeout bounds a refresh with all it takes: waiting for another
	// process, asking, storing.
	refreshTimeout = 20 * time.Second
	// lockLife is how long a process that died in a refresh holds up the others.
	lockLife = 30 * time.Second
	// rememberRefresh is how long the outcome of a refresh is remembered.
	rememberRefresh = time.Hour
	maxRemembered   = 10_000
)

// errMoved: somebody else has used the refresh token and stored what came of it.
var errMoved = errors.New("renewed elsewhere")

// renewal is what came of using a refresh token.
type renewal struct {
	want   want
	used   string // the refresh token
	tokens tokenResponse
	at     time.Time
	stored bool // the store has it
}

func (r renewal) token() Token {
	t := bearer(r.tokens.AccessToken, r.scope(), 0)
	t.Expiry = r.tokens.expiry(r.at)
	return t
}

// scope is what was granted: as asked for unless the answer says otherwise (RFC
// 6749 §5.1).
func (r renewal) scope() string {
	if r.tokens.Scope == "" {
		return r.want.scope
	}
	return r.tokens.Scope
}

// merge notes a renewal in the session, unless it is there already or was
// overtaken, and reports whether anything changed.
func (d *sessionData) merge(r renewal) (changed bool) {
	if next := r.tokens.RefreshToken; next != "" && next != r.used && d.RefreshToken == r.used {
		d.RefreshToken, changed = next, true
	}
	if r.want == (want{}) {
		if d.AccessToken != r.tokens.AccessToken && d.Renewed <= r.at.UnixMicro() {
			d.take(r.tokens, r.at)
			changed = true
		}
		return changed
	}
	o := otherToken{Audience: r.want.audience, Asked: r.want.scope, Scope: r.scope(), AccessToken: r.tokens.AccessToken, Renewed: r.at.UnixMicro()}
	if expiry := r.tokens.expiry(r.at); !expiry.IsZero() {
		o.Expiry = expiry.Unix()
	}
	others := slices.Clone(d.Others) // the array may be another copy's too
	at := slices.IndexFunc(others, func(have otherToken) bool { return have.Audience == o.Audience && have.Asked == o.Asked })
	if at >= 0 {
		if others[at].AccessToken == o.AccessToken || others[at].Renewed > o.Renewed {
			return changed
		}
		others = slices.Delete(others, at, at+1)
	}
	// The oldest stands first and makes room.
	d.Others = append(others[max(0, len(others)-maxOthers+1):], o)
	return true
}

// renew uses a refresh token. Where sessions are kept on this side it does so
// under the session's lock, looks first whether another process was faster, and
// stores the answer before the lock is given back.
func (l *Login) renew(ctx context.Context, token string, held sessionData, w want) (renewal, error) {
	r := renewal{want: w, used: held.RefreshToken}
	if l.stateless || token == "" {
		return l.refresh(ctx, r, held)
	}
	unlock, err := l.lock(ctx, token)
	if err != nil {
		return r, err
	}
	defer unlock()
	current := &Session{login: l, token: token}
	if err := current.load(ctx); err != nil {
		if errors.Is(err, session.ErrNotFound) {
			return r, err
		}
		return r, fmt.Errorf("%w: %w", errStore, err)
	}
	if current.data.RefreshToken != held.RefreshToken || current.data.renewedSince(held, w) {
		return r, errMoved
	}
	if r, err = l.refresh(ctx, r, current.data); err != nil {
		return r, err
	}
	if err := current.keep(ctx, r); err != nil {
		l.log.WarnContext(ctx, "guard: renewed tokens not stored", "error", err)
		return r, nil // whoever waits for them tries again
	}
	r.stored = true
	return r, nil
}

// renewedSince reports whether d holds a later token for w than before.
func (d *sessionData) renewedSince(before sessionData, w want) bool {
	had, _ := before.token(w)
	has, ok := d.token(w)
	return ok && has.AccessToken != had.AccessToken
}

// errStore: the session's store failed, or could not give the lock.
var errStore = errors.New("session store")

// lock takes the session's lock in all processes that share the store. A store
// that has no locks is content with Update: it then takes a provider that
// forgives two uses of one refresh token within seconds.
func (l *Login) lock(ctx context.Context, token string) (unlock func(), err error) {
	locker, ok := l.store.(session.Locker)
	if !ok {
		return func() {}, nil
	}
	name := sha256.Sum256([]byte(l.app + "\n" + token)) // the token itself is nobody's business
	key := "refresh " + hex.EncodeToString(name[:])
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		release, ok, err := locker.TryLock(ctx, key, lockLife)
		if err != nil {
			return nil, fmt.Errorf("%w: lock: %w", errStore, err)
		}
		if ok {
			return func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
				defer cancel()
				if err := release(ctx); err != nil {
					l.log.WarnContext(ctx, "guard: lock of a session not given back", "error", err)
				}
			}, nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: lock: %w", errStore, context.Cause(ctx))
		}
	}
}

// refresh asks the provider. A new ID token must be about the same person
// (OpenID Connect Core §12.2), and an access token that says for whom it is must
// be for the API that was asked for: a provider that ignores the parameter would
// have us show one API's token to another.
func (l *Login) refresh(ctx context.Context, r renewal, d sessionData) (renewal, error) {
	tokens, err := l.redeemRefreshToken(ctx, r.used, r.want)
	if err != nil {
		return r, err
	}
	if tokens.IDToken != "" {
		switch err := l.sameSubject(ctx, tokens, d); {
		case isUnavailable(err):
			// The refresh token is used up; what came for it must not be lost because
			// the keys are out of reach. The ID token is: the old one stays.
			tokens.IDToken = ""
		case err != nil:
			return r, err
		}
	}
	if a := r.want.audience; r.want != (want{}) && a != l.options.Audience {
		if aud := claimsOfAccessToken(tokens.AccessToken).Audience; len(aud) > 0 && !aud.Contains(a) {
			return r, fmt.Errorf("the provider sent a token for another audience than %.200q", a)
		}
	}
	r.tokens, r.at = tokens, l.now()
	return r, nil
}

func (l *Login) sameSubject(ctx context.Context, tokens tokenResponse, d sessionData) error {
	_, before, err := d.claims()
	if err != nil {
		return err
	}
	idToken, err := l.verifyIDToken(ctx, tokens, expectation{})
	if errors.Is(err, oidc.ErrNonce) {
		idToken, err = l.verifyIDToken(ctx, tokens, expectation{nonce: before.Nonce})
	}
	if err != nil {
		return err
	}
	if idToken.Claims().Subject != before.Subject {
		return errors.New("the provider renewed the sign-in of somebody else")
	}
	return nil
}

func isInvalidGrant(err error) bool {
	var answer *refusedError
	return errors.As(err, &answer) && answer.Code == oauth.InvalidGrant
}

func isUnavailable(err error) bool {
	return errors.Is(err, provider.ErrUnavailable) || errors.Is(err, errStore)
}

// refreshes lets one caller at a time use a refresh token, and remembers what
// became of it: a request that still holds the old token, because it started
// earlier or its predecessor's cookie was lost on the way, gets the same answer
// and not the provider's suspicion of theft.
type refreshes struct {
	now func() time.Time

	mu    sync.Mutex
	calls map[[sha256.Size]byte]*refreshCall
}

type refreshCall struct {
	done chan struct{}
	got  renewal
	at   time.Time // when it was over; zero before
	err  error
}

// do runs ask for key unless that happened already or is happening, for w or for
// something else. ask is not cancelled with its first caller: others wait for the
// same answer, and a rotated token must not be lost.
func (f *refreshes) do(ctx context.Context, key string, w want, ask func(context.Context) (renewal, error)) (renewal, error) {
	id := sha256.Sum256([]byte(key))
	f.mu.Lock()
	call, ok := f.calls[id]
	if !ok {
		call = &refreshCall{done: make(chan struct{})}
		f.forget()
		f.calls[id] = call
		go f.run(context.WithoutCancel(ctx), id, call, ask)
	}
	f.mu.Unlock()
	select {
	case <-call.done:
		return call.got, call.err
	case <-ctx.Done():
		return renewal{want: w}, context.Cause(ctx)
	}
}

func (f *refreshes) run(ctx context.Context, id [sha256.Size]byte, call *refreshCall, ask func(context.Context) (renewal, error)) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	got, err := ask(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	call.got, call.err, call.at = got, err, f.now()
	if next := got.tokens.RefreshToken; err != nil || next == "" || next == got.used {
		delete(f.calls, id) // nothing was used up
	}
	close(call.done)
}

// forget makes room. The caller holds f.mu.
func (f *refreshes) forget() {
	if f.calls == nil {
		f.calls = map[[sha256.Size]byte]*refreshCall{}
	}
	if len(f.calls) < maxRemembered && len(f.calls)%64 != 0 {
		return
	}
	oldest := f.now().Add(-rememberRefresh)
	for id, call := range f.calls {
		if !call.at.IsZero() && (call.at.Before(oldest) || len(f.calls) >= maxRemembered) {
			delete(f.calls, id)
		}
	}
}

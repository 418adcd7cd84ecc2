package oidclogin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// Errors of AccessToken, to be matched with errors.Is.
var (
	// ErrNoSession: the request has no session of this package.
	ErrNoSession = errors.New("oidclogin: no session")
	// ErrSignedOut: the provider has ended the sign-in. The session is over here
	// too; send the browser to sign in.
	ErrSignedOut = errors.New("oidclogin: signed out at the provider")
	// ErrExpired: the access token has expired and there is no refresh token. Ask
	// for the scope offline_access, or send the browser to sign in.
	ErrExpired = errors.New("oidclogin: access token expired")
)

const (
	refreshTimeout = 10 * time.Second
	// expiryMargin is how much life an access token must have left to be handed
	// out: it still has to reach the API.
	expiryMargin = 30 * time.Second
	// rememberRefresh is how long the outcome of a refresh is remembered.
	rememberRefresh = time.Hour
	maxRemembered   = 10_000
)

// AccessToken returns an access token for calling the API on behalf of whoever
// sent the request whose context this is; see Session.AccessToken.
func AccessToken(ctx context.Context) (string, error) {
	s, ok := FromContext(ctx)
	if !ok {
		return "", ErrNoSession
	}
	return s.AccessToken(ctx)
}

// AccessToken returns an access token that is good for another half minute at
// least, renewing it with the refresh token if it is not. However many requests
// of a session ask at once, the provider is asked once; what it answers is
// stored at once, so that no rotation of the refresh token is lost.
//
// With an encrypted cookie "stored" means sent with the response: call it before
// the header is written.
//
// Errors are ErrSignedOut, ErrExpired, or the failure to reach the provider.
func (s *Session) AccessToken(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.login
	// A refresh token that another request has used up leads to its successor;
	// each round is one step along that chain.
	for range 8 {
		switch {
		case s.ended:
			return "", ErrSignedOut
		case !s.data.needsRefresh(l.now()):
			return s.data.AccessToken, nil
		case s.data.RefreshToken == "":
			return "", ErrExpired
		}
		used := s.data.RefreshToken
		held := s.data // the refresh may outlive this call, and the lock
		tokens, at, err := l.refreshes.do(ctx, l.app+"\n"+used, func(ctx context.Context) (tokenResponse, error) {
			return l.refresh(ctx, held)
		})
		switch {
		case err == nil:
			err = s.keep(ctx, tokens, at)
		case isInvalidGrant(err):
			err = s.superseded(ctx, used, err)
		case l.now().Before(time.Unix(held.AccessExpiry, 0)):
			return held.AccessToken, nil // the margin is there for such a moment
		default:
			err = fmt.Errorf("oidclogin: access token not renewed: %w", err)
		}
		if err != nil {
			return "", err
		}
	}
	return "", ErrExpired
}

// keep stores renewed tokens, whether or not whoever asked for them still waits.
func (s *Session) keep(ctx context.Context, tokens tokenResponse, at time.Time) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	err := s.save(ctx, func(d *sessionData) bool {
		if d.Renewed >= at.UnixMicro() {
			return false // another request stored these, or later ones
		}
		d.take(tokens, at)
		return true
	})
	switch {
	case errors.Is(err, session.ErrNotFound):
		return ErrSignedOut
	case err != nil:
		return fmt.Errorf("oidclogin: renewed tokens not stored: %w", err)
	case s.answered:
		s.login.log.WarnContext(ctx, "guard: access token renewed after the response began; an encrypted cookie could not follow")
	}
	return nil
}

func (d sessionData) needsRefresh(now time.Time) bool {
	return d.AccessExpiry != 0 && !now.Before(time.Unix(d.AccessExpiry, 0).Add(-expiryMargin))
}

// refresh asks the provider. A new ID token must be about the same person
// (OpenID Connect Core §12.2).
func (l *Login) refresh(ctx context.Context, d sessionData) (tokenResponse, error) {
	tokens, err := l.redeemRefreshToken(ctx, d.RefreshToken)
	if err != nil || tokens.IDToken == "" {
		return tokens, err
	}
	_, before, err := d.claims()
	if err != nil {
		return tokenResponse{}, err
	}
	idToken, err := l.verifyIDToken(ctx, tokens, "")
	if errors.Is(err, oidc.ErrNonce) {
		idToken, err = l.verifyIDToken(ctx, tokens, before.Nonce)
	}
	if err != nil {
		return tokenResponse{}, err
	}
	if idToken.Claims().Subject != before.Subject {
		return tokenResponse{}, errors.New("the provider renewed the sign-in of somebody else")
	}
	return tokens, nil
}

func isInvalidGrant(err error) bool {
	var answer *refusedError
	return errors.As(err, &answer) && answer.Code == oauth.InvalidGrant
}

// superseded decides what it means that the provider refuses the refresh token.
// If another process was faster its tokens are in the store, and all is well;
// otherwise the provider has ended the sign-in, and so it ends here.
func (s *Session) superseded(ctx context.Context, used string, cause error) error {
	l := s.login
	if err := s.reload(ctx); err != nil && !errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("oidclogin: %w", err)
	}
	if !s.ended && s.data.RefreshToken != used {
		return nil
	}
	s.ended = true
	if err := l.store.Delete(context.WithoutCancel(ctx), l.app, s.token); err != nil {
		l.log.WarnContext(ctx, "guard: session not deleted", "error", err)
	}
	return fmt.Errorf("%w: %w", ErrSignedOut, cause)
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
	done   chan struct{}
	tokens tokenResponse
	at     time.Time
	err    error
}

// do runs ask for key unless that happened already or is happening. ask is not
// cancelled with its first caller: others wait for the same answer, and a
// rotated token must not be lost.
func (f *refreshes) do(ctx context.Context, key string, ask func(context.Context) (tokenResponse, error)) (tokenResponse, time.Time, error) {
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
		return call.tokens, call.at, call.err
	case <-ctx.Done():
		return tokenResponse{}, time.Time{}, context.Cause(ctx)
	}
}

func (f *refreshes) run(ctx context.Context, id [sha256.Size]byte, call *refreshCall, ask func(context.Context) (tokenResponse, error)) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	tokens, err := ask(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	call.tokens, call.err, call.at = tokens, err, f.now()
	if err != nil || tokens.RefreshToken == "" {
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

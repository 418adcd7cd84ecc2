package oidclogin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Errors of AccessToken and Refresh, to be matched with errors.Is.
var (
	// ErrSignInAgain is behind every error that a new sign-in would cure:
	// ErrNoSession, ErrSignedOut and ErrExpired. Send the browser to the login route.
	ErrSignInAgain = errors.New("sign in again")
	// ErrNoSession: the request has no session of this package.
	ErrNoSession = fmt.Errorf("oidclogin: no session: %w", ErrSignInAgain)
	// ErrSignedOut: the sign-in has ended, at the provider or here. The session is
	// over here too.
	ErrSignedOut = fmt.Errorf("oidclogin: signed out at the provider: %w", ErrSignInAgain)
	// ErrExpired: the access token has expired and there is no refresh token. With
	// the scope offline_access there would be one.
	ErrExpired = fmt.Errorf("oidclogin: access token expired: %w", ErrSignInAgain)
	// ErrUnavailable: the provider, or the session's store, cannot be reached at
	// the moment. The session stands; try again later.
	ErrUnavailable = errors.New("oidclogin: cannot renew at the moment")
	// ErrRefused: the provider gives no token for this audience or with these
	// scopes. The session stands, and signing in again would not help.
	ErrRefused = errors.New("oidclogin: token refused")
	// ErrTooLate: the response's header is sent, so an encrypted cookie cannot
	// follow any more. Ask before the first write, or keep sessions in a store
	// with memory.
	ErrTooLate = errors.New("oidclogin: the response has begun and the session lives in its cookie")
)

const (
	// expiryMargin is how much life an access token must have left not to be
	// renewed: it still has to reach the API.
	expiryMargin = 30 * time.Second
	// maxOthers is how many access tokens a session keeps beside the one it was
	// signed in with.
	maxOthers = 8
	// maxSteps bounds how many renewals of others a caller waits through.
	maxSteps = 64
)

// Token is an access token, ready to be used.
type Token struct {
	// AccessToken goes into the header Authorization, after Type and a space.
	AccessToken string
	// Type is Bearer.
	Type string
	// Scope is what was granted, space-delimited; it may be less than was asked for.
	Scope string
	// Expiry is when the token ends; zero if the provider did not say.
	Expiry time.Time
}

// String hides the token from logs.
func (t Token) String() string { return "oidclogin.Token(" + t.Scope + ")" }

// LogValue hides the token from logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// lasts reports whether the token is good at a moment.
func (t Token) lasts(until time.Time) bool { return t.Expiry.IsZero() || until.Before(t.Expiry) }

// AccessToken returns an access token for calling an API on behalf of whoever
// sent the request whose context this is; see Session.AccessToken.
func AccessToken(ctx context.Context, audience string, scopes ...string) (Token, error) {
	s, ok := FromContext(ctx)
	if !ok {
		return Token{}, ErrNoSession
	}
	return s.AccessToken(ctx, audience, scopes...)
}

// AccessToken returns an access token for audience, good for another half minute
// if the provider can be reached. The empty audience is that of Options, and
// without scopes it is the token of the sign-in. A token with more scopes than
// asked for serves too; one for another audience, or with scopes the sign-in did
// not bring, is got with the refresh token and kept in the session beside it.
//
// However many requests of a session ask at once, in however many processes that
// share a store, the provider is asked once, and what it answers is stored before
// anybody gets it: no rotation of the refresh token is lost. With an encrypted
// cookie "stored" means sent with the response, which waits for a renewal under
// way: call it before the header is written.
//
// Errors wrap ErrSignInAgain, ErrUnavailable, ErrRefused or ErrTooLate.
func (s *Session) AccessToken(ctx context.Context, audience string, scopes ...string) (Token, error) {
	scope, err := oauth.ParseScope(strings.Join(scopes, " "))
	if err != nil {
		return Token{}, fmt.Errorf("oidclogin: scopes: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.login
	w := l.wanted(s.data, audience, scope)
	start := l.now()
	for range maxSteps {
		if s.ended {
			return Token{}, ErrSignedOut
		}
		held, ok := s.data.token(w)
		if ok && held.lasts(l.now().Add(expiryMargin)) {
			return held, nil
		}
		got, err := s.renew(ctx, w)
		switch {
		case err != nil && ok && held.lasts(l.now()) && !s.ended:
			return held, nil // the margin is there for such a moment
		case err != nil:
			return Token{}, err
		case got.want == w && !got.at.Before(start):
			if kept, ok := s.data.token(w); ok && kept.AccessToken == got.tokens.AccessToken {
				return kept, nil
			}
			return got.token(), nil // the cookie had no room for it
		}
	}
	return Token{}, fmt.Errorf("%w: too many renewals at once", ErrUnavailable)
}

// Refresh renews the tokens now, whatever life they have left, and returns the
// principal as the provider describes it from now on: after a change of the
// profile, for example. Errors are those of AccessToken.
func (s *Session) Refresh(ctx context.Context) (*guard.Principal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.login
	start := l.now()
	for range maxSteps {
		if s.ended {
			return nil, ErrSignedOut
		}
		got, err := s.renew(ctx, want{})
		if err != nil {
			return nil, err
		}
		if got.want == (want{}) && !got.at.Before(start) {
			if err := s.describe(); err != nil {
				return nil, fmt.Errorf("oidclogin: %w", err)
			}
			return s.principal, nil
		}
	}
	return nil, fmt.Errorf("%w: too many renewals at once", ErrUnavailable)
}

// want is which access token is meant; the zero value is that of the sign-in.
type want struct{ audience, scope string }

// wanted finds the least special token that will do.
func (l *Login) wanted(d sessionData, audience string, scope oauth.Scope) want {
	if audience == "" {
		audience = l.options.Audience
	}
	if audience == l.options.Audience && covers(d.Scope+" "+strings.Join(l.options.Scopes, " "), scope) {
		return want{}
	}
	for _, o := range d.Others {
		// What was asked for and not granted will not be granted by asking again.
		if o.Audience == audience && covers(o.Scope+" "+o.Asked, scope) {
			return want{o.Audience, o.Asked}
		}
	}
	return want{audience, scope.String()}
}

func covers(granted string, asked oauth.Scope) bool {
	return oauth.Scope(strings.Fields(granted)).Covers(asked)
}

// token returns what the session holds for w, if anything.
func (d *sessionData) token(w want) (Token, bool) {
	if w == (want{}) {
		return bearer(d.AccessToken, d.Scope, d.AccessExpiry), true
	}
	for _, o := range d.Others {
		if (want{o.Audience, o.Asked}) == w {
			return bearer(o.AccessToken, o.Scope, o.Expiry), true
		}
	}
	return Token{}, false
}

func bearer(accessToken, scope string, expiry int64) Token {
	t := Token{AccessToken: accessToken, Type: "Bearer", Scope: scope}
	if expiry != 0 {
		t.Expiry = time.Unix(expiry, 0)
	}
	return t
}

// renew takes one step: it uses the refresh token at hand for w, or finds that
// somebody else has used it, and for what. The caller holds s.mu and asks again
// until the step was its own.
func (s *Session) renew(ctx context.Context, w want) (renewal, error) {
	l := s.login
	switch {
	case s.data.RefreshToken == "" && w == (want{}):
		return renewal{}, ErrExpired
	case s.data.RefreshToken == "":
		return renewal{}, fmt.Errorf("%w: it takes a refresh token; ask for the scope offline_access", ErrRefused)
	case s.answered && l.stateless:
		return renewal{}, ErrTooLate
	}
	held, token := s.data, s.token // the refresh may outlive this call, and the lock
	got, err := l.refreshes.do(ctx, l.app+"\n"+held.RefreshToken, w, func(ctx context.Context) (renewal, error) {
		return l.renew(ctx, token, held, w)
	})
	switch {
	case err == nil && got.stored, errors.Is(err, errMoved):
		return got, s.follow(ctx)
	case err == nil:
		return got, s.keep(ctx, got)
	case errors.Is(err, session.ErrNotFound):
		s.ended = true
		return got, ErrSignedOut
	case isUnavailable(err) || ctx.Err() != nil:
		return got, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case got.want != w:
		return got, nil // another's wish was refused; ours is still to be asked
	case isInvalidGrant(err) && w == (want{}):
		return got, s.superseded(ctx, held.RefreshToken, err)
	case isInvalidGrant(err):
		// Some providers say so of an audience they do not know. Whether the sign-in
		// is over shows when it is renewed as it was.
		if _, err := s.renew(ctx, want{}); err != nil {
			return got, err
		}
		return got, fmt.Errorf("%w: %w", ErrRefused, err)
	default:
		return got, fmt.Errorf("%w: %w", ErrRefused, err)
	}
}

// follow reads what the renewal has left in the store.
func (s *Session) follow(ctx context.Context) error {
	switch err := s.reload(ctx); {
	case errors.Is(err, session.ErrNotFound):
		return ErrSignedOut
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// keep stores renewed tokens, whether or not whoever asked for them still waits.
func (s *Session) keep(ctx context.Context, got renewal) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	err := s.save(ctx, func(d *sessionData) bool { return d.merge(got) })
	switch {
	case errors.Is(err, session.ErrNotFound):
		return ErrSignedOut
	case err != nil:
		return fmt.Errorf("%w: renewed tokens not stored: %w", ErrUnavailable, err)
	case s.answered && s.login.stateless:
		s.login.log.WarnContext(ctx, "guard: access token renewed after the response began; an encrypted cookie could not follow")
	}
	return nil
}

// superseded decides what it means that the provider refuses the refresh token.
// If another process was faster its tokens are in the store, and all is well;
// otherwise the provider has ended the sign-in, and so it ends here.
func (s *Session) superseded(ctx context.Context, used string, cause error) error {
	l := s.login
	if err := s.reload(ctx); err != nil && !errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
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

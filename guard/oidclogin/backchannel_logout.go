package oidclogin

import (
	"context"
	"crypto/sha256"
	"errors"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

const (
	// maxForm is the longest form read from a request.
	maxForm = 64 << 10
	// maxLogoutTokens is how many logout tokens are remembered. They live minutes.
	maxLogoutTokens = 10_000
	// rememberLogout is longer than a logout token is accepted, with any leeway that
	// makes sense.
	rememberLogout = time.Hour
)

// BackchannelLogout is the handler of POST {Prefix}/backchannel-logout, where the
// provider says that somebody has signed out (OpenID Connect Back-Channel Logout
// §2.5). A logout token with a sid ends the sessions that came from that sign-in,
// one without it all sessions of its sub. One with both also ends those of the sub
// whose ID tokens had no sid: nobody can tell that they are not the ones it means. It
// answers 200 when they are over, and 400 when the token is not good or could not be
// acted upon; the provider may then try again. With a store that cannot find sessions
// it is not there: 404.
func (l *Login) BackchannelLogout(w http.ResponseWriter, r *http.Request) {
	index, ok := l.store.(session.Index)
	switch {
	case !ok:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodPost:
		methodNotAllowed(w, http.MethodPost)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	token, err := logoutTokenOf(w, r)
	if err == nil {
		err = l.backchannelLogout(r.Context(), index, token)
	}
	if err != nil {
		l.log.WarnContext(r.Context(), "guard: back-channel logout refused", "issuer", l.options.Issuer, "error", err)
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_request", "error_description": "The logout token was not accepted."})
		return
	}
	w.WriteHeader(http.StatusOK)
}

func logoutTokenOf(w http.ResponseWriter, r *http.Request) (string, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return "", errors.New("not a form")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return "", err
	}
	if tokens := r.PostForm["logout_token"]; len(tokens) == 1 {
		return tokens[0], nil
	}
	return "", errors.New("the form must hold one logout_token")
}

func (l *Login) backchannelLogout(ctx context.Context, index session.Index, token string) error {
	now := l.now()
	var unavailable error
	verified, err := oidc.VerifyLogoutToken(token, oidc.LogoutTokenRules{
		Issuer: l.options.Issuer, ClientID: l.options.ClientID, Algs: l.options.Algorithms,
		Now: now, Leeway: max(l.options.Leeway, 0), Loose: l.options.LooseLogoutTokens,
	}, func(kid string, alg jose.Alg) (jose.Key, bool) {
		key, err := l.provider.Key(ctx, kid, alg)
		unavailable = err
		return key, err == nil
	})
	if err != nil {
		return errors.Join(err, unavailable)
	}
	c := verified.Claims()
	if !l.firstUse(ctx, c.ID, now) {
		return errors.New("a logout token that came before")
	}
	if err = l.endSessions(ctx, index, c.SessionID, c.Subject); err != nil {
		l.forgetUse(ctx, c.ID) // the provider may try again
	}
	return err
}

// endSessions ends what a logout token names (§2.7). A sid names one sign-in, and a
// session with another sid is another one. A session without any may be of this
// one: it ends, too, where the token says whose it is.
func (l *Login) endSessions(ctx context.Context, index session.Index, sid, subject string) error {
	if sid == "" {
		_, err := index.DeleteSubject(ctx, l.app, subject, "")
		return err
	}
	if _, err := index.DeleteSession(ctx, l.app, sid); err != nil || subject == "" {
		return err
	}
	entries, err := index.List(ctx, l.app, subject)
	for _, e := range entries {
		if e.SessionID == "" {
			err = errors.Join(err, index.DeleteEntry(ctx, l.app, subject, e.ID))
		}
	}
	return err
}

// firstUse reports whether a logout token came for the first time, as far as can
// be known.
func (l *Login) firstUse(ctx context.Context, id string, now time.Time) bool {
	if !l.loggedOut.first(id, now) {
		return false
	}
	if l.options.Replays == nil {
		return true
	}
	fresh, err := l.options.Replays.Use(ctx, l.app+"\n"+id, now.Add(rememberLogout))
	if err != nil {
		// Ending sessions matters more than ending them once.
		l.log.WarnContext(ctx, "guard: replays of logout tokens at other processes are not noticed", "error", err)
		return true
	}
	return fresh
}

func (l *Login) forgetUse(ctx context.Context, id string) {
	l.loggedOut.forget(id)
	if l.options.Replays == nil {
		return
	}
	if err := l.options.Replays.Forget(context.WithoutCancel(ctx), l.app+"\n"+id); err != nil {
		l.log.WarnContext(ctx, "guard: this logout token cannot be tried again", "error", err)
	}
}

// Replays remembers logout tokens that were used, for all processes of the
// application; redisstore.Replays is one.
type Replays interface {
	// Use records id, which need not be kept longer than until, and reports whether
	// it is new: of any number of callers with the same id one is told true. An
	// error means that this is not known.
	Use(ctx context.Context, id string, until time.Time) (fresh bool, err error)
	// Forget takes a use back: what it was for did not happen.
	Forget(ctx context.Context, id string) error
}

// logoutTokens remembers the jti of logout tokens for longer than any is accepted,
// so that one cannot be used twice: a token that names a person would end what
// they began since. It is this process's own; without Options.Replays a copy works
// elsewhere for as long as the token lives, a few minutes, and does no worse than
// sign somebody out.
type logoutTokens struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]time.Time // by hash: a jti may be long
}

// first reports whether id was not seen before, and remembers it.
func (t *logoutTokens) first(id string, now time.Time) bool {
	key := sha256.Sum256([]byte(id))
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, seen := t.seen[key]; seen {
		return false
	}
	if t.seen == nil {
		t.seen = map[[sha256.Size]byte]time.Time{}
	}
	if len(t.seen) >= maxLogoutTokens {
		t.sweep(now)
	}
	t.seen[key] = now
	return true
}

func (t *logoutTokens) forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.seen, sha256.Sum256([]byte(id)))
}

// sweep makes room: for what is too old to be accepted again, else by starting
// afresh, because ending sessions matters more than ending them once.
func (t *logoutTokens) sweep(now time.Time) {
	oldest := now.Add(-rememberLogout)
	for id, at := range t.seen {
		if at.Before(oldest) {
			delete(t.seen, id)
		}
	}
	if len(t.seen) >= maxLogoutTokens {
		clear(t.seen)
	}
}

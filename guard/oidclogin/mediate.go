package oidclogin

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// MediateToken is the handler of POST {Prefix}/token, if Options.MediateTokens is
// set: it gives a script of this site the access token of who is signed in, for its
// memory alone, and renews it when it has to. The refresh token never leaves the
// session. Whoever cannot show that the request comes from this very origin gets
// 403; 401 means that somebody has to sign in.
//
// A script that an attacker slips into the page can ask, too: what it takes away
// is good for the life of one access token. Where no script needs to see a token
// at all, use Proxy.
func (l *Login) MediateToken(w http.ResponseWriter, r *http.Request) {
	switch {
	case !l.options.MediateTokens:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodPost:
		methodNotAllowed(w, http.MethodPost)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if !l.sameOrigin(r) {
		writeProblem(w, http.StatusForbidden, "access_denied", "This is for scripts of this very site.")
		return
	}
	guard.Require(l.API())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := AccessToken(r.Context(), "")
		if err != nil {
			l.tokenFailed(w, r, err)
			return
		}
		answer := struct {
			AccessToken string `json:"access_token"`
			Type        string `json:"token_type"`
			ExpiresIn   int64  `json:"expires_in,omitempty"`
			Scope       string `json:"scope"`
		}{AccessToken: token.AccessToken, Type: token.Type, Scope: token.Scope}
		if !token.Expiry.IsZero() {
			answer.ExpiresIn = max(1, int64(token.Expiry.Sub(l.now())/time.Second))
		}
		writeJSON(w, http.StatusOK, answer)
	})).ServeHTTP(w, r)
}

// sameOrigin reports whether a page of this application sent r, as browsers tell
// it. That nothing speaks against it is not enough here.
func (l *Login) sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	return r.Header.Get("Origin") == l.base
}

// tokenFailed answers a script whose request needed an access token that is not
// to be had.
func (l *Login) tokenFailed(w http.ResponseWriter, r *http.Request, err error) {
	status, code, description := http.StatusBadGateway, "server_error", "The access token could not be renewed."
	switch {
	case errors.Is(err, ErrSignInAgain):
		status, code, description = http.StatusUnauthorized, "login_required", "Sign in again."
	case errors.Is(err, ErrUnavailable):
		status, code, description = http.StatusServiceUnavailable, "temporarily_unavailable", "The access token cannot be renewed at the moment."
		w.Header().Set("Retry-After", "5")
	case errors.Is(err, ErrRefused):
		status, code, description = http.StatusForbidden, "access_denied", "The sign-in service gives no access token for this."
	}
	l.log.WarnContext(r.Context(), "guard: no access token", "code", code, "error", err)
	w.Header().Set("Cache-Control", "no-store")
	writeProblem(w, status, code, description)
}

// writeProblem writes a problem document (RFC 9457) like those of package guard.
func writeProblem(w http.ResponseWriter, status int, code, detail string) {
	body, _ := json.Marshal(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": detail})
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

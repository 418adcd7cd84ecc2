package oidclogin

import (
	"encoding/json"
	"net/http"

	"github.com/gatehouse-dev/gatehouse/guard"
)

// Me is the handler of GET {Prefix}/me: the claims about the person signed in,
// as JSON, for the application's own scripts. 401, or 204 if Options.AnonymousMe
// says so, when nobody is.
func (l *Login) Me(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		methodNotAllowed(w, http.MethodGet, http.MethodHead)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if l.options.AnonymousMe {
		guard.Optional(l)(http.HandlerFunc(writeMe)).ServeHTTP(w, r)
		return
	}
	api := r.Clone(r.Context())
	api.Header.Set("Accept", "application/json") // a script asks: 401, never a redirect
	guard.Require(l)(http.HandlerFunc(writeMe)).ServeHTTP(w, api)
}

func writeMe(w http.ResponseWriter, r *http.Request) {
	p, ok := guard.From(r.Context())
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var claims map[string]json.RawMessage
	if err := p.DecodeClaims(&claims); err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	// What concerns the token, not the person.
	for _, name := range [...]string{"iss", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "s_hash", "sid"} {
		delete(claims, name)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(claims)
}

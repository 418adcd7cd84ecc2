package oauth

import (
	"net/http"

	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
)

// Headers of cross-origin answers. A "*" would not cover Authorization, so they are named.
const (
	corsAllowedHeaders = "Authorization, Content-Type, Auth0-Client, DPoP, X-Request-Language"
	corsExposedHeaders = "DPoP-Nonce, Retry-After, WWW-Authenticate, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Location"
	corsMaxAge         = "600"
)

// CORSPublic lets any origin read the answer, and sends no credentials: metadata, keys, and what
// shows a token in a header.
func (s *Server) CORSPublic(methods string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", corsExposedHeaders)
		if r.Method == http.MethodOptions {
			preflight(w, methods)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// CORSRegistered lets the origins read the answer that some client of the tenant registered. A
// preflight names no client, so this is all it can be judged by; the request itself is then held
// to the origins of its own client. The headers stand on errors too: without them an SDK takes an
// error for a broken network, and sends a code again.
func (s *Server) CORSRegistered(methods string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		known := false
		if origin != "" && origin != "null" {
			var err error
			if known, err = s.Apps.IsWebOrigin(r.Context(), tenant.From(r.Context()), origin); err != nil {
				s.writeError(w, r, err)
				return
			}
		}
		if known {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", corsExposedHeaders)
		}
		if r.Method == http.MethodOptions {
			if !known && origin != "" {
				s.Checkup.Wrong(tenant.From(r.Context()), "", checkup.PageOrigin, origin)
			}
			preflight(w, methods)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func preflight(w http.ResponseWriter, methods string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", corsAllowedHeaders)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	w.WriteHeader(http.StatusNoContent)
}

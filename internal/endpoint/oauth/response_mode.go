package oauth

import (
	"net/http"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// respond sends an authorization response by the mode that was asked for. The redirect URI has
// been matched before.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, client *apps.Client, req *oauth.AuthorizationRequest, a oauth.AuthorizationResponse) {
	target := redirectURI(client, req)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	switch req.ResponseMode {
	case oauth.ResponseModeFormPost:
		s.Pages.FormPost(w, r, client, target, a.Parameters())
	case oauth.ResponseModeWebMessage:
		origin, _ := oauth.Origin(target)
		s.Pages.WebMessage(w, r, origin, a.Parameters())
	default:
		// 303 and nothing else: a 307 would post the password on to the application.
		w.Header().Set("Location", oauth.ResponseURL(target, a))
		w.WriteHeader(http.StatusSeeOther)
	}
}

// respondError sends an error to the application, which has been found and whose redirect URI has
// been matched; an error that belongs on a page is shown there.
func (s *Server) respondError(w http.ResponseWriter, r *http.Request, client *apps.Client, req *oauth.AuthorizationRequest, err error) {
	e := s.protocolError(r, err)
	if e.Page {
		s.Pages.Error(w, r, e.Status(), e)
		return
	}
	s.respond(w, r, client, req, oauth.ErrorResponse(e, req.State, tenant.From(r.Context()).Issuer))
}

// protocolError turns any error into the protocol's vocabulary, and logs those that are ours.
func (s *Server) protocolError(r *http.Request, err error) *oauth.Error {
	switch fault.CodeOf(err) {
	case fault.Busy:
		return oauth.NewError(oauth.TemporarilyUnavailable, "Too much to do. Try again in a moment.").WithCause(err)
	case fault.Limited:
		return oauth.NewError(oauth.TooManyRequests, "Too many attempts. Try again later.").WithCause(err)
	}
	e := oauth.AsError(err)
	if e.Code == oauth.ServerError {
		s.Log.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "error", err)
	}
	return e
}

package oauth

import (
	"net/http"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// respond sends an authorization response by the mode that was asked for. The redirect URI has
// been matched before.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, client *apps.Client, req *oauth.AuthorizationRequest, a oauth.AuthorizationResponse) {
	target := redirectURI(client, req)
	switch req.ResponseMode {
	case oauth.ResponseModeFormPost:
		s.Pages.FormPost(w, r, client, target, a.Parameters())
	case oauth.ResponseModeWebMessage:
		origin, _ := oauth.Origin(target)
		s.Pages.WebMessage(w, r, origin, a.Parameters())
	default:
		seeOther(w, oauth.ResponseURL(target, a))
	}
}

// respondError sends an error to the application, which has been found and whose redirect URI has
// been matched; an error that belongs on a page is shown there.
func (s *Server) respondError(w http.ResponseWriter, r *http.Request, client *apps.Client, req *oauth.AuthorizationRequest, err error) {
	s.wrong(tenant.From(r.Context()), client, err)
	e := s.protocolError(r, err)
	if e.Page {
		s.errorPage(w, r, e)
		return
	}
	s.respond(w, r, client, req, oauth.ErrorResponse(e, req.State, tenant.From(r.Context()).Issuer))
}

// errorPage tells the person, on a page of our own, that a request can not be served.
func (s *Server) errorPage(w http.ResponseWriter, r *http.Request, err error) {
	e := s.protocolError(r, err)
	setRetryAfter(w.Header(), err)
	s.Pages.Error(w, r, e.Status(), e)
}

// protocolError turns any error into the protocol's vocabulary, and logs those that are ours.
func (s *Server) protocolError(r *http.Request, err error) *oauth.Error {
	switch {
	case unavailable(err):
		s.Log.WarnContext(r.Context(), "request refused", "path", r.URL.Path, "error", err)
		return oauth.NewError(oauth.TemporarilyUnavailable, "Too much to do. Try again in a moment.").WithCause(err)
	case fault.Is(err, fault.Limited):
		return oauth.NewError(oauth.TooManyRequests, "Too many attempts. Try again later.").WithCause(err)
	}
	e := oauth.AsError(err)
	if e.Code == oauth.ServerError && fault.Is(err, fault.Invalid) { // such as bytes that are no text
		return oauth.NewError(oauth.InvalidRequest, fault.MessageOf(err)).WithCause(err)
	}
	if e.Code == oauth.ServerError {
		httpx.LogFailure(s.Log, r, err)
	}
	return e
}

// unavailable reports whether the house can not answer now: overload, a database that is away, or a
// commit of which nobody knows whether it happened. None of them is ever told as success, nor as a
// mistake of the client.
func unavailable(err error) bool { return fault.Is(err, fault.Busy) }

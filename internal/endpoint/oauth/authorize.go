package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/browser"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Authorize is the authorization endpoint (RFC 6749 section 3.1, OpenID Connect Core section
// 3.1.2): GET with a query, or POST with a form.
func (s *Server) Authorize(w http.ResponseWriter, r *http.Request) {
	params, perr := authorizationParams(w, r)
	if perr != nil {
		s.errorPage(w, r, perr)
		return
	}
	if s.askedAgain(w, r, PathAuthorize, params) {
		return
	}
	s.authorize(w, r, params)
}

// maxAskedAgain is the longest query that is put into an address.
const maxAskedAgain = 8 << 10

// askedAgain leads a POST without cookies to the same request by GET. Browsers hold our cookies
// back when another site posts, so whoever is signed in would look like a stranger here, and be
// given the identity of a new browser in place of the one that other tabs rely on.
func (s *Server) askedAgain(w http.ResponseWriter, r *http.Request, path string, params url.Values) bool {
	if r.Method != http.MethodPost || s.cookies(tenant.From(r.Context())).Identity(r) != "" {
		return false
	}
	query := params.Encode()
	if len(query) > maxAskedAgain {
		return false
	}
	seeOther(w, path+"?"+query)
	return true
}

// seeOther redirects by 303 and nothing else: a 307 would post a password on to the application.
func seeOther(w http.ResponseWriter, target string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
}

func authorizationParams(w http.ResponseWriter, r *http.Request) (url.Values, *oauth.Error) {
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, oauth.NewError(oauth.InvalidRequest, "The query is not well-formed.").OnPage()
	}
	if r.Method != http.MethodPost {
		return params, nil
	}
	form, perr := readForm(w, r)
	if perr != nil {
		return nil, perr.OnPage()
	}
	for name, values := range form { // what stands in both is seen twice, and refused
		params[name] = append(params[name], values...)
	}
	return params, nil
}

// readForm reads the form of a POST that a person's browser sent.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, *oauth.Error) {
	form, err := httpx.ReadForm(w, r, oauth.MaxBodyBytes)
	switch {
	case err == nil:
		return form, nil
	case errors.Is(err, httpx.ErrMediaType):
		return nil, oauth.NewError(oauth.InvalidRequest, "The request is no form.").WithCause(oauth.ErrMediaType)
	case errors.Is(err, httpx.ErrTooLarge):
		return nil, oauth.NewError(oauth.InvalidRequest, "The request is too large.").WithCause(oauth.ErrTooLarge)
	}
	return nil, oauth.NewError(oauth.InvalidRequest, "The form is not well-formed.").WithCause(err)
}

// authorize is the way of an authorization request: whom to answer first, then what was asked, then
// what is still missing.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, params url.Values) {
	ctx, tn := r.Context(), tenant.From(r.Context())
	req, perr := oauth.ParseAuthorizationRequest(params)
	if perr != nil && perr.Page {
		s.errorPage(w, r, perr)
		return
	}
	client, err := s.returnAddress(ctx, tn, req)
	if err != nil {
		s.wrongOf(ctx, tn, req.ClientID, err)
		s.errorPage(w, r, err)
		return
	}
	f := browser.Flow{Request: req, StartedAt: s.now()}
	if perr == nil {
		err = s.examine(ctx, tn, client, &f)
	} else {
		err = perr
	}
	if err != nil {
		s.respondError(w, r, client, req, err)
		return
	}
	var found *signin.Session
	if req.Prompt.None {
		found, err = s.silentSession(ctx, tn, w, r)
	} else {
		found, err = s.session(ctx, tn, w, r)
	}
	if err != nil {
		s.respondError(w, r, client, req, err)
		return
	}
	s.proceed(w, r, f, client, found, progress{})
}

// returnAddress finds the client and settles the redirect URI, after which errors may be sent
// there. Until then everything is shown on a page (RFC 6749 section 4.1.2.1).
func (s *Server) returnAddress(ctx context.Context, tn *tenant.Tenant, req *oauth.AuthorizationRequest) (*apps.Client, error) {
	client, err := s.Apps.Client(ctx, tn, req.ClientID)
	if fault.Is(err, fault.NotFound) || err == nil && client.Disabled {
		return nil, oauth.NewError(oauth.InvalidRequest, "The client is not known here.").
			WithHint("client_id does not name a client of this issuer. Check the client id and the domain in the application's configuration.").
			WithDetail("client_id", req.ClientID).OnPage()
	}
	if err != nil {
		return nil, err
	}
	switch {
	case req.RedirectURI == "" && client.DefaultRedirectURI == "":
		return nil, checkup.Because(oauth.NewError(oauth.InvalidRequest, "redirect_uri is missing.").
			WithHint("Send redirect_uri, or set default_redirect_uri on the client.").OnPage(), checkup.RedirectMissing, "")
	case req.RedirectURI != "" && !oauth.MatchRedirectURI(client.RedirectURIs, req.RedirectURI, client.Type == apps.Native):
		return nil, checkup.Because(oauth.NewError(oauth.InvalidRequest, "redirect_uri is not registered for this client.").
			WithHint("It is compared byte for byte. Add exactly the address the application sends to the client's callbacks.").
			WithDetail("redirect_uri", req.RedirectURI, client.RedirectURIs...).OnPage(), checkup.RedirectURI, req.RedirectURI)
	}
	if err := checkReceiver(client, req); err != nil {
		return nil, err
	}
	return client, nil
}

// checkReceiver: a form and a message go to a web origin, and a message to one that the client
// registered for it.
func checkReceiver(client *apps.Client, req *oauth.AuthorizationRequest) error {
	origin, ok := oauth.Origin(redirectURI(client, req))
	switch {
	case req.ResponseMode == oauth.ResponseModeFormPost && !ok:
		return oauth.NewError(oauth.InvalidRequest, "This redirect_uri can not receive a form.").
			WithHint("form_post needs an http or https redirect_uri. Use response_mode=query.").OnPage()
	case req.ResponseMode == oauth.ResponseModeWebMessage && !(ok && client.HasWebOrigin(origin)):
		return checkup.Because(oauth.NewError(oauth.InvalidRequest, "The application's origin is not allowed to receive messages.").
			WithHint("Add the origin of redirect_uri to the client's web_origins.").
			WithDetail("redirect_uri", origin, client.WebOrigins...).OnPage(), checkup.MessageOrigin, origin)
	}
	return nil
}

// redirectURI is where the answer goes: what the request says, or the client's default.
func redirectURI(client *apps.Client, req *oauth.AuthorizationRequest) string {
	if req.RedirectURI != "" {
		return req.RedirectURI
	}
	return client.DefaultRedirectURI
}

// examine judges a request by what the client may ask for, and leaves in it what it will get.
func (s *Server) examine(ctx context.Context, tn *tenant.Tenant, client *apps.Client, f *browser.Flow) error {
	req := f.Request
	if !client.MayAskFor(req.ResponseType) {
		return checkup.Because(oauth.NewError(oauth.UnauthorizedClient, "The client may not use this response_type.").
			WithHint("id_token and code id_token are for regular web clients of profile oidc-basic. Use response_type=code."),
			checkup.ResponseType, string(req.ResponseType))
	}
	if err := req.CheckPKCE(client.RequiresPKCE() && req.ResponseType.HasCode()); err != nil {
		return checkup.Because(err, checkup.PKCE, weakPKCE(req))
	}
	if req.Audience == "" {
		req.Audience = client.Audience
	}
	api, err := s.api(ctx, tn, req.Audience)
	if err != nil {
		return err
	}
	asked := req.Scope
	if req.Scope, err = allowedScope(client, api, asked); err != nil {
		return err
	}
	s.dropped(tn, client, asked, req.Scope)
	if err := s.resolveHint(ctx, tn, client, f); err != nil {
		return err
	}
	return meetDemand(f)
}

// api returns the API an audience names; nil for none, which leaves /userinfo.
func (s *Server) api(ctx context.Context, tn *tenant.Tenant, audience string) (*apps.API, error) {
	if audience == "" || audience == tn.UserInfoAudience() {
		return nil, nil
	}
	api, err := s.Apps.API(ctx, tn, audience)
	if fault.Is(err, fault.NotFound) || err == nil && api.Identifier != audience {
		return nil, checkup.Because(oauth.NewError(oauth.InvalidTarget, "The audience is not known here.").
			WithHint("audience must be the identifier of an API of this issuer, byte for byte."), checkup.Audience, audience)
	}
	return api, err
}

// allowedScope drops, silently, what does not exist or the client may not have. Nothing left is
// invalid_scope. Asking for no scope at an API means all it has (RFC 6749 section 3.3).
func allowedScope(client *apps.Client, api *apps.API, asked oauth.Scope) (oauth.Scope, error) {
	known := oauth.Scope{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail}
	if client.MayUse(oauth.GrantRefreshToken) && (api == nil || api.AllowOfflineAccess) {
		known = append(known, oauth.ScopeOfflineAccess)
	}
	if api != nil {
		if len(asked) == 0 {
			return api.Scopes(), nil
		}
		known = append(known, api.Scopes()...)
	}
	allowed := asked.Intersect(known)
	if len(allowed) == 0 {
		return nil, oauth.NewError(oauth.InvalidScope, "None of the requested scopes can be had.").
			WithHint("Ask for openid, or for a scope of the API that audience names.")
	}
	return allowed, nil
}

// resolveHint turns an id_token_hint into whom it is about. A hint never authenticates anyone.
func (s *Server) resolveHint(ctx context.Context, tn *tenant.Tenant, client *apps.Client, f *browser.Flow) error {
	if f.Request.IDTokenHint == "" {
		return nil
	}
	hint, err := s.verifyHint(ctx, tn, f.Request.IDTokenHint, client.ClientID)
	if err != nil {
		return oauth.NewError(oauth.InvalidRequest, "id_token_hint is not an ID token of this client.").WithCause(err)
	}
	f.HintSubject, f.Request.IDTokenHint = hint.Subject, ""
	return nil
}

// meetDemand refuses a request that can not do without an authentication context nobody can reach
// here (OpenID Connect Core section 5.5.1.1), and makes of a demanded sub what a hint would be: nobody
// else is let through (section 3.1.2.2).
func meetDemand(f *browser.Flow) error {
	d, err := demandOf(f.Request.Claims)
	switch {
	case err != nil:
		return oauth.NewError(oauth.InvalidRequest, "claims demands an acr or a sub in a form that is not understood.").WithCause(err)
	case len(d.ACR) > 0 && !slices.Contains(d.ACR, signin.ACRPassword):
		return oauth.NewError(oauth.UnmetAuthenticationRequirements, "The demanded authentication context can not be reached.")
	case d.Subject != "" && f.HintSubject != "" && d.Subject != f.HintSubject:
		return oauth.NewError(oauth.InvalidRequest, "id_token_hint and claims name two people.")
	case d.Subject != "":
		f.HintSubject = d.Subject
	}
	return nil
}

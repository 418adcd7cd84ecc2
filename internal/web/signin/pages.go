package signin

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/base/shell"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/browser"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/internal/web/page"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// frame is what all pages of a flow share: the form's target, the sealed flow, and where its POST
// may lead to.
func (h *Handler) frame(w http.ResponseWriter, r *http.Request, post string, f browser.Flow, c *apps.Client) page.Frame {
	tn := tenant.From(r.Context())
	frame := h.plain(tn)
	browserID := browser.CookiesOf(tn, h.Clock.Now()).EnsureIdentity(w, r)
	sealed, err := browser.SealFlow(h.Seal, tn, browserID, f)
	if err != nil {
		panic(err) // our own types: a bug
	}
	frame.Post, frame.Flow = post, sealed
	if c != nil {
		frame.FormAction = append(frame.FormAction, c.RedirectURIs...)
	}
	if f.Request != nil && f.Request.RedirectURI != "" {
		frame.FormAction = append(frame.FormAction, f.Request.RedirectURI)
	}
	if f.Logout != nil && f.Logout.ReturnTo != "" {
		frame.FormAction = append(frame.FormAction, f.Logout.ReturnTo)
	}
	return frame
}

func (h *Handler) plain(tn *tenant.Tenant) page.Frame {
	return page.Frame{TenantName: tn.Settings.Name}
}

// client returns the client of a flow for its name and addresses; nil without one.
func (h *Handler) client(r *http.Request, f browser.Flow) *apps.Client {
	if f.Request == nil {
		return nil
	}
	c, err := h.Apps.Client(r.Context(), tenant.From(r.Context()), f.Request.ClientID)
	if err != nil {
		return nil
	}
	return c
}

func nameOf(c *apps.Client) string {
	if c == nil {
		return ""
	}
	return c.Name
}

// The pages of a flow, as package endpoint/oauth asks for them.

// SignIn draws the sign-in page, or the sign-up page where the application asks for that first.
func (h *Handler) SignInPage(w http.ResponseWriter, r *http.Request, f browser.Flow, c *apps.Client, reason browser.Reason) {
	notice := page.Message("")
	switch reason {
	case browser.CreateAccount:
		if !tenant.From(r.Context()).Settings.NoSignUp {
			h.showSignUp(w, r, http.StatusOK, f, c, f.Request.LoginHint)
			return
		}
	case browser.SignInAgain:
		notice = page.NoticeSignInAgain
	case browser.OtherPerson:
		notice = page.NoticeOtherPerson
	case browser.FlowWasExpired:
		notice = page.NoticeRestarted
	}
	h.showSignIn(w, r, http.StatusOK, f, c, hint(f), notice)
}

func hint(f browser.Flow) string {
	if f.Request == nil {
		return ""
	}
	return f.Request.LoginHint
}

func (h *Handler) showSignIn(w http.ResponseWriter, r *http.Request, status int, f browser.Flow, c *apps.Client, email string, notice page.Message, errs ...page.Message) {
	frame := h.frame(w, r, PathSignIn, f, c)
	frame.Notice, frame.Errors = notice, errs
	p := page.SignIn{Frame: frame, ClientName: nameOf(c), Email: email, NoSignUp: tenant.From(r.Context()).Settings.NoSignUp}
	if h.DevUsers != nil {
		p.DevUsers = h.DevUsers()
	}
	h.Render.Render(w, r, status, p)
}

func (h *Handler) showSignUp(w http.ResponseWriter, r *http.Request, status int, f browser.Flow, c *apps.Client, email string, errs ...page.Message) {
	frame := h.frame(w, r, PathSignUp, f, c)
	frame.Errors = errs
	h.Render.Render(w, r, status, page.SignUp{
		Frame: frame, ClientName: nameOf(c), Email: email,
		MinPasswordLength: tenant.From(r.Context()).Settings.PasswordMinLength,
	})
}

// ConsentPage asks whether the client may do what f.Shown names.
func (h *Handler) ConsentPage(w http.ResponseWriter, r *http.Request, f browser.Flow, c *apps.Client, api *apps.API, s *signin.Session) {
	f.SID = s.SID
	p := page.Consent{Frame: h.frame(w, r, PathConsent, f, c), ClientName: c.Name, ThirdParty: c.ThirdParty, Email: s.Email}
	if origin, ok := oauth.Origin(cmp.Or(f.Request.RedirectURI, c.DefaultRedirectURI)); ok {
		p.ClientHost = hostOf(origin)
	}
	p.Scopes = scopes(f.Shown, api)
	h.Render.Render(w, r, http.StatusOK, p)
}

// scopes are what an application asks for, in words for people. api is nil where it asks for none.
func scopes(asked oauth.Scope, api *apps.API) []page.Scope {
	var out []page.Scope
	for _, scope := range asked {
		shown := page.Scope{Name: scope}
		if api != nil && api.Scopes().Contains(scope) {
			shown.API, shown.Description = api.Name, description(api, scope)
		}
		out = append(out, shown)
	}
	return out
}

func description(api *apps.API, scope string) string {
	for _, p := range api.Permissions {
		if p.Value == scope {
			return p.Description
		}
	}
	return ""
}

// ChooseAccountPage asks whether to go on as the person who is signed in.
func (h *Handler) ChooseAccountPage(w http.ResponseWriter, r *http.Request, f browser.Flow, c *apps.Client, s *signin.Session) {
	f.SID = s.SID
	h.Render.Render(w, r, http.StatusOK, page.SignedIn{Frame: h.frame(w, r, PathSignIn, f, c), Email: s.Email, ClientName: nameOf(c)})
}

// SignOutPage asks whether to sign out.
func (h *Handler) SignOutPage(w http.ResponseWriter, r *http.Request, f browser.Flow, c *apps.Client, s *signin.Session) {
	f.SID = s.SID
	h.Render.Render(w, r, http.StatusOK, page.SignOut{Frame: h.frame(w, r, PathSignOut, f, c), Email: s.Email, ClientName: nameOf(c)})
}

// SignedOutPage says that the session has ended and, of an application that went astray, why there
// is no way back to it.
func (h *Handler) SignedOutPage(w http.ResponseWriter, r *http.Request, astray bool) {
	p := page.SignedOut{Frame: h.plain(tenant.From(r.Context()))}
	if astray {
		p.Notice = page.NoticeAstray
	}
	h.Render.Render(w, r, http.StatusOK, p)
}

// FormPost hands a response to the application by form_post.
func (h *Handler) FormPost(w http.ResponseWriter, r *http.Request, c *apps.Client, target string, fields []oauth.Parameter) {
	p := page.FormPost{Frame: h.plain(tenant.From(r.Context())), ClientName: c.Name, Action: target}
	for _, f := range fields {
		p.Fields = append(p.Fields, page.Field{Name: f.Name, Value: f.Value})
	}
	h.Render.Render(w, r, http.StatusOK, p)
}

// WebMessage hands a response to the window that opened or framed the page.
func (h *Handler) WebMessage(w http.ResponseWriter, r *http.Request, origin string, fields []oauth.Parameter) {
	p := page.WebMessage{Frame: h.plain(tenant.From(r.Context())), TargetOrigin: origin, Response: map[string]string{}}
	for _, f := range fields {
		p.Response[f.Name] = f.Value
	}
	h.Render.Render(w, r, http.StatusOK, p)
}

// Error says that a request can not be served.
func (h *Handler) Error(w http.ResponseWriter, r *http.Request, status int, e *oauth.Error) {
	h.Render.Render(w, r, status, page.ErrorPage{
		Frame: h.plain(tenant.From(r.Context())), Code: e.Code, Description: e.Description, Fix: e.Hint,
		Parameter: e.Parameter, Expected: e.Expected, Got: e.Got, Command: h.checkCommand(r, e),
	})
}

// checkCommand tells a developer what is wrong and how to put it right, where it is a matter of what a client
// has registered. It offers nothing that came with the request but the client's id.
func (h *Handler) checkCommand(r *http.Request, e *oauth.Error) string {
	client := r.URL.Query().Get("client_id")
	if client == "" || len(e.Expected) == 0 || h.CheckCommand == nil {
		return ""
	}
	return h.CheckCommand() + " " + shell.Quote(client)
}

// fail draws what went wrong in a verb: too many attempts, too much to do, or our own failure.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	frame := h.plain(tenant.From(r.Context()))
	var f *fault.Error
	errors.As(err, &f)
	switch fault.CodeOf(err) {
	case fault.Limited:
		h.Render.Render(w, r, http.StatusTooManyRequests, page.LimitReached{Frame: frame, Minutes: minutesUntil(err)})
	case fault.Busy:
		w.Header().Set("Retry-After", "2")
		h.Render.Render(w, r, http.StatusServiceUnavailable, page.ErrorPage{Frame: frame, Code: oauth.TemporarilyUnavailable, Description: f.Message})
	case fault.Invalid: // such as bytes that are no text
		h.Error(w, r, http.StatusBadRequest, badRequest(fault.MessageOf(err)))
	default:
		httpx.LogFailure(h.Log, r, err)
		h.Render.Render(w, r, http.StatusInternalServerError, page.ErrorPage{Frame: frame, Code: oauth.ServerError})
	}
}

func badRequest(description string) *oauth.Error {
	return oauth.NewError(oauth.InvalidRequest, description)
}

func forbidden(description string) *oauth.Error {
	return oauth.NewError(oauth.AccessDenied, description)
}

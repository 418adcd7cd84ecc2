// Package signin serves the pages on which people sign up, sign in, allow and leave: every form
// under /u/, and /device. It reads what was typed, asks package core/signin, and draws what comes next with
// package page.
//
// A form carries its flow sealed (package core/browser); how far the person has come is in the
// session alone. So every POST is judged anew, and one that is out of order draws the page that is
// due. Once signing in is done, [Authorization] takes the flow over again.
package signin

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/browser"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/internal/web/page"
)

// Authorization goes on with a flow when the person has done their part.
type Authorization interface {
	// Continue goes on after signing in.
	Continue(w http.ResponseWriter, r *http.Request, f browser.Flow, s *signin.Session)
	// ContinueAs goes on as the person who is signed in, who chose to.
	ContinueAs(w http.ResponseWriter, r *http.Request, f browser.Flow, s *signin.Session)
	// Consented goes on after the person has allowed what the page named.
	Consented(w http.ResponseWriter, r *http.Request, f browser.Flow, s *signin.Session)
	// Denied ends a flow that the person does not want.
	Denied(w http.ResponseWriter, r *http.Request, f browser.Flow)
	// Restart begins a flow again whose page was open for too long.
	Restart(w http.ResponseWriter, r *http.Request, f browser.Flow, s *signin.Session)
	// SignOutConfirmed ends the session.
	SignOutConfirmed(w http.ResponseWriter, r *http.Request, f browser.Flow, s *signin.Session)
}

// Handler serves the forms. All fields but the last two are required; none changes once it serves.
type Handler struct {
	Clock         clock.Clock
	Seal          *seal.Keyring
	Apps          *apps.Apps
	Access        *access.Access
	SignIn        *signin.SignIn
	Grants        *grants.Grants
	Authorization Authorization
	Render        *page.Renderer
	Log           *slog.Logger
	DevUsers      func() []page.DevUser // shown on the sign-in page of a house of development
	CheckCommand  func() string         // what says what is wrong with a client, whose id follows; likewise
}

// Paths of the pages.
const (
	PathSignIn     = "/u/sign-in"
	PathSignUp     = "/u/sign-up"
	PathForgot     = "/u/forgot"
	PathConsent    = "/u/consent"
	PathSignOut    = "/u/sign-out"
	PathPassword   = "/u/password"
	PathFirstAdmin = "/u/first-administrator"
	PathDevice     = "/device" // RFC 8628: short, because people type it
)

// form is what a page sent: what was typed, in which flow, by whom.
type form struct {
	flow    browser.Flow
	session *signin.Session // nil for a stranger
	values  url.Values
}

func (f form) get(name string) string { return f.values.Get(name) }

// expected reports whether the page was drawn for the session that is signed in now. What it says
// about a person holds for no other.
func (f form) expected() bool { return f.session != nil && f.flow.SID == f.session.SID }

// Maxima of a form. A sealed flow can reach some 18 KB.
const maxForm = 64 << 10

// post reads and judges a form, once for all pages: its origin, its seal, its age. It returns false
// when it has answered.
func (h *Handler) post(w http.ResponseWriter, r *http.Request) (form, bool) {
	tn := tenant.From(r.Context())
	cookies := browser.CookiesOf(tn, h.Clock.Now())
	if !sameOrigin(tn, r) {
		h.Error(w, r, http.StatusForbidden, forbidden("The form was sent from another site."))
		return form{}, false
	}
	values, ok := h.read(w, r)
	if !ok {
		return form{}, false
	}
	if cookies.Tampered(r) {
		cookies.Clear(w)
		h.Error(w, r, http.StatusBadRequest, badRequest("A cookie of this site came twice."))
		return form{}, false
	}
	session, err := h.session(w, r)
	if err != nil {
		h.fail(w, r, err)
		return form{}, false
	}
	flow, err := browser.OpenFlow(h.Seal, tn, cookies.Identity(r), values.Get(page.FieldFlow), h.Clock.Now())
	switch {
	case errors.Is(err, browser.ErrExpiredFlow) && flow.Request != nil:
		h.Authorization.Restart(w, r, flow, session)
		return form{}, false
	case errors.Is(err, browser.ErrExpiredFlow):
		h.seeOther(w, cmp.Or(flow.Next, PathSignIn))
		return form{}, false
	case err != nil && cookies.Identity(r) == "":
		h.Render.Render(w, r, http.StatusBadRequest, page.NoCookies{Frame: h.plain(tn)})
		return form{}, false
	case err != nil:
		h.Error(w, r, http.StatusBadRequest, badRequest("This page was opened in another browser, or is not ours."))
		return form{}, false
	}
	return form{flow: flow, session: session, values: values}, true
}

func (h *Handler) read(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	values, err := httpx.ReadForm(w, r, maxForm)
	if err != nil {
		h.Error(w, r, httpx.FormStatus(err), badRequest("The form is too large, of another content type, or not well-formed."))
		return nil, false
	}
	return values, true
}

// sameOrigin: where the browser says where a form was sent from, it must have been one of our
// pages. Our pages send no referrer, so the Origin of their forms is "null"; the browser's own
// word that they are ours is in Sec-Fetch-Site.
func sameOrigin(tn *tenant.Tenant, r *http.Request) bool {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	switch {
	case site != "" && site != "same-origin" && site != "none":
		return false
	case origin == "" || origin == tn.Origin():
		return true
	default:
		return origin == "null" && site == "same-origin"
	}
}

// session returns the session of a request, or nil for a stranger. A request that carries a cookie
// of ours twice counts as a stranger's, and the cookies are taken back.
func (h *Handler) session(w http.ResponseWriter, r *http.Request) (*signin.Session, error) {
	tn := tenant.From(r.Context())
	cookies := browser.CookiesOf(tn, h.Clock.Now())
	if cookies.Tampered(r) {
		cookies.Clear(w)
		return nil, nil
	}
	found, err := h.SignIn.Lookup(r.Context(), tn, cookies.Session(r))
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return found, err
}

// from is where a request comes from, in the words of core/signin.
func (h *Handler) from(r *http.Request, f browser.Flow) signin.From {
	client := ""
	if f.Request != nil {
		client = f.Request.ClientID
	}
	return browser.CookiesOf(tenant.From(r.Context()), h.Clock.Now()).From(r, client)
}

// signedIn hands out the cookies of a sign-in and goes on with the flow, if there is one.
func (h *Handler) signedIn(w http.ResponseWriter, r *http.Request, f browser.Flow, result *signin.Result) {
	browser.CookiesOf(tenant.From(r.Context()), h.Clock.Now()).SignedIn(w, result)
	if f.Request == nil {
		h.seeOther(w, cmp.Or(f.Next, PathSignIn))
		return
	}
	h.Authorization.Continue(w, r, f, result.Session)
}

// seeOther leads to a page of ours.
func (h *Handler) seeOther(w http.ResponseWriter, path string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}

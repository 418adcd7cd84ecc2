package signin

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/browser"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/internal/web/page"
)

// PasswordLink returns the address under which a token lets a person choose a password.
func PasswordLink(tn *tenant.Tenant, token string) string {
	return tn.URL(PathPassword) + "?ticket=" + url.QueryEscape(token)
}

// GetPassword shows the page behind an administrator's link. It consumes nothing: whoever scans
// mail may open it.
func (h *Handler) GetPassword(w http.ResponseWriter, r *http.Request) {
	h.showPassword(w, r, http.StatusOK, browser.Flow{StartedAt: h.Clock.Now()}, r.URL.Query().Get("ticket"))
}

// PostPassword sets the password behind an administrator's link.
func (h *Handler) PostPassword(w http.ResponseWriter, r *http.Request) {
	in, ok := h.post(w, r)
	if !ok {
		return
	}
	tn, token, password := tenant.From(r.Context()), in.get(fieldTicket), in.get(page.FieldPassword)
	user, err := h.SignIn.LinkUser(r.Context(), tn, token)
	device := ""
	if err == nil {
		device, err = h.SignIn.UsePasswordLink(r.Context(), tn, token, password, h.from(r, in.flow))
	}
	switch {
	case err == nil:
		h.passwordChanged(w, r, in, user.Email, device)
	case errors.Is(err, people.ErrTicket):
		h.showSignIn(w, r, http.StatusGone, in.flow, nil, "", "", page.ErrLink)
	case fault.Is(err, fault.Invalid):
		h.showPassword(w, r, http.StatusUnprocessableEntity, in.flow, token, wrongWith(tn, err, password))
	default:
		h.failIn(w, r, in, PathSignIn, err)
	}
}

// fieldTicket carries the token of a link from the page to its POST.
const fieldTicket = "ticket"

func (h *Handler) showPassword(w http.ResponseWriter, r *http.Request, status int, f browser.Flow, token string, errs ...page.Message) {
	tn := tenant.From(r.Context())
	user, err := h.SignIn.LinkUser(r.Context(), tn, token)
	if errors.Is(err, people.ErrTicket) {
		h.showSignIn(w, r, http.StatusGone, f, nil, "", "", page.ErrLink)
		return
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	frame := h.frame(w, r, PathPassword, f, nil)
	frame.Errors = errs
	frame.Hidden = []page.Field{{Name: fieldTicket, Value: token}}
	h.Render.Render(w, r, status, page.SetPassword{Frame: frame, Email: user.Email, MinPasswordLength: tn.Settings.PasswordMinLength})
}

// GetFirstAdmin shows the page on which the first administrator is made. It is not there once
// there is one.
func (h *Handler) GetFirstAdmin(w http.ResponseWriter, r *http.Request) {
	h.showFirstAdmin(w, r, http.StatusOK, browser.Flow{StartedAt: h.Clock.Now()}, "")
}

// PostFirstAdmin makes the first administrator with the token that was printed at the start.
func (h *Handler) PostFirstAdmin(w http.ResponseWriter, r *http.Request) {
	in, ok := h.post(w, r)
	if !ok {
		return
	}
	tn, email, password := tenant.From(r.Context()), in.get(page.FieldEmail), in.get(page.FieldPassword)
	result, err := h.SignIn.CreateFirstAdmin(r.Context(), tn, strings.TrimSpace(in.get(page.FieldToken)),
		signin.SignUp{Email: email, Password: password}, h.from(r, in.flow))
	switch {
	case err == nil:
		h.signedIn(w, r, browser.Flow{}, result)
	case errors.Is(err, people.ErrTicket):
		h.showFirstAdmin(w, r, http.StatusUnprocessableEntity, in.flow, email, page.ErrToken)
	case fault.Is(err, fault.NotFound):
		h.NotFound(w, r)
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.Conflict):
		h.showFirstAdmin(w, r, http.StatusUnprocessableEntity, in.flow, email, wrongWith(tn, err, password))
	default:
		h.failIn(w, r, in, PathSignIn, err)
	}
}

func (h *Handler) showFirstAdmin(w http.ResponseWriter, r *http.Request, status int, f browser.Flow, email string, errs ...page.Message) {
	tn := tenant.From(r.Context())
	administered, err := h.Access.Administered(r.Context(), tn)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if administered {
		h.NotFound(w, r)
		return
	}
	frame := h.frame(w, r, PathFirstAdmin, f, nil)
	frame.Errors = errs
	h.Render.Render(w, r, status, page.FirstAdmin{Frame: frame, Email: email, MinPasswordLength: tn.Settings.PasswordMinLength})
}

// NotFound says that there is no such page.
func (h *Handler) NotFound(w http.ResponseWriter, r *http.Request) {
	h.Render.Render(w, r, http.StatusNotFound, page.ErrorPage{Frame: h.plain(tenant.From(r.Context())), Code: "not_found"})
}

func isCodeError(err error) bool { return errors.Is(err, people.ErrCode) }

func fieldOf(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Field
	}
	return ""
}

func minutesUntil(err error) int {
	var f *fault.Error
	if !errors.As(err, &f) {
		return 1
	}
	return max(int(math.Ceil(f.RetryAfter.Minutes())), 1)
}

func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Host
}

package signin

import (
	"cmp"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/browser"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/internal/web/page"
)

// GetSignIn is the sign-in page by itself: a bookmark, or the way in without an application.
func (h *Handler) GetSignIn(w http.ResponseWriter, r *http.Request) {
	session, err := h.session(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	f := browser.Flow{StartedAt: h.Clock.Now()}
	if session == nil {
		h.showSignIn(w, r, http.StatusOK, f, nil, "", "")
		return
	}
	h.ChooseAccountPage(w, r, f, nil, session)
}

// GetSignUp is the sign-up page by itself.
func (h *Handler) GetSignUp(w http.ResponseWriter, r *http.Request) {
	if tenant.From(r.Context()).Settings.NoSignUp {
		h.seeOther(w, PathSignIn)
		return
	}
	h.showSignUp(w, r, http.StatusOK, browser.Flow{StartedAt: h.Clock.Now()}, nil, "")
}

// GetForgot is the page for a forgotten password by itself.
func (h *Handler) GetForgot(w http.ResponseWriter, r *http.Request) {
	h.showForgot(w, r, http.StatusOK, form{flow: browser.Flow{StartedAt: h.Clock.Now()}}, "")
}

// GetElsewhere leads a reload or a bookmark of a page in the middle of a flow to its beginning.
func (h *Handler) GetElsewhere(w http.ResponseWriter, _ *http.Request) { h.seeOther(w, PathSignIn) }

// Post serves every form of a flow. The button that was pressed says what is wanted; whether that
// is due is judged by the session.
func (h *Handler) Post(w http.ResponseWriter, r *http.Request) {
	in, ok := h.post(w, r)
	if !ok {
		return
	}
	action := in.get(page.FieldAction)
	switch r.URL.Path {
	case PathSignUp:
		h.postSignUp(w, r, in, action)
	case PathForgot:
		h.postForgot(w, r, in, action)
	case PathConsent:
		h.postConsent(w, r, in, action)
	case PathSignOut:
		h.postSignOut(w, r, in, action)
	default:
		h.postSignIn(w, r, in, action)
	}
}

func (h *Handler) postSignIn(w http.ResponseWriter, r *http.Request, in form, action string) {
	email, client := in.get(page.FieldEmail), h.client(r, in.flow)
	switch action {
	case page.ActionSignUp:
		h.showSignUp(w, r, http.StatusOK, in.flow, client, email)
	case page.ActionForgot:
		h.showForgot(w, r, http.StatusOK, in, email)
	case page.ActionSwitch:
		in.flow.Shown, in.flow.SID = nil, ""
		h.showSignIn(w, r, http.StatusOK, in.flow, client, "", "")
	case page.ActionContinue, page.ActionRestart:
		h.due(w, r, in)
	case page.ActionSignOut:
		if !in.expected() {
			h.due(w, r, in)
			return
		}
		h.Authorization.SignOutConfirmed(w, r, browser.Flow{}, in.session)
	default:
		if !in.values.Has(page.FieldEmail) && !in.values.Has(page.FieldPassword) { // the way here from another page
			h.showSignIn(w, r, http.StatusOK, in.flow, client, "", "")
			return
		}
		h.signIn(w, r, in, email)
	}
}

// signIn is the form with address and password. Anything that is not right gets the same page with
// the same words, whoever it was about.
func (h *Handler) signIn(w http.ResponseWriter, r *http.Request, in form, email string) {
	password, client := in.get(page.FieldPassword), h.client(r, in.flow)
	if email == "" || password == "" {
		h.showSignIn(w, r, http.StatusUnprocessableEntity, in.flow, client, email, "", page.ErrCredentials)
		return
	}
	tn := tenant.From(r.Context())
	result, err := h.SignIn.Password(r.Context(), tn, signin.Credentials{Login: email, Password: password}, h.from(r, in.flow))
	switch fault.CodeOf(err) {
	case "":
		h.signedIn(w, r, in.flow, result)
	case fault.Unauthorized, fault.Invalid:
		h.showSignIn(w, r, http.StatusUnprocessableEntity, in.flow, client, email, "", page.ErrCredentials)
	default:
		h.failIn(w, r, in, PathSignIn, err)
	}
}

// due draws the page that is due for a form that came out of order, or goes on as who is signed in.
func (h *Handler) due(w http.ResponseWriter, r *http.Request, in form) {
	switch {
	case in.flow.Request == nil:
		h.seeOther(w, cmp.Or(in.flow.Next, PathSignIn))
	case in.expected():
		h.Authorization.ContinueAs(w, r, in.flow, in.session)
	default:
		h.Authorization.Continue(w, r, in.flow, in.session)
	}
}

func (h *Handler) postSignUp(w http.ResponseWriter, r *http.Request, in form, action string) {
	switch action {
	case page.ActionSignIn:
		h.showSignIn(w, r, http.StatusOK, in.flow, h.client(r, in.flow), in.get(page.FieldEmail), "")
	case page.ActionForgot:
		h.showForgot(w, r, http.StatusOK, in, in.get(page.FieldEmail))
	case page.ActionVerify:
		h.finishSignUp(w, r, in)
	case page.ActionResend:
		h.resendSignUp(w, r, in)
	default:
		h.startSignUp(w, r, in)
	}
}

func (h *Handler) startSignUp(w http.ResponseWriter, r *http.Request, in form) {
	email, password := in.get(page.FieldEmail), in.get(page.FieldPassword)
	tn, client := tenant.From(r.Context()), h.client(r, in.flow)
	if in.flow.Challenge != "" && email == "" { // the way back from the code to the address
		email, in.flow.Challenge = in.flow.Email, ""
		h.showSignUp(w, r, http.StatusOK, in.flow, client, email)
		return
	}
	challenge, err := h.SignIn.StartSignUp(r.Context(), tn, signin.SignUp{Email: email, Password: password}, h.from(r, in.flow))
	switch fault.CodeOf(err) {
	case "":
		in.flow.Challenge, in.flow.Email = challenge, email
		h.showCheckMail(w, r, http.StatusOK, in, "")
	case fault.Invalid:
		h.showSignUp(w, r, http.StatusUnprocessableEntity, in.flow, client, email, wrongWith(tn, err, password))
	case fault.NotFound:
		h.seeOther(w, PathSignIn)
	default:
		h.failIn(w, r, in, PathSignUp, err)
	}
}

func (h *Handler) finishSignUp(w http.ResponseWriter, r *http.Request, in form) {
	answer := signin.Answer{ChallengeID: in.flow.Challenge, Code: typed(in.get(page.FieldCode))}
	result, err := h.SignIn.FinishSignUp(r.Context(), tenant.From(r.Context()), answer, h.from(r, in.flow))
	switch {
	case err == nil:
		in.flow.Challenge, in.flow.Email = "", ""
		h.signedIn(w, r, in.flow, result)
	case isCodeError(err) && in.session != nil && strings.EqualFold(in.session.Email, strings.TrimSpace(in.flow.Email)):
		h.due(w, r, in) // sent once more by whom it has signed in
	case isCodeError(err):
		h.showCheckMail(w, r, http.StatusUnprocessableEntity, in, "", page.ErrCode)
	default:
		h.failIn(w, r, in, PathSignUp, err)
	}
}

func (h *Handler) resendSignUp(w http.ResponseWriter, r *http.Request, in form) {
	challenge, err := h.SignIn.ResendSignUp(r.Context(), tenant.From(r.Context()), in.flow.Challenge, h.from(r, in.flow))
	switch {
	case err == nil:
		in.flow.Challenge = challenge
		h.showCheckMail(w, r, http.StatusOK, in, page.NoticeCodeResent)
	case isCodeError(err):
		h.showSignUp(w, r, http.StatusUnprocessableEntity, in.flow, h.client(r, in.flow), in.flow.Email, page.ErrCodeAttempts)
	default:
		h.failIn(w, r, in, PathSignUp, err)
	}
}

func (h *Handler) showCheckMail(w http.ResponseWriter, r *http.Request, status int, in form, notice page.Message, errs ...page.Message) {
	frame := h.frame(w, r, PathSignUp, in.flow, h.client(r, in.flow))
	frame.Notice, frame.Errors = notice, errs
	h.Render.Render(w, r, status, page.CheckMail{Frame: frame, Email: in.flow.Email, Minutes: int(people.CodeLifetime.Minutes())})
}

func (h *Handler) postForgot(w http.ResponseWriter, r *http.Request, in form, action string) {
	switch action {
	case page.ActionSignIn:
		h.showSignIn(w, r, http.StatusOK, in.flow, h.client(r, in.flow), in.get(page.FieldEmail), "")
	case page.ActionSetPassword:
		h.finishReset(w, r, in)
	case page.ActionResend:
		challenge, err := h.SignIn.ResendReset(r.Context(), tenant.From(r.Context()), in.flow.Challenge, h.from(r, in.flow))
		h.resetMailed(w, r, in, challenge, err, page.NoticeCodeResent)
	default:
		if !in.values.Has(page.FieldEmail) { // the way here from another page
			h.showForgot(w, r, http.StatusOK, in, in.flow.Email)
			return
		}
		email := in.get(page.FieldEmail)
		challenge, err := h.SignIn.StartReset(r.Context(), tenant.From(r.Context()), email, h.from(r, in.flow))
		in.flow.Email = email
		h.resetMailed(w, r, in, challenge, err, "")
	}
}

func (h *Handler) resetMailed(w http.ResponseWriter, r *http.Request, in form, challenge string, err error, notice page.Message) {
	switch {
	case err == nil:
		in.flow.Challenge = challenge
		h.showForgotCode(w, r, http.StatusOK, in, notice)
	case isCodeError(err):
		h.showForgot(w, r, http.StatusUnprocessableEntity, in, in.flow.Email, page.ErrCodeAttempts)
	case fault.Is(err, fault.Invalid):
		h.showForgot(w, r, http.StatusUnprocessableEntity, in, in.flow.Email, page.ErrEmail)
	default:
		h.failIn(w, r, in, PathForgot, err)
	}
}

func (h *Handler) finishReset(w http.ResponseWriter, r *http.Request, in form) {
	tn, password := tenant.From(r.Context()), in.get(page.FieldPassword)
	answer := signin.Answer{ChallengeID: in.flow.Challenge, Code: typed(in.get(page.FieldCode))}
	device, err := h.SignIn.FinishReset(r.Context(), tn, answer, password, h.from(r, in.flow))
	switch {
	case err == nil:
		h.passwordChanged(w, r, in, in.flow.Email, device)
	case isCodeError(err):
		h.showForgotCode(w, r, http.StatusUnprocessableEntity, in, "", page.ErrCode)
	case fault.Is(err, fault.Invalid):
		h.showForgotCode(w, r, http.StatusUnprocessableEntity, in, "", wrongWith(tn, err, password))
	default:
		h.failIn(w, r, in, PathForgot, err)
	}
}

// passwordChanged leads to the ordinary sign-in, with whatever that demands.
func (h *Handler) passwordChanged(w http.ResponseWriter, r *http.Request, in form, email, device string) {
	cookies := browser.CookiesOf(tenant.From(r.Context()), h.Clock.Now())
	cookies.ClearSession(w)
	cookies.SetDevice(w, device)
	in.flow.Challenge, in.flow.Email = "", ""
	h.showSignIn(w, r, http.StatusOK, in.flow, h.client(r, in.flow), email, page.NoticePasswordChanged)
}

func (h *Handler) showForgot(w http.ResponseWriter, r *http.Request, status int, in form, email string, errs ...page.Message) {
	in.flow.Challenge, in.flow.Email = "", ""
	frame := h.frame(w, r, PathForgot, in.flow, h.client(r, in.flow))
	frame.Errors = errs
	h.Render.Render(w, r, status, page.Forgot{Frame: frame, Email: email})
}

func (h *Handler) showForgotCode(w http.ResponseWriter, r *http.Request, status int, in form, notice page.Message, errs ...page.Message) {
	frame := h.frame(w, r, PathForgot, in.flow, h.client(r, in.flow))
	frame.Notice, frame.Errors = notice, errs
	h.Render.Render(w, r, status, page.ForgotCode{
		Frame: frame, Email: in.flow.Email, Minutes: int(people.CodeLifetime.Minutes()),
		MinPasswordLength: tenant.From(r.Context()).Settings.PasswordMinLength,
	})
}

func (h *Handler) postConsent(w http.ResponseWriter, r *http.Request, in form, action string) {
	switch {
	case in.flow.Request == nil || !in.expected():
		h.due(w, r, in)
	case action == page.ActionAllow:
		h.Authorization.Consented(w, r, in.flow, in.session)
	case action == page.ActionDeny:
		h.Authorization.Denied(w, r, in.flow)
	case action == page.ActionSwitch:
		in.flow.Shown, in.flow.SID = nil, ""
		h.showSignIn(w, r, http.StatusOK, in.flow, h.client(r, in.flow), "", "")
	default:
		h.due(w, r, in)
	}
}

func (h *Handler) postSignOut(w http.ResponseWriter, r *http.Request, in form, action string) {
	if action != page.ActionSignOut || in.session != nil && !in.expected() {
		h.seeOther(w, PathSignIn)
		return
	}
	h.Authorization.SignOutConfirmed(w, r, in.flow, in.session)
}

// failIn is fail on a page of a flow, from which the person can go on.
func (h *Handler) failIn(w http.ResponseWriter, r *http.Request, in form, path string, err error) {
	if !fault.Is(err, fault.Limited) {
		h.fail(w, r, err)
		return
	}
	h.Render.Render(w, r, http.StatusTooManyRequests, page.LimitReached{
		Frame: h.frame(w, r, path, in.flow, h.client(r, in.flow)), Minutes: minutesUntil(err),
	})
}

// wrongWith is the sentence about a new address or password that was refused.
func wrongWith(tn *tenant.Tenant, err error, password string) page.Message {
	switch {
	case fieldOf(err) == "email":
		return page.ErrEmail
	case password == "":
		return page.ErrPasswordMissing
	case len(password) > people.MaxPassword:
		return page.ErrPasswordLong
	case utf8.RuneCountInString(password) < tn.Settings.PasswordMinLength:
		return page.ErrPasswordShort
	default:
		return page.ErrPasswordGuessed
	}
}

// typed is a code without the spaces and hyphens people put between its digits.
func typed(code string) string {
	return strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(code)
}

package oauth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/browser"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// progress is what the person has just done on a page of this very flow.
type progress struct {
	consented    bool
	choseAccount bool
}

// step is what comes next.
type step int

const (
	stepIssue step = iota
	stepSignIn
	stepChooseAccount
	stepConsent
	stepConfirm
)

// facts are what the next step is decided by.
type facts struct {
	flow      browser.Flow
	session   *signin.Session // nil for a stranger
	now       time.Time
	consented bool // everything asked for is allowed, by the person or because the client needs no consent
	anyones   bool // the answer goes to where any program may wait for it
	progress
}

// next decides the step that is due, and why. It is the one place where signing in, fresh enough,
// as the right person, and consent are demanded, in this order.
func next(f facts) (step, browser.Reason) {
	req := f.flow.Request
	switch {
	case f.session == nil && req.ScreenHint == "signup":
		return stepSignIn, browser.CreateAccount
	case req.Prompt.Create && (f.session == nil || !f.session.AuthTime.After(f.flow.StartedAt)):
		return stepSignIn, browser.CreateAccount
	case f.session == nil:
		return stepSignIn, browser.NotSignedIn
	case f.flow.HintSubject != "" && f.flow.HintSubject != f.session.UserID:
		return stepSignIn, browser.OtherPerson
	case !freshEnough(req, f.session.AuthTime, f.flow.StartedAt, f.now):
		return stepSignIn, browser.SignInAgain
	case req.Prompt.SelectAccount && !f.choseAccount && !f.session.AuthTime.After(f.flow.StartedAt):
		return stepChooseAccount, browser.NotSignedIn
	case (!f.consented || req.Prompt.Consent) && !f.progress.consented:
		return stepConsent, browser.NotSignedIn
	case f.anyones && !f.choseAccount && f.session.AuthTime.Before(f.flow.StartedAt):
		return stepConfirm, browser.NotSignedIn
	}
	return stepIssue, browser.NotSignedIn
}

// freshEnough: prompt=login and max_age are met by a sign-in that is young enough, or that happened
// after the flow began (OpenID Connect Core section 3.1.2.1).
func freshEnough(req *oauth.AuthorizationRequest, authTime, startedAt, now time.Time) bool {
	if authTime.After(startedAt) {
		return true
	}
	if req.Prompt.Login {
		return false
	}
	return req.MaxAge == nil || now.Sub(authTime) <= time.Duration(*req.MaxAge)*time.Second && *req.MaxAge > 0
}

// Continue goes on with a flow after the person has signed in on a page.
func (s *Server) Continue(w http.ResponseWriter, r *http.Request, f browser.Flow, found *signin.Session) {
	s.resume(w, r, f, found, progress{})
}

// ContinueAs goes on with a flow as the person who is signed in, who chose to.
func (s *Server) ContinueAs(w http.ResponseWriter, r *http.Request, f browser.Flow, found *signin.Session) {
	s.resume(w, r, f, found, progress{choseAccount: true})
}

// Consented goes on with a flow after the person has allowed what the page named. Anything the
// page did not name is not allowed by it.
func (s *Server) Consented(w http.ResponseWriter, r *http.Request, f browser.Flow, found *signin.Session) {
	ctx, tn := r.Context(), tenant.From(r.Context())
	client, err := s.stillAllowed(ctx, tn, f.Request)
	if err != nil || len(f.Shown) == 0 || found == nil {
		s.resume(w, r, f, found, progress{}) // out of order: show what is due
		return
	}
	f.Request.Scope = f.Request.Scope.Intersect(f.Shown)
	if err := s.Grants.Consent(ctx, tn, found.UserID, client.ClientID, f.Request.Audience, f.Shown); err != nil {
		s.respondError(w, r, client, f.Request, err)
		return
	}
	s.resume(w, r, f, found, progress{consented: true, choseAccount: true})
}

// Denied ends a flow that the person does not want.
func (s *Server) Denied(w http.ResponseWriter, r *http.Request, f browser.Flow) {
	client, err := s.stillAllowed(r.Context(), tenant.From(r.Context()), f.Request)
	if err != nil {
		s.errorPage(w, r, err)
		return
	}
	s.respondError(w, r, client, f.Request, oauth.NewError(oauth.AccessDenied, "The person did not allow it."))
}

// Restart begins a flow again whose page was open for too long, with the same request.
func (s *Server) Restart(w http.ResponseWriter, r *http.Request, f browser.Flow, found *signin.Session) {
	f.StartedAt, f.Shown = s.now(), nil
	if found != nil {
		s.resume(w, r, f, found, progress{})
		return
	}
	client, err := s.stillAllowed(r.Context(), tenant.From(r.Context()), f.Request)
	if err != nil {
		s.errorPage(w, r, err)
		return
	}
	s.Pages.SignInPage(w, r, f, client, browser.FlowWasExpired)
}

// resume goes on with a flow that came back from a page. The client may have changed meanwhile.
func (s *Server) resume(w http.ResponseWriter, r *http.Request, f browser.Flow, found *signin.Session, p progress) {
	client, err := s.stillAllowed(r.Context(), tenant.From(r.Context()), f.Request)
	if err != nil {
		s.errorPage(w, r, err)
		return
	}
	s.proceed(w, r, f, client, found, p)
}

func (s *Server) stillAllowed(ctx context.Context, tn *tenant.Tenant, req *oauth.AuthorizationRequest) (*apps.Client, error) {
	client, err := s.returnAddress(ctx, tn, req)
	if err != nil {
		return nil, err
	}
	if !client.MayAskFor(req.ResponseType) {
		return nil, oauth.NewError(oauth.UnauthorizedClient, "The client may not use this response_type.").OnPage()
	}
	return client, req.CheckPKCE(client.RequiresPKCE() && req.ResponseType.HasCode())
}

// proceed takes the step that is due: a page, an error, or the answer.
func (s *Server) proceed(w http.ResponseWriter, r *http.Request, f browser.Flow, client *apps.Client, found *signin.Session, p progress) {
	ctx, tn := r.Context(), tenant.From(r.Context())
	api, err := s.api(ctx, tn, f.Request.Audience)
	if err != nil {
		s.respondError(w, r, client, f.Request, err)
		return
	}
	consented := true
	if found != nil {
		if consented, err = s.consented(ctx, tn, f, client, api, found); err != nil {
			s.respondError(w, r, client, f.Request, err)
			return
		}
	}
	due, reason := next(facts{
		flow: f, session: found, now: s.now(), consented: consented, anyones: oauth.AnyonesAddress(f.Request.RedirectURI) && client.Type == apps.Native, progress: p,
	})
	if f.Request.Prompt.None && due != stepIssue {
		s.respondError(w, r, client, f.Request, notWithoutPages(due))
		return
	}
	switch due {
	case stepSignIn:
		s.Pages.SignInPage(w, r, f, client, reason)
	case stepChooseAccount, stepConfirm:
		s.Pages.ChooseAccountPage(w, r, f, client, found)
	case stepConsent:
		f.Shown = f.Request.Scope
		s.Pages.ConsentPage(w, r, f, client, api, found)
	default:
		s.issue(w, r, f, client, found)
	}
}

// notWithoutPages is what prompt=none gets when a page is due.
func notWithoutPages(due step) *oauth.Error {
	switch due {
	case stepConsent:
		return oauth.NewError(oauth.ConsentRequired, "Consent required")
	case stepChooseAccount:
		return oauth.NewError(oauth.AccountSelectionRequired, "Account selection required")
	case stepConfirm:
		return oauth.NewError(oauth.InteractionRequired, "Interaction required").
			WithHint("Any program of the machine could wait at this redirect_uri: the person is asked each time.")
	default:
		return oauth.NewError(oauth.LoginRequired, "Login required")
	}
}

// consented reports whether nothing is left to be allowed: the client needs no consent, or the person
// has allowed all of it before.
func (s *Server) consented(ctx context.Context, tn *tenant.Tenant, f browser.Flow, client *apps.Client, api *apps.API, found *signin.Session) (bool, error) {
	if !client.NeedsConsent(api) {
		return true, nil
	}
	before, err := s.Grants.Consented(ctx, tn, found.UserID, client.ClientID, f.Request.Audience)
	return before.Covers(f.Request.Scope), err
}

// issue makes what the response type asks for. The code is stored, and the session's use noted, in
// one transaction.
func (s *Server) issue(w http.ResponseWriter, r *http.Request, f browser.Flow, client *apps.Client, found *signin.Session) {
	ctx, tn, req := r.Context(), tenant.From(r.Context()), f.Request
	answer := oauth.AuthorizationResponse{State: req.State, Issuer: tn.Issuer}
	terms := grants.Terms{
		ClientID: client.ClientID, UserID: found.UserID, Scope: req.Scope, Audience: req.Audience,
		Auth: grants.Authentication{SID: found.SID, Time: found.AuthTime, AMR: found.AMR, ACR: found.ACR},
	}
	var noted func(*db.Tx) error // with the code, or alone where there is none
	joins := req.ResponseType.HasIDToken() && client.BackchannelLogoutURI != ""
	if joins || found.NeedsTouch(s.now()) {
		noted = func(tx *db.Tx) error {
			if err := s.SignIn.Touch(tx, found); err != nil || !joins {
				return err
			}
			if err := s.Grants.HoldSession(tx, found.SID, found.UserID); err != nil {
				return err
			}
			return s.Logouts.Join(tx, tn, client, found.SID, found.UserID)
		}
	}
	var err error
	switch {
	case req.ResponseType.HasCode():
		answer.Code, err = s.Grants.IssueCode(ctx, tn, grants.Code{
			Terms: terms, RedirectURI: req.RedirectURI, CodeChallenge: req.CodeChallenge, Nonce: req.Nonce,
		}, noted)
	case noted != nil:
		err = tn.DB.Write(ctx, noted)
	}
	if errors.Is(err, grants.ErrSessionEnded) { // signed out in another tab at this moment
		s.proceed(w, r, f, client, nil, progress{})
		return
	}
	if err != nil {
		s.respondError(w, r, client, req, err)
		return
	}
	if req.ResponseType.HasIDToken() {
		token, err := s.mintIDToken(ctx, tn, client, terms, idTokenExtras{Nonce: req.Nonce, Code: answer.Code})
		if err != nil {
			s.respondError(w, r, client, req, err)
			return
		}
		answer.IDToken = token
	}
	well := checkup.Authorized
	if req.Prompt.None {
		well = checkup.AuthorizedSilently
	}
	s.Checkup.Well(tn, client.ClientID, well)
	s.respond(w, r, client, req, answer)
}

package oauth

import (
	"context"
	"net/http"
	"net/url"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/browser"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// logout is a request to sign out, whichever way it came.
type logout struct {
	client   *apps.Client // nil when the request names none
	hint     *oidc.IDTokenClaims
	returnTo string // where to return to, if that is registered
	astray   bool   // an address was asked for that is not registered
	state    string
	// trusted: the request may end the session without asking. /v2/logout with a client and its
	// registered address is, because SDKs send people there with nothing else in hand.
	trusted bool
}

// Logout is the logout of the Auth0 SDKs: GET /v2/logout?client_id=…&returnTo=…. It returns only
// to an address that is registered for logout, with the client or, without one, with the tenant;
// otherwise it shows that the person is signed out.
func (s *Server) Logout(w http.ResponseWriter, r *http.Request) {
	ctx, tn := r.Context(), tenant.From(r.Context())
	q := r.URL.Query()
	var l logout
	allowed := tn.Settings.LogoutURLs
	if q.Get("client_id") != "" {
		client, err := s.clientForLogout(ctx, tn, q.Get("client_id"))
		if err != nil {
			s.errorPage(w, r, err)
			return
		}
		l.client, l.trusted, allowed = client, true, client.LogoutURLs
	}
	if hint, err := s.verifyHint(ctx, tn, q.Get("id_token_hint"), q.Get("client_id")); err == nil {
		l.hint = hint
	}
	if asked := q.Get("returnTo"); asked != "" {
		l.returnTo = s.registered(r, l.client, allowed, "returnTo", asked)
		l.astray = l.returnTo == ""
	}
	if l.returnTo == "" {
		l.trusted = false
	}
	s.logout(w, r, l)
}

// EndSession is RP-Initiated Logout 1.0, by GET or POST. It returns only to an address registered
// with a client that is named by client_id or by a valid hint; otherwise it shows that the person
// is signed out.
func (s *Server) EndSession(w http.ResponseWriter, r *http.Request) {
	ctx, tn := r.Context(), tenant.From(r.Context())
	q, err := logoutParams(w, r)
	if err != nil {
		s.errorPage(w, r, err)
		return
	}
	if s.askedAgain(w, r, PathEndSession, q) {
		return
	}
	l := logout{state: q.Get("state")}
	if len(l.state) > maxLogoutState {
		s.errorPage(w, r, oauth.NewError(oauth.InvalidRequest, "state is too long."))
		return
	}
	clientID := q.Get("client_id")
	if q.Get("id_token_hint") != "" {
		hint, err := s.verifyHint(ctx, tn, q.Get("id_token_hint"), clientID)
		if err != nil {
			s.errorPage(w, r, oauth.NewError(oauth.InvalidRequest, "id_token_hint is not an ID token of this client.").WithCause(err))
			return
		}
		l.hint, clientID = hint, hint.Client()
	}
	if clientID != "" {
		if l.client, err = s.clientForLogout(ctx, tn, clientID); err != nil {
			s.errorPage(w, r, err)
			return
		}
	}
	if uri := q.Get("post_logout_redirect_uri"); uri != "" {
		var allowed []string
		if l.client != nil {
			allowed = l.client.LogoutURLs
		}
		l.returnTo = s.registered(r, l.client, allowed, "post_logout_redirect_uri", uri)
		l.astray = l.returnTo == ""
	}
	s.logout(w, r, l)
}

// registered returns an address that is registered for the return from a logout, and nothing for
// any other: whoever wants to leave is let out, and led nowhere. The page says so to the person, the
// log to the developer.
func (s *Server) registered(r *http.Request, client *apps.Client, allowed []string, parameter, uri string) string {
	if oauth.MatchLogoutURI(allowed, uri) {
		return uri
	}
	if client != nil {
		s.Checkup.Wrong(tenant.From(r.Context()), client.ClientID, checkup.LogoutURL, uri)
	}
	s.Log.DebugContext(r.Context(), "a logout leads nowhere: "+parameter+" is not among the client's allowed_logout_urls, byte for byte, or the request names no client")
	return ""
}

// maxLogoutState bounds the state of a logout, as that of an authorization request is.
const maxLogoutState = 2 << 10

func logoutParams(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return r.URL.Query(), nil
	}
	form, perr := readForm(w, r)
	if perr != nil {
		return nil, perr
	}
	return form, nil
}

func (s *Server) clientForLogout(ctx context.Context, tn *tenant.Tenant, clientID string) (*apps.Client, error) {
	client, err := s.Apps.Client(ctx, tn, clientID)
	if fault.Is(err, fault.NotFound) || err == nil && client.Disabled {
		return nil, oauth.NewError(oauth.InvalidRequest, "The client is not known here.")
	}
	return client, err
}

// logout ends the session if the request may, asks the person if it may not by itself, and does
// nothing at all for a request that no person navigated to.
func (s *Server) logout(w http.ResponseWriter, r *http.Request, l logout) {
	ctx, tn := r.Context(), tenant.From(r.Context())
	found, err := s.session(ctx, tn, w, r)
	if err != nil {
		s.errorPage(w, r, err)
		return
	}
	to := browser.Logout{ClientID: clientID(l.client), Astray: l.astray}
	if l.returnTo != "" {
		to.ReturnTo = oauth.AppendState(l.returnTo, l.state)
	}
	switch {
	case found == nil && l.hint != nil && l.hint.SessionID != "" && navigated(r):
		// The browser sent no cookie, but the application knows which session it means.
		if err := s.SignIn.SignOut(ctx, tn, l.hint.SessionID, false, s.from(r, clientID(l.client))); err != nil {
			s.errorPage(w, r, err)
			return
		}
		s.signedOut(w, r, to)
	case found == nil:
		// There is no session to end. A browser that another site made ask may still hold the
		// cookie of one and not have sent it, so nothing is cleared.
		s.goOn(w, r, to)
	case !navigated(r) || !l.mayEnd(found):
		f := browser.Flow{StartedAt: s.now(), Logout: &to}
		s.Pages.SignOutPage(w, r, f, l.client, found)
	default:
		s.endSession(w, r, found, to)
	}
}

// mayEnd: the request proves that it means the session at hand, or comes from where SDKs send
// people. A hint about somebody else proves the opposite.
func (l logout) mayEnd(found *signin.Session) bool {
	if l.hint != nil {
		return l.hint.Subject == found.UserID && (l.hint.SessionID == "" || l.hint.SessionID == found.SID)
	}
	return l.trusted
}

// navigated: an image, a frame or a script never ends a session (Fetch Metadata, where the browser
// sends it).
func navigated(r *http.Request) bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return dest == "" || dest == "document"
}

// SignOutConfirmed ends the session after the person has said so on our page.
func (s *Server) SignOutConfirmed(w http.ResponseWriter, r *http.Request, f browser.Flow, found *signin.Session) {
	var to browser.Logout
	if f.Logout != nil {
		to = *f.Logout
	}
	if found == nil {
		s.goOn(w, r, to)
		return
	}
	s.endSession(w, r, found, to)
}

func (s *Server) endSession(w http.ResponseWriter, r *http.Request, found *signin.Session, to browser.Logout) {
	ctx, tn := r.Context(), tenant.From(r.Context())
	if err := s.SignIn.SignOut(ctx, tn, found.SID, false, s.from(r, to.ClientID)); err != nil {
		s.errorPage(w, r, err)
		return
	}
	if to.ClientID != "" {
		s.Checkup.Well(tn, to.ClientID, checkup.SignedOut)
	}
	s.signedOut(w, r, to)
}

// signedOut clears the cookies of a session that has ended and goes on.
func (s *Server) signedOut(w http.ResponseWriter, r *http.Request, to browser.Logout) {
	s.cookies(tenant.From(r.Context())).ClearSession(w)
	s.goOn(w, r, to)
}

// goOn leads to where the application wants, if that was allowed.
func (s *Server) goOn(w http.ResponseWriter, r *http.Request, to browser.Logout) {
	if to.ReturnTo == "" {
		s.Pages.SignedOutPage(w, r, to.Astray)
		return
	}
	seeOther(w, to.ReturnTo)
}

func (s *Server) from(r *http.Request, clientID string) signin.From {
	return s.cookies(tenant.From(r.Context())).From(r, clientID)
}

func clientID(c *apps.Client) string {
	if c == nil {
		return ""
	}
	return c.ClientID
}

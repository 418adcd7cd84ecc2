// Package oauth is the face of the authorization server for machines: OAuth 2 and OpenID Connect
// over HTTP. A file is named after the endpoint or the grant it serves.
//
// The rules are in protocol/oauth and protocol/oidc, the facts and verbs in the core. What a
// person sees on the way through /authorize is drawn by [Pages]; when the person has done
// something there, the pages come back through [Server.Continue].
package oauth

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/limit"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/backchannel"
	"github.com/gatehouse-dev/gatehouse/internal/core/browser"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Server serves the endpoints. All fields are required; none changes once it serves.
type Server struct {
	Clock   clock.Clock
	Seal    *seal.Keyring
	Apps    *apps.Apps
	Access  *access.Access
	APIKeys *access.APIKeys
	Keys    *keys.Keys
	Logouts *backchannel.Logouts
	Grants  *grants.Grants
	People  *people.People
	SignIn  *signin.SignIn
	Pages   Pages
	Log     *slog.Logger
	// Checkup remembers what went wrong and what went well, for the client's developer.
	Checkup *checkup.Record
	// ClientFailures counts failed client authentications per client and network.
	ClientFailures *limit.Counter
}

// Pages draws what a person sees on the way through an authorization request or a sign-out.
type Pages interface {
	// SignInPage asks the person to sign in. reason says why.
	SignInPage(w http.ResponseWriter, r *http.Request, f browser.Flow, c *apps.Client, reason browser.Reason)
	// ConsentPage asks whether the client may do what f.Shown names.
	ConsentPage(w http.ResponseWriter, r *http.Request, f browser.Flow, c *apps.Client, api *apps.API, s *signin.Session)
	// ChooseAccountPage asks whether to go on as the person who is signed in.
	ChooseAccountPage(w http.ResponseWriter, r *http.Request, f browser.Flow, c *apps.Client, s *signin.Session)
	// SignOutPage asks whether to sign out.
	SignOutPage(w http.ResponseWriter, r *http.Request, f browser.Flow, c *apps.Client, s *signin.Session)
	// SignedOutPage says that the session has ended. astray: the application wanted the person back at an
	// address that is not registered for it.
	SignedOutPage(w http.ResponseWriter, r *http.Request, astray bool)
	// Error says that a request can not be served.
	Error(w http.ResponseWriter, r *http.Request, status int, e *oauth.Error)
	// FormPost hands a response to the application by form_post.
	FormPost(w http.ResponseWriter, r *http.Request, c *apps.Client, target string, fields []oauth.Parameter)
	// WebMessage hands a response to the window that opened or framed the page.
	WebMessage(w http.ResponseWriter, r *http.Request, origin string, fields []oauth.Parameter)
}

// session returns the session a request belongs to, or nil for a stranger. A request that carries
// a cookie of ours twice counts as a stranger's, and the cookies are taken back.
func (s *Server) session(ctx context.Context, tn *tenant.Tenant, w http.ResponseWriter, r *http.Request) (*signin.Session, error) {
	cookies := s.cookies(tn)
	if cookies.Tampered(r) {
		cookies.Clear(w)
		return nil, nil
	}
	return orNone(s.SignIn.Lookup(ctx, tn, cookies.Session(r)))
}

// silentSession is session for GET /authorize with prompt=none, where the silent cookie serves
// too. Browsers send that one from any site, so it opens nothing else.
func (s *Server) silentSession(ctx context.Context, tn *tenant.Tenant, w http.ResponseWriter, r *http.Request) (*signin.Session, error) {
	found, err := s.session(ctx, tn, w, r)
	cookies := s.cookies(tn)
	if found != nil || err != nil || cookies.Tampered(r) || r.Method != http.MethodGet {
		return found, err
	}
	return orNone(s.SignIn.LookupSilent(ctx, tn, cookies.Silent(r)))
}

func (s *Server) cookies(tn *tenant.Tenant) browser.Cookies { return browser.CookiesOf(tn, s.now()) }

// orNone makes nothing of a session that is not there.
func orNone(found *signin.Session, err error) (*signin.Session, error) {
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return found, err
}

func (s *Server) now() time.Time { return s.Clock.Now() }

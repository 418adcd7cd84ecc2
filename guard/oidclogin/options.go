package oidclogin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/address"
	"github.com/gatehouse-dev/gatehouse/guard/internal/cookies"
	"github.com/gatehouse-dev/gatehouse/guard/internal/keyring"
	"github.com/gatehouse-dev/gatehouse/guard/internal/provider"
	"github.com/gatehouse-dev/gatehouse/guard/session"
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// Options configures a Login. Issuer, ClientID, BaseURL and Secrets are
// required; the zero value of everything else is a good choice.
type Options struct {
	// Issuer is the provider, exactly as its metadata spells it: a slash at the
	// end matters.
	Issuer string
	// ClientID and ClientSecret are what the provider registered for this
	// application. Without a secret it is a public client and relies on PKCE.
	ClientID, ClientSecret string
	// BaseURL is where browsers find this application: scheme, host and port, no
	// path, which belongs into Prefix. It is configuration because the Host header is the client's to
	// choose. Cookies are Secure and carry the __Host- prefix if it is https;
	// http is accepted on loopback hosts alone.
	BaseURL string
	// Secrets seal the cookies. Each is at least 32 random bytes, the same on
	// every node: openssl rand -base64 32. The first one seals, all of them open:
	// to rotate, put a new one in front and drop the old after AbsoluteTimeout.
	Secrets []string

	// Prefix is where the routes are mounted; default "/auth". The provider must
	// know BaseURL + Prefix + "/callback" as a redirect URI.
	Prefix string
	// Scopes to ask for; default openid, profile and email. Add offline_access
	// to have access tokens renewed. openid is always asked for.
	Scopes []string
	// Audience is the API the access token is for, sent as the parameter audience.
	Audience string
	// Parameters are added to every authorization request. A max_age among them is
	// checked at the callback; what acr_values asks for, guard.ACR enforces.
	Parameters map[string]string
	// ForwardParameters names the query parameters of the login route that are
	// passed on to the provider; default login_hint, prompt, screen_hint and
	// ui_locales. Anybody can write a link to the login route, so name only what
	// anybody may choose.
	ForwardParameters []string

	// PushedRequests sends the authorization request to the provider from here (RFC
	// 9126), so that browsers carry a reference to it that nobody can read or change.
	// A provider whose metadata demands it gets it so anyway.
	PushedRequests bool

	// Store keeps the sessions; default session.NewCookieStore(Secrets...).
	Store session.Store
	// IdleTimeout ends a session that long after its last request; default 24
	// hours, or guard.RevocationsKept where Revocations are all that ends sessions
	// from elsewhere. It is renewed in steps of a twentieth, not at every request.
	IdleTimeout time.Duration
	// AbsoluteTimeout ends a session that long after signing in; default 7 days.
	AbsoluteTimeout time.Duration
	// CookieName is the base of the cookies' names. The default depends on
	// ClientID, because applications on other ports of a host share its cookies.
	CookieName string

	// Logout says how far signing out goes; default LogoutProvider.
	Logout LogoutMode
	// PostLogoutURL is where the browser goes after signing out; default BaseURL.
	// The provider must know it as a logout URL.
	PostLogoutURL string
	// BackchannelLogout demands the route backchannel-logout, by which the provider
	// ends sessions here: New refuses a store that cannot find them. Without it the
	// route is there whenever the store is a session.Index. Where it cannot be, with
	// an encrypted cookie, Revocations does the same from the other side.
	BackchannelLogout bool
	// Replays has a logout token good once at all processes, not once at each: a
	// redisstore.Replays or session.SQLReplays; nil: once at each. While it fails,
	// tokens are taken as without it.
	Replays Replays
	// LooseLogoutTokens accepts logout tokens of providers older than the final
	// specification: of type JWT or none, and without exp. Nothing then tells them
	// from other tokens but the event they hold.
	LooseLogoutTokens bool
	// Revocations is asked at every request whether the session, or the grant it
	// came from, was taken back; it then is over here too. nil: not asked. What was
	// taken back is forgotten after guard.RevocationsKept, so a session that nobody
	// used for longer must have ended by itself, or by back-channel logout: with an
	// encrypted cookie New refuses a longer IdleTimeout.
	Revocations guard.Revocations

	// MediateTokens adds the route token, from which scripts of this site get the
	// access token while the refresh token stays out of their reach, and makes the
	// session cookie SameSite=Strict. For static sites; a page on a server needs
	// neither.
	MediateTokens bool

	// AnonymousMe makes the me route answer 204 instead of 401 when nobody is
	// signed in, for pages that ask at every load.
	AnonymousMe bool

	// OnSignIn runs when somebody has signed in, before the session is kept: it can
	// look up their roles (Session.SetRoles) or keep values, or refuse them by
	// returning an error; an *Error says how that looks.
	OnSignIn func(ctx context.Context, s *Session) error
	// OnError writes the response when signing in fails, in place of a small page
	// with the error's code and a link to try again. The status should be
	// err.Status.
	OnError func(w http.ResponseWriter, r *http.Request, err *Error)
	// Algorithms are the accepted signature algorithms of ID tokens; default
	// every asymmetric one of package jose. The issuer's key decides which.
	Algorithms []jose.Alg
	// Leeway allows for clocks that differ; default 30 seconds.
	Leeway time.Duration
	// HTTPClient calls the provider; default one with a timeout of 10 seconds.
	// Redirects are never followed.
	HTTPClient *http.Client
	// Clock tells the time; default time.Now.
	Clock func() time.Time
	// Logger hears why a sign-in failed; default slog.Default().
	Logger *slog.Logger
	// InsecureAllowHTTP permits plain http for Issuer and BaseURL off loopback.
	// Everybody on the path can then read codes, tokens and cookies.
	InsecureAllowHTTP bool
}

// LogoutMode says how far signing out goes.
type LogoutMode string

const (
	// LogoutProvider ends the session here and then at the provider, by
	// RP-Initiated Logout, if its metadata names an end_session_endpoint.
	LogoutProvider LogoutMode = ""
	// LogoutV2 does the same by Auth0's older route, /v2/logout at the issuer.
	LogoutV2 LogoutMode = "v2"
	// LogoutLocal ends the session here, and takes its refresh token back, but leaves
	// the sign-in at the provider. Signing in again may then take no password: say so
	// to your users.
	LogoutLocal LogoutMode = "local"
)

// New checks the options, all of them, and returns a Login. It does not call
// the provider.
func New(o Options) (*Login, error) {
	var problems []error
	note := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	o = o.withDefaults()
	l := &Login{options: o, now: o.Clock, log: o.Logger, store: o.Store}

	var err error
	l.provider, err = provider.New(provider.Options{
		Issuer: o.Issuer, HTTPClient: o.HTTPClient, Clock: o.Clock, Logger: o.Logger, InsecureAllowHTTP: o.InsecureAllowHTTP,
	})
	note(err)
	if o.ClientID == "" {
		note(errors.New("ClientID is missing"))
	}
	l.base, l.secure, err = address.Origin("BaseURL", o.BaseURL, o.InsecureAllowHTTP)
	note(err)
	if err == nil {
		l.crossOrigin = http.NewCrossOriginProtection()
		note(l.crossOrigin.AddTrustedOrigin(l.base)) // where a proxy changes the Host header
	}
	if !strings.HasPrefix(o.Prefix, "/") || strings.HasSuffix(o.Prefix, "/") || strings.ContainsAny(o.Prefix, "?#\\ ") || strings.Contains(o.Prefix, "//") {
		note(fmt.Errorf("Prefix %q must begin with a slash and not end with one", o.Prefix))
	}
	if o.PostLogoutURL != "" {
		_, err = address.URL("PostLogoutURL", o.PostLogoutURL, o.InsecureAllowHTTP)
		note(err)
	}
	if o.IdleTimeout < time.Minute || o.AbsoluteTimeout < o.IdleTimeout {
		note(fmt.Errorf("IdleTimeout %v must be at least a minute and at most AbsoluteTimeout %v", o.IdleTimeout, o.AbsoluteTimeout))
	}
	if !slices.Contains([]LogoutMode{LogoutProvider, LogoutV2, LogoutLocal}, o.Logout) {
		note(fmt.Errorf("Logout %q is not a LogoutMode", o.Logout))
	}
	for _, alg := range o.Algorithms {
		if !alg.Asymmetric() {
			note(fmt.Errorf("Algorithms: %q is not an asymmetric algorithm", alg))
		}
	}
	ring, err := keyring.New(o.Secrets...)
	if err != nil {
		note(fmt.Errorf("Secrets: %w", err))
	} else {
		l.transactions, err = ring.For("login transaction")
		note(err)
		if l.store == nil {
			cookieStore, err := session.NewCookieStore(o.Secrets...)
			note(err)
			if err == nil {
				l.store = cookieStore.WithClock(o.Clock)
			}
		}
	}
	_, indexed := l.store.(session.Index)
	_, l.stateless = l.store.(*session.CookieStore)
	if l.stateless && o.Revocations != nil && o.IdleTimeout > guard.RevocationsKept {
		note(fmt.Errorf("IdleTimeout %v must be at most %v with Revocations and an encrypted cookie: a session that sleeps for longer could not be told from one that was taken back", o.IdleTimeout, guard.RevocationsKept))
	}
	if o.BackchannelLogout && !indexed {
		note(errors.New("BackchannelLogout needs a Store that finds sessions by sid and sub (session.MemoryStore, session.SQLStore, redisstore); an encrypted cookie is only in the browser: leave BackchannelLogout out and set Revocations"))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("oidclogin: %w", errors.Join(problems...))
	}
	l.cookie = cookies.Cookie{Name: cookies.Name(o.CookieName+"_session", l.secure), Secure: l.secure}
	if o.MediateTokens {
		l.cookie.SameSite = http.SameSiteStrictMode
	}
	l.app = strings.Join([]string{l.cookie.Name, o.Issuer, o.ClientID}, "\n")
	l.refreshes.now = o.Clock
	return l, nil
}

func (o Options) withDefaults() Options {
	if o.Prefix == "" {
		o.Prefix = "/auth"
	}
	if len(o.Scopes) == 0 {
		o.Scopes = []string{"openid", "profile", "email"}
	} else if !slices.Contains(o.Scopes, "openid") {
		o.Scopes = append([]string{"openid"}, o.Scopes...)
	}
	if o.ForwardParameters == nil {
		o.ForwardParameters = []string{"login_hint", "prompt", "screen_hint", "ui_locales"}
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = 24 * time.Hour
		if o.Revocations != nil && !o.BackchannelLogout {
			o.IdleTimeout = guard.RevocationsKept
		}
	}
	if o.AbsoluteTimeout == 0 {
		o.AbsoluteTimeout = max(7*24*time.Hour, o.IdleTimeout)
	}
	if o.CookieName == "" {
		sum := sha256.Sum256([]byte(o.Issuer + "\n" + o.ClientID))
		o.CookieName = "guard_" + hex.EncodeToString(sum[:4])
	}
	if len(o.Algorithms) == 0 {
		o.Algorithms = []jose.Alg{jose.RS256, jose.ES256, jose.EdDSA, jose.PS256}
	}
	if o.Leeway == 0 {
		o.Leeway = 30 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

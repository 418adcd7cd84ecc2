package tvshows

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard/oidclogin"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// NewRendered returns the server-rendered form. It keeps no state: the session,
// tokens included, travels in an encrypted cookie, so it runs on any number of
// machines, or on a serverless platform, with nothing in common but a secret.
//
// What it cannot do is delete a session: the browser has it. Its limits are
// therefore short, and at each request it asks Options.Revocations whether the
// person has signed out elsewhere. That is a list in memory, which
// guard/revocation keeps: Follow where the process lives on, Poll where it is
// frozen between two requests.
func NewRendered(o Options) (http.Handler, error) {
	o = o.withDefaults()
	store, err := session.NewCookieStore(o.Secret)
	if err != nil {
		return nil, fmt.Errorf("tvshows: %w", err)
	}
	login := loginOptions(o)
	login.CookieName = "tvshows_rendered"
	login.Store = store
	login.Revocations = o.Revocations
	login.IdleTimeout = time.Hour
	login.AbsoluteTimeout = 12 * time.Hour
	return newSite(site{Options: o, Form: "rendered", Kind: "Server-rendered", cookie: login.CookieName + "_session"}, login)
}

// loginOptions is what the two forms with a server have in common.
func loginOptions(o Options) oidclogin.Options {
	return oidclogin.Options{
		Issuer:       o.Issuer,
		ClientID:     o.Client.ClientID,
		ClientSecret: o.Client.ClientSecret,
		BaseURL:      o.BaseURL,
		Secrets:      []string{o.Secret},
		Scopes:       scopes(),
		Audience:     o.Audience,
		Logger:       o.Logger,
	}
}

// signedOut reports whether err means that the person has to sign in again, as
// opposed to a failure that may pass.
func signedOut(err error) bool {
	return errors.Is(err, oidclogin.ErrSignedOut) || errors.Is(err, oidclogin.ErrExpired) || errors.Is(err, oidclogin.ErrNoSession)
}

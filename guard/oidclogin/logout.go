package oidclogin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// Logout is the handler of {Prefix}/logout: it ends the session here and sends
// the browser on to end it at the provider, as Options.Logout says.
//
// POST from this application's own pages signs out at once. So does GET, for
// plain links, unless a browser only fetches it ahead; when another site led here, or the browser does not say who did,
// the person is asked first, so that no image and no link elsewhere can sign
// anybody out.
//
// The refresh token is revoked at the provider as well (RFC 7009), as far as that
// can be reached. The parameter federated, whatever its value, asks the provider to
// sign the person out of where they came from, too, if it knows how.
func (l *Login) Logout(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		if l.fromElsewhere(r) {
			http.Error(w, "cross-origin request refused", http.StatusForbidden)
			return
		}
	case http.MethodGet:
		if speculative(r) {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if dest := r.Header.Get("Sec-Fetch-Dest"); dest != "" && dest != "document" {
			http.Error(w, "signing out needs a page visit or a POST", http.StatusForbidden)
			return
		}
		if !l.fromHere(r) {
			again := l.options.Prefix + "/logout"
			if isFederated(r) {
				again += "?federated="
			}
			writePage(w, http.StatusOK, logoutPage, map[string]string{"Logout": again})
			return
		}
	default:
		methodNotAllowed(w, http.MethodGet, http.MethodPost)
		return
	}
	ended, failure := l.end(w.Header(), r)
	if failure != nil {
		l.fail(w, r, failure)
		return
	}
	l.revoke(r.Context(), ended.RefreshToken)
	redirect(w, l.logoutURL(r, ended.IDToken))
}

// speculative reports whether a browser fetches r on the chance that somebody may
// want it (prefetch, prerender): nobody has asked for anything yet.
func speculative(r *http.Request) bool {
	purpose := r.Header.Get("Sec-Purpose") + " " + r.Header.Get("Purpose") + " " + r.Header.Get("X-Moz")
	return strings.Contains(strings.ToLower(purpose), "prefetch")
}

// isFederated: the parameter is a flag, in a link or in a form.
func isFederated(r *http.Request) bool {
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
		if err := r.ParseForm(); err == nil && r.PostForm.Has("federated") {
			return true
		}
	}
	return r.URL.Query().Has("federated")
}

// fromElsewhere reports whether a page of another site has a browser send r, which may
// change something. The host alone does not tell: http://app.example is anybody's on
// the path to https://app.example.
func (l *Login) fromElsewhere(r *http.Request) bool {
	if l.crossOrigin.Check(r) != nil {
		return true
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		return false
	}
	origin := r.Header.Get("Origin")
	return r.Header.Get("Sec-Fetch-Site") == "" && origin != "" && origin != l.base
}

// fromHere reports whether a page of this application, or the person's own hand
// in the address bar, led to r. A browser too old for Sec-Fetch-Site, or one on
// plain http, may still say so by Referer.
func (l *Login) fromHere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return true
	case "":
		return strings.HasPrefix(r.Header.Get("Referer"), l.base+"/")
	}
	return false
}

// end ends the session, if there is one, and returns what it held.
func (l *Login) end(h http.Header, r *http.Request) (ended sessionData, failure *Error) {
	s, err := l.open(r)
	switch {
	case err == nil:
		ended = s.data
		if err := l.store.Delete(r.Context(), l.app, s.token); err != nil {
			// Claiming success would leave a session alive that nobody can see.
			return sessionData{}, sessionFailed(err)
		}
	case !errors.Is(err, errNoCookie) && !errors.Is(err, session.ErrNotFound):
		return sessionData{}, sessionFailed(err)
	}
	l.cookie.Clear(h, r)
	return ended, nil
}

// logoutURL is where to go once the session is over here. A provider that cannot
// be reached does not keep anybody signed in here.
func (l *Login) logoutURL(r *http.Request, idToken string) string {
	home := l.options.PostLogoutURL
	if home == "" {
		home = l.base
	}
	q := url.Values{"client_id": {l.options.ClientID}}
	endpoint := ""
	switch l.options.Logout {
	case LogoutLocal:
	case LogoutV2:
		endpoint = strings.TrimSuffix(l.options.Issuer, "/") + "/v2/logout"
		q.Set("returnTo", home)
	default:
		if m, err := l.provider.Metadata(r.Context()); err == nil {
			endpoint = m.EndSessionEndpoint
		}
		q.Set("post_logout_redirect_uri", home)
		if idToken != "" {
			q.Set("id_token_hint", idToken)
		}
	}
	if isFederated(r) {
		q.Set("federated", "")
	}
	u, err := url.Parse(endpoint)
	if endpoint == "" || err != nil {
		return home
	}
	for name, values := range u.Query() {
		if !q.Has(name) {
			q[name] = values
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

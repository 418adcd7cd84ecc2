package oidclogin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/guard"
	"github.com/gatehouse-dev/gatehouse/guard/internal/address"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Proxy returns a handler that passes requests on to an API on behalf of whoever is
// signed in: scripts of this site call it without ever seeing a token. audience and
// scopes are as for AccessToken. The request's path is put behind target's:
//
//	shows, err := login.Proxy("https://api.example.com/v1", "https://api/tv-shows")
//	mux.Handle("/api/", http.StripPrefix("/api", shows))
//
// Nobody signed in gets 401. A request that changes something, and every upgrade to
// a websocket, must come from a page of this site: 403 otherwise. A path that could
// mean a place outside of target's is 400. The API sees no cookie and no credential
// of the browser's, only the access token; what it answers reaches the browser
// without cookies, without permissions for other sites (CORS), sandboxed in case
// somebody opens it as a page, and never for a shared cache. Bodies stream both
// ways; websockets and server-sent events pass, other upgrades do not. A stream goes
// on when the session ends.
//
// The error says what is wrong with target: it must be https, or http on a
// loopback host.
func (l *Login) Proxy(target, audience string, scopes ...string) (http.Handler, error) {
	var problems []error
	u, err := address.URL("target", target, l.options.InsecureAllowHTTP)
	if err != nil {
		problems = append(problems, err)
	} else if u.RawQuery != "" || escapes(u) {
		problems = append(problems, fmt.Errorf("target %q must have a plain path and no query", target))
	}
	if _, err := oauth.ParseScope(strings.Join(scopes, " ")); err != nil {
		problems = append(problems, fmt.Errorf("scopes: %w", err))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("oidclogin: proxy: %w", errors.Join(problems...))
	}
	reverse := &httputil.ReverseProxy{
		Rewrite:        func(out *httputil.ProxyRequest) { l.forward(out, u) },
		ModifyResponse: backward,
		Transport:      l.transport(),
		ErrorLog:       slog.NewLogLogger(l.log.Handler(), slog.LevelWarn),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil { // else it is the browser that left
				l.log.WarnContext(r.Context(), "guard: proxy", "target", u.Host, "error", err)
			}
			w.Header().Set("Cache-Control", "no-store")
			writeProblem(w, http.StatusBadGateway, "server_error", "The API could not be reached.")
		},
	}
	scopes = slices.Clone(scopes)
	return guard.Require(l.API())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrade := r.Header.Get("Upgrade")
		switch {
		case r.Method == http.MethodConnect, r.Method == http.MethodTrace:
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		case upgrade != "" && !strings.EqualFold(upgrade, "websocket"):
			// HTTP/2 behind an upgrade would be a tunnel to every path of the API's host.
			w.Header().Set("Cache-Control", "no-store")
			writeProblem(w, http.StatusBadRequest, "invalid_request", "The only upgrade that is passed on is to a websocket.")
			return
		case upgrade != "" && !l.sameOrigin(r), l.fromElsewhere(r):
			w.Header().Set("Cache-Control", "no-store")
			writeProblem(w, http.StatusForbidden, "access_denied", "Another site sent this request.")
			return
		case escapes(r.URL):
			w.Header().Set("Cache-Control", "no-store")
			writeProblem(w, http.StatusBadRequest, "invalid_request", "This path is not plain enough to be passed on.")
			return
		}
		token, err := AccessToken(r.Context(), audience, scopes...)
		if err != nil {
			l.tokenFailed(w, r, err)
			return
		}
		reverse.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tokenKey{}, token)))
	})), nil
}

// tokenKey carries the token to Rewrite, which is given nothing but the request.
type tokenKey struct{}

// escapes reports whether some reader might take the path for one that leads
// elsewhere: by dot segments, however they are written, backslashes or control
// characters; or whether there is none, as in "GET x:http://elsewhere/".
func escapes(u *url.URL) bool {
	if u.Opaque != "" {
		return true
	}
	path := u.Path
	for range 3 { // a server behind a server may decode once more
		if strings.ContainsFunc(path, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }) {
			return true
		}
		for segment := range strings.SplitSeq(path, "/") {
			name, _, _ := strings.Cut(segment, ";") // "..;x" is ".." to some
			if name == "." || name == ".." {
				return true
			}
		}
		decoded, err := url.PathUnescape(path)
		if err != nil || decoded == path {
			break
		}
		path = decoded
	}
	return false
}

// ours are headers of the browser's that are between it and this application, and
// headers by which a server believes what only a proxy of its own should tell it:
// who the sender is, and which path and method are meant.
var ours = [...]string{
	"Cookie", "Authorization", "Proxy-Authorization", "Dpop", "Origin", "Referer",
	"Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User",
	"Forwarded", "X-Real-Ip", "True-Client-Ip", "Client-Cert", "Client-Cert-Chain", "Remote-User", "X-Remote-User", "Proxy",
	"X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
}

// isOurs reports whether a header is one of those, in any spelling: CGI knows no
// difference between a hyphen and an underscore.
func isOurs(name string) bool {
	name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	return slices.Contains(ours[:], name) || strings.HasPrefix(name, "X-Forwarded-")
}

// forward makes the request to the API.
func (l *Login) forward(p *httputil.ProxyRequest, target *url.URL) {
	p.SetURL(target)
	p.Out.Host = "" // the API's, not ours
	for name := range p.Out.Header {
		if isOurs(name) {
			delete(p.Out.Header, name)
		}
	}
	if token, ok := p.In.Context().Value(tokenKey{}).(Token); ok {
		p.Out.Header.Set("Authorization", token.Type+" "+token.AccessToken)
	}
}

// theirs are headers of the API's that would speak for this site: to browsers, to
// caches, to the web server in front.
var theirs = [...]string{
	"Set-Cookie", "Set-Cookie2", "Clear-Site-Data", "Strict-Transport-Security", "Public-Key-Pins", "Alt-Svc",
	"Service-Worker-Allowed", "Refresh", "Content-Security-Policy-Report-Only", "Www-Authenticate", "Dpop-Nonce",
	"Nel", "Report-To", "Reporting-Endpoints", "Surrogate-Control", "Edge-Control", "X-Sendfile", "X-Lighttpd-Send-File", "X-Reproxy-Url",
}

// backward makes the API's answer one of this site's.
func backward(res *http.Response) error {
	h := res.Header
	for _, name := range theirs {
		h.Del(name)
	}
	for name := range h {
		// A CDN's own field goes before Cache-Control (RFC 9213), and nginx's before both.
		if strings.HasPrefix(name, "Access-Control-") || strings.HasPrefix(name, "X-Accel-") || strings.HasSuffix(name, "-Cache-Control") {
			h.Del(name)
		}
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	if c := strings.ToLower(h.Get("Cache-Control")); !strings.Contains(c, "no-store") && !strings.Contains(c, "private") {
		h.Set("Cache-Control", "private, no-cache")
	}
	return nil
}

// transport is that of Options.HTTPClient, or one of its own; its timeout bounds
// the wait for the answer's header, so that streams may take as long as they like.
func (l *Login) transport() http.RoundTripper {
	if c := l.options.HTTPClient; c != nil && c.Transport != nil {
		return final{c.Transport}
	}
	return final{&http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		DisableCompression:    true, // what the browser asked for passes through as it is
	}}
}

// final is a transport that tells nobody of answers ahead of the final one:
// httputil.ReverseProxy would pass them on as they are, Set-Cookie and all, and
// empty the header that this site has begun.
type final struct{ http.RoundTripper }

func (f final) RoundTrip(r *http.Request) (*http.Response, error) {
	return f.RoundTripper.RoundTrip(r.WithContext(untraced{r.Context()}))
}

type untraced struct{ context.Context }

func (u untraced) Value(key any) any {
	v := u.Context.Value(key)
	if _, is := v.(*httptrace.ClientTrace); is {
		return nil
	}
	return v
}

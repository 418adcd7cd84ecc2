package oidclogin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// Login is the handler of GET {Prefix}/login: it sends the browser to the
// provider. The query parameter returnTo, a path of this application, says where
// to go afterwards; anything else leads to "/". max_age (seconds) and acr_values
// ask for a fresh or a better sign-in (OpenID Connect Core §3.1.2.1); one that
// falls short is refused at the callback.
func (l *Login) Login(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		methodNotAllowed(w, http.MethodGet)
		return
	}
	metadata, err := l.provider.Metadata(r.Context())
	if err != nil {
		l.fail(w, r, unreachable(err))
		return
	}
	query := r.URL.Query()
	t := l.newTransaction(l.returnTo(query.Get("returnTo")))
	t.MaxAge = l.maxAge(query.Get("max_age"))
	t.ACR = acrValues(query.Get("acr_values"))
	address, err := l.authorizationURL(r.Context(), metadata, t, query)
	if err != nil {
		l.fail(w, r, notAsked(err))
		return
	}
	if err := l.saveTransaction(w.Header(), r, t); err != nil {
		l.fail(w, r, sessionFailed(err))
		return
	}
	redirect(w, address)
}

// authorizationURL returns where the browser takes the authorization request, or a
// reference to it.
func (l *Login) authorizationURL(ctx context.Context, m *oidc.Metadata, t transaction, forwarded url.Values) (string, error) {
	u, err := url.Parse(m.AuthorizationEndpoint)
	if err != nil {
		return "", err
	}
	request := l.authorizationRequest(t, forwarded)
	if l.options.PushedRequests || m.RequirePushedAuthorizationRequests {
		reference, err := l.pushRequest(ctx, m, request)
		if err != nil {
			return "", err
		}
		request = url.Values{"client_id": {l.options.ClientID}, "request_uri": {reference}}
	}
	q := withoutDetours(u.Query())
	maps.Copy(q, request)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// authorizationRequest builds the request. What the flow depends on is set last, so
// that nothing configured or forwarded can replace it.
func (l *Login) authorizationRequest(t transaction, forwarded url.Values) url.Values {
	q := url.Values{}
	for _, name := range l.options.ForwardParameters {
		if v := forwarded.Get(name); v != "" {
			q.Set(name, v)
		}
	}
	for name, value := range l.options.Parameters {
		q.Set(name, value)
	}
	if t.MaxAge != nil {
		q.Set("max_age", strconv.Itoa(*t.MaxAge))
	}
	if len(t.ACR) > 0 {
		q.Set("acr_values", strings.Join(t.ACR, " "))
	}
	if l.options.Audience != "" {
		q.Set("audience", l.options.Audience)
	}
	withoutDetours(q)
	q.Set("response_type", "code")
	q.Set("client_id", l.options.ClientID)
	q.Set("redirect_uri", t.RedirectURI)
	q.Set("scope", strings.Join(l.options.Scopes, " "))
	q.Set("state", t.State)
	q.Set("nonce", t.Nonce)
	q.Set("code_challenge", oauth.S256Challenge(t.Verifier))
	q.Set("code_challenge_method", "S256")
	return q
}

// withoutDetours takes out what would have the provider read another request than
// this one, or answer in another way: the callback is a GET.
func withoutDetours(q url.Values) url.Values {
	for _, name := range [...]string{"request", "request_uri", "response_mode"} {
		q.Del(name)
	}
	return q
}

// pushRequest leaves the request with the provider (RFC 9126 §2) and returns the
// reference to it.
func (l *Login) pushRequest(ctx context.Context, m *oidc.Metadata, request url.Values) (string, error) {
	body, status, err := l.post(ctx, m.PushedAuthorizationRequestEndpoint, m.TokenEndpointAuthMethodsSupported, request)
	if err != nil {
		return "", fmt.Errorf("pushed authorization request: %w", err)
	}
	if status != http.StatusCreated && status != http.StatusOK {
		return "", fmt.Errorf("pushed authorization request: %w", refusalOf(status, body))
	}
	var answer struct {
		RequestURI string `json:"request_uri"`
	}
	if err := jose.Decode(body, &answer); err != nil || answer.RequestURI == "" {
		return "", errors.New("pushed authorization request: no request_uri in the provider's answer")
	}
	return answer.RequestURI, nil
}

// maxAge is the shorter of what is configured and what was asked for. Whoever
// writes a link can only make the person prove themselves sooner.
func (l *Login) maxAge(asked string) *int {
	var shortest *int
	for _, s := range [...]string{l.options.Parameters["max_age"], asked} {
		if seconds, err := strconv.ParseUint(s, 10, 31); err == nil && (shortest == nil || int(seconds) < *shortest) {
			n := int(seconds)
			shortest = &n
		}
	}
	return shortest
}

// acrValues reads a space-delimited list, and nothing that could not be one.
func acrValues(asked string) []string {
	values := strings.Fields(asked)
	if len(asked) > 1000 || strings.ContainsFunc(asked, func(c rune) bool { return c < ' ' || c > '~' }) {
		return nil
	}
	return values
}

func methodNotAllowed(w http.ResponseWriter, allowed ...string) {
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
}

// redirect is http.Redirect without its rewriting of the address.
func redirect(w http.ResponseWriter, address string) {
	h := w.Header()
	h.Set("Location", address)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusSeeOther)
}

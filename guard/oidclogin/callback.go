package oidclogin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// Callback is the handler of GET {Prefix}/callback, where the provider sends the
// browser back to. It starts a session, under an id never used before, if and
// only if everything about the answer checks out.
func (l *Login) Callback(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		methodNotAllowed(w, http.MethodGet)
		return
	}
	t, fresh, failure := l.finish(w.Header(), r)
	if failure == nil {
		failure = l.begin(w.Header(), r, fresh)
	}
	if failure != nil {
		l.fail(w, r, failure)
		return
	}
	address := l.base + l.returnTo(t.ReturnTo) // absolute: whatever the path is, it stays here
	if l.cookie.SameSite == http.SameSiteStrictMode {
		// A redirect would still count as the other site's doing, and the page behind
		// it would not see the cookie. Going on from a page of ours, it does.
		writePage(w, http.StatusOK, arrivedPage, map[string]string{"Address": address})
		return
	}
	redirect(w, address)
}

// finish turns the provider's answer into the data of a session. The steps
// stand in the order in which an attacker could profit from their absence.
func (l *Login) finish(h http.Header, r *http.Request) (transaction, sessionData, *Error) {
	query, err := singleValues(r.URL.Query())
	if err != nil {
		return transaction{}, sessionData{}, invalidCallback(err)
	}
	t, err := l.takeTransaction(h, r, query["state"])
	if err != nil {
		return t, sessionData{}, invalidCallback(err)
	}
	metadata, err := l.provider.Metadata(r.Context())
	if err != nil {
		return t, sessionData{}, unreachable(err)
	}
	if err := checkIssuerParameter(query, metadata); err != nil {
		return t, sessionData{}, invalidCallback(err)
	}
	if code := query["error"]; code != "" {
		return t, sessionData{}, providerError(code, query["error_description"])
	}
	if query["code"] == "" || query["access_token"] != "" || query["id_token"] != "" {
		return t, sessionData{}, invalidCallback(errors.New("the answer must hold a code and no token"))
	}
	tokens, err := l.redeemCode(r.Context(), metadata, query["code"], t)
	if err != nil {
		return t, sessionData{}, exchangeFailed(err)
	}
	expected := t.expectation(l.now())
	idToken, err := l.verifyIDToken(r.Context(), tokens, expected)
	if errors.Is(err, oidc.ErrAuthTime) {
		return t, sessionData{}, unmet(err)
	}
	if err != nil {
		return t, sessionData{}, failed(err)
	}
	if acr := idToken.Claims().ACR; len(expected.acr) > 0 && !slices.Contains(expected.acr, acr) {
		return t, sessionData{}, unmet(fmt.Errorf("acr is %.100q", acr))
	}
	return t, l.newSessionData(tokens, idToken), nil
}

// expectation is what an ID token has to show beyond what all have to.
type expectation struct {
	nonce  string
	maxAge *int     // seconds; nil: any
	acr    []string // one of them; empty: any
}

// singleValues refuses a parameter that comes twice: two readers could pick
// different ones.
func singleValues(query url.Values) (map[string]string, error) {
	single := make(map[string]string, len(query))
	for name, values := range query {
		if len(values) != 1 {
			return nil, fmt.Errorf("the answer holds %d values of one parameter", len(values))
		}
		single[name] = values[0]
	}
	return single, nil
}

// checkIssuerParameter refuses an answer that another provider may have sent
// (RFC 9207 §2.4): the parameter is required once the metadata promises it, and
// must be right wherever it appears, errors included.
func checkIssuerParameter(query map[string]string, m *oidc.Metadata) error {
	iss, sent := query["iss"]
	if !sent && m.AuthorizationResponseIssParameterSupported {
		return errors.New("the answer lacks iss, which the provider's metadata promises")
	}
	if sent && iss != m.Issuer {
		return fmt.Errorf("the answer is from another issuer: %.200q", iss)
	}
	return nil
}

// verifyIDToken checks the ID token that came with tokens. An answer without one
// signs nobody in, whatever access token is in it.
func (l *Login) verifyIDToken(ctx context.Context, tokens tokenResponse, expected expectation) (*oidc.IDToken, error) {
	if tokens.IDToken == "" {
		return nil, errors.New("the provider sent no ID token")
	}
	var unavailable error
	idToken, err := oidc.VerifyIDToken(tokens.IDToken, oidc.IDTokenRules{
		Issuer: l.options.Issuer, ClientID: l.options.ClientID, Nonce: expected.nonce, MaxAge: expected.maxAge, AccessToken: tokens.AccessToken,
		Algs: l.options.Algorithms, Now: l.now(), Leeway: max(l.options.Leeway, 0),
	}, func(kid string, alg jose.Alg) (jose.Key, bool) {
		key, err := l.provider.Key(ctx, kid, alg)
		unavailable = err
		return key, err == nil
	})
	if err != nil {
		return nil, errors.Join(err, unavailable)
	}
	return idToken, nil
}

// begin keeps a new session and ends the one this browser had before.
func (l *Login) begin(h http.Header, r *http.Request, data sessionData) *Error {
	ctx := r.Context()
	s := &Session{login: l, data: data}
	if err := s.describe(); err != nil {
		return sessionFailed(err)
	}
	if l.options.OnSignIn != nil {
		if err := l.options.OnSignIn(ctx, s); err != nil {
			l.revoke(ctx, s.data.RefreshToken)
			return notLetIn(err)
		}
	}
	rec, err := l.record(s.data, 0)
	if err != nil {
		return sessionFailed(err)
	}
	token, err := l.store.Create(ctx, rec)
	if err != nil {
		return sessionFailed(l.tooBig(err, s.data))
	}
	if err := l.cookie.Set(h, r, token, rec.Expires.Sub(l.now())); err != nil {
		return sessionFailed(l.tooBig(err, s.data))
	}
	if old, err := l.open(r); err == nil {
		if err := l.store.Delete(ctx, l.app, old.token); err != nil {
			l.log.WarnContext(ctx, "guard: earlier session not deleted", "error", err)
		}
	}
	return nil
}

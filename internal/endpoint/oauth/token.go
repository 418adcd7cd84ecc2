package oauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/apikey"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// grant is one way to get tokens. The pipeline around it has read the request, authenticated the
// client and made sure that the client registered the grant: a grant can forget none of it.
type grant func(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params) (*tokenResponse, error)

// tokenResponse is the successful answer (RFC 6749 section 5.1, OpenID Connect Core section
// 3.1.3.3). There is nothing else in it: some SDKs store every field they find.
type tokenResponse struct {
	AccessToken string `json:"access_token"`
	// IssuedTokenType is for a token exchange alone (RFC 8693 section 2.2.1).
	IssuedTokenType string `json:"issued_token_type,omitempty"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"`
	Scope           string `json:"scope"`
	IDToken         string `json:"id_token,omitempty"`
	RefreshToken    string `json:"refresh_token,omitempty"`
}

// grant finds one of all there are. password and implicit are not among them.
func (s *Server) grant(r *http.Request, grantType string) (grant, bool) {
	switch grantType {
	case oauth.GrantAuthorizationCode:
		return s.grantAuthorizationCode, true
	case oauth.GrantRefreshToken:
		return s.grantRefreshToken, true
	case oauth.GrantClientCredentials:
		return s.grantClientCredentials, true
	case oauth.GrantTokenExchange:
		return s.exchangeFor(r), true
	case oauth.GrantDeviceCode:
		return s.grantDeviceCode, true
	}
	return nil, false
}

// Token is the token endpoint (RFC 6749 section 3.2).
func (s *Server) Token(w http.ResponseWriter, r *http.Request) {
	ctx, tn := r.Context(), tenant.From(r.Context())
	w.Header().Set("Pragma", "no-cache") // RFC 6749 section 5.1 wants it beside Cache-Control
	p, err := s.params(w, r)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	run, known := s.grant(r, p.Get("grant_type"))
	if !known {
		err := unknownGrant(p.Get("grant_type"))
		s.wrongOf(ctx, tn, p.Get("client_id"), checkup.Because(err, checkup.GrantType, p.Get("grant_type")))
		s.writeError(w, r, err)
		return
	}
	client, err := s.authenticateClient(ctx, tn, r, p)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	if !client.MayUse(p.Get("grant_type")) {
		s.Checkup.Wrong(tn, client.ClientID, checkup.GrantType, p.Get("grant_type"))
		s.writeError(w, r, oauth.NewError(oauth.UnauthorizedClient, "The client may not use this grant_type.").
			WithHint("Add it to the client's grant_types."))
		return
	}
	if err := s.Keys.Room(); err != nil { // before a code is spent for tokens that can not be made
		s.writeError(w, r, err)
		return
	}
	answer, err := run(ctx, tn, client, p)
	if err != nil {
		s.wrong(tn, client, err)
		s.writeError(w, r, err)
		return
	}
	s.Checkup.Well(tn, client.ClientID, redeemed(p.Get("grant_type")))
	httpx.WriteJSON(w, http.StatusOK, answer)
}

func unknownGrant(name string) *oauth.Error {
	switch name {
	case "":
		return oauth.NewError(oauth.InvalidRequest, "grant_type is missing.")
	case "password", "implicit", "http://auth0.com/oauth/grant-type/password-realm":
		return oauth.NewError(oauth.UnsupportedGrantType, "This grant is deprecated and not offered: use authorization_code with PKCE.")
	default:
		return oauth.NewError(oauth.UnsupportedGrantType, "This grant_type is not offered.")
	}
}

// params reads the body of a request that authenticates a client.
func (s *Server) params(w http.ResponseWriter, r *http.Request) (oauth.Params, error) {
	if err := oauth.CheckCredentialsNotInQuery(r.URL.Query()); err != nil {
		return nil, err
	}
	if apikey.Contains(r.URL.RawQuery) {
		return nil, oauth.NewError(oauth.InvalidRequest, "An API key must not be sent in the address.")
	}
	body, err := httpx.ReadBody(w, r, oauth.MaxBodyBytes+1)
	if errors.Is(err, httpx.ErrTooLarge) {
		return nil, oauth.NewError(oauth.InvalidRequest, "The request is too large.").WithCause(oauth.ErrTooLarge)
	}
	if err != nil {
		return nil, oauth.NewError(oauth.InvalidRequest, "The request could not be read.").WithCause(err)
	}
	return oauth.ParseTokenRequest(r.Header.Get("Content-Type"), body)
}

// answerClient is an endpoint at which a client authenticates and that answers in JSON. The request is
// read and the client known before answer begins: no such endpoint can forget it.
func (s *Server) answerClient(w http.ResponseWriter, r *http.Request, answer func(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params) (any, error)) {
	ctx, tn := r.Context(), tenant.From(r.Context())
	p, err := s.params(w, r)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	client, err := s.authenticateClient(ctx, tn, r, p)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	body, err := answer(ctx, tn, client, p)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	httpx.WriteJSON(w, http.StatusOK, body)
}

// writeError answers with an error in JSON (RFC 6749 section 5.2). WWW-Authenticate stands on
// invalid_client alone, and only when the client used the Authorization header: elsewhere it makes
// SDKs lose the error code.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	e := s.protocolError(r, err)
	if _, used := r.Header["Authorization"]; used && e.Code == oauth.InvalidClient {
		w.Header().Set("WWW-Authenticate", oauth.Challenge("Basic", oauth.Parameter{Name: "realm", Value: "gatehouse"}))
	}
	setRetryAfter(w.Header(), err)
	status := e.Status()
	if e.Code == oauth.AccessDenied { // a person's word, not a lack of rights: 400 like all of RFC 8628 section 3.5
		status = http.StatusBadRequest
	}
	httpx.WriteJSON(w, status, e)
}

package oauth

import (
	"context"
	"net/http"
	"net/url"

	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// UserInfo is the userinfo endpoint (OpenID Connect Core section 5.3), by GET or POST.
func (s *Server) UserInfo(w http.ResponseWriter, r *http.Request) {
	info, err := s.userInfo(r.Context(), tenant.From(r.Context()), w, r)
	if err != nil {
		e := s.protocolError(r, bearerRefusal(err))
		if e.Status() == http.StatusUnauthorized || e.Status() == http.StatusForbidden {
			w.Header().Set("WWW-Authenticate", oauth.BearerChallenge("gatehouse", err, oauth.Scope{oauth.ScopeOpenID}))
		}
		setRetryAfter(w.Header(), err)
		httpx.WriteJSON(w, e.Status(), e)
		return
	}
	httpx.WriteJSON(w, http.StatusOK, info)
}

// bearerRefusal gives a request without any token the status of one with a bad token. Its
// challenge stays bare.
func bearerRefusal(err error) error {
	if err == oauth.ErrNoToken {
		return oauth.NewError(oauth.InvalidToken, "An access token is required.")
	}
	return err
}

func (s *Server) userInfo(ctx context.Context, tn *tenant.Tenant, w http.ResponseWriter, r *http.Request) (*oidc.UserInfo, error) {
	query := r.URL.Query()
	form, err := bearerForm(w, r)
	if err != nil {
		return nil, err
	}
	token, err := oauth.BearerToken(r.Header, query, form, oauth.BearerOptions{InsecureQuery: true})
	if err != nil {
		return nil, err
	}
	claims, err := s.accessToken(ctx, tn, token, tn.UserInfoAudience())
	if err != nil {
		return nil, err
	}
	if query.Has("access_token") {
		client, err := s.Apps.Client(ctx, tn, claims.Client())
		if err != nil {
			return nil, err
		}
		if !client.InsecureUserinfoQueryToken {
			return nil, oauth.NewError(oauth.InvalidRequest, "Access tokens must not be sent in the URL.")
		}
	}
	scope := oauth.Scope(nil)
	if scope, err = oauth.ParseScope(claims.Scope); err != nil || !scope.Contains(oauth.ScopeOpenID) {
		return nil, oauth.NewError(oauth.InsufficientScope, "The access token lacks the scope openid.")
	}
	user, err := s.livingUser(ctx, tn, claims.Subject)
	if err != nil {
		if oauth.CodeOf(err) == oauth.InvalidGrant {
			err = oauth.NewError(oauth.InvalidToken, "The access token is invalid.").WithCause(err)
		}
		return nil, err
	}
	return &oidc.UserInfo{Subject: user.ID, Profile: profile(user).ForScope(scope)}, nil
}

// bearerForm reads the form of a POST, in which RFC 6750 section 2.2 lets a token stand.
func bearerForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") == "" {
		return nil, nil
	}
	body, err := httpx.ReadBody(w, r, oauth.MaxBodyBytes)
	if err != nil {
		return nil, oauth.NewError(oauth.InvalidRequest, "The request is too large.").WithCause(oauth.ErrTooLarge)
	}
	if len(body) == 0 {
		return nil, nil
	}
	p, err := oauth.ParseTokenRequest(r.Header.Get("Content-Type"), body)
	if err != nil {
		return nil, err
	}
	form := url.Values{}
	if p.Has("access_token") {
		form.Set("access_token", p.Get("access_token"))
	}
	return form, nil
}

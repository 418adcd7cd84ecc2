package oauth

import (
	"context"
	"net/http"
	"net/url"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/base/limit"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/checkup"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// deviceCodeResponse is the answer of the device authorization endpoint (RFC 8628 section 3.2).
type deviceCodeResponse struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int64  `json:"expires_in"`
	Interval                int64  `json:"interval"`
}

// DeviceCode is the device authorization endpoint (RFC 8628 section 3.1). The client authenticates as
// at the token endpoint.
func (s *Server) DeviceCode(w http.ResponseWriter, r *http.Request) {
	ctx, tn := r.Context(), tenant.From(r.Context())
	p, err := s.params(w, r)
	if err != nil {
		s.writeError(w, r, err, false)
		return
	}
	client, auth, err := s.authenticateClient(ctx, tn, r, p)
	if err != nil {
		s.writeError(w, r, err, auth.Header)
		return
	}
	answer, err := s.requestDevice(ctx, tn, client, p, signin.From{Address: httpx.ClientAddr(r), ClientID: client.ClientID})
	if err != nil {
		s.wrong(tn, client, err)
		s.writeError(w, r, err, false)
		return
	}
	httpx.WriteJSON(w, http.StatusOK, answer)
}

func (s *Server) requestDevice(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params, from signin.From) (*deviceCodeResponse, error) {
	if !client.MayUse(oauth.GrantDeviceCode) {
		return nil, checkup.Because(oauth.NewError(oauth.UnauthorizedClient, "The client may not let devices in.").
			WithHint("Add "+oauth.GrantDeviceCode+" to the client's grant_types."), checkup.GrantType, oauth.GrantDeviceCode)
	}
	request, err := s.examineDevice(ctx, tn, client, p)
	if err != nil {
		return nil, err
	}
	request.Network = limit.Network(from.Address)
	var codes grants.DeviceCodes
	err = tn.DB.Write(ctx, func(tx *db.Tx) (err error) {
		if err := s.SignIn.TakeDeviceRequest(tx, client.ClientID, from); err != nil {
			return err
		}
		codes, err = s.Grants.RequestDevice(tx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	shown := oauth.ShowUserCode(codes.UserCode)
	return &deviceCodeResponse{
		DeviceCode: codes.DeviceCode, UserCode: shown,
		VerificationURI: tn.URL(PathDevice), VerificationURIComplete: tn.URL(PathDevice) + "?" + url.Values{"user_code": {shown}}.Encode(),
		ExpiresIn: int64(grants.DeviceCodeLifetime.Seconds()), Interval: int64(oauth.DeviceInterval.Seconds()),
	}, nil
}

// examineDevice judges what a device asks for, by the rules of an authorization request.
func (s *Server) examineDevice(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params) (grants.DeviceRequest, error) {
	var request grants.DeviceRequest
	pkce := oauth.AuthorizationRequest{CodeChallenge: p.Get("code_challenge"), CodeChallengeMethod: p.Get("code_challenge_method")}
	if err := pkce.CheckPKCE(false); err != nil {
		return request, err
	}
	audience, err := deviceAudience(client, p)
	if err != nil {
		return request, err
	}
	api, err := s.api(ctx, tn, audience)
	if err != nil {
		return request, err
	}
	asked, err := oauth.ParseScope(p.Get("scope"))
	if err != nil {
		return request, err
	}
	scope, err := allowedScope(client, api, asked)
	if err != nil {
		return request, err
	}
	request.Terms = grants.Terms{ClientID: client.ClientID, Scope: scope, Audience: audience}
	request.CodeChallenge = pkce.CodeChallenge
	return request, nil
}

// deviceAudience is what the request names, or the client's default.
func deviceAudience(client *apps.Client, p oauth.Params) (string, error) {
	var resources []string
	if p.Has("resource") {
		resources = []string{p.Get("resource")}
	}
	audience, err := oauth.MergeAudience(p.Get("audience"), resources)
	if audience == "" {
		audience = client.Audience
	}
	return audience, err
}

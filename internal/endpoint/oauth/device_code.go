package oauth

import (
	"cmp"
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
	s.answerClient(w, r, func(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params) (any, error) {
		answer, err := s.requestDevice(ctx, tn, client, p, signin.From{Address: httpx.ClientAddr(r), ClientID: client.ClientID})
		if err != nil {
			s.wrong(tn, client, err)
		}
		return answer, err
	})
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
	audience, err := p.Audience()
	if err != nil {
		return request, err
	}
	audience = cmp.Or(audience, client.Audience)
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

package oauth

import (
	"context"
	"errors"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// grantDeviceCode answers a device that asks whether it has been approved (RFC 8628 section 3.4).
func (s *Server) grantDeviceCode(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params) (*tokenResponse, error) {
	if !p.Has("device_code") {
		return nil, oauth.NewError(oauth.InvalidRequest, "device_code is missing.")
	}
	redeemed, err := s.Grants.RedeemDevice(ctx, tn, grants.DeviceRedemption{
		DeviceCode: p.Get("device_code"),
		ClientID:   client.ClientID,
		Check:      func(d grants.DeviceRequest) error { return checkDevice(d, p) },
		// A device outlives the browser it was let in from.
		Family: func(d grants.DeviceRequest) *grants.NewFamily { return newFamily(tn, client, d.Scope, false) },
	})
	if err != nil {
		return nil, deviceError(err)
	}
	user, err := s.livingUser(ctx, tn, redeemed.UserID)
	if err != nil {
		return nil, err
	}
	answer, err := s.mintTokens(ctx, tn, client, user, redeemed.Terms, redeemed.Scope, idTokenExtras{})
	if err != nil {
		return nil, err
	}
	answer.RefreshToken = redeemed.RefreshToken
	return answer, nil
}

// checkDevice holds a device to the challenge it began with, whether or not it is approved yet.
func checkDevice(d grants.DeviceRequest, p oauth.Params) error {
	if !oauth.VerifyPKCE(d.CodeChallenge, p.Get("code_verifier")) {
		return oauth.NewError(oauth.InvalidGrant, "The device code is invalid or used.").
			WithHint("code_verifier does not fit the code_challenge of the device authorization request, or only one of them was sent.")
	}
	return nil
}

// deviceError is what the wire calls a refusal (RFC 8628 section 3.5).
func deviceError(err error) error {
	switch {
	case errors.Is(err, grants.ErrDevicePending):
		return oauth.NewError(oauth.AuthorizationPending, "Nobody has decided yet.").WithCause(err)
	case errors.Is(err, grants.ErrSlowDown):
		return oauth.NewError(oauth.SlowDown, "Wait 5 seconds longer between two questions, from now on.").WithCause(err)
	case errors.Is(err, grants.ErrDeviceDenied):
		return oauth.NewError(oauth.AccessDenied, "The device was not allowed in.").WithCause(err)
	case errors.Is(err, grants.ErrDeviceExpired):
		return oauth.NewError(oauth.ExpiredToken, "The device code has expired. Ask for a new one.").WithCause(err)
	case errors.Is(err, grants.ErrInvalidDeviceCode):
		return oauth.NewError(oauth.InvalidGrant, "The device code is invalid or used.").WithCause(err)
	}
	return err
}

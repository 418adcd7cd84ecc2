package oidclogin

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// revokeTimeout bounds how long signing out waits for the provider.
const revokeTimeout = 3 * time.Second

// revoke takes a refresh token back at the provider (RFC 7009). It does what it
// can: a provider that is down, or offers no revocation, keeps nobody signed in
// here, and the token is forgotten anyway.
func (l *Login) revoke(ctx context.Context, refreshToken string) {
	if refreshToken == "" {
		return
	}
	// Whoever signs out may close the window at once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	m, err := l.provider.Metadata(ctx)
	if err != nil || m.RevocationEndpoint == "" {
		return
	}
	methods := m.RevocationEndpointAuthMethodsSupported
	if len(methods) == 0 {
		methods = m.TokenEndpointAuthMethodsSupported
	}
	_, status, err := l.post(ctx, m.RevocationEndpoint, methods, url.Values{"token": {refreshToken}, "token_type_hint": {"refresh_token"}})
	if err != nil || status != http.StatusOK {
		l.log.WarnContext(ctx, "guard: refresh token not revoked", "issuer", l.options.Issuer, "status", status, "error", err)
	}
}

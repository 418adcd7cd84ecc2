package oauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/gatehouse-dev/gatehouse/internal/base/db"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Revoke is the revocation endpoint (RFC 7009). Unknown tokens and those of other clients are
// answered as if all was well, and left alone. A failure to write is never answered so.
func (s *Server) Revoke(w http.ResponseWriter, r *http.Request) {
	s.answerClient(w, r, func(ctx context.Context, tn *tenant.Tenant, client *apps.Client, p oauth.Params) (any, error) {
		if !p.Has("token") {
			return nil, errNoToken()
		}
		return struct{}{}, s.revoke(ctx, tn, client, p.Get("token")) // there is nothing to say, but clients read JSON
	})
}

// errNoToken is for endpoints that are about one.
func errNoToken() error { return oauth.NewError(oauth.InvalidRequest, "token is missing.") }

// revoke tells a refresh token from an access token by its form; the hint of the request is not
// needed. A refresh token takes its whole grant along.
func (s *Server) revoke(ctx context.Context, tn *tenant.Tenant, client *apps.Client, token string) error {
	if presented, err := s.Grants.ParseRefreshToken(tn, token); err == nil {
		family, err := s.Grants.Family(ctx, tn, presented.GID)
		if errors.Is(err, grants.ErrInvalidRefreshToken) || err == nil && family.ClientID != client.ClientID {
			return nil
		}
		if err != nil || !family.RevokedAt.IsZero() {
			return err
		}
		return tn.DB.Write(ctx, func(tx *db.Tx) error {
			if err := s.Grants.RevokeGrant(tx, family.GID, "revoked by the client"); err != nil {
				return err
			}
			return audit.Record(tx, audit.Event{
				Type: audit.RefreshTokenRevoked, At: s.now(), Actor: client.ClientID,
				UserID: family.UserID, ClientID: client.ClientID, Detail: map[string]any{"gid": family.GID},
			})
		})
	}
	claims, err := s.anyAccessToken(ctx, tn, token)
	if err != nil {
		if oauth.CodeOf(err) == oauth.InvalidToken {
			return nil
		}
		return err
	}
	if claims.Client() != client.ClientID {
		return nil
	}
	return tn.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.Grants.RevokeToken(tx, claims.ID); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{
			Type: audit.AccessTokenRevoked, At: s.now(), Actor: client.ClientID,
			UserID: userOf(claims), ClientID: client.ClientID, Detail: map[string]any{"jti": claims.ID},
		})
	})
}

// userOf returns the user an access token speaks for, if any.
func userOf(claims *oauth.AccessTokenClaims) string {
	if claims.IsClient() {
		return ""
	}
	return claims.Subject
}

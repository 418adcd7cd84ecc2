package oauth

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/core/keys"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
	"github.com/gatehouse-dev/gatehouse/protocol/oidc"
)

// Paths of the endpoints.
const (
	PathAuthorize     = "/authorize"
	PathToken         = "/oauth/token"
	PathRevoke        = "/oauth/revoke"
	PathIntrospect    = "/oauth/introspect"
	PathDeviceCode    = "/oauth/device/code"
	PathDevice        = "/device"
	PathUserInfo      = "/userinfo"
	PathJWKS          = "/.well-known/jwks.json"
	PathOpenID        = "/.well-known/openid-configuration"
	PathOAuthMetadata = "/.well-known/oauth-authorization-server"
	PathEndSession    = "/oidc/logout"
	PathLogout        = "/v2/logout"
)

// cacheable: metadata and keys may be kept for as long as a new key is published before it signs.
const cacheable = "public, max-age=300"

// Discovery serves the metadata document (OpenID Connect Discovery section 4, RFC 8414 section 3)
// as prepared bytes.
func (s *Server) Discovery(prepared *sync.Map) http.HandlerFunc {
	type version struct {
		ring *keys.Ring
		tn   *tenant.Tenant
	}
	return func(w http.ResponseWriter, r *http.Request) {
		tn := tenant.From(r.Context())
		ring, err := s.Keys.Ring(r.Context(), tn)
		if err != nil {
			s.writeError(w, r, err)
			return
		}
		body, ok := prepared.Load(version{ring, tn})
		if !ok {
			raw, err := json.Marshal(metadata(tn, ring))
			if err != nil {
				s.writeError(w, r, err)
				return
			}
			prepared.Clear() // what was prepared for other keys is of no more use
			prepared.Store(version{ring, tn}, raw)
			body = raw
		}
		w.Header().Set("Cache-Control", cacheable)
		httpx.WriteJSONBytes(w, http.StatusOK, body.([]byte))
	}
}

// JWKS serves the published keys (RFC 7517).
func (s *Server) JWKS(w http.ResponseWriter, r *http.Request) {
	ring, err := s.Keys.Ring(r.Context(), tenant.From(r.Context()))
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", cacheable)
	httpx.WriteJSONBytes(w, http.StatusOK, ring.JWKS())
}

func metadata(tn *tenant.Tenant, ring *keys.Ring) oidc.Metadata {
	secret := []string{string(oauth.AuthBasic), string(oauth.AuthPost)}
	return oidc.Metadata{
		Issuer:                                    tn.Issuer,
		AuthorizationEndpoint:                     tn.URL(PathAuthorize),
		TokenEndpoint:                             tn.URL(PathToken),
		UserinfoEndpoint:                          tn.URL(PathUserInfo),
		JWKSURI:                                   tn.URL(PathJWKS),
		RevocationEndpoint:                        tn.URL(PathRevoke),
		IntrospectionEndpoint:                     tn.URL(PathIntrospect),
		EndSessionEndpoint:                        tn.URL(PathEndSession),
		DeviceAuthorizationEndpoint:               tn.URL(PathDeviceCode),
		ScopesSupported:                           []string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeOfflineAccess},
		ResponseTypesSupported:                    []string{string(oauth.ResponseTypeCode), string(oauth.ResponseTypeIDToken), string(oauth.ResponseTypeCodeIDToken)},
		ResponseModesSupported:                    []string{string(oauth.ResponseModeQuery), string(oauth.ResponseModeFormPost), string(oauth.ResponseModeWebMessage)},
		GrantTypesSupported:                       []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantClientCredentials, oauth.GrantTokenExchange, oauth.GrantDeviceCode},
		ACRValuesSupported:                        []string{signin.ACRPassword},
		SubjectTypesSupported:                     []string{"public"},
		IDTokenSigningAlgValuesSupported:          ring.Algorithms(),
		TokenEndpointAuthMethodsSupported:         append(secret, string(oauth.AuthNone)),
		RevocationEndpointAuthMethodsSupported:    append(secret, string(oauth.AuthNone)),
		IntrospectionEndpointAuthMethodsSupported: secret,
		CodeChallengeMethodsSupported:             []string{oauth.ChallengeMethodS256},
		ClaimsSupported: []string{
			"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid",
			"name", "given_name", "family_name", "nickname", "picture", "updated_at", "email", "email_verified",
		},
		PromptValuesSupported:                      []string{"none", "login", "consent", "select_account", "create"},
		UILocalesSupported:                         []string{"en"},
		AuthorizationResponseIssParameterSupported: true,
		BackchannelLogoutSupported:                 true,
		BackchannelLogoutSessionSupported:          true,
	}
}

package oidc

import (
	"github.com/gatehouse-dev/gatehouse/protocol/jose"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Profile are the claims about a person (Core §5.1). Those that are empty are
// not told.
type Profile struct {
	Name          string           `json:"name,omitempty"`
	GivenName     string           `json:"given_name,omitempty"`
	FamilyName    string           `json:"family_name,omitempty"`
	Nickname      string           `json:"nickname,omitempty"`
	Picture       string           `json:"picture,omitempty"`
	UpdatedAt     jose.NumericDate `json:"updated_at,omitempty"`
	Email         string           `json:"email,omitempty"`
	EmailVerified *bool            `json:"email_verified,omitempty"`
}

// ForScope returns the claims of p that scope releases (Core §5.4).
func (p Profile) ForScope(scope oauth.Scope) Profile {
	var out Profile
	if scope.Contains(oauth.ScopeProfile) {
		out = p
		out.Email, out.EmailVerified = "", nil
	}
	if scope.Contains(oauth.ScopeEmail) && p.Email != "" {
		out.Email, out.EmailVerified = p.Email, p.EmailVerified
	}
	return out
}

// UserInfo is the answer of the userinfo endpoint (Core §5.3.2).
type UserInfo struct {
	Subject string `json:"sub"`
	Profile
}

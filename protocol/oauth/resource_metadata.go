package oauth

import (
	"errors"
	"net/url"
)

// ResourceMetadata is what a protected resource says of itself (RFC 9728 §2).
type ResourceMetadata struct {
	Resource                              string   `json:"resource"`
	AuthorizationServers                  []string `json:"authorization_servers,omitempty"`
	ScopesSupported                       []string `json:"scopes_supported,omitempty"`
	BearerMethodsSupported                []string `json:"bearer_methods_supported,omitempty"`
	ResourceName                          string   `json:"resource_name,omitempty"`
	ResourceDocumentation                 string   `json:"resource_documentation,omitempty"`
	TLSClientCertificateBoundAccessTokens bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	DPoPSigningAlgValuesSupported         []string `json:"dpop_signing_alg_values_supported,omitempty"`
	DPoPBoundAccessTokensRequired         bool     `json:"dpop_bound_access_tokens_required,omitempty"`
}

// ResourceMetadataURL returns where the metadata of a resource is found: the
// well-known name stands between host and path of the resource's identifier (RFC
// 9728 §3.1), an absolute http or https address without fragment.
func ResourceMetadataURL(resource string) (string, error) {
	u, err := url.Parse(resource)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", errors.New("oauth: a resource is an absolute https address without fragment")
	}
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	const wellKnown = "/.well-known/oauth-protected-resource"
	address := u.Scheme + "://" + u.Host + wellKnown + path
	if u.RawQuery != "" {
		address += "?" + u.RawQuery
	}
	return address, nil
}

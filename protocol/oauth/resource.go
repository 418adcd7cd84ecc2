package oauth

import (
	"net/url"
	"strings"
)

// MergeAudience makes one audience of the audience parameter (Auth0's word)
// and the resource parameters (RFC 8707 §2). A resource must be an absolute
// URI without fragment; if both are given they must be equal, byte for byte;
// more than one resource is not offered. Otherwise: invalid_target.
func MergeAudience(audience string, resources []string) (string, error) {
	var resource string
	for _, r := range resources {
		if r == "" {
			continue
		}
		if resource != "" {
			return "", NewError(InvalidTarget, "Only one resource can be asked for at a time.")
		}
		resource = r
	}
	if resource == "" {
		return audience, nil
	}
	if !validResource(resource) {
		return "", NewError(InvalidTarget, "resource must be an absolute URI without a fragment.")
	}
	if audience != "" && audience != resource {
		return "", NewError(InvalidTarget, "audience and resource name different APIs.").
			WithHint("Send one of them, or the same value in both.")
	}
	return resource, nil
}

// Audience returns the API that the parameters name, "" for none; it fails as [MergeAudience] does.
func (p Params) Audience() (string, error) {
	return MergeAudience(p.Get("audience"), []string{p.Get("resource")})
}

func validResource(resource string) bool {
	if len(resource) > 1<<10 || !printable(resource) || strings.ContainsAny(resource, "# ") {
		return false
	}
	u, err := url.Parse(resource)
	return err == nil && u.IsAbs() && (u.Host != "" || u.Opaque != "")
}

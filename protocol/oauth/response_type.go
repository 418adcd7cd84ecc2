package oauth

import (
	"slices"
	"strings"
)

// ResponseType is what the authorization endpoint is asked to return, its
// values in alphabetical order (OAuth 2.0 Multiple Response Types §3).
type ResponseType string

// The response types there are. Those with an ID token exist by form_post
// alone.
const (
	ResponseTypeCode        ResponseType = "code"
	ResponseTypeIDToken     ResponseType = "id_token"
	ResponseTypeCodeIDToken ResponseType = "code id_token"
)

// HasCode reports whether t asks for an authorization code.
func (t ResponseType) HasCode() bool { return t == ResponseTypeCode || t == ResponseTypeCodeIDToken }

// HasIDToken reports whether t asks for an ID token from the authorization
// endpoint.
func (t ResponseType) HasIDToken() bool {
	return t == ResponseTypeIDToken || t == ResponseTypeCodeIDToken
}

// parseResponseType reads a response_type, whose values may come in any order.
func parseResponseType(s string) (ResponseType, *Error) {
	values := strings.Fields(s)
	if len(values) == 0 {
		return "", NewError(InvalidRequest, "response_type is missing.")
	}
	slices.Sort(values)
	t := ResponseType(strings.Join(values, " "))
	switch {
	case t.HasCode() || t.HasIDToken():
		return t, nil
	case slices.Contains(values, "token"):
		return "", NewError(UnsupportedResponseType, "Access tokens are not returned by the authorization endpoint: use response_type=code with PKCE.").
			WithHint("No token ever travels in a URL here. In a browser, response_mode=web_message serves silent renewal.")
	}
	return "", NewError(UnsupportedResponseType, "This response_type does not exist here.").
		WithHint("Use response_type=code.")
}

package oauth

import (
	"bytes"
	"encoding/json"
	"strings"
)

// ResponseMode is how an authorization response travels.
type ResponseMode string

// The response modes there are. "fragment" is not among them: no token travels
// in a URL.
const (
	ResponseModeQuery      ResponseMode = "query"       // OAuth 2.0 Multiple Response Types §2.1
	ResponseModeFormPost   ResponseMode = "form_post"   // OAuth 2.0 Form Post Response Mode
	ResponseModeWebMessage ResponseMode = "web_message" // as the browser SDKs speak it
)

// Supported reports whether m is one of the modes above.
func (m ResponseMode) Supported() bool {
	return m == ResponseModeQuery || m == ResponseModeFormPost || m == ResponseModeWebMessage
}

// checkResponseMode judges what was asked for, "" being the default of the
// response type: query for a code, fragment for everything else.
func checkResponseMode(t ResponseType, m ResponseMode) *Error {
	switch {
	case m == "" && t.HasIDToken(), m == "fragment":
		return NewError(InvalidRequest, "The response mode fragment is not supported: use form_post for ID tokens, and query for codes.").
			WithHint("No token ever travels in a URL here. In a browser, response_mode=web_message serves silent renewal.")
	case m != "" && !m.Supported():
		return NewError(InvalidRequest, "This response_mode does not exist here.").
			WithHint("Use query, form_post or web_message.")
	case t.HasIDToken() && m != ResponseModeFormPost:
		return NewError(InvalidRequest, "ID tokens are returned by form_post only.").
			WithHint("Add response_mode=form_post.")
	}
	return nil
}

// AuthorizationResponse is the answer of the authorization endpoint, success
// or error. State and Issuer belong in every one of them.
type AuthorizationResponse struct {
	Code             string
	IDToken          string
	State            string // as in the request, byte for byte
	Issuer           string // RFC 9207
	Error            string
	ErrorDescription string
}

// ErrorResponse returns the response that tells of e.
func ErrorResponse(e *Error, state, issuer string) AuthorizationResponse {
	return AuthorizationResponse{Error: e.Code, ErrorDescription: e.Description, State: state, Issuer: issuer}
}

// Parameter is a name and a value.
type Parameter struct{ Name, Value string }

// Parameters returns what is set, in a fixed order: the fields of a form_post.
func (r AuthorizationResponse) Parameters() []Parameter {
	all := []Parameter{
		{"code", r.Code},
		{"id_token", r.IDToken},
		{"error", r.Error},
		{"error_description", r.ErrorDescription},
		{"state", r.State},
		{"iss", r.Issuer},
	}
	set := all[:0]
	for _, p := range all {
		if p.Value != "" {
			set = append(set, p)
		}
	}
	return set
}

// ResponseURL is where the query mode sends the browser: redirectURI, which
// must have been matched against the client's, with the response in its query.
// An ID token is left out, whatever the caller put there.
//
// Values are percent-encoded byte by byte, spaces as %20, which every decoder
// reads the same.
func ResponseURL(redirectURI string, r AuthorizationResponse) string {
	r.IDToken = ""
	return appendQuery(redirectURI, r.Parameters())
}

// AppendState returns uri with the state parameter in its query, or uri itself
// if there is no state: the return from a logout.
func AppendState(uri, state string) string {
	if state == "" {
		return uri
	}
	return appendQuery(uri, []Parameter{{"state", state}})
}

func appendQuery(uri string, parameters []Parameter) string {
	var b strings.Builder
	b.WriteString(uri)
	separator := byte('?')
	if i := strings.IndexByte(uri, '?'); i >= 0 {
		separator = '&'
		if i == len(uri)-1 || uri[len(uri)-1] == '&' {
			separator = 0
		}
	}
	for _, p := range parameters {
		if separator != 0 {
			b.WriteByte(separator)
		}
		separator = '&'
		b.WriteString(p.Name)
		b.WriteByte('=')
		percentEncode(&b, p.Value)
	}
	return b.String()
}

func percentEncode(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
}

// WebMessage is the JSON of the message posted to the opener, safe to stand
// inside a script element.
func (r AuthorizationResponse) WebMessage() ([]byte, error) {
	response := make(map[string]string)
	for _, p := range r.Parameters() {
		response[p.Name] = p.Value
	}
	var b bytes.Buffer
	// The encoder escapes <, >, & and the two line separators that JSON allows
	// in a string and scripts once did not.
	err := json.NewEncoder(&b).Encode(struct {
		Type     string            `json:"type"`
		Response map[string]string `json:"response"`
	}{"authorization_response", response})
	return bytes.TrimSpace(b.Bytes()), err
}

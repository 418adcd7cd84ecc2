package oauth

import (
	"bytes"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"unicode"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// Limits of a request body.
const (
	// MaxBodyBytes is the largest body read by [ParseTokenRequest]. Whoever
	// reads the body off the wire should stop one byte later.
	MaxBodyBytes = 64 << 10
	maxFields    = 200
)

// The grant types of a token request.
const (
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
)

// Params are the parameters of a request body, each given once and not empty.
type Params map[string]string

// Get returns the value of name, "" if absent.
func (p Params) Get(name string) string { return p[name] }

// Has reports whether name was given with a value.
func (p Params) Has(name string) bool { return p[name] != "" }

// ParseTokenRequest reads the body of a request to the token endpoint, or to
// another that takes the same two forms: application/x-www-form-urlencoded
// (RFC 6749 §4), and application/json, one object, as browser SDKs send it. Of
// JSON members strings, numbers and truth values are taken as their text,
// null is absent, objects and arrays are left out. Empty values are absent.
//
// Errors are invalid_request: a body over 64 KiB (wraps [ErrTooLarge], 413),
// another content type or charset (wraps [ErrMediaType], 415), a repeated
// parameter, over 200 of them, malformed encoding. A repeated resource is
// invalid_target. A form may call itself ISO-8859-1 if all of it is ASCII.
func ParseTokenRequest(contentType string, body []byte) (Params, error) {
	if len(body) > MaxBodyBytes {
		return nil, NewError(InvalidRequest, "The request is too large.").WithCause(ErrTooLarge)
	}
	media, latin1, err := bodyType(contentType)
	if err != nil {
		return nil, err
	}
	if media == "application/json" {
		return parseJSONBody(body)
	}
	params, err := parseFormBody(body)
	if err == nil && latin1 && !params.ascii() {
		return nil, NewError(InvalidRequest, "Send the form in UTF-8.")
	}
	return params, err
}

// bodyType admits the two media types, in UTF-8 if they say so at all. Any
// other parameter is somebody trying what else might be understood, but for
// ISO-8859-1 of a form, which HTTP libraries for Java write unasked.
func bodyType(contentType string) (media string, latin1 bool, err error) {
	media, parameters, err := mime.ParseMediaType(contentType)
	form := media == "application/x-www-form-urlencoded"
	known := form || media == "application/json"
	for name, value := range parameters {
		latin1 = form && strings.EqualFold(value, "iso-8859-1")
		known = known && name == "charset" && (strings.EqualFold(value, "utf-8") || latin1)
	}
	if err != nil || !known {
		return "", false, NewError(InvalidRequest, "The content type must be application/x-www-form-urlencoded or application/json.").WithCause(ErrMediaType)
	}
	return media, latin1, nil
}

// ascii: nothing in it depends on the encoding.
func (p Params) ascii() bool {
	for name, value := range p {
		if strings.ContainsFunc(name+value, func(r rune) bool { return r > unicode.MaxASCII }) {
			return false
		}
	}
	return true
}

func parseFormBody(body []byte) (Params, error) {
	if bytes.Count(body, []byte("&")) >= maxFields {
		return nil, NewError(InvalidRequest, "The request has too many parameters.")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, NewError(InvalidRequest, "The form is not well-formed.").WithCause(err)
	}
	params := make(Params, len(form))
	for name, values := range form {
		if len(values) > 1 {
			return nil, repeated(name)
		}
		if err := params.set(name, values[0]); err != nil {
			return nil, err
		}
	}
	return params, nil
}

// repeated avoids telling the name back, unless it is one of ours.
func repeated(name string) error {
	if name == "resource" {
		return NewError(InvalidTarget, "Only one resource can be asked for at a time.")
	}
	return NewError(InvalidRequest, "A parameter is given more than once.").WithHint(fmt.Sprintf("It is %.64q.", name))
}

func parseJSONBody(body []byte) (Params, error) {
	object, err := jose.ParseObject(string(body))
	if err != nil {
		return nil, NewError(InvalidRequest, "The body is not one well-formed JSON object.").WithCause(err)
	}
	if len(object) > maxFields {
		return nil, NewError(InvalidRequest, "The request has too many parameters.")
	}
	params := make(Params, len(object))
	for _, m := range object {
		var value string
		switch m.Value[0] {
		case '{', '[', 'n':
			continue
		case '"':
			if value, err = m.Value.Text(); err != nil {
				return nil, NewError(InvalidRequest, "The body is not one well-formed JSON object.").WithCause(err)
			}
		default:
			value = string(m.Value)
		}
		if err := params.set(m.Name, value); err != nil {
			return nil, err
		}
	}
	return params, nil
}

func (p Params) set(name, value string) error {
	if value == "" {
		return nil
	}
	if !printable(name) || !printable(value) {
		return NewError(InvalidRequest, "A parameter has characters that are not allowed.").WithHint(fmt.Sprintf("It is %.64q.", name))
	}
	p[name] = value
	return nil
}

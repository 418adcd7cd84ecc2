package oauth

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-dev/gatehouse/protocol/jose"
)

// AuthorizationRequest is a request to the authorization endpoint (RFC 6749
// §4.1.1, OpenID Connect Core §3.1.2.1, and the words the Auth0 SDKs add).
type AuthorizationRequest struct {
	ClientID            string
	RedirectURI         string // "" if absent: the client's default, if it has one
	ResponseType        ResponseType
	ResponseMode        ResponseMode // never empty: how to answer, errors included
	Scope               Scope
	State               string // echo byte for byte
	Nonce               string
	CodeChallenge       string
	CodeChallengeMethod string
	Prompt              Prompt
	MaxAge              *int // seconds; nil if absent
	ACRValues           []string
	LoginHint           string
	IDTokenHint         string
	UILocales           []string
	Display             string
	Claims              string // JSON object, "" if absent
	Audience            string // resource and audience, made one
	ScreenHint          string
	Connection          string
	Organization        string
}

// Limits of the claims parameter.
const (
	maxClaimsBytes = 8 << 10
	maxClaimsDepth = 5
)

// parameterLimits are the parameters read and the most bytes each may have. The
// sum is what a sealed request can grow to.
func parameterLimits() []parameterLimit {
	return []parameterLimit{
		{"response_type", 64},
		{"response_mode", 32},
		{"scope", maxScopeBytes},
		{"state", 2 << 10},
		{"nonce", 2 << 10},
		{"code_challenge", 128},
		{"code_challenge_method", 16},
		{"prompt", 64},
		{"max_age", 16},
		{"acr_values", 1 << 10},
		{"login_hint", 512},
		{"id_token_hint", jose.MaxTokenBytes},
		{"ui_locales", 256},
		{"display", 16},
		{"claims", maxClaimsBytes},
		{"audience", 1 << 10},
		{"screen_hint", 32},
		{"connection", 128},
		{"organization", 128},
		{"request", jose.MaxTokenBytes},
		{"request_uri", 2 << 10},
	}
}

type parameterLimit struct {
	name string
	max  int
}

const (
	maxClientIDBytes    = 256
	maxRedirectURIBytes = 2 << 10
)

// ParseAuthorizationRequest reads the parameters of query and form together,
// so that one which stands in both is seen twice. Parameters nobody knows are
// ignored, empty ones are absent (RFC 6749 §3.1).
//
// The request is never nil and holds client_id, redirect_uri, state and
// response_mode as far as they are usable, whatever the error. The order of
// use is: an error with Page set is shown on a page; then the caller finds the
// client and validates the redirect URI; only then may another error be sent
// there, by the request's ResponseMode and with its State.
//
// Errors: invalid_request (repeated, oversized or malformed parameters,
// prompt, max_age, response_mode, nonce missing for an ID token, claims),
// unsupported_response_type, invalid_scope, invalid_target,
// request_not_supported, request_uri_not_supported. PKCE is judged by
// [AuthorizationRequest.CheckPKCE], which needs to know the client.
func ParseAuthorizationRequest(v url.Values) (*AuthorizationRequest, *Error) {
	r := &AuthorizationRequest{ResponseMode: ResponseModeQuery}
	if err := r.readTarget(v); err != nil {
		return r, err.OnPage()
	}
	r.readReturn(v)
	if err := checkParameters(v); err != nil {
		return r, err
	}
	return r, r.readRest(v)
}

// readTarget reads what decides who is answered, and where.
func (r *AuthorizationRequest) readTarget(v url.Values) *Error {
	for _, p := range []struct {
		name string
		max  int
		into *string
	}{{"client_id", maxClientIDBytes, &r.ClientID}, {"redirect_uri", maxRedirectURIBytes, &r.RedirectURI}} {
		switch values := v[p.name]; {
		case len(values) > 1:
			r.ClientID, r.RedirectURI = "", ""
			return NewError(InvalidRequest, p.name+" is given more than once.")
		case len(values) == 1 && (len(values[0]) > p.max || !printable(values[0])):
			r.ClientID, r.RedirectURI = "", ""
			return NewError(InvalidRequest, p.name+" is not well-formed.")
		case len(values) == 1:
			*p.into = values[0]
		}
	}
	if r.ClientID == "" {
		return NewError(InvalidRequest, "client_id is missing.")
	}
	return nil
}

// readReturn reads what an error response needs, if it can be used.
func (r *AuthorizationRequest) readReturn(v url.Values) {
	if mode := ResponseMode(v.Get("response_mode")); len(v["response_mode"]) == 1 && mode.Supported() {
		r.ResponseMode = mode
	}
	if state := v.Get("state"); len(v["state"]) == 1 && len(state) <= 2<<10 && printable(state) {
		r.State = state
	}
}

// checkParameters holds every parameter to appearing once, within its size, as
// text without control characters.
func checkParameters(v url.Values) *Error {
	for _, p := range parameterLimits() {
		switch values := v[p.name]; {
		case len(values) > 1:
			return NewError(InvalidRequest, p.name+" is given more than once.")
		case len(values) == 1 && len(values[0]) > p.max:
			return NewError(InvalidRequest, p.name+" is too long.")
		case len(values) == 1 && !printable(values[0]) && p.name != "claims":
			return NewError(InvalidRequest, p.name+" has characters that are not allowed.")
		}
	}
	switch {
	case v.Get("request") != "":
		return NewError(RequestNotSupported, "The request parameter is not supported.")
	case v.Get("request_uri") != "":
		return NewError(RequestURINotSupported, "The request_uri parameter is not supported.")
	}
	return nil
}

// readRest reads everything else; the order of the checks is the order in which
// a developer wants to hear of them.
func (r *AuthorizationRequest) readRest(v url.Values) *Error {
	r.Nonce = v.Get("nonce")
	r.CodeChallenge, r.CodeChallengeMethod = v.Get("code_challenge"), v.Get("code_challenge_method")
	r.LoginHint, r.IDTokenHint = v.Get("login_hint"), v.Get("id_token_hint")
	r.ACRValues, r.UILocales = strings.Fields(v.Get("acr_values")), strings.Fields(v.Get("ui_locales"))
	r.Display, r.ScreenHint = v.Get("display"), v.Get("screen_hint")
	r.Connection, r.Organization = v.Get("connection"), v.Get("organization")

	var err *Error
	if r.ResponseType, err = parseResponseType(v.Get("response_type")); err != nil {
		return err
	}
	if err = checkResponseMode(r.ResponseType, ResponseMode(v.Get("response_mode"))); err != nil {
		return err
	}
	if scope, err := ParseScope(v.Get("scope")); err != nil {
		return AsError(err)
	} else {
		r.Scope = scope
	}
	if r.Prompt, err = parsePrompt(v.Get("prompt")); err != nil {
		return err
	}
	if r.MaxAge, err = parseMaxAge(v.Get("max_age")); err != nil {
		return err
	}
	if r.Claims, err = parseClaims(v.Get("claims")); err != nil {
		return err
	}
	audience, fail := MergeAudience(v.Get("audience"), v["resource"])
	if fail != nil {
		return AsError(fail)
	}
	r.Audience = audience
	return r.checkIDToken()
}

// checkIDToken: an ID token that travels through the browser is bound to the
// request by its nonce (OpenID Connect Core §3.2.2.1, §3.3.2.11).
func (r *AuthorizationRequest) checkIDToken() *Error {
	switch {
	case !r.ResponseType.HasIDToken():
		return nil
	case !r.Scope.Contains(ScopeOpenID):
		return NewError(InvalidRequest, "An ID token needs the scope openid.")
	case r.Nonce == "":
		return NewError(InvalidRequest, "nonce is missing.")
	}
	return nil
}

func parseMaxAge(s string) (*int, *Error) {
	if s == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return nil, NewError(InvalidRequest, "max_age must be a whole number of seconds.")
	}
	seconds := int(n)
	return &seconds, nil
}

func parseClaims(s string) (string, *Error) {
	if s == "" {
		return "", nil
	}
	if err := jose.Check([]byte(s), maxClaimsDepth); err != nil || strings.TrimLeft(s, " \t\r\n")[0] != '{' {
		return "", NewError(InvalidRequest, "claims must be a JSON object without repeated names, at most five levels deep.").WithCause(err)
	}
	return s, nil
}

// printable: valid UTF-8 without control characters. Those cannot be echoed
// unchanged by every response mode, and have no place in a parameter.
func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// The error codes of OAuth 2 and OpenID Connect as they stand on the wire.
const (
	// RFC 6749 §4.1.2.1 and §5.2.
	InvalidRequest          = "invalid_request"
	InvalidClient           = "invalid_client"
	InvalidGrant            = "invalid_grant"
	UnauthorizedClient      = "unauthorized_client"
	UnsupportedGrantType    = "unsupported_grant_type"
	UnsupportedResponseType = "unsupported_response_type"
	InvalidScope            = "invalid_scope"
	AccessDenied            = "access_denied"
	ServerError             = "server_error"
	TemporarilyUnavailable  = "temporarily_unavailable"
	// RFC 6750 §3.1.
	InvalidToken      = "invalid_token"
	InsufficientScope = "insufficient_scope"
	// RFC 7009 §2.2.1.
	UnsupportedTokenType = "unsupported_token_type"
	// RFC 7591 §3.2.2.
	InvalidRedirectURI    = "invalid_redirect_uri"
	InvalidClientMetadata = "invalid_client_metadata"
	// RFC 8628 §3.5.
	AuthorizationPending = "authorization_pending"
	SlowDown             = "slow_down"
	ExpiredToken         = "expired_token"
	// RFC 8707 §2.
	InvalidTarget = "invalid_target"
	// RFC 9101 §7, OpenID Connect Core §3.1.2.6.
	InvalidRequestObject     = "invalid_request_object"
	InvalidRequestURI        = "invalid_request_uri"
	RequestNotSupported      = "request_not_supported"
	RequestURINotSupported   = "request_uri_not_supported"
	RegistrationNotSupported = "registration_not_supported"
	LoginRequired            = "login_required"
	ConsentRequired          = "consent_required"
	InteractionRequired      = "interaction_required"
	AccountSelectionRequired = "account_selection_required"
	// OpenID Connect Core Unmet Authentication Requirements.
	UnmetAuthenticationRequirements = "unmet_authentication_requirements"
	// RFC 9449 §12.2.
	InvalidDPoPProof = "invalid_dpop_proof"
	UseDPoPNonce     = "use_dpop_nonce"
	// RFC 9470 §3.
	InsufficientUserAuthentication = "insufficient_user_authentication"
	// What the SDKs of the Auth0 vocabulary expect beside them.
	TooManyRequests = "too_many_requests"
	MFARequired     = "mfa_required"
)

// Faults of the transport: they are invalid_request on the wire, with a status
// of their own.
var (
	// ErrMediaType: the body is not of a type the endpoint reads (415).
	ErrMediaType = errors.New("oauth: unsupported media type")
	// ErrTooLarge: the body exceeds its limit (413).
	ErrTooLarge = errors.New("oauth: request too large")
)

// Error is a refusal in the words of the protocol.
type Error struct {
	// Code is the wire code.
	Code string
	// Description becomes error_description. It is fixed text: nothing the
	// client sent may stand in it.
	Description string
	// Hint tells the client's developer what to do instead. It is shown where
	// developers look (dev mode, the console), never sent to a redirect URI.
	Hint string
	// Parameter, Expected and Got tell the client's developer, where Hint is shown, which
	// parameter is wrong, what would have been right and what came. Got is the client's own text.
	Parameter string
	Expected  []string
	Got       string
	// Page: the error must be shown on a page of our own. The redirect URI is
	// not known to belong to the client, so nobody may be sent there.
	Page bool
	// Err is the cause, for the log alone.
	Err error
}

// NewError returns an error with the given wire code and description.
func NewError(code, description string) *Error { return &Error{Code: code, Description: description} }

// WithHint returns a copy of e that carries hint.
func (e *Error) WithHint(hint string) *Error { c := *e; c.Hint = hint; return &c }

// WithDetail returns a copy of e that names the parameter that is wrong, what came, and what would
// have been right.
func (e *Error) WithDetail(parameter, got string, expected ...string) *Error {
	c := *e
	c.Parameter, c.Got, c.Expected = parameter, got, expected
	return &c
}

// WithCause returns a copy of e that wraps err.
func (e *Error) WithCause(err error) *Error { c := *e; c.Err = err; return &c }

// OnPage returns a copy of e that must not be redirected.
func (e *Error) OnPage() *Error { c := *e; c.Page = true; return &c }

// Error is for logs; hint and cause may name what was wrong in detail.
func (e *Error) Error() string {
	parts := []string{e.Code}
	for _, part := range []string{e.Description, e.Hint} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return "oauth: " + strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// MarshalJSON writes the body of an error response (RFC 6749 §5.2): code and
// description, never hint or cause.
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Code        string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{e.Code, e.Description})
}

// Status is the HTTP status of e where it is answered directly, not by
// redirect.
func (e *Error) Status() int {
	switch {
	case errors.Is(e.Err, ErrMediaType):
		return http.StatusUnsupportedMediaType
	case errors.Is(e.Err, ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	}
	return statusOf(e.Code)
}

// statusOf is the one table from code to status. What is not in it is the
// client's mistake.
func statusOf(code string) int {
	switch code {
	case InvalidClient, InvalidToken, InsufficientUserAuthentication:
		return http.StatusUnauthorized
	case AccessDenied, InsufficientScope, MFARequired:
		return http.StatusForbidden
	case TooManyRequests:
		return http.StatusTooManyRequests
	case ServerError:
		return http.StatusInternalServerError
	case TemporarilyUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// AsError returns the *Error in err's chain. An error that has none is a
// server_error with a fixed description: its own text never reaches a client.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: ServerError, Description: "Something went wrong here. Try again later.", Err: err}
}

// CodeOf returns the wire code of err by the rule of [AsError], "" for nil.
func CodeOf(err error) string {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}

var (
	_ error          = (*Error)(nil)
	_ json.Marshaler = (*Error)(nil)
)

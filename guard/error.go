package guard

import (
	"errors"
	"net/http"
	"slices"
	"time"
)

// Code says what is wrong with a request. It is the string that stands on the
// wire, in challenges and in problem documents.
type Code string

// The codes of this package. Those of RFC 6750 §3.1 keep their meaning for
// every scheme.
const (
	// InvalidRequest: malformed, or the credential came by a way that is not
	// allowed, or by two ways at once. 400.
	InvalidRequest Code = "invalid_request"
	// InvalidToken: expired, revoked, forged, or meant for somebody else. 401.
	InvalidToken Code = "invalid_token"
	// InvalidDPoPProof: the token is bound to a key, and the proof of its possession
	// is missing, bad, or was used before (RFC 9449 §7.1). 401.
	InvalidDPoPProof Code = "invalid_dpop_proof"
	// UseDPoPNonce: the proof has to be made anew, with the nonce of the response's
	// DPoP-Nonce header (RFC 9449 §9). 401.
	UseDPoPNonce Code = "use_dpop_nonce"
	// InsufficientUserAuthentication: known, but the person has to prove it anew or
	// better (RFC 9470 §3). 401.
	InsufficientUserAuthentication Code = "insufficient_user_authentication"
	// InsufficientScope: known, but the credential was not granted enough. 403.
	InsufficientScope Code = "insufficient_scope"
	// AccessDenied: known, but not allowed. 403.
	AccessDenied Code = "access_denied"
	// TooManyRequests: too many attempts; RetryAfter says when to come back. 429.
	TooManyRequests Code = "too_many_requests"
	// Unavailable: the scheme cannot judge at the moment, for example because the
	// issuer's keys have never been reached. 503.
	Unavailable Code = "temporarily_unavailable"
	// Internal: the scheme failed. 500.
	Internal Code = "server_error"
)

// Error is why a request is refused.
type Error struct {
	// Code decides the status and is shown to the client.
	Code Code
	// Description is shown to the client: a plain ASCII sentence for its
	// developer, without secrets and without anything the client sent.
	Description string
	// Scope is what the credential would need, for InsufficientScope.
	Scope string
	// ACRValues and MaxAge are what signing in again has to reach, for
	// InsufficientUserAuthentication; empty and zero if it does not matter.
	ACRValues []string
	MaxAge    time.Duration
	// RetryAfter is when to try again, for Unavailable and TooManyRequests; it
	// travels in whole seconds, rounded up.
	RetryAfter time.Duration
	// Err is the cause, for the log alone.
	Err error

	by []*link // whose challenges tell of this error, the innermost first
}

// Error returns code, description and cause. It is for logs.
func (e *Error) Error() string {
	s := "guard: " + string(e.Code)
	if e.Description != "" {
		s += ": " + e.Description
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Status returns the HTTP status that belongs to the code. A code this package
// does not know is 500: it must not let anybody in, nor pass for the client's
// fault.
func (e *Error) Status() int {
	switch e.Code {
	case InvalidRequest:
		return http.StatusBadRequest
	case InvalidToken, InvalidDPoPProof, UseDPoPNonce, InsufficientUserAuthentication:
		return http.StatusUnauthorized
	case InsufficientScope, AccessDenied:
		return http.StatusForbidden
	case TooManyRequests:
		return http.StatusTooManyRequests
	case Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

func (e *Error) raisedBy(l *link) *Error {
	c := *e
	c.by = append(slices.Clip(e.by), l)
	return &c
}

func (e *Error) raised(l *link) bool { return e != nil && slices.Contains(e.by, l) }

// asError finds the *Error in err; anything foreign is Internal.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) && e != nil {
		return e
	}
	return &Error{Code: Internal, Err: err}
}

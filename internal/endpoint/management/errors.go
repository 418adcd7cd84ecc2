package management

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// refusal is an answer that is no success.
type refusal struct {
	status  int
	code    string
	message string
	cause   error
	scope   oauth.Scope // that would have been enough
}

// Error implements error.
func (e *refusal) Error() string { return "management: " + e.message }

// Unwrap returns the cause.
func (e *refusal) Unwrap() error { return e.cause }

func errNoRoute() error {
	return &refusal{status: http.StatusNotFound, code: "not_found", message: "There is nothing at this address."}
}

func badBody(format string, cause error) error {
	return &refusal{status: http.StatusBadRequest, code: "invalid_body", message: format, cause: cause}
}

func badQuery(message string) error {
	return &refusal{status: http.StatusBadRequest, code: "invalid_query_string", message: message}
}

// refusalOf is the one table from errors to answers. What is not in it is our failure, and tells
// nothing.
func refusalOf(err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if errors.Is(err, oauth.ErrNoToken) {
		return &refusal{status: http.StatusUnauthorized, code: "unauthorized", message: "Missing authentication", cause: err}
	}
	named, isNamed := errors.AsType[*oauth.Error](err)
	e, ok := errors.AsType[*fault.Error](err)
	if isNamed && (!ok || e.Field == "") {
		return &refusal{status: named.Status(), code: named.Code, message: named.Description, cause: err}
	}
	if !ok {
		e = fault.Wrap(fault.Internal, err, "")
	}
	message := fault.MessageOf(err)
	switch e.Code {
	case fault.Invalid:
		code := "invalid_body"
		if isNamed {
			code = named.Code
		}
		if e.Field != "" {
			message = "Payload validation error: " + e.Field + ": " + message
		}
		return &refusal{status: http.StatusBadRequest, code: code, message: message, cause: err}
	case fault.Forbidden:
		return &refusal{status: http.StatusForbidden, code: "operation_not_allowed", message: message, cause: err}
	case fault.NotFound, fault.Gone:
		return &refusal{status: http.StatusNotFound, code: "not_found", message: message, cause: err}
	case fault.Conflict:
		return &refusal{status: http.StatusConflict, code: "conflict", message: message, cause: err}
	case fault.Limited:
		return &refusal{status: http.StatusTooManyRequests, code: "too_many_requests", message: message, cause: err}
	case fault.Busy:
		return &refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", message: "Too much to do. Try again in a moment.", cause: err}
	default:
		return &refusal{status: http.StatusInternalServerError, code: "internal_error", message: "Something went wrong on our side.", cause: err}
	}
}

// errorBody is an error as Auth0's Management API writes it.
type errorBody struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
	ErrorCode  string `json:"errorCode"`
}

func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	e := refusalOf(err)
	switch e.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", oauth.BearerChallenge("gatehouse", e.cause, nil))
	case http.StatusForbidden:
		if oauth.CodeOf(e.cause) == oauth.InsufficientScope {
			w.Header().Set("WWW-Authenticate", oauth.BearerChallenge("gatehouse", e.cause, e.scope))
		}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		wait := time.Second
		if f, ok := errors.AsType[*fault.Error](err); ok {
			wait = max(wait, f.RetryAfter)
		}
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	case http.StatusInternalServerError:
		httpx.LogFailure(s.Log, r, err)
	}
	httpx.WriteJSON(w, e.status, errorBody{e.status, http.StatusText(e.status), e.message, e.code})
}

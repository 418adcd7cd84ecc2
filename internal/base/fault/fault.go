// Package fault is the error vocabulary of the house: a code, a sentence that may be shown, and a
// cause that never leaves the log.
//
// Protocol errors (invalid_grant, invalid_request …) live in package protocol/oauth. A face that
// answers in another vocabulary maps codes to its own answers in one table.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Code says what kind of failure happened, and so who can mend it.
type Code string

// The codes. Anything that is not an [Error] counts as Internal.
const (
	Invalid      Code = "invalid"      // the input is wrong; Field names the part
	Unauthorized Code = "unauthorized" // who is asking is not known, or not proven
	Forbidden    Code = "forbidden"    // known, and not allowed
	NotFound     Code = "not_found"    // no such thing, or not visible to who asks
	Conflict     Code = "conflict"     // the thing exists already or has changed meanwhile
	Gone         Code = "gone"         // it was valid once: used, expired or withdrawn
	Limited      Code = "limited"      // too many attempts; RetryAfter says when to come back
	Busy         Code = "busy"         // the house is overloaded or its storage is away; try again
	Internal     Code = "internal"     // our failure; the message says nothing
)

// Error is a failure with a code. Message may be shown to the client. Err is for the log alone.
type Error struct {
	Code       Code
	Message    string
	Field      string        // the input that is wrong, in the caller's own naming; may be empty
	RetryAfter time.Duration // for Limited and Busy
	Err        error
}

// Error implements error. The text is for logs: it holds the cause.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Field != "" {
		s += " " + e.Field
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns an error with a sentence for the client.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an error with a sentence for the client and a cause for the log.
func Wrap(code Code, err error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}

// Field returns an Invalid error about one input.
func Field(field, format string, args ...any) *Error {
	return &Error{Code: Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of the first [Error] in err's chain, Internal for any other error, and
// the empty code for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// Is reports whether err carries the code.
func Is(err error, code Code) bool { return CodeOf(err) == code }

// MessageOf returns the sentence that may be shown for err. For errors that are not an [Error],
// and for Internal ones, it says nothing of the cause.
func MessageOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Code != Internal && e.Message != "" {
		return e.Message
	}
	return "Something went wrong on our side."
}

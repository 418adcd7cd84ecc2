package main

import (
	"errors"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
)

// explain returns what the operator needs to know about an error. Who runs the command owns the
// house, so causes are told too; secrets are in no error anyway.
func explain(err error) string {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Message == "" {
		return err.Error()
	}
	text := e.Message
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}

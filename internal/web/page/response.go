package page

import (
	"errors"
)

// FormPost hands an authorization response to an application by
// response_mode=form_post: a form with hidden fields that submits itself, or
// by its button where no script runs. The page refuses to exist when Action is
// not an absolute http or https URL (BR07).
type FormPost struct {
	Frame
	ClientName string
	Action     string // the redirect URI
	Fields     []Field
}

var errFormPostTarget = errors.New("page: form_post to something that is not an http or https URL")

func (p FormPost) sheet() sheet {
	s := sheet{name: "formpost", args: args("client", p.ClientName), script: "submit"}
	if o, ok := origin(p.Action); ok {
		s.formAction = []string{source(o)}
	} else {
		s.refused = errFormPostTarget
	}
	return s
}

// WebMessage hands an authorization response to the window that opened or
// framed the page (response_mode=web_message). It holds no control and is the
// one page that may be framed, by TargetOrigin alone. The page refuses to
// exist when TargetOrigin is not exactly an http or https origin.
type WebMessage struct {
	Frame
	TargetOrigin string            // "https://app.example.com", never "*"
	Response     map[string]string // code and state, or error, error_description and state
}

var errWebMessageTarget = errors.New("page: web_message to something that is not an http or https origin")

func (p WebMessage) sheet() sheet {
	s := sheet{name: "webmessage", script: "message"}
	o, ok := origin(p.TargetOrigin)
	switch {
	case !ok || o != p.TargetOrigin:
		s.refused = errWebMessageTarget
	case source(o) == o:
		s.frameAncestors = o // else it cannot be named: the answer reaches a popup's opener, but no frame
	}
	return s
}
